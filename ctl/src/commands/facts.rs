//! `lockdownctl facts`

use lockdown_dbus_api::{
    options::AccountFilter,
    views::{Account, Metrics, StateDocument},
};
use serde_json::{Value, json};

use super::{
    Context,
    doctor::{self, Finding, Level},
};
use crate::{
    client::Client,
    exit::Failure,
    output::{Show, json, text::count, text::escape, views},
};

/// Most accounts that are named.
const MOST_NAMED: usize = 1000;
/// Where a distribution says what it is, os-release(5).
const OS_RELEASE: &str = "/etc/os-release";

/// Print what is known of this host, for configuration management
///
/// With --json, prints one object: a fact for Ansible, Puppet or Salt. What cannot be found out, without the daemon or without the
/// right to ask it, is null, and it exits with 0 all the same. Its keys:
///
/// "version" of this command; "host" ("name", "os" and "os_version" of os-release(5)); "daemon" ("running", "version", and
/// "error", which is null if it answers); "lockdown_enabled"; "locked_accounts" (a number); "locked" and "deactivated" (names
/// of accounts, 1000 at most); "locks" (numbers by owner); "sessions" (a number); "notifications" (numbers by state);
/// "state" ("error", empty if state.d is in force as it lies there, and "documents": "name", "origin", "path", "sha256",
/// "applied_at", "locks", "pending"); "pam_wired" (whether every PAM service asks and heeds pam_lockdown.so); "healthy"
/// (whether `lockdownctl doctor` finds no error); "doctor" ("errors" and "warnings": the names of the checks).
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl facts
  lockdownctl facts --json | jq .state.documents

As a local fact of Ansible, in /etc/ansible/facts.d/lockdown.fact:
  #!/bin/sh
  exec lockdownctl facts --json")]
pub struct Args {}

/// Runs it.
///
/// # Errors
///
/// They cannot be printed.
pub async fn run(_args: &Args, context: &mut Context) -> Result<(), Failure> {
    let facts = Facts { of_daemon: OfDaemon::ask().await, findings: doctor::look().await };
    context.answer(|| facts.json(), |show| facts.text(show))
}

struct Facts {
    of_daemon: OfDaemon,
    findings: Vec<Finding>,
}

/// What the daemon says; none of what it does not.
#[derive(Default)]
struct OfDaemon {
    /// Why it does not answer, or does not answer this caller.
    error: Option<String>,
    version: Option<String>,
    lockdown_enabled: Option<bool>,
    locked_accounts: Option<u32>,
    locked: Option<Vec<Account>>,
    state_error: Option<String>,
    documents: Option<Vec<StateDocument>>,
    metrics: Option<Metrics>,
}

impl OfDaemon {
    async fn ask() -> Self {
        let client = match Client::connect().await {
            Ok(client) => client,
            Err(failure) => return Self { error: Some(failure.line()), ..Self::default() },
        };
        let version = match client.version().await {
            Ok(version) => version,
            Err(failure) => return Self { error: Some(failure.line()), ..Self::default() },
        };
        let mut error = None;
        // The first is enough: who may not ask for one of them may ask for none.
        let mut note = |failure: Failure| _ = error.get_or_insert_with(|| failure.line());
        let filter = AccountFilter { locked: Some(true), system: Some(true), ..AccountFilter::default() };
        let facts = Self {
            version: Some(version),
            lockdown_enabled: client.lockdown_enabled().await.map_err(&mut note).ok(),
            locked_accounts: client.locked_accounts().await.map_err(&mut note).ok(),
            locked: client.accounts(&filter).await.map_err(&mut note).ok(),
            state_error: client.state_error().await.map_err(&mut note).ok(),
            documents: client.documents().await.map_err(&mut note).ok(),
            metrics: client.metrics().await.map_err(&mut note).ok(),
            error: None,
        };
        Self { error, ..facts }
    }
}

impl Facts {
    fn checks(&self, level: Level) -> Vec<&'static str> {
        let mut checks: Vec<_> = self
            .findings
            .iter()
            .filter(|finding| finding.level == level)
            .map(|finding| finding.check)
            .collect();
        checks.dedup();
        checks
    }

    fn is_pam_wired(&self) -> bool {
        !self.checks(Level::Error).iter().any(|check| check.starts_with("pam-"))
    }

    fn json(&self) -> Result<Value, Failure> {
        let of = &self.of_daemon;
        let named = |accounts: &[Account]| -> Value {
            accounts.iter().take(MOST_NAMED).map(|account| account.name.as_str()).collect()
        };
        let deactivated = of.locked.as_ref().map(|accounts| {
            let accounts = accounts.iter().filter(|account| account.deactivated).take(MOST_NAMED);
            accounts.map(|account| account.name.as_str()).collect::<Vec<_>>()
        });
        let metrics = of.metrics.as_ref();
        let os = |key| os_release(&std::fs::read_to_string(OS_RELEASE).unwrap_or_default(), key);
        let errors = self.checks(Level::Error);
        Ok(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "host": {"name": host_name(), "os": os("ID"), "os_version": os("VERSION_ID")},
            "daemon": {"running": of.version.is_some(), "version": of.version, "error": of.error},
            "lockdown_enabled": of.lockdown_enabled,
            "locked_accounts": of.locked_accounts,
            "locked": of.locked.as_deref().map(named),
            "deactivated": deactivated,
            "locks": metrics.map(|metrics| &metrics.locks),
            "sessions": metrics.map(|metrics| metrics.sessions),
            "notifications": metrics.map(|metrics| &metrics.outbox),
            "state": {
                "error": of.state_error,
                "documents": of.documents.as_deref().map(json::array).transpose()?,
            },
            "pam_wired": self.is_pam_wired(),
            "healthy": errors.is_empty(),
            "doctor": {"errors": errors, "warnings": self.checks(Level::Warning)},
        }))
    }

    fn text(&self, show: &Show) -> String {
        let of = &self.of_daemon;
        let unknown = || "unknown".to_owned();
        let number = |number: Option<u32>| number.map_or_else(unknown, |number| number.to_string());
        let documents = of.documents.as_ref().map_or_else(unknown, |documents| {
            let names: Vec<_> = documents.iter().map(|document| escape(&document.name)).collect();
            match names.len() {
                0 => "none".to_owned(),
                number => format!("{}: {}", count(number, "document", "documents"), names.join(", ")),
            }
        });
        let doctor = match self.checks(Level::Error) {
            errors if errors.is_empty() => "no errors".to_owned(),
            errors => format!("{}: {}", count(errors.len(), "error", "errors"), errors.join(", ")),
        };
        let mut rows = vec![
            ("Host", escape(&host_name())),
            ("Version", env!("CARGO_PKG_VERSION").to_owned()),
            (
                "Daemon",
                of.version.as_ref().map_or_else(|| "not running".to_owned(), |version| escape(version)),
            ),
            ("Locked accounts", number(of.locked_accounts)),
            ("Sessions", number(of.metrics.as_ref().map(|metrics| metrics.sessions))),
            ("State", documents),
            ("PAM", if self.is_pam_wired() { "wired" } else { "not wired" }.to_owned()),
            ("Doctor", doctor),
        ];
        rows.extend(
            of.state_error
                .iter()
                .filter(|error| !error.is_empty())
                .map(|error| ("State error", escape(error))),
        );
        rows.extend(of.error.iter().map(|error| ("Error", escape(error))));
        views::property_list(rows, show)
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A value of os-release(5); none if it has none.
fn os_release(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_distribution_says_of_itself() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID=\"12\"\nID=debian\n";
        let read = |key| os_release(text, key);
        assert_eq!([read("ID"), read("VERSION_ID")], [Some("debian".into()), Some("12".into())]);
        assert_eq!([read("VERSION"), read("NAME"), os_release("", "ID")], [None, None, None]);
    }

    #[test]
    fn what_is_wired_is_what_no_pam_check_finds_wrong() {
        let facts = |check, level| Facts {
            of_daemon: OfDaemon::default(),
            findings: vec![Finding::new(check, level, "", ""), Finding::ok("daemon", "")],
        };
        for (check, level, wired, healthy) in [
            ("pam-account", Level::Ok, true, true),
            ("pam-account", Level::Error, false, false),
            ("pam-session", Level::Warning, true, true),
            ("sshd", Level::Error, true, false),
        ] {
            let shown = facts(check, level).json().unwrap();
            assert_eq!((&shown["pam_wired"], &shown["healthy"]), (&json!(wired), &json!(healthy)), "{check}");
        }
    }
}

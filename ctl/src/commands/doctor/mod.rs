//! `lockdownctl doctor`

mod auth;
mod checks;
mod host;
mod lockdown;
mod notifications;
mod pam;

use std::path::Path;

use serde::Serialize;

use self::host::Host;
use super::Context;
use crate::{
    exit::Failure,
    output::{
        Show, json,
        table::{Colour, Table, coloured},
        text::{count, escape},
    },
};

/// Look for ways into this host that a lock does not cover
///
/// Checks that the account stack of every PAM service runs pam_lockdown.so and heeds it, that the module is installed,
/// that locks on single authenticators are heeded and failed attempts are counted, that sshd uses PAM, that the daemon
/// answers, that the deny records agree with its store, that the state documents are in force, that the login socket is there,
/// that the hooks of a lockdown can be run and trusted, and that notifications get out. Each finding comes with what mends it. Run it as root: some
/// checks need it.
///
/// Exits with 1 if a finding is an error. With --json, prints an array of {"check", "level", "message", "mend" if there
/// is something to mend}; "level" is "ok", "skipped", "warning" or "error".
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl doctor
  lockdownctl doctor --quiet || echo 'this host has gaps'
  lockdownctl doctor --host web1 --json | jq '.[] | select(.level == \"error\")'")]
pub struct Args {}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Could not be looked at, or there is nothing to look at.
    Skipped,
    /// Worth a look: a lock is enforced all the same.
    Warning,
    /// A lock is not enforced everywhere, or nobody can log in.
    Error,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// The check, by a name that stays.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    message: String,
    /// What mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, message: message.into(), mend: None }
    }

    pub(super) fn new(
        check: &'static str,
        level: Level,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { check, level, message: message.into(), mend: Some(mend.into()) }
    }
}

/// Runs it.
///
/// # Errors
///
/// A finding is an error.
pub async fn run(_args: &Args, context: &mut Context) -> Result<(), Failure> {
    conclude(&look().await, context)
}

/// Makes all checks of this host.
pub(super) async fn look() -> Vec<Finding> {
    let host = Host::at(Path::new("/"));
    let mut findings = checks::pam(&host);
    findings.extend(auth::authenticators(&host));
    findings.extend(auth::attack_protection(&host));
    findings.extend(auth::user_environment(&host));
    findings.push(checks::sshd(&host).await);
    findings.extend(checks::daemon().await);
    findings.push(checks::login_socket(&host));
    findings.extend(lockdown::hooks(&host));
    findings.push(lockdown::self_service(&host));
    findings.extend(notifications::rules(&host));
    findings
}

fn conclude(findings: &[Finding], context: &mut Context) -> Result<(), Failure> {
    context.answer(|| json::own(findings), |show| text(findings, show))?;
    let errors: Vec<_> = findings
        .iter()
        .filter(|finding| finding.level == Level::Error)
        .map(|finding| finding.check)
        .collect();
    if errors.is_empty() {
        return Ok(());
    }
    let see = if context.quiet { "; `lockdownctl doctor` says what mends them" } else { "" };
    Err(Failure::Incomplete(format!(
        "{}: {}{see}",
        count(errors.len(), "error", "errors"),
        errors.join(", ")
    )))
}

fn text(findings: &[Finding], show: &Show) -> String {
    let mut table = Table::bare().unbroken(&[0, 1]);
    for finding in findings {
        let level = match finding.level {
            Level::Ok => coloured("ok", Colour::Green),
            Level::Skipped => "skipped".to_owned(),
            Level::Warning => coloured("warning", Colour::Yellow),
            Level::Error => coloured("error", Colour::Red),
        };
        let mut message = escape(&finding.message);
        if let Some(mend) = &finding.mend {
            message.push_str("\n→ ");
            message.push_str(&escape(mend));
        }
        table.row([level, finding.check.to_owned(), message]);
    }
    table.render(show)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::views::tests::show;

    #[test]
    fn findings_with_what_mends_them() {
        let findings = [
            Finding::ok("pam-account", "the account stacks of 14 services run pam_lockdown.so"),
            Finding::new("sshd", Level::Error, "UsePAM is no\n", "set `UsePAM yes`"),
            Finding::new("records", Level::Skipped, "not checked", "run it as root"),
        ];
        insta::assert_snapshot!("doctor", text(&findings, &show()));
        insta::assert_snapshot!("doctor-json", serde_json::to_string_pretty(&findings).unwrap());
    }
}

//! Attempts to sign in, what attack protection makes of them, and its settings.

use std::path::Path;
use std::time::Duration;

use lockdown_enforcement::{AttackProtection, TALLY_DIRECTORY, Table};
use serde_json::Value;

use super::Host;
use super::accounts::password_of;
use crate::pam_client::{Attempt, Outcome};

/// Where the client lies on a host.
const PROGRAM: &str = "/root/pam-attempts";
const SETTINGS: &str = "/etc/lockdown/lockdown.d/50-attack-protection.toml";
/// Longer than the client gives itself.
const LIMIT: Duration = Duration::from_secs(300);

/// [A client of libpam's](crate::pam_client) that has been put onto a host.
#[derive(Debug)]
pub struct PamClient<'h> {
    host: &'h Host,
    arguments: Vec<String>,
}

impl Host {
    /// Puts the client there: a program of this machine, with these arguments, that calls
    /// [`pam_client::main`](crate::pam_client::main).
    #[track_caller]
    pub fn pam_client(&self, program: &Path, arguments: &[&str]) -> PamClient<'_> {
        let bytes =
            std::fs::read(program).unwrap_or_else(|e| panic!("cannot read {}: {e}", program.display()));
        self.write(PROGRAM, bytes);
        self.run(&["chmod", "0700", PROGRAM]).ok();
        PamClient { host: self, arguments: arguments.iter().map(|&word| word.to_owned()).collect() }
    }

    /// Has attack protection go by these settings.
    #[track_caller]
    pub fn protect(&self, settings: &AttackProtection) {
        let AttackProtection { max_attempts, window, per_source, even_deny_root, warn_attempts_left, .. } =
            settings;
        let duration = settings.duration.map_or("never".to_owned(), |seconds| format!("{seconds}s"));
        let trusted: Vec<String> = settings.trusted_sources.iter().map(ToString::to_string).collect();
        self.write(
            SETTINGS,
            format!(
                "[attack_protection]\nmax_attempts = {max_attempts}\nmax_attempts_total = {}\nwindow = \"{window}s\"\n\
                 duration = \"{duration}\"\nper_source = {per_source}\neven_deny_root = {even_deny_root}\n\
                 ignore_services = {:?}\ntrusted_sources = {trusted:?}\nwarn_attempts_left = {warn_attempts_left}\n",
                settings.max_attempts_total, settings.ignore_services
            ),
        );
        self.lockdownctl(&["config", "check"]).ok();
        self.run(&["systemctl", "reload", "lockdownd"]).ok();
    }

    /// Ends the count of failed attempts on an account, and lifts what it has locked.
    #[track_caller]
    pub fn forget_failures(&self, account: &str) {
        self.lockdownctl(&["failures", account, "--reset"]).ok();
    }

    /// Lets accounts make more attempts a second: gives them a hash of their passwords that takes a hundredth of the usual time,
    /// and has failures answered at once.
    #[track_caller]
    pub fn judge_quickly(&self, accounts: &[&str]) {
        self.answer_at_once();
        for account in accounts {
            self.sh(&format!(
                "usermod --password \"$(perl -e 'print crypt(shift, q($6$rounds=1000$saltsaltsalt))' {})\" {account}",
                password_of(account)
            ))
            .ok();
        }
    }

    /// Has failures answered as soon as they are judged.
    #[track_caller]
    pub fn answer_at_once(&self) {
        self.sh("sed -i 's/so authfail$/so authfail answer_after=0/' /etc/pam.d/common-auth").ok();
    }

    /// The tally of an account, as it lies there.
    #[track_caller]
    pub fn tally(&self, uid: u32) -> Table {
        let path = format!("{TALLY_DIRECTORY}/{uid}");
        let bytes = self.run(&["cat", &path]);
        if bytes.succeeded() { Table::decode(&bytes.bytes) } else { Table::default() }
    }
}

impl PamClient<'_> {
    /// Makes an attempt.
    #[track_caller]
    pub fn attempt(&self, attempt: &Attempt) -> Outcome {
        self.attempts_at_once(&[std::slice::from_ref(attempt)]).remove(0).remove(0)
    }

    /// Makes attempts one after the other.
    #[track_caller]
    pub fn attempts(&self, attempts: &[Attempt]) -> Vec<Outcome> {
        self.attempts_at_once(&[attempts]).remove(0)
    }

    /// Makes each list of attempts in a process of its own, all at once.
    #[track_caller]
    pub fn attempts_at_once(&self, processes: &[&[Attempt]]) -> Vec<Vec<Outcome>> {
        let lists: Value =
            processes.iter().map(|list| list.iter().map(Attempt::to_json).collect::<Value>()).collect();
        let argv: Vec<&str> =
            std::iter::once(PROGRAM).chain(self.arguments.iter().map(String::as_str)).collect();
        let output = self.host.command(&argv).stdin(lists.to_string()).timeout(LIMIT).run().ok();
        let lists = output.json();
        let outcomes =
            |list: &Value| list.as_array().expect("outcomes").iter().map(Outcome::of_json).collect();
        lists.as_array().expect("lists").iter().map(outcomes).collect()
    }
}

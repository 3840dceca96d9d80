//! What the lockdown of a host says about itself.

use std::time::Duration;

use serde_json::Value;

use super::Host;
use super::command::Output;
use crate::wait::eventually;

/// What stands before the accounts.
const LOCKDOWN: &[&str] = &["--json", "lockdown", "--yes", "--reason", "test"];
/// How long a process may take to end that was sent SIGKILL.
const GONE: Duration = Duration::from_secs(10);

impl Host {
    /// Runs `lockdownctl` as root.
    #[must_use = "check how it ended: ok(), fails() or code(n)"]
    #[track_caller]
    pub fn lockdownctl(&self, args: &[&str]) -> Output {
        self.run(&[&["lockdownctl"], args].concat())
    }

    /// What `lockdownctl --json` prints, as root; panics unless it succeeds.
    #[track_caller]
    pub fn ask_lockdown(&self, args: &[&str]) -> Value {
        self.lockdownctl(&[&["--json"], args].concat()).ok().json()
    }

    /// Locks down, as root: these accounts, with these options. The results, in the order given.
    #[track_caller]
    pub fn lock_down(&self, args: &[&str]) -> Vec<Value> {
        rows(self.lockdownctl(&[LOCKDOWN, args].concat()).json())
    }

    /// Locks one account down, as root; panics unless all of it was done.
    #[track_caller]
    pub fn lock_down_wholly(&self, account: &str) -> Value {
        let mut results = rows(self.lockdownctl(&[LOCKDOWN, &[account]].concat()).ok().json());
        assert_eq!(results.len(), 1, "{results:#?}");
        let result = results.remove(0);
        assert_eq!((&result["user"], &result["success"]), (&account.into(), &true.into()), "{result:#}");
        result
    }

    /// Takes a lockdown back as a false alarm, as root; panics unless all of it was put back.
    #[track_caller]
    pub fn undo(&self, account: &str) -> Value {
        self.ask_lockdown(&["restore", account, "--undo"])
    }

    /// The open sessions of an account that lockdown knows, oldest first.
    #[track_caller]
    pub fn sessions_of(&self, account: &str) -> Vec<Value> {
        rows(self.ask_lockdown(&["sessions", account]))
    }

    /// The events about an account with this action, oldest first.
    #[track_caller]
    pub fn events_about(&self, account: &str, action: &str) -> Vec<Value> {
        rows(self.ask_lockdown(&["events", "--user", account, "--action", action]))
    }

    /// Kills the daemon on the spot. Its process is gone on return: a call would find a dying one for some milliseconds.
    #[track_caller]
    pub fn kill_daemon(&self) {
        let pid = self.run(&["systemctl", "show", "--value", "--property=MainPID", "lockdownd"]).ok();
        self.run(&["systemctl", "kill", "--signal=KILL", "--kill-whom=main", "lockdownd"]).ok();
        let process = format!("/proc/{}", pid.text());
        eventually(GONE, || !self.run(&["test", "-e", &process]).succeeded());
    }

    /// What `CheckRecords` finds wrong with the deny records.
    #[track_caller]
    pub fn drifts(&self) -> String {
        let call = ["call", "org.lockdown1", "/org/lockdown1", "org.lockdown1.Manager", "CheckRecords"];
        self.run(&[&["busctl"], call.as_slice()].concat()).ok().text().to_owned()
    }
}

impl Output {
    /// Standard output, which has to be one JSON value.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }
}

#[track_caller]
fn rows(array: Value) -> Vec<Value> {
    match array {
        Value::Array(rows) => rows,
        other => panic!("not an array: {other}"),
    }
}

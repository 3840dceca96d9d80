//! What the lockdown of a host says about itself.

use serde_json::Value;

use super::Host;
use super::command::Output;

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

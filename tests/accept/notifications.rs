//! Notifications: what receivers inside the host get, by the network and by its own programs, and when.

mod answers;
mod hostile;
mod mail;
mod outbox;
mod pager;
mod programs;
mod receivers;
mod relay;
mod retries;
mod sendmail;
mod terminals;
mod told;

use std::time::Duration;

use lockdown_tests::{Host, eventually};
use serde_json::Value;

/// A message that nothing keeps back is there within this.
const SOON: Duration = Duration::from_secs(10);
/// Nothing else comes within this.
const A_WHILE: Duration = Duration::from_secs(1);

/// Sets rules, and what else is in a file of the configuration; returns when they are in force.
#[track_caller]
fn configure(host: &Host, text: &str) {
    host.write("/etc/lockdown/lockdown.d/60-notify.toml", text);
    host.lockdownctl(&["config", "check"]).ok();
    reload(host);
}

/// Has the daemon read its configuration again.
#[track_caller]
fn reload(host: &Host) {
    let reloads = || host.ask_lockdown(&["events", "--action", "config-reload"]).as_array().map(Vec::len);
    let before = reloads();
    host.run(&["systemctl", "reload", "lockdownd"]).ok();
    eventually(SOON, || reloads() > before);
}

/// What has not arrived, oldest first.
#[track_caller]
fn queue(host: &Host) -> Vec<Value> {
    host.ask_lockdown(&["notify", "queue"]).as_array().expect("an array").clone()
}

/// The one message of a rule that has not arrived.
#[track_caller]
fn waiting(host: &Host, rule: &str) -> Value {
    let mut found: Vec<_> = queue(host).into_iter().filter(|message| message["rule"] == rule).collect();
    assert_eq!(found.len(), 1, "{rule}: {found:#?}");
    found.remove(0)
}

/// A text of a JSON object, or nothing.
fn text<'v>(object: &'v Value, key: &str) -> &'v str {
    object[key].as_str().unwrap_or_default()
}

/// Kills the daemon on the spot; returns when systemd has started the next.
#[track_caller]
fn crash(host: &Host) {
    host.kill_daemon();
    eventually(SOON, || host.lockdownctl(&["status"]).succeeded());
}

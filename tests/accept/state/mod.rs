//! State documents on booted hosts: real logins, real groups, a real shadow(5), and everything that can go wrong on the way.

mod beside;
mod catch_up;
mod crash;
mod export;
mod people;
mod refused;

use std::time::Duration;

use lockdown_tests::{Host, Output};
use serde_json::Value;

use crate::exit_codes::CHANGED;

const SOON: Duration = Duration::from_secs(20);
const DIRECTORY: &str = "/etc/lockdown/state.d";

/// Puts a document into state.d, and nothing into force.
fn write(host: &Host, name: &str, text: &str) {
    host.write(&format!("{DIRECTORY}/{name}.toml"), format!("version = 1\n{text}"));
}

fn remove(host: &Host, name: &str) {
    host.run(&["rm", &format!("{DIRECTORY}/{name}.toml")]).ok();
}

/// An entry that locks an account, or what else names one.
fn locked(name: &str) -> String {
    format!("[[account]]\nname = \"{name}\"\nstate = \"locked\"\nreason = \"by document\"\n")
}

#[track_caller]
fn apply(host: &Host, args: &[&str]) -> Output {
    host.lockdownctl(&[&["apply"], args].concat())
}

/// Owners of the locks on an account.
#[track_caller]
fn owners(host: &Host, account: &str) -> Vec<String> {
    let status = host.ask_lockdown(&["status", account]);
    let locks = status["locks"].as_array().unwrap_or_else(|| panic!("no locks: {status:#}"));
    locks.iter().map(|lock| lock["owner"].as_str().unwrap_or_default().to_owned()).collect()
}

fn gets_in(host: &Host, account: &str) -> bool {
    host.ssh(account).run("true").succeeded()
}

/// Everything that a document could have changed.
fn state(host: &Host) -> (Value, String) {
    let records = "cd /var/lib/lockdown/deny && sha256sum $(ls | sort) 2>/dev/null; cat /etc/shadow";
    let mut accounts = host.ask_lockdown(&["accounts"]);
    for account in accounts.as_array_mut().into_iter().flatten() {
        // A login is the user's own doing, and who is protected is that of settings.
        for key in ["last_sign_in", "last_active", "sessions", "protected", "protected_reason"] {
            account[key].take();
        }
    }
    (accounts, host.sh(&format!("{records} || true")).ok().stdout)
}

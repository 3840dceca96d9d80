//! No text makes the reader of SSH_AUTH_INFO_0 panic, and it names at most one key a line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockdown_enforcement::ssh;

fuzz_target!(|text: &str| {
    let used = ssh::used(text);
    assert!(used.ids.iter().filter(|id| id.starts_with("ssh:")).count() <= text.lines().count());
    let _ = ssh::used(&format!("publickey {text}"));
});

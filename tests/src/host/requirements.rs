//! What this machine needs to have.

use std::path::Path;
use std::{env, fs};

const TOOLS: [&str; 5] = ["mmdebstrap", "systemd-nspawn", "unshare", "nsenter", "timeout"];

/// Panics with advice if hosts cannot be booted here.
pub fn check() {
    let missing: Vec<&str> = TOOLS.into_iter().filter(|tool| !is_in_path(tool)).collect();
    assert!(
        missing.is_empty(),
        "booting hosts needs {}: run ./test, which installs what is missing (or tests/prepare)",
        missing.join(", ")
    );
    assert!(
        effective_uid() == Some(0),
        "booting hosts needs root: run ./test as root (for the tests without hosts: ./test --quick)"
    );
}

fn is_in_path(tool: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    // Users' PATH on Debian leaves the sbin directories out.
    env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).any(|dir| dir.join(tool).is_file())
}

fn effective_uid() -> Option<u32> {
    let status = fs::read_to_string(Path::new("/proc/self/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().nth(1)?.parse().ok()
}

//! Running the command, and what it leaves.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

/// lockdownctl on the bus at `address`, in an environment of its own.
pub fn lockdownctl(address: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockdownctl"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    command
        .args(args)
        .env_clear()
        .env("PATH", path)
        .env("TZ", "UTC")
        .env("DBUS_SYSTEM_BUS_ADDRESS", address)
        .stdin(Stdio::null());
    command
}

/// Runs it where there is no bus.
pub fn run_without_bus(args: &[&str]) -> Outcome {
    lockdownctl("unix:path=/nonexistent/bus", args).output().unwrap().into()
}

/// What a run left.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Outcome {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A directory with a program `ssh` that prints its arguments, one on a line in brackets, and exits with `code`.
pub fn fake_ssh(directory: &Path, code: u8) {
    let path = directory.join("ssh");
    fs::write(&path, format!("#!/bin/sh\nfor argument; do echo \"[$argument]\"; done\nexit {code}\n"))
        .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

//! The command by itself: usage, help, unreachable bus, other hosts.

use std::{
    io::Write,
    os::unix::ffi::OsStrExt,
    process::{Command, Stdio},
};

use crate::run::{Outcome, fake_ssh, lockdownctl, run_without_bus};

#[test]
fn wrong_usage_is_2_on_one_line() {
    for args in [
        &["lock"][..],
        &["lock", ""],
        &["lock", "alice", "--for", "1h", "--until", "14:00"],
        &["lock", "alice", "--for", "1h", "--indefinite"],
        &["lock", "alice", "--for", "0s"],
        &["lock", "alice", "--for", "-1h"],
        &["lock", "alice", "--for", "60"],
        &["lock", "alice", "--until", "2020-01-01"],
        &["lock", "alice", "--until", "soon\nlockdownctl: done"],
        &["unlock"],
        &["unlock", "alice", " "],
        &["lockdown"],
        &["lockdown", "alice"],
        &["lockdown", "alice", "--reason", "r"],
        &["lockdown", "alice", "--yes"],
        &["lockdown", "alice", "--reason", " ", "--yes"],
        &["lockdown", "alice", "--self", "--reason", "r", "--yes"],
        &["lockdown", "--self", "--reason", "r"],
        &["lockdown", "--self", "--no-sessions", "--reason", "r", "--yes"],
        &["lockdown", "alice", "--on-error", "retry", "--reason", "r", "--yes"],
        &["restore"],
        &["restore", "alice"],
        &["restore", "alice", "bob", "--undo"],
        &["restore", "alice", "--undo", "--recovery-code"],
        &["restore", "alice", "--password-stdin"],
        &["expire", "alice"],
        &["expire", "alice", "--at", "2026-12-01", "--never"],
        &["expire", "alice", "--at", "1960-01-01"],
        &["accounts", "--locked", "--expired"],
        &["end-sessions"],
        &["end-sessions", "alice", "--session", ""],
        &["authenticators", ""],
        &["authenticator", "lock", "alice"],
        &["authenticator", "lock", "alice", " "],
        &["authenticator", "lock", "alice", "ssh", "--for", "1h", "--indefinite"],
        &["authenticator", "unlock", "alice"],
        &["authenticator", "unlock", "alice", "ssh", "--type", "ssh"],
        &["authenticator", "unlock", "alice", "--type", "totp"],
        &["events", "--since", "soon"],
        &["events", "--limit", "0"],
        &["events", "--limit", "10001"],
        &["completions", "tcsh"],
        &["config", "check", "--at", "/etc/lockdown/lockdown.toml"],
        &["config", "check", "a.toml", "b.toml"],
        &["config", "check", "--at", "/etc/lockdown/site.toml\nx", "-"],
        &["nonsense\u{1b}[2J"],
        &["--host", "-oProxyCommand=x", "status"],
        &["--host=-oProxyCommand=x", "status"],
    ] {
        let outcome = run_without_bus(args);
        assert_eq!(outcome.code, Some(2), "{args:?}: {outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{args:?}: {outcome:?}");
        assert!(outcome.stderr.starts_with("lockdownctl: "), "{args:?}: {outcome:?}");
        assert!(!outcome.stderr.contains('\u{1b}'), "{args:?}: {outcome:?}");
        assert_eq!(outcome.stdout, "", "{args:?}");
    }
}

#[test]
fn a_name_that_is_not_utf8_is_wrong_usage() {
    let mut command = lockdownctl("unix:path=/nonexistent/bus", &["lock"]);
    let output = command.arg(std::ffi::OsStr::from_bytes(b"al\xffice")).output().unwrap();
    assert_eq!(Outcome::from(output).code, Some(2));
}

#[test]
fn without_a_subcommand_the_help_is_shown() {
    let outcome = run_without_bus(&[]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("Usage: lockdownctl"), "{outcome:?}");
    let outcome = run_without_bus(&["--help"]);
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.stdout.contains("Exit status:"), "{outcome:?}");
    let version = run_without_bus(&["--version"]);
    assert_eq!(version.stdout, concat!("lockdownctl ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn without_a_bus_it_is_5() {
    for args in [
        &["lock", "alice"][..],
        &["unlock", "alice"],
        &["lockdown", "alice", "--reason", "r", "--yes"],
        &["lockdown", "--self", "--reason", "r", "--yes"],
        &["restore", "alice", "--undo"],
        &["restore", "alice", "--tokens"],
        &["status"],
        &["status", "alice"],
        &["accounts"],
        &["expire", "alice", "--never"],
        &["sessions"],
        &["end-sessions", "alice"],
        &["authenticators"],
        &["authenticator", "lock", "alice", "ssh"],
        &["events"],
        &["events", "--follow"],
    ] {
        let outcome = run_without_bus(args);
        assert_eq!(outcome.code, Some(5), "{args:?}: {outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{args:?}: {outcome:?}");
        assert!(outcome.stderr.contains("systemctl status"), "{args:?}: {outcome:?}");
    }
    let outcome = run_without_bus(&["status", "--json"]);
    assert_eq!(outcome.code, Some(5));
    assert_eq!(outcome.json()["error"]["name"], "org.freedesktop.DBus.Error.NoServer");
}

#[test]
fn an_address_that_is_none_is_5() {
    let output = lockdownctl("nonsense", &["status"]).output().unwrap();
    assert_eq!(Outcome::from(output).code, Some(5));
}

#[test]
fn completions_name_the_subcommands() {
    for shell in ["bash", "fish", "zsh"] {
        let outcome = run_without_bus(&["completions", shell]);
        assert_eq!(outcome.code, Some(0));
        for word in ["end-sessions", "no-tokens", "recovery-code"] {
            assert!(outcome.stdout.contains(word), "{shell} {word}");
        }
    }
}

#[test]
fn a_closed_pipe_is_no_reason_to_panic() {
    let mut child = lockdownctl("unix:path=/nonexistent/bus", &["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let outcome = Outcome::from(child.wait_with_output().unwrap());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output =
        lockdownctl("unix:path=/nonexistent/bus", &["completions", "zsh"]).stdout(full).output().unwrap();
    let outcome = Outcome::from(output);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("cannot write to standard output"), "{outcome:?}");
}

/// Runs lockdownctl with an ssh of the test's own.
fn over_ssh(args: &[&str], code: u8) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    fake_ssh(directory.path(), code);
    let path = format!("{}:/usr/bin:/bin", directory.path().display());
    lockdownctl("unix:path=/nonexistent/bus", args).env("PATH", path).output().unwrap().into()
}

#[test]
fn another_host_gets_the_same_arguments_quoted() {
    let outcome =
        over_ssh(&["-H", "root@web1", "lock", "alice", "--reason", "it's $(id); \"x\"", "--json"], 0);
    assert_eq!(outcome.code, Some(0));
    let words = [
        "--",
        "root@web1",
        "lockdownctl",
        "'lock'",
        "'alice'",
        "'--reason'",
        r#"'it'\''s $(id); "x"'"#,
        "'--json'",
    ];
    assert_eq!(outcome.stdout.lines().collect::<Vec<_>>(), words.map(|word| format!("[{word}]")));
}

#[test]
fn a_remote_shell_reads_the_arguments_back() {
    let outcome = over_ssh(&["lock", "a b", "--reason", "it's\n$HOME \\ `id` *", "--host=web1"], 0);
    let command: Vec<_> = outcome.stdout.split("[lockdownctl]\n").collect();
    let remote = command[1].trim_end().replace("]\n[", " ");
    let script = format!("for word in {}; do printf '%s\\0' \"$word\"; done", &remote[1..remote.len() - 1]);
    let mut shell = Command::new("sh").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "lock\0a b\0--reason\0it's\n$HOME \\ `id` *\0");
}

#[test]
fn the_exit_code_of_the_other_host_is_kept() {
    assert_eq!(over_ssh(&["-H", "web1", "lock", "root"], 6).code, Some(6));
    let unreachable = over_ssh(&["-H", "web1", "status"], 255);
    assert_eq!(unreachable.code, Some(5));
    assert!(unreachable.stderr.contains("web1 cannot be reached"), "{unreachable:?}");
    let missing = over_ssh(&["-H", "web1", "status"], 127);
    assert_eq!(missing.code, Some(5));
    assert!(missing.stderr.contains("has no lockdownctl"), "{missing:?}");
}

#[test]
fn a_host_glued_to_other_options_is_not_passed_on_by_mistake() {
    let outcome = over_ssh(&["-qHweb1", "status"], 0);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome:?}");
}

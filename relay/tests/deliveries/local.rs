//! `lockdown-relay local`: an item on standard input, a verdict on standard output.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use lockdown_delivery::{Item, Outcome, Transport, Verdict};

use crate::relay::{PROGRAM, item};

fn run(input: &[u8]) -> Output {
    let mut child = Command::new(PROGRAM)
        .arg("local")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have enough before the end.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn verdict(item: &Item) -> Verdict {
    let output = run(&serde_json::to_vec(item).unwrap());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = output.stdout.strip_suffix(b"\n").unwrap();
    serde_json::from_slice(line).unwrap()
}

#[test]
fn a_program_is_run() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("user");
    let script = format!("printf %s \"$LOCKDOWN_USER\" > {}", file.display());
    let exec = |script: &str| Transport::Exec { command: vec!["/bin/sh".into(), "-c".into(), script.into()] };
    let delivered = Verdict { id: "msg_1".into(), outcome: Outcome::Delivered };
    assert_eq!(verdict(&item("msg_1", exec(&script))), delivered);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "alice");
    let failed = verdict(&item("msg_1", exec("exit 1"))).outcome;
    assert_eq!(failed, Outcome::retry("/bin/sh: exit status: 1"));
}

#[test]
fn nobody_is_told_on_an_empty_host() {
    assert_eq!(verdict(&item("msg_1", Transport::Wall { users: vec![] })).outcome, Outcome::Delivered);
}

#[test]
fn what_is_no_item_has_no_verdict() {
    for input in [&b""[..], b"{}", b"\xff", &[b' '; 1024 * 1024 + 2]] {
        let output = run(input);
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
        assert!(output.stderr.starts_with(b"<3>lockdown-relay: "));
    }
}

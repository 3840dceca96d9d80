//! `config check` of a file that is not in its place yet.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use crate::run::{Outcome, lockdownctl, run_without_bus};

const PLACE: &str = "/etc/lockdown/lockdown.d/99-of-a-test.toml";

#[test]
fn a_file_is_checked_before_it_is_in_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("site");
    let file = path.to_str().unwrap();
    fs::write(&path, "[nss]\ntimeout = \"2s\"\n").unwrap();
    for args in [&["config", "check", file][..], &["config", "check", "--at", PLACE, file]] {
        let outcome = run_without_bus(args);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome:?}");
        assert!(outcome.stdout.ends_with("read, no problems\n"), "{outcome:?}");
    }

    fs::write(&path, "[nss]\ntimeuot = \"2s\"\n").unwrap();
    for (args, name) in
        [(&["config", "check", file][..], file), (&["config", "check", "--at", PLACE, file], PLACE)]
    {
        let outcome = run_without_bus(args);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{outcome:?}");
        let expected = format!("lockdownctl: {name}:2:1: nss.timeuot: ");
        assert!(outcome.stderr.starts_with(&expected), "{expected}: {outcome:?}");
    }
    let outcome = run_without_bus(&["config", "check", "--at", PLACE, file, "--json"]);
    assert_eq!(outcome.json()["problems"][0]["file"], PLACE);
    assert!(!fs::exists(PLACE).unwrap());
}

#[test]
fn a_file_that_is_not_there_is_said() {
    let outcome = run_without_bus(&["config", "check", "--at", PLACE, "/nonexistent/site.toml"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("/nonexistent/site.toml: cannot be read"), "{outcome:?}");
}

#[test]
fn settings_are_taken_from_standard_input() {
    let check = |command: &mut Command, text: &[u8]| -> Outcome {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text).unwrap();
        child.wait_with_output().unwrap().into()
    };
    let command = || lockdownctl("unix:path=/nonexistent/bus", &["config", "check", "-"]);
    assert_eq!(check(&mut command(), b"nss.timeout = '2s'\n").code, Some(0));
    let outcome = check(&mut command(), b"nss.timeout = 'soon'\n");
    assert!(outcome.stderr.starts_with("lockdownctl: <stdin>:1:15: nss.timeout: "), "{outcome:?}");
    assert_eq!(check(&mut command(), b"\xff\n").code, Some(1));
}

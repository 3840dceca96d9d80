//! `lockdown` and `restore`: in a script, and as a flow on a terminal.

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
    time::Instant,
};

use lockdown_dbus_api::views::Restored;
use serde_json::json;

use crate::{manager::PATIENCE, private_bus::Bus, run::Outcome, terminal::Terminal};

const SURE: [&str; 3] = ["--reason", "phished", "--yes"];
const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";

fn run(bus: &Bus, args: &[&str]) -> Outcome {
    let outcome = bus.run(args);
    assert!(!format!("{outcome:?}").contains("FORGED"), "{outcome:?}");
    outcome
}

fn on_terminal(bus: &Bus, args: &[&str]) -> Terminal {
    Terminal::run(&bus.lockdownctl(args))
}

#[test]
fn a_script_is_not_asked() {
    let bus = Bus::with_manager();
    let outcome = run(&bus, &[&["lockdown", "alice"], &SURE[..]].concat());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!("lockdown-one", outcome.stdout);
    assert_eq!(bus.calls(), ["Lockdown alice reason=\"phished\""]);

    let outcome = run(&bus, &["lockdown", "alice", "--reason", "phished"]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("without a terminal to ask on, --yes must be given"), "{outcome:?}");
    assert_eq!(bus.calls(), Vec::<String>::new());
}

#[test]
fn what_was_said_is_passed_on_and_no_more() {
    let bus = Bus::with_manager();
    let args = ["--no-password", "--no-tokens", "--on-error", "abort", "--suspects", "stop", "--force"];
    run(&bus, &[&["lockdown", "alice", "bob", "alice", "--message", "m"], &args[..], &SURE[..]].concat());
    assert_eq!(
        bus.calls(),
        [
            "Lockdown alice,bob force=true message=\"m\" on_error=\"abort\" reason=\"phished\" revoke_tokens=false \
          suspects=\"stop\" unusable_password=false"
        ]
    );
}

#[test]
fn json_is_an_array_for_one_too() {
    let bus = Bus::with_manager();
    let outcome = run(&bus, &[&["lockdown", "uid:1000", "--json"], &SURE[..]].concat());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!("lockdown-one-json", outcome.stdout);
    let outcome = run(&bus, &[&["lockdown", "root", "--json"], &SURE[..]].concat());
    assert_eq!(outcome.code, Some(6));
    assert_eq!(outcome.json()[0]["error_name"], "org.lockdown1.Error.Protected");
    assert_eq!(run(&bus, &[&["lockdown", "alice", "--quiet"], &SURE[..]].concat()).stdout, "");
}

#[test]
fn the_failure_of_one_has_its_code_and_that_of_some_is_1() {
    let bus = Bus::with_manager();
    for (users, code) in [
        (&["ghost"][..], 3),
        (&["root"], 6),
        (&["eve"], 4),
        (&["alice", "root"], 1),
        (&["ghost", "spectre"], 1),
        (&["alice", "bob"], 0),
    ] {
        let outcome = run(&bus, &[&["lockdown"], users, &SURE[..]].concat());
        assert_eq!(outcome.code, Some(code), "{users:?}: {outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), usize::from(code != 0), "{users:?}: {outcome:?}");
    }
    let outcome = run(&bus, &[&["lockdown", "alice", "root", "ghost\n"], &SURE[..]].concat());
    insta::assert_snapshot!("lockdown-some", format!("{}\n{}", outcome.stdout, outcome.stderr));
}

#[test]
fn the_completion_is_shown_and_those_of_others_are_not() {
    let bus = Bus::with_manager();
    let outcome = run(&bus, &[&["lockdown", "--self"], &SURE[..]].concat());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert!(outcome.stdout.starts_with("Call 555-0100.\nNot \\u{1b}[2J.\nUSER"), "{outcome:?}");
    assert_eq!(bus.calls(), ["LockdownSelf reason=\"phished\""]);
    let outcome = run(&bus, &[&["lockdown", "--self", "--json"], &SURE[..]].concat());
    assert_eq!(outcome.json()[0]["user"], "alice");
    assert_eq!(outcome.stderr, "Call 555-0100.\nNot \\u{1b}[2J.\n");
    let outcome = run(&bus, &["lockdown", "--self", "--reason", "disabled", "--yes"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(6), ""), "{outcome:?}");
}

#[test]
fn the_completion_comes_at_once_and_the_end_of_the_connection_is_no_failure() {
    for (format, stdout) in [(&[][..], ""), (&["--json"], "[]\n")] {
        let mut bus = Bus::with_manager();
        bus.script.lock().unwrap().mute = true;
        let start = Instant::now();
        let mut child = bus
            .lockdownctl(&[&["lockdown", "--self"], &SURE[..], format].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut first, mut second) = (String::new(), String::new());
        if format.is_empty() {
            let mut lines = BufReader::new(child.stdout.as_mut().unwrap());
            lines.read_line(&mut first).unwrap();
            lines.read_line(&mut second).unwrap();
        } else {
            let mut lines = BufReader::new(child.stderr.as_mut().unwrap());
            lines.read_line(&mut first).unwrap();
            lines.read_line(&mut second).unwrap();
        }
        assert_eq!(first, "Call 555-0100.\n");
        assert!(start.elapsed() < PATIENCE / 2, "only with the answer");
        bus.end();
        let outcome = Outcome::from(child.wait_with_output().unwrap());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), stdout), "{outcome:?}");
    }
}

#[test]
fn a_connection_that_ends_before_the_completion_is_a_failure() {
    for args in [
        &["lockdown", "slow", "--reason", "r", "--yes"],
        &["lockdown", "--self", "--reason", "silent", "--yes"],
    ] {
        let mut bus = Bus::with_manager();
        bus.script.lock().unwrap().mute = true;
        let child = bus.lockdownctl(args).stderr(Stdio::piped()).spawn().unwrap();
        while bus.calls().is_empty() {
            std::thread::yield_now();
        }
        bus.end();
        let outcome = Outcome::from(child.wait_with_output().unwrap());
        assert_eq!(outcome.code, Some(5), "{args:?}: {outcome:?}");
    }
}

#[test]
fn a_flow_on_a_terminal() {
    let bus = Bus::with_manager();
    let mut terminal = on_terminal(&bus, &["lockdown", "alice", "root"]);
    let seen = terminal.expect("Reason, for the audit trail: ");
    assert!(seen.contains("root is protected") && seen.contains("end sessions, revoke tokens"), "{seen}");
    terminal.type_in(" \n");
    terminal.expect("A reason is needed");
    terminal.expect("Reason, for the audit trail: ");
    terminal.type_in("phished\n");
    terminal.expect("Type alice to lock it down: ");
    terminal.type_in("yes\n");
    terminal.expect("something else");
    terminal.expect("Type alice to lock it down: ");
    assert_eq!(bus.calls(), ["PreviewLockdown alice,root"]);
    terminal.type_in("alice\n");
    let (code, seen) = terminal.end();
    assert_eq!(bus.calls(), ["Lockdown alice,root reason=\"phished\""]);
    assert_eq!(code, Some(1), "{seen}");
    assert!(seen.contains("alice: end sessions: \u{1b}[32mdone"), "{seen}");
    assert!(seen.contains("2 sessions and 14 processes ended"), "{seen}");
    assert!(!seen.contains("FORGED"), "{seen}");
}

#[test]
fn several_are_confirmed_by_their_number() {
    let bus = Bus::with_manager();
    let mut terminal = on_terminal(&bus, &["lockdown", "alice", "bob", "--reason", "r"]);
    terminal.expect("Type 2 to lock 2 accounts down: ");
    terminal.type_in("alice\n");
    terminal.expect("Type 2 to lock 2 accounts down: ");
    terminal.type_in("2\n");
    assert_eq!(terminal.end().0, Some(0));
    assert_eq!(bus.calls(), ["PreviewLockdown alice,bob", "Lockdown alice,bob reason=\"r\""]);
}

#[test]
fn one_account_has_a_line_for_the_step_that_goes_on() {
    let bus = Bus::with_manager();
    let mut terminal = on_terminal(&bus, &[&["lockdown", "alice"], &SURE[..]].concat());
    let seen = terminal.expect("USER");
    assert!(seen.contains("  end sessions …\r  end sessions: \u{1b}[32mdone"), "{seen}");
    assert_eq!(bus.calls(), ["Lockdown alice reason=\"phished\""]);
}

#[test]
fn who_gives_up_has_changed_nothing() {
    let bus = Bus::with_manager();
    for key in [CTRL_C, CTRL_D] {
        for args in
            [&["lockdown", "alice"][..], &["lockdown", "alice", "--reason", "r"], &["lockdown", "--self"]]
        {
            let mut terminal = on_terminal(&bus, args);
            terminal.expect(": ");
            terminal.type_in(key);
            let (code, seen) = terminal.end();
            assert_eq!(code, Some(1), "{seen}");
            assert!(seen.contains("nothing was changed"), "{seen}");
            let calls = bus.calls();
            assert_eq!(calls.len(), 1, "{calls:?}");
            assert!(
                calls[0].starts_with("PreviewLockdown") || calls[0].starts_with("GetAccount"),
                "{calls:?}"
            );
        }
    }
    let mut terminal = on_terminal(&bus, &["lockdown", "alice"]);
    for _ in 0..3 {
        terminal.expect("Reason, for the audit trail: ");
        terminal.type_in("\n");
    }
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(1), "{seen}");
    assert!(seen.contains("nothing was changed"), "{seen}");
    assert_eq!(bus.calls(), ["PreviewLockdown alice"]);
}

#[test]
fn who_cannot_be_locked_down_is_not_asked_about() {
    let bus = Bus::with_manager();
    for (users, code) in [(&["root"][..], 6), (&["ghost"], 3), (&["root", "ghost"], 1)] {
        let (actual, seen) = on_terminal(&bus, &[&["lockdown"], users].concat()).end();
        assert_eq!(actual, Some(code), "{seen}");
        assert!(!seen.contains("Reason, for"), "{seen}");
        assert_eq!(bus.calls(), [format!("PreviewLockdown {}", users.join(","))]);
    }
}

#[test]
fn a_lockdown_that_is_interrupted_goes_on() {
    let bus = Bus::with_manager();
    let mut terminal = on_terminal(&bus, &[&["lockdown", "slow"], &SURE[..]].concat());
    terminal.expect("end sessions");
    terminal.type_in(CTRL_C);
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(1), "{seen}");
    assert!(seen.contains("a lockdown that has begun goes on in lockdownd"), "{seen}");
}

#[test]
fn oneself_is_told_what_happens() {
    let bus = Bus::with_manager();
    let mut terminal = on_terminal(&bus, &["lockdown", "--self", "--json"]);
    let seen = terminal.expect("Reason, for the audit trail: ");
    assert!(seen.contains("This locks your own account down, alice"), "{seen}");
    terminal.type_in("stolen\n");
    terminal.expect("Type alice to lock it down: ");
    terminal.type_in("alice\n");
    terminal.expect("Call 555-0100.");
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn a_terminal_that_ends_after_the_completion_is_no_failure() {
    let bus = Bus::with_manager();
    bus.script.lock().unwrap().mute = true;
    let mut terminal = on_terminal(&bus, &[&["lockdown", "--self"], &SURE[..]].concat());
    terminal.expect("Call 555-0100.");
    terminal.type_in(CTRL_C);
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(0), "{seen}");
}

#[test]
fn restore_passes_on_what_was_said() {
    let bus = Bus::with_manager();
    for (args, call) in [
        (&["--undo", "--reason", "false alarm"][..], "Restore alice reason=\"false alarm\" undo=true"),
        (&["--recovery-code", "--tokens"], "Restore alice recovery_code=true tokens=true"),
        (&["--tokens"], "Restore alice tokens=true"),
    ] {
        let outcome = bus.run(&[&["restore", "alice"], args].concat());
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert_eq!(bus.calls(), [call]);
    }
    let outcome = bus.run(&["restore", "alice", "--recovery-code", "--json"]);
    insta::assert_snapshot!("restore-json", outcome.stdout);
    assert_eq!(bus.run(&["restore", "ghost", "--undo"]).code, Some(3));
}

#[test]
fn what_could_not_be_put_back_is_a_failure() {
    let bus = Bus::with_manager();
    bus.script.lock().unwrap().restored = Restored {
        success: false,
        error: Some("/home/alice/.ssh/authorized_keys: disk full: make room".into()),
        ..Restored::default()
    };
    let outcome = bus.run(&["restore", "alice", "--undo", "--json"]);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.json()["success"], json!(false));
    assert_eq!(outcome.stderr, "lockdownctl: /home/alice/.ssh/authorized_keys: disk full: make room\n");
    assert_eq!(bus.run(&["restore", "alice", "--undo"]).stdout, "alice is not wholly restored\n");
}

#[test]
fn a_password_comes_on_standard_input() {
    let bus = Bus::with_manager();
    for (input, code, call) in [
        ("correct horse\nand more\n", 0, Some("Restore alice password=\"correct horse\"")),
        ("correct horse", 0, Some("Restore alice password=\"correct horse\"")),
        ("\n", 2, None),
        ("", 2, None),
    ] {
        let mut child = bus
            .lockdownctl(&["restore", "alice", "--password-stdin", "--json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let outcome = Outcome::from(child.wait_with_output().unwrap());
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        assert!(!format!("{outcome:?}").contains("horse"), "{outcome:?}");
        assert_eq!(bus.calls(), call.map(String::from).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_password_is_asked_for_twice_and_not_shown() {
    let bus = Bus::with_manager();
    let mut terminal = on_terminal(&bus, &["restore", "alice"]);
    let mut seen = String::new();
    for again in ["batery staple", "battery staple"] {
        seen += &terminal.expect("New password of alice (empty: leave it as it is): ");
        terminal.type_in("battery staple\n");
        seen += &terminal.expect("The same again: ");
        assert!(!terminal.echoes());
        terminal.type_in(&format!("{again}\n"));
    }
    let (code, rest) = terminal.end();
    seen += &rest;
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("These were not the same.") && !seen.contains("staple"), "{seen}");
    assert!(terminal.echoes());
    assert_eq!(bus.calls(), ["Restore alice password=\"battery staple\""]);
}

#[test]
fn an_account_of_a_directory_needs_no_password() {
    let bus = Bus::with_manager();
    let mut terminal = on_terminal(&bus, &["restore", "alice"]);
    terminal.expect("New password");
    terminal.type_in("\n");
    assert_eq!(terminal.end().0, Some(0));
    assert_eq!(bus.calls(), ["Restore alice "]);
}

#[test]
fn tokens_of_an_account_that_is_restored_already_need_no_password() {
    let bus = Bus::with_manager();
    let mut terminal = on_terminal(&bus, &["restore", "alice", "--tokens"]);
    assert_eq!(terminal.end().0, Some(0));
    assert_eq!(bus.calls(), ["PreviewLockdown alice", "Restore alice tokens=true"]);
    let mut terminal = on_terminal(&bus, &["restore", "bob", "--tokens"]);
    terminal.expect("New password of bob (empty: leave it as it is): ");
    terminal.type_in("\n");
    assert_eq!(terminal.end().0, Some(0));
    assert_eq!(bus.calls(), ["PreviewLockdown bob", "Restore bob tokens=true"]);
}

#[test]
fn who_gives_up_sees_again_what_they_type() {
    let bus = Bus::with_manager();
    let mut terminal = on_terminal(&bus, &["restore", "alice"]);
    terminal.expect("New password of alice");
    terminal.expect(": ");
    assert!(!terminal.echoes());
    terminal.type_in(CTRL_C);
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(1), "{seen}");
    assert!(seen.contains("nothing was changed"), "{seen}");
    assert!(terminal.echoes());
    assert_eq!(bus.calls(), Vec::<String>::new());
}

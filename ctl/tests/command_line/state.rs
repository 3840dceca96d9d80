//! State documents: `apply`, `validate`, `export`, `facts`, and what `status` and `doctor` say of them.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};

use lockdown_dbus_api::views::{StateApplied, StateChange, StateProblem};
use serde_json::json;

use crate::{
    private_bus::Bus,
    run::{Outcome, lockdownctl, run_without_bus},
};

const GOOD: &str = "version = 1\n\n[[account]]\nname = \"alice\"\nstate = \"locked\"\n";
const BAD: &str = "version = 1\n\n[[account]]\nname = \"alice\"\nstat = \"locked\"\n";

/// A directory with these files.
fn files(files: &[(&str, &str)]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let directory = tempfile::tempdir().unwrap();
    let write = |(name, text): &(&str, &str)| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    let paths = files.iter().map(write).collect();
    (directory, paths)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs it with this on standard input.
fn with_input(bus: &Bus, args: &[&str], input: &str) -> Outcome {
    let mut command = bus.lockdownctl(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

fn change(account: &str, what: &str, key: &str, before: &str, after: &str) -> StateChange {
    let [account, what, key, before, after] = [account, what, key, before, after].map(str::to_owned);
    StateChange { document: "web".into(), account, what, key, before, after }
}

fn changed() -> StateApplied {
    StateApplied {
        success: true,
        changed: true,
        changes: vec![
            change("bob", "unlock", "", "locked, reason \"left\"", ""),
            change("alice", "lock", "", "locked", "locked until 2026-12-31T00:00:00Z, reason \"left\u{1b}\""),
            change("alice", "set", "valid_until", "0", "1798675200"),
            change("alice", "set", "metadata.team", "", "blue"),
            change("alice", "remove", "identifiers.badge", "B-17", ""),
            change("carol", "lock-authenticator", "ssh:SHA256:n4bQ", "", "locked"),
            change("dave", "deactivate", "", "", "deactivated"),
            change("erin", "reactivate", "", "deactivated", ""),
        ],
        sessions_ended: 2,
        warnings: vec![problem(9, "account.name", "no account is called mallory")],
        ..StateApplied::default()
    }
}

fn problem(line: u64, key: &str, message: &str) -> StateProblem {
    StateProblem {
        document: "web".into(),
        file: "/etc/lockdown/state.d/web.toml".into(),
        line,
        column: if line > 0 { 8 } else { 0 },
        key: key.into(),
        message: message.into(),
    }
}

fn refused() -> StateApplied {
    let errors =
        vec![problem(0, "", "cannot be read"), problem(3, "account.name", "root is protected\u{1b}")];
    StateApplied { errors, ..StateApplied::default() }
}

#[test]
fn what_is_given_is_what_the_daemon_gets() {
    let bus = Bus::with_manager();
    let (_directory, paths) =
        files(&[("web.toml", GOOD), ("db.example.toml", "version = 1\n"), ("a b", GOOD)]);
    let (web, db, odd) = (text(&paths[0]), text(&paths[1]), text(&paths[2]));
    for (args, call) in [
        (&["apply"][..], "check=None documents=None tags=None"),
        (&["apply", "--check"], "check=Some(true) documents=None tags=None"),
        (&["apply", web, db], "check=None documents=Some(\"db.example,web\") tags=None"),
        (&["apply", web, "--name", "x", "--remove", "y"], "check=None documents=Some(\"x,y\") tags=None"),
        (
            &["apply", odd, "--name", "x", "--tag", "ticket=7"],
            "check=None documents=Some(\"x\") tags=Some(\"ticket\")",
        ),
        (&["apply", "--remove", "web", "--remove", "db"], "check=None documents=Some(\"db,web\") tags=None"),
    ] {
        let outcome = bus.run(args);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert_eq!(outcome.stdout, "nothing to change\n");
        assert_eq!(bus.calls(), [format!("ApplyState {call}")], "{args:?}");
    }
    let outcome = with_input(&bus, &["apply", "-", "--name", "web"], GOOD);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(bus.script.lock().unwrap().texts, [("web".to_owned(), GOOD.to_owned())].into());
    bus.calls();
    // As one that generates them sends several at once.
    let bundle = json!([{"path": "web.toml", "text": GOOD}, {"path": "db.toml", "text": "version = 1"}]);
    assert_eq!(with_input(&bus, &["apply", "--bundle"], &bundle.to_string()).code, Some(0));
    assert_eq!(bus.calls(), ["ApplyState check=None documents=Some(\"db,web\") tags=None"]);
    // None are none: state.d is not read for them.
    assert_eq!(with_input(&bus, &["apply", "--bundle"], "[]").code, Some(0));
    assert_eq!(bus.calls(), ["ApplyState check=None documents=Some(\"\") tags=None"]);
    assert_eq!(bus.run(&["apply", "--remove", "web"]).code, Some(0));
    assert_eq!(bus.script.lock().unwrap().texts, [("web".to_owned(), String::new())].into());
}

#[test]
fn what_cannot_be_given_is_refused_before_the_daemon_is_asked() {
    let bus = Bus::with_manager();
    let (_directory, paths) =
        files(&[("web.toml", GOOD), ("b/web.toml", GOOD), ("a b.toml", GOOD), (".toml", GOOD)]);
    let (web, other, odd, hidden) = (text(&paths[0]), text(&paths[1]), text(&paths[2]), text(&paths[3]));
    for (args, says) in [
        (&["apply", "-"][..], "needs a name"),
        (&["apply", "-", "-"], "given twice"),
        (&["apply", web, other], "two documents have the name web"),
        (&["apply", web, odd, "--name", "x"], "--name is the name of one document"),
        (&["apply", "--name", "x"], "--name is the name of one document"),
        (&["apply", web, "--remove", "web"], "given and removed"),
        (&["apply", odd], "no name of a document"),
        (&["apply", hidden], "no name of a document"),
        (&["apply", web, "--name", "../x"], "no name of a document"),
        (&["apply", "--remove", ""], "no name of a document"),
        (&["apply", web, "--tag", "a"], "is no pair"),
        (&["apply", web, "--bundle"], "cannot be used with"),
    ] {
        let outcome = bus.run(args);
        assert_eq!(outcome.code, Some(2), "{args:?}: {outcome:?}");
        assert!(outcome.stderr.contains(says), "{args:?}: {outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{args:?}: {outcome:?}");
        // With it, 2 says that something changed, and nothing else.
        let detailed = bus.run(&[args, &["--detailed-exitcode"]].concat());
        assert_eq!(detailed.code, Some(1), "{args:?}: {detailed:?}");
        assert_eq!(bus.calls(), [""; 0], "{args:?}");
    }
    // An empty text would take the document away, and the bus carries no NUL.
    for input in ["", "version = 1\0", "version = 1 # \0\n"] {
        let outcome = with_input(&bus, &["apply", "-", "--name", "web"], input);
        assert_eq!((outcome.code, bus.calls().len()), (Some(1), 0), "{outcome:?}");
        assert!(outcome.stderr.starts_with("lockdownctl: <stdin>:1:"), "{outcome:?}");
    }
    let outcome = bus.run(&["apply", "/nonexistent/web.toml", "--json"]);
    assert_eq!(outcome.code, Some(1));
    assert_eq!((&outcome.json()["failed"], &outcome.json()["changed"]), (&json!(true), &json!(false)));
    assert!(outcome.json()["msg"].as_str().unwrap().contains("/nonexistent/web.toml: cannot be read"));
    let outcome = with_input(&bus, &["apply", "--bundle"], "[{\"path\": \"x.toml\", \"txt\": \"\"}]");
    assert_eq!((outcome.code, bus.calls().len()), (Some(1), 0), "{outcome:?}");
    assert!(outcome.stderr.contains("unknown field `txt`"), "{outcome:?}");
}

#[test]
fn what_has_changed_is_shown() {
    let bus = Bus::with_manager();
    bus.script.lock().unwrap().applied = changed();
    let outcome = bus.run(&["apply"]);
    assert_eq!(outcome.code, Some(0));
    insta::assert_snapshot!("apply", outcome.stdout);
    assert_eq!(
        outcome.stderr,
        "lockdownctl: warning: /etc/lockdown/state.d/web.toml:9:8: account.name: no account is called mallory\n"
    );
    insta::assert_snapshot!("apply-check-diff", bus.run(&["apply", "--check", "--diff"]).stdout);
    let quiet = bus.run(&["apply", "--quiet"]);
    assert_eq!((quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()), (Some(0), "", ""));
    let json = bus.run(&["apply", "--json"]);
    insta::assert_snapshot!("apply-json", json.stdout);
    assert_eq!(json.stderr, "");
    let left_out = StateApplied { changes_left_out: 90_000, ..changed() };
    bus.script.lock().unwrap().applied = left_out;
    assert!(bus.run(&["apply"]).stdout.ends_with("… and 90000 more\n90008 changes, 2 sessions ended\n"));
}

#[test]
fn exit_codes_of_apply() {
    let bus = Bus::with_manager();
    let codes = |applied: StateApplied| {
        bus.script.lock().unwrap().applied = applied;
        [
            &["apply"][..],
            &["apply", "--check"],
            &["apply", "--detailed-exitcode"],
            &["apply", "--check", "--detailed-exitcode"],
        ]
        .map(|args| bus.run(args).code.unwrap())
    };
    assert_eq!(codes(StateApplied { success: true, ..StateApplied::default() }), [0, 0, 0, 0]);
    assert_eq!(codes(changed()), [0, 0, 2, 2]);
    assert_eq!(codes(refused()), [1, 1, 1, 1]);
    let incomplete = StateApplied { problems: vec!["bob: 1 process could not be ended".into()], ..changed() };
    assert_eq!(codes(incomplete), [1, 1, 1, 1]);
    let (_directory, paths) = files(&[("taken.toml", GOOD)]);
    let taken = |args: &[&str]| bus.run(&[&["apply", text(&paths[0])], args].concat()).code.unwrap();
    assert_eq!([taken(&[]), taken(&["--detailed-exitcode"])], [2, 1]);
    let empty = Bus::empty();
    assert_eq!([empty.run(&["apply"]).code, empty.run(&["apply", "--detailed-exitcode"]).code], [Some(5); 2]);
    assert_eq!(run_without_bus(&["apply", "--nonsense", "--detailed-exitcode"]).code, Some(1));
}

#[test]
fn documents_that_are_wrong_are_named_by_place() {
    let bus = Bus::with_manager();
    bus.script.lock().unwrap().applied = refused();
    let outcome = bus.run(&["apply"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    assert_eq!(
        outcome.stderr,
        "lockdownctl: /etc/lockdown/state.d/web.toml: cannot be read\n\
         lockdownctl: /etc/lockdown/state.d/web.toml:3:8: account.name: root is protected\\u{1b}\n\
         lockdownctl: 2 problems: nothing was changed\n"
    );
    let json = bus.run(&["apply", "--json", "--check"]).json();
    assert_eq!(
        (&json["failed"], &json["changed"], &json["check"]),
        (&json!(true), &json!(false), &json!(true))
    );
    assert_eq!(json["errors"][1]["line"], json!(3));
    assert!(json["msg"].as_str().unwrap().contains("web.toml:3:8: account.name"), "{json}");
    let unreachable = Bus::empty().run(&["apply", "--json"]).json();
    assert_eq!(unreachable["error"]["name"], "org.freedesktop.DBus.Error.ServiceUnknown");
    assert_eq!((&unreachable["failed"], &unreachable["diff"]["before"]), (&json!(true), &json!("")));
}

#[test]
fn documents_are_checked_without_the_daemon() {
    let (_directory, paths) = files(&[("web.toml", GOOD), ("bad.toml", BAD)]);
    let (web, bad) = (text(&paths[0]), text(&paths[1]));
    let outcome = run_without_bus(&["validate", web]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), "1 document checked, no problems\n"));
    let outcome = run_without_bus(&["validate", web, bad]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    assert!(outcome.stderr.starts_with(&format!("lockdownctl: {bad}:5:1: account.stat: ")), "{outcome:?}");
    let json = run_without_bus(&["validate", web, bad, "--json"]);
    assert_eq!(json.code, Some(1));
    let json = json.json();
    assert_eq!((&json["valid"], &json["problems"][0]["line"]), (&json!(false), &json!(5)));
    assert_eq!(json["files"], json!([web, bad]));
    assert_eq!(run_without_bus(&["validate", "--json", web]).json()["valid"], json!(true));
    assert_eq!(run_without_bus(&["validate", "/nonexistent.toml"]).code, Some(1));
    assert_eq!(run_without_bus(&["validate", "--quiet", web]).stdout, "");
}

#[test]
fn what_a_document_that_is_checked_is_called_does_not_matter() {
    // As Ansible, editors and others call a file before it is put in its place.
    let long = format!("{}.toml", "x".repeat(100));
    for name in ["tmp_8x0q.toml", ".source.web", "a b é.tmp", "-x", "document.0.toml", &long] {
        let (_directory, paths) =
            files(&[(name, GOOD), ("b/.c", "version = 1\n"), ("document.0", "version = 1\n")]);
        let args: Vec<_> = ["validate"].into_iter().chain(paths.iter().map(|path| text(path))).collect();
        let outcome = run_without_bus(&args);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{name}: {outcome:?}");
    }
    let mut command = lockdownctl("unix:path=/nonexistent/bus", &["validate", "-"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(BAD.as_bytes()).unwrap();
    let outcome = Outcome::from(child.wait_with_output().unwrap());
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.starts_with("lockdownctl: <stdin>:5:1: account.stat: "), "{outcome:?}");
}

#[test]
fn documents_are_checked_against_each_other() {
    let expires = |when: &str| format!("version = 1\n[[account]]\nname = \"alice\"\nvalid_until = {when}\n");
    let (_directory, paths) =
        files(&[("a.toml", &expires("2027-01-01")), ("b.toml", &expires("2028-01-01"))]);
    let outcome = run_without_bus(&["validate", text(&paths[0]), text(&paths[1])]);
    assert_eq!(outcome.code, Some(1));
    let (one, other) = (text(&paths[0]), text(&paths[1]));
    assert!(outcome.stderr.contains(&format!("{other}:4:15: account.valid_until")), "{outcome:?}");
    assert!(outcome.stderr.contains(&format!("{one}:4:15")), "{outcome:?}");
    // The same file twice is no contradiction of two names.
    assert_eq!(run_without_bus(&["validate", one]).code, Some(0));
}

#[test]
fn the_state_is_exported() {
    let bus = Bus::with_manager();
    let outcome = bus.run(&["export"]);
    assert_eq!(outcome.stdout, "version = 1\n\n[[account]]\nname = \"alice\"\nstate = \"locked\"\n");
    assert_eq!(bus.run(&["export", "--document", "web", "--json"]).json()["document"], "web");
    assert_eq!(bus.run(&["export", "--document", "ghost"]).code, Some(2));
    assert_eq!(
        bus.calls(),
        ["ExportState ", "ExportState document=\"web\"", "ExportState document=\"ghost\""]
    );
}

#[test]
fn facts_are_there_with_and_without_the_daemon() {
    let keys = |facts: &serde_json::Value| facts.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let bus = Bus::with_manager();
    bus.script.lock().unwrap().state_error = "web.toml:1:1: no".into();
    let there = bus.run(&["facts", "--json"]);
    assert_eq!((there.code, there.stderr.as_str()), (Some(0), ""));
    let facts = there.json();
    assert_eq!(facts["daemon"], json!({"running": true, "version": "0.1.0", "error": null}));
    assert_eq!((&facts["locked"], &facts["locked_accounts"]), (&json!(["alice"]), &json!(1)));
    assert_eq!(facts["state"]["error"], "web.toml:1:1: no");
    assert_eq!(facts["state"]["documents"][0]["sha256"], "ab".repeat(32));
    assert!(facts["doctor"]["errors"].as_array().unwrap().contains(&json!("state")), "{facts}");
    assert_eq!(facts["healthy"], json!(false));
    let gone = Bus::empty().run(&["facts", "--json"]);
    assert_eq!((gone.code, gone.stderr.as_str()), (Some(0), ""));
    let without = gone.json();
    assert_eq!(keys(&without), keys(&facts));
    assert_eq!(without["daemon"]["running"], json!(false));
    assert!(without["daemon"]["error"].as_str().unwrap().contains("cannot be reached"), "{without}");
    assert_eq!((&without["locked"], &without["state"]["documents"]), (&json!(null), &json!(null)));
    // What this caller may not ask for is null, too.
    bus.script.lock().unwrap().is_private = true;
    let private = bus.run(&["facts", "--json"]).json();
    assert_eq!((&private["daemon"]["running"], &private["state"]["documents"]), (&json!(true), &json!(null)));
    assert_eq!(private["daemon"]["error"], "this is not yours to look at: ask root");
    bus.script.lock().unwrap().is_private = false;
    assert!(bus.run(&["facts"]).stdout.contains("1 document: web"));
    assert_eq!(run_without_bus(&["facts"]).code, Some(0));
}

#[test]
fn a_state_that_is_not_in_force_is_seen() {
    let bus = Bus::with_manager();
    let error = "/etc/lockdown/state.d/web.toml:3:1: account.nmae: unknown key";
    let state = |outcome: Outcome| {
        let findings = outcome.json();
        findings.as_array().unwrap().iter().find(|finding| finding["check"] == "state").cloned().unwrap()
    };
    assert_eq!(state(bus.run(&["doctor", "--json"]))["level"], "ok");
    bus.script.lock().unwrap().state_error = error.into();
    let finding = state(bus.run(&["doctor", "--json"]));
    assert_eq!(finding["level"], "error");
    assert!(finding["message"].as_str().unwrap().ends_with(error), "{finding}");
    assert!(finding["mend"].as_str().unwrap().contains("lockdownctl apply"), "{finding}");
    assert!(bus.run(&["status"]).stdout.contains(error));
    assert_eq!(bus.run(&["status", "--json"]).json()["state_error"], error);
}

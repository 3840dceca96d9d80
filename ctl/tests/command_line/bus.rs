//! The command against a scripted manager on a private bus.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use lockdown_dbus_api::views::{Drift, Event};
use serde_json::json;

use crate::{
    manager::{SLOW, THEN},
    private_bus::Bus,
    run::Outcome,
};

#[test]
fn lock_passes_on_what_was_said_and_no_more() {
    let bus = Bus::with_manager();
    for (args, call) in [
        (&["lock", "alice"][..], "LockAccount alice "),
        (&["lock", "alice", "--for", "1h30m"], "LockAccount alice duration=uint64 5400"),
        (
            &["lock", "alice", "--indefinite", "--keep-sessions"],
            "LockAccount alice duration=uint64 0 end_sessions=false",
        ),
        (
            &["lock", "uid:1000", "--reason", "r\n", "--message", "m"],
            "LockAccount uid:1000 message=\"m\" reason=\"r\\n\"",
        ),
    ] {
        let outcome = bus.run(args);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{args:?}");
        let calls = bus.calls();
        assert_eq!(calls.len(), 1, "{args:?}");
        assert_eq!(calls[0].replace("\\n", "\n"), call.replace("\\n", "\n"), "{args:?}");
    }
}

#[test]
fn until_becomes_seconds_from_now() {
    let bus = Bus::with_manager();
    assert_eq!(bus.run(&["lock", "alice", "--until", "tomorrow"]).code, Some(0));
    let calls = bus.calls();
    let seconds: u64 = calls[0].rsplit(' ').next().unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&seconds), "{calls:?}");
}

#[test]
fn lock_answers_with_the_account() {
    let bus = Bus::with_manager();
    let outcome = bus.run(&["lock", "alice", "--indefinite"]);
    insta::assert_snapshot!("lock-one", outcome.stdout);
    let outcome = bus.run(&["lock", "uid:1000", "--indefinite", "--json"]);
    insta::assert_snapshot!("lock-one-json", outcome.stdout);
    assert_eq!(bus.run(&["lock", "alice", "--quiet"]).stdout, "");
}

#[test]
fn all_of_several_are_attempted() {
    let bus = Bus::with_manager();
    let outcome = bus.run(&["lock", "alice", "root", "ghost", "alice", "bob", "--json"]);
    assert_eq!(outcome.code, Some(1));
    let rows = outcome.json();
    let of = |key: &str| rows.as_array().unwrap().iter().map(|row| row[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("user"), [json!("alice"), json!("root"), json!("ghost"), json!("bob")]);
    assert_eq!(of("success"), [json!(true), json!(false), json!(false), json!(true)]);
    assert_eq!(rows[1]["error"]["name"], "org.lockdown1.Error.Protected");
    assert_eq!(rows[3]["account"]["uid"], json!(1001));
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert!(outcome.stderr.contains("failed for 2 of 4: root: root is protected"), "{outcome:?}");

    let text = bus.run(&["lock", "alice", "root", "--indefinite"]);
    assert_eq!(text.code, Some(1));
    insta::assert_snapshot!("lock-some", text.stdout);
}

#[test]
fn one_failure_has_its_own_code() {
    let bus = Bus::with_manager();
    for (args, code) in [
        (&["lock", "ghost"][..], 3),
        (&["lock", "root"], 6),
        (&["lock", "eve"], 4),
        (&["unlock", "ghost"], 3),
        (&["status", "ghost"], 3),
        (&["expire", "ghost", "--never"], 3),
        (&["end-sessions", "alice", "--session", "c9"], 3),
        (&["end-sessions", "alice", "--session", "stuck"], 1),
        (&["lock", "root", "root"], 6),
    ] {
        let outcome = bus.run(args);
        assert_eq!(outcome.code, Some(code), "{args:?}: {outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{args:?}: {outcome:?}");
    }
    let outcome = bus.run(&["lock", "root", "--json"]);
    assert_eq!(
        outcome.json(),
        json!({"error": {
            "name": "org.lockdown1.Error.Protected",
            "message": "root is protected: it cannot be locked",
        }})
    );
}

#[test]
fn survivors_are_named_and_a_failure() {
    let bus = Bus::with_manager();
    bus.script.lock().unwrap().survivors = Some(vec!["4711 (cc)".into()]);
    let outcome = bus.run(&["lock", "alice", "--json"]);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.json()["survivors"], json!(["4711 (cc)"]));
    assert!(
        outcome.stderr.contains("alice is locked, but 1 process could not be ended: 4711 (cc)"),
        "{outcome:?}"
    );
}

#[test]
fn names_that_could_pass_for_something_else_are_shown_escaped() {
    let bus = Bus::with_manager();
    let long = "x".repeat(10_000);
    for name in ["a\nlockdownctl: done", "\u{1b}[2J", "\u{202e}ecila", ";$(id)", &long] {
        let outcome = bus.run(&["lock", name]);
        assert_eq!(outcome.code, Some(3), "{outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        assert!(!outcome.stderr.contains(['\u{1b}', '\u{202e}']), "{outcome:?}");
        // The daemon got it as it is.
        assert_eq!(bus.calls(), [format!("LockAccount {name} ")]);
        let several = bus.run(&["lock", name, "alice"]);
        assert_eq!(several.code, Some(1), "{several:?}");
        assert!(!several.stdout.contains(['\u{1b}', '\u{202e}']), "{several:?}");
        bus.calls();
    }
}

#[test]
fn unlock_and_expire() {
    let bus = Bus::with_manager();
    let outcome = bus.run(&["unlock", "alice", "--reason", "found"]);
    assert_eq!(outcome.code, Some(0));
    insta::assert_snapshot!("unlock-one", outcome.stdout);
    assert_eq!(bus.calls(), ["UnlockAccount alice reason=\"found\""]);

    assert_eq!(bus.run(&["expire", "alice", "--never"]).stdout, "alice does not expire\n");
    assert_eq!(bus.run(&["expire", "alice", "--at", "2020-01-01"]).stdout, "alice has expired\n");
    let at = ["expire", "uid:1000", "--at", "2020-01-01", "--reason", "left", "--tag", "ticket=7"];
    assert_eq!(bus.run(&at).stdout, "alice has expired\n");
    assert_eq!(
        bus.calls(),
        [
            "SetAccount alice valid_until=int64 0",
            "SetAccount alice valid_until=int64 1577836800",
            "SetAccount uid:1000 reason=\"left\" tags={\"ticket\": \"7\"} valid_until=int64 1577836800",
        ]
    );
    assert_eq!(bus.run(&["expire", "alice", "--never", "--json"]).json()["name"], "alice");
}

#[test]
fn lists() {
    let bus = Bus::with_manager();
    assert_eq!(bus.run(&["accounts", "--json"]).json().as_array().unwrap().len(), 2);
    assert_eq!(bus.run(&["accounts", "--locked", "--system", "--json"]).json()[0]["name"], "alice");
    assert_eq!(bus.calls(), ["ListAccounts ", "ListAccounts locked=true system=true"]);
    insta::assert_snapshot!("sessions-json", bus.run(&["sessions", "alice", "--json"]).stdout);
    assert_eq!(bus.run(&["end-sessions", "alice", "--json"]).json()[0]["ended"], json!(true));
    assert_eq!(bus.calls(), ["ListSessions user=\"alice\"", "EndSessions alice "]);
}

#[test]
fn status_of_host_and_account() {
    let bus = Bus::with_manager();
    insta::assert_snapshot!("status-host-json", bus.run(&["status", "--json"]).stdout);
    insta::assert_snapshot!("status-host-text", bus.run(&["status"]).stdout);
    let account = bus.run(&["status", "uid:1000", "--json"]).json();
    assert_eq!((&account["name"], &account["open_sessions"][0]["id"]), (&json!("alice"), &json!("c2")));
    assert_eq!(bus.calls().pop().unwrap(), "ListSessions user=\"alice\"");
}

fn event(id: i64) -> Event {
    Event {
        id,
        time: THEN,
        action: "lock".into(),
        user: "alice".into(),
        outcome: "success".into(),
        ..Event::default()
    }
}

#[test]
fn events_and_an_early_end_of_reading() {
    let bus = Bus::with_manager();
    assert_eq!(bus.run(&["events"]).stdout, "no events\n");
    assert_eq!(bus.run(&["events", "--json"]).json(), json!([]));
    bus.script.lock().unwrap().events = (1..=5000).map(event).collect();
    bus.calls();
    let mut child =
        bus.lockdownctl(&["events"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("ID"), "{first}");
    let outcome = Outcome::from(child.wait_with_output().unwrap());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));

    bus.script.lock().unwrap().events.clear();
    bus.calls();
    bus.run(&["events", "--user", "alice", "--action", "lock", "--since", "1970-01-02", "--limit", "3"]);
    assert_eq!(bus.calls(), ["ListEvents action=\"lock\" limit=uint32 3 since=int64 86400 user=\"alice\""]);
}

#[test]
fn a_follower_gets_events_as_they_come() {
    let bus = Bus::with_manager();
    bus.script.lock().unwrap().events = vec![event(1)];
    let mut child =
        bus.lockdownctl(&["events", "--follow", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<serde_json::Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["id"], json!(1));
    bus.script.lock().unwrap().events.push(event(2));
    // The signal of this lock wakes it up; without it, the next look comes within two seconds.
    assert_eq!(bus.run(&["lock", "alice"]).code, Some(0));
    assert_eq!(next()["id"], json!(2));
    bus.script.lock().unwrap().events.push(event(3));
    assert_eq!(next()["id"], json!(3));
    assert!(bus.calls().iter().any(|call| call.contains("after=int64 2")));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_bus_without_the_daemon_is_5() {
    let bus = Bus::empty();
    for args in [&["status"][..], &["lock", "alice"], &["lock", "alice", "bob"]] {
        let outcome = bus.run(args);
        assert_eq!(outcome.code, Some(5), "{args:?}: {outcome:?}");
        assert!(outcome.stderr.contains("lockdownd cannot be reached"), "{args:?}: {outcome:?}");
    }
    let name = bus.run(&["status", "--json"]).json()["error"]["name"].clone();
    assert_eq!(name, "org.freedesktop.DBus.Error.ServiceUnknown");
}

#[test]
fn the_doctor_asks_the_daemon() {
    let bus = Bus::with_manager();
    let level = |check: &str, findings: &serde_json::Value| {
        let found = findings.as_array().unwrap().iter().find(|finding| finding["check"] == check);
        found.map(|finding| finding["level"].as_str().unwrap().to_owned())
    };
    let findings = bus.run(&["doctor", "--json"]).json();
    assert_eq!(level("daemon", &findings).as_deref(), Some("ok"));
    assert_eq!(level("records", &findings).as_deref(), Some("ok"));
    bus.script.lock().unwrap().drifts =
        vec![Drift { user: "alice".into(), uid: 1000, problem: "the record is missing".into() }];
    let outcome = bus.run(&["doctor", "--json"]);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(level("records", &outcome.json()).as_deref(), Some("error"));
    let findings = Bus::empty().run(&["doctor", "--json"]).json();
    assert_eq!(level("bus", &findings).as_deref(), Some("ok"));
    assert_eq!(level("daemon", &findings).as_deref(), Some("error"));
    assert_eq!(level("records", &findings), None);
}

#[test]
fn many_locks_are_under_way_at_once() {
    let bus = Bus::with_manager();
    let users: Vec<String> = (0..48).map(|number| format!("slow{number}")).collect();
    let args: Vec<&str> = ["lock", "--json"].into_iter().chain(users.iter().map(String::as_str)).collect();
    let start = std::time::Instant::now();
    let outcome = bus.run(&args);
    assert!(start.elapsed() < SLOW * 48, "one after another: {:?}", start.elapsed());
    // The manager knows none of them: all failed for one reason, and the rows keep their order.
    assert_eq!(outcome.code, Some(3));
    let rows = outcome.json();
    let order: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["user"].as_str().unwrap()).collect();
    assert_eq!(order, users);
}

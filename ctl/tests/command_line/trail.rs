//! The audit trail and what is announced, against the scripted manager.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    thread,
};

use lockdown_dbus_api::views::{Event, EventProblem, Verification};
use serde_json::json;

use crate::{
    manager::{MOST_EVENTS, THEN},
    private_bus::Bus,
};

#[test]
fn every_filter_is_passed_on() {
    let bus = Bus::with_manager();
    let day = "1970-01-02";
    let args =
        ["events", "--severity", "warning", "--owner", "lockdown", "--caller", "carol", "--until", day];
    assert_eq!(
        bus.run(&[&args[..], &["--before", "9", "--action", "lock", "--action", "unlock"]].concat()).code,
        Some(0)
    );
    assert_eq!(
        bus.calls(),
        ["ListEvents actions=[\"lock\", \"unlock\"] before=int64 9 caller=\"carol\" owner=\"lockdown\" \
          severity=\"warning\" until=int64 86400"]
    );
    for wrong in [
        &["events", "--severity", "bad"][..],
        &["events", "--before", "0"],
        &["events", "--until", "soon"],
        &["events", "--follow", "--until", "1h"],
        &["events", "--user", "alice", "verify"],
        &["events", "verify", "--user", "alice"],
    ] {
        assert_eq!(bus.run(wrong).code, Some(2), "{wrong:?}");
    }
    assert_eq!(bus.calls(), Vec::<String>::new());
}

#[test]
fn a_follower_leaves_nothing_out_however_much_comes() {
    const MORE: i64 = MOST_EVENTS as i64 * 2 + 5;
    let bus = Bus::with_manager();
    let event =
        |id| Event { id, time: THEN, action: "lock".into(), outcome: "success".into(), ..Event::default() };
    bus.script.lock().unwrap().events = vec![event(1)];
    let mut child =
        bus.lockdownctl(&["events", "--follow", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for id in 1..=MORE {
        let event_shown: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(event_shown["id"], json!(id));
        if id == 1 {
            bus.script.lock().unwrap().events = (1..=MORE).map(event).collect();
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_trail_that_is_whole_and_one_that_is_not() {
    let bus = Bus::with_manager();
    bus.script.lock().unwrap().verification = Verification {
        ok: true,
        checked: 3,
        first: 1,
        last: 3,
        head: "00ff".into(),
        ..Verification::default()
    };
    let outcome = bus.run(&["events", "verify"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert!(outcome.stdout.ends_with("the audit trail is whole\n"), "{outcome:?}");
    assert_eq!(bus.run(&["events", "verify", "--since", "1970-01-02", "--quiet"]).stdout, "");
    assert_eq!(bus.calls(), ["VerifyEvents ", "VerifyEvents since=int64 86400"]);

    let problem = EventProblem { id: 2, problem: "is missing: removed\u{1b}[2J".into() };
    bus.script.lock().unwrap().verification.problems = vec![problem];
    bus.script.lock().unwrap().verification.ok = false;
    let outcome = bus.run(&["events", "verify"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stdout.contains("\nevent 2 is missing: removed\\u{1b}[2J\n"), "{outcome:?}");
    assert_eq!(outcome.stderr, "lockdownctl: the audit trail is not whole: 1 problem\n");
    let outcome = bus.run(&["events", "verify", "--json"]);
    assert_eq!(outcome.code, Some(1));
    assert_eq!((&outcome.json()["ok"], &outcome.json()["problems"][0]["id"]), (&json!(false), &json!(2)));
}

#[test]
fn a_monitor_shows_what_the_daemon_announces_and_nobody_else() {
    let mut bus = Bus::with_manager();
    let spawn = |args: &[&str]| bus.lockdownctl(args).stdout(Stdio::piped()).spawn().unwrap();
    let mut children = [spawn(&["monitor", "--json"]), spawn(&["monitor"])];
    let outputs = children.each_mut().map(|child| BufReader::new(child.stdout.take().unwrap()).lines());
    // The outputs stay open: a monitor that nobody reads ends by itself.
    let first = outputs.map(|mut output| thread::spawn(move || (output.next().unwrap().unwrap(), output)));
    // Until both listen.
    while first.iter().any(|first| !first.is_finished()) {
        assert_eq!(bus.run(&["lock", "alice"]).code, Some(0));
    }
    let [(shown, _shown), (line, _lines)] = first.map(|first| first.join().unwrap());
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["signal"], &shown["user"]), (&json!("AccountLocked"), &json!("alice")));
    assert_eq!(shown["details"]["id"], json!(1));
    assert!(shown["time"].as_i64().unwrap() > 0);
    assert!(line.contains("AccountLocked  alice  expires_at=never id=1 still_locked=false"), "{line}");
    bus.end();
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(5));
    }
}

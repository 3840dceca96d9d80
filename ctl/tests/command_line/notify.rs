//! Notifications and metrics, against the scripted manager.

use std::fs;

use lockdown_dbus_api::views::Notification;
use serde_json::json;

use crate::{manager::THEN, private_bus::Bus};

fn dead() -> Notification {
    Notification {
        id: "msg_1".into(),
        rule: "on-call".into(),
        transport: "webhook".into(),
        severity: "critical".into(),
        action: "lockdown".into(),
        user: "alice".into(),
        state: "dead".into(),
        created: THEN,
        attempts: 29,
        error: "hooks.example.org: 503\u{1b}[2J".into(),
        total: 1,
        ..Notification::default()
    }
}

#[test]
fn a_test_says_what_became_of_each_rule() {
    let bus = Bus::with_manager();
    let outcome = bus.run(&["notify", "test"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stdout.contains("on-call") && outcome.stdout.contains("delivered"), "{outcome:?}");
    assert!(outcome.stderr.contains("not delivered by 1 of 2: audit"), "{outcome:?}");
    let outcome = bus.run(&["notify", "test", "on-call", "--json"]);
    assert_eq!(outcome.code, Some(0));
    assert_eq!(outcome.json(), json!([{"rule": "on-call", "transport": "webhook", "success": true}]));
    let outcome = bus.run(&["notify", "test", "ghost"]);
    assert!(outcome.code != Some(0) && outcome.stderr.contains("there are on-call, audit"), "{outcome:?}");
    assert_eq!(
        bus.calls(),
        ["TestNotification \"\"", "TestNotification \"on-call\"", "TestNotification \"ghost\""]
    );
}

#[test]
fn the_queue_is_listed_as_it_is_asked_for() {
    let bus = Bus::with_manager();
    assert_eq!(bus.run(&["notify", "queue"]).stdout, "no messages\n");
    bus.script.lock().unwrap().notifications = vec![dead()];
    let outcome = bus.run(&["notify", "queue", "--dead", "--rule", "on-call", "--limit", "5"]);
    assert!(outcome.stdout.contains("msg_1") && !outcome.stdout.contains('\u{1b}'), "{outcome:?}");
    let listed = bus.run(&["notify", "queue", "--json"]).json();
    assert_eq!((&listed[0]["state"], &listed[0]["attempts"]), (&json!("dead"), &json!(29)));
    let calls = bus.calls();
    assert_eq!(calls[1], "ListNotifications dead=true limit=uint32 5 rule=\"on-call\"");
    assert_eq!(calls[2], "ListNotifications ");
    assert_eq!(bus.run(&["notify", "queue", "--limit", "0"]).code, Some(2));
}

#[test]
fn dead_letters_are_seen_in_the_status_and_by_the_doctor() {
    let bus = Bus::with_manager();
    bus.script.lock().unwrap().notifications = vec![dead(), dead()];
    let outcome = bus.run(&["status"]);
    assert!(outcome.stdout.contains("2 could not be delivered"), "{outcome:?}");
    assert_eq!(bus.run(&["status", "--json"]).json()["notifications"]["dead"], json!(2));
    let findings = bus.run(&["doctor", "--json"]).json();
    let finding =
        findings.as_array().unwrap().iter().find(|finding| finding["check"] == "notifications").unwrap();
    assert_eq!(finding["level"], "warning");
}

#[test]
fn all_or_some_are_sent_again() {
    let bus = Bus::with_manager();
    assert_eq!(bus.run(&["notify", "retry"]).stdout, "3 messages will be sent again\n");
    assert_eq!(bus.run(&["notify", "retry", "msg_1", "--json"]).json(), json!({"retried": 1}));
    let outcome = bus.run(&["notify", "retry", "msg_1", "msg_ghost"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), "1 message will be sent again\n"));
    assert!(outcome.stderr.contains("1 of 2 not found"), "{outcome:?}");
    assert_eq!(bus.calls()[1], "RetryNotifications ids=[\"msg_1\"]");
}

#[test]
fn metrics_are_printed_or_written() {
    let bus = Bus::with_manager();
    let printed = bus.run(&["metrics"]).stdout;
    assert!(printed.contains("\nlockdown_locked_accounts 1\n"), "{printed}");
    assert_eq!(bus.run(&["metrics", "--json"]).json()["started"], json!(THEN));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lockdown.prom");
    let outcome = bus.run(&["metrics", "--textfile", path.to_str().unwrap()]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), ""));
    assert_eq!(fs::read_to_string(&path).unwrap(), printed);
    let outcome = bus.run(&["metrics", "--textfile", "/nonexistent/lockdown.prom"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("/nonexistent/lockdown.prom cannot be written"), "{outcome:?}");
}

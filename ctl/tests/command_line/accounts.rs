//! What is kept about accounts, identifiers in place of names, and tags, against a scripted manager.

use serde_json::json;

use crate::private_bus::Bus;

#[test]
fn what_was_said_is_passed_on_and_no_more() {
    let bus = Bus::with_manager();
    for (args, call) in [
        (&["--email", "a@b.example"][..], r#"SetAccount alice email="a@b.example""#),
        (&["--email", ""], r#"SetAccount alice email="""#),
        (
            &["--phone", "+1 555 0100", "--id", "17", "--reason", "r"],
            r#"SetAccount alice id="17" phone="+1 555 0100" reason="r""#,
        ),
        (
            &["--identifier", "badge=B=17", "--identifier", "desk=", "--metadata", "team=blue"],
            r#"SetAccount alice identifiers={"badge": "B=17", "desk": ""} metadata={"team": "blue"}"#,
        ),
    ] {
        let outcome = bus.run(&[&["account", "set", "alice"], args].concat());
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert_eq!(bus.calls(), [call], "{args:?}");
    }
}

#[test]
fn answers() {
    let bus = Bus::with_manager();
    let set = [
        &[
            "account",
            "set",
            "email:alice@example.org",
            "--email",
            "Alice@example.org",
            "--phone",
            "+1 555 0100",
        ][..],
        &["--id", "17", "--identifier", "badge=B-17", "--metadata", "team=blue"],
    ]
    .concat();
    insta::assert_snapshot!("account-set", bus.run(&set).stdout);
    insta::assert_snapshot!("account-set-json", bus.run(&[&set[..], &["--json"]].concat()).stdout);
    assert_eq!(bus.run(&[&set[..], &["--quiet"]].concat()).stdout, "");
}

#[test]
fn wrong_usage_is_said_before_the_daemon_is_asked() {
    let bus = Bus::with_manager();
    for args in [
        &["account"][..],
        &["account", "set", "alice"],
        &["account", "set", "alice", "--reason", "r"],
        &["account", "set", "", "--id", "1"],
        &["account", "set", "alice", "--identifier", "badge"],
        &["account", "set", "alice", "--metadata", "=x"],
        &["account", "set", "alice", "--identifier", "a=1", "--identifier", "a=2"],
        &["lock", "alice", "--tag", "ticket"],
        &["lock", "alice", "--tag", "a b=c"],
        &["lock", "alice", "--tag", "a=\u{1b}"],
        &["lock", "alice", "--tag", "a=1", "--tag", "a=2"],
        &["lockdown", "alice", "--reason", "r", "--yes", "--tag", "a=1", "--tag", "a=2"],
    ] {
        let outcome = bus.run(args);
        assert_eq!(outcome.code, Some(2), "{args:?}: {outcome:?}");
        assert!(!outcome.stderr.contains('\u{1b}'), "{outcome:?}");
    }
    assert_eq!(bus.calls(), [""; 0]);
}

#[test]
fn refusals_have_their_codes() {
    let bus = Bus::with_manager();
    for (args, code, name) in [
        (&["account", "set", "alice", "--email", "bob@example.org"][..], 6, "IdentifierTaken"),
        (&["account", "set", "email:nobody@example.org", "--id", "1"], 3, "NoSuchAccount"),
        (&["status", "badge:none"], 3, "NoSuchAccount"),
        (&["lock", "uid:1001"], 2, "InvalidArgument"),
    ] {
        let outcome = bus.run(&[args, &["--json"]].concat());
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        assert_eq!(outcome.json()["error"]["name"], format!("org.lockdown1.Error.{name}"));
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    }
}

/// Every command that changes something, as far as it goes without a terminal.
const CHANGING: &[(&[&str], &str)] = &[
    (&["lock", "alice"], "LockAccount"),
    (&["unlock", "alice"], "UnlockAccount"),
    (&["lockdown", "alice", "--reason", "r", "--yes"], "Lockdown"),
    (&["lockdown", "--self", "--reason", "r", "--yes"], "LockdownSelf"),
    (&["restore", "alice", "--undo"], "Restore"),
    (&["account", "set", "alice", "--id", "1"], "SetAccount"),
    (&["expire", "alice", "--never"], "SetAccount"),
    (&["end-sessions", "alice"], "EndSessions"),
    (&["authenticator", "lock", "alice", "password"], "LockAuthenticator"),
    (&["authenticator", "unlock", "alice", "password"], "UnlockAuthenticator"),
];

#[test]
fn tags_go_with_every_change() {
    let bus = Bus::with_manager();
    for (args, member) in CHANGING {
        let outcome = bus.run(&[args, &["--tag", "ticket=INC-4711", "--tag", "empty="][..]].concat());
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{args:?}");
        let calls = bus.calls();
        let call = calls.iter().find(|call| call.split(' ').next() == Some(member)).unwrap();
        assert!(call.contains(r#"tags={"empty": "", "ticket": "INC-4711"}"#), "{call}");
    }
}

#[test]
fn tags_are_shown_with_the_event() {
    let bus = Bus::with_manager();
    let tags = [("ticket", "INC-4711"), ("run", "night shift")];
    let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let event = lockdown_dbus_api::views::Event { action: "lock".into(), tags, ..Default::default() };
    bus.script.lock().unwrap().events = vec![lockdown_dbus_api::views::Event { id: 1, ..event }];
    assert!(bus.run(&["events"]).stdout.contains("run=night shift, ticket=INC-4711"));
    let json = bus.run(&["events", "--json"]).json();
    assert_eq!(json[0]["tags"], json!({"ticket": "INC-4711", "run": "night shift"}));
}

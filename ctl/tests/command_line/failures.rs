//! Failed attempts, against a scripted manager.

use crate::private_bus::Bus;

#[test]
fn what_was_said_is_passed_on_and_no_more() {
    let bus = Bus::with_manager();
    for (args, call) in [
        (&["failures"][..], "ListFailures \"\" "),
        (&["failures", "alice"], "ListFailures \"alice\" "),
        (
            &["failures", "--source", "user:bob", "--since", "2026-11-21T12:30:00Z", "--limit", "5"],
            "ListFailures \"\" limit=uint32 5 since=int64 1795264200 source=\"user:bob\"",
        ),
        (&["failures", "alice", "--reset"], "ResetFailures alice "),
        (
            &["failures", "alice", "--reset", "--source", "192.0.2.7", "--reason", "r", "--tag", "a=b"],
            "ResetFailures alice reason=\"r\" source=\"192.0.2.7\" tags={\"a\": \"b\"}",
        ),
        (&["unlock", "alice", "--owner", "operator"], "UnlockAccount alice owner=\"operator\""),
    ] {
        let outcome = bus.run(args);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert_eq!(bus.calls(), [call], "{args:?}");
    }
}

#[test]
fn what_makes_no_sense_is_wrong_usage_and_calls_nothing() {
    let bus = Bus::with_manager();
    for args in [
        &["failures", "--reset"][..],
        &["failures", "alice", "--reason", "r"],
        &["failures", "alice", "--reset", "--since", "1h"],
        &["failures", "alice", "--reset", "--limit", "1"],
        &["failures", "alice", "--tag", "a=b"],
        &["failures", "alice", "--source", " "],
        &["failures", "alice", "--since", "soon"],
        &["failures", "alice", "--limit", "0"],
        &["failures", "alice", "bob"],
    ] {
        assert_eq!(bus.run(args).code, Some(2), "{args:?}");
    }
    assert_eq!(bus.calls(), [""; 0]);
}

#[test]
fn answers() {
    let bus = Bus::with_manager();
    insta::assert_snapshot!("failures-json", bus.run(&["failures", "--json"]).stdout);
    assert_eq!(bus.run(&["failures", "bob", "--json"]).stdout, "[]\n");
    assert_eq!(bus.run(&["failures", "bob"]).stdout, "no failed attempts\n");
    assert_eq!(bus.run(&["failures", "alice", "--quiet"]).stdout, "");
    let reset = bus.run(&["failures", "alice", "--reset"]);
    assert_eq!(reset.stdout, "failed attempts on alice count no more\n");
    let reset = bus.run(&["failures", "alice", "--reset", "--json"]).stdout;
    assert!(reset.starts_with('{') && reset.contains("\"name\": \"alice\""), "{reset}");
    assert_eq!(bus.run(&["failures", "carol"]).code, Some(3));
    assert_eq!(bus.run(&["failures", "eve", "--reset"]).code, Some(4));
}

//! The audit trail in the hands of somebody who is root: what they do to it shows.

use std::time::Duration;

use lockdown_tests::{Host, eventually, on_each_release};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(10);
const DATABASE: &str = "/var/lib/lockdown/lockdown.db";
const DROP_IN: &str = "/etc/lockdown/lockdown.d/50-local.toml";

/// What the store has of the schema that matters here; a forger puts it back.
const SCHEMA: &str = include_str!("../../daemon/src/store/schema/006_event_chain.sql");

/// The statement that makes this trigger.
fn trigger(name: &str) -> &'static str {
    let start = SCHEMA.find(&format!("CREATE TRIGGER {name} ")).expect("the schema has it");
    let end = SCHEMA[start..].find("END;").expect("it ends") + "END;".len();
    &SCHEMA[start..start + end]
}

/// Runs SQL on the database, as root at the sqlite3 shell.
fn sqlite(host: &Host, sql: &str) -> lockdown_tests::Output {
    host.command(&["sqlite3", "-cmd", ".timeout 5000", DATABASE]).stdin(sql).run()
}

/// The same behind the back of what refuses it.
fn forge(host: &Host, sql: &str) {
    let (changed, removed) = (trigger("events_are_not_changed"), trigger("events_are_not_removed"));
    let drop = "DROP TRIGGER events_are_not_changed; DROP TRIGGER events_are_not_removed;";
    sqlite(host, &format!("BEGIN; {drop} {sql}; {changed} {removed} COMMIT;")).ok();
}

/// What `verify` finds wrong: events, and in words.
#[track_caller]
fn problems(host: &Host) -> Vec<(i64, String)> {
    let output = host.lockdownctl(&["--json", "events", "verify"]);
    let found = output.json();
    let Value::Array(problems) = &found["problems"] else { panic!("{output}") };
    assert_eq!(
        (found["ok"] == true, output.succeeded()),
        (problems.is_empty(), problems.is_empty()),
        "{output}"
    );
    problems
        .iter()
        .map(|problem| {
            let text = problem["problem"].as_str().expect("a text");
            (problem["id"].as_i64().expect("a number"), text.to_owned())
        })
        .collect()
}

/// The number of the last event.
fn last(host: &Host) -> i64 {
    host.ask_lockdown(&["events", "--limit", "1"])[0]["id"].as_i64().expect("an event")
}

/// Some events, and a journal that has them.
fn some_events(host: &Host) {
    for reason in ["one", "two", "three"] {
        host.lockdownctl(&["lock", "alice", "--reason", reason]).ok();
        host.lockdownctl(&["unlock", "alice"]).ok();
    }
    let last = format!("LOCKDOWN_EVENT_ID={}", last(host));
    eventually(SOON, || !host.journalctl(&["--quiet", "--output=cat", &last]).stdout.is_empty());
}

on_each_release!(
    fn a_row_that_was_changed_is_found_and_named(host: &Host) {
        some_events(host);
        host.lockdownctl(&["events", "verify"]).ok().says("the audit trail is whole");
        assert!(host.ask_lockdown(&["events", "verify"])["compared"].as_u64() > Some(5));

        for refused in ["UPDATE events SET reason = 'x' WHERE id = 2", "DELETE FROM events WHERE id = 2"] {
            sqlite(host, &format!("{refused};")).fails().says("append-only");
        }
        assert_eq!(problems(host), []);

        let second = &host.ask_lockdown(&["events"])[1];
        forge(host, "UPDATE events SET reason = 'forged' WHERE id = 2");
        assert_eq!(problems(host).into_iter().map(|(id, _)| id).collect::<Vec<_>>(), [2]);
        host.lockdownctl(&["events", "verify"])
            .code(1)
            .says("event 2 is not as it was written")
            .says("1 problem");
        // Put back as it was, all is well again.
        forge(
            host,
            &format!(
                "UPDATE events SET reason = '{}' WHERE id = 2",
                second["reason"].as_str().expect("a text")
            ),
        );
        assert_eq!(problems(host), []);

        forge(
            host,
            "UPDATE events SET id = -1 WHERE id = 3; UPDATE events SET id = 3 WHERE id = 4; UPDATE events SET id = 4 WHERE id = -1",
        );
        let found: Vec<_> = problems(host).into_iter().map(|(id, _)| id).collect();
        // The one after them no longer follows.
        assert_eq!(found, [3, 4, 5]);
        forge(host, "DELETE FROM events WHERE id IN (3, 4)");
        assert_eq!(problems(host), [(3, "and those up to 4 are missing: removed".to_owned())]);
        // The daemon goes on all the same, and the rest can still be told.
        host.lockdownctl(&["lock", "alice"]).ok();
        assert_eq!(problems(host).len(), 1);
        // Who may not look may not have it verified.
        host.run_as("bob", &["lockdownctl", "events", "verify"]).code(4);
    }
);

on_each_release!(
    fn an_end_that_was_cut_off_is_found_by_the_journal(host: &Host) {
        some_events(host);
        let end = last(host);
        // Somebody else's word in the journal counts for nothing.
        let head = include_str!("../../packaging/catalog/lockdown.catalog");
        let head = head.lines().find_map(|line| line.strip_prefix("-- ")).expect("an id");
        let forged = format!("MESSAGE_ID={head}\nMESSAGE=x\nLOCKDOWN_EVENT_ID=999\nLOCKDOWN_EVENT_HASH=ff\n");
        for user in ["bob", "root"] {
            host.command(&["logger", "--journald"]).as_user(user).stdin(&forged).run().ok();
        }
        assert_eq!(problems(host), []);

        forge(
            host,
            &format!(
                "DELETE FROM events WHERE id > {}; UPDATE sqlite_sequence SET seq = {0} WHERE name = 'events'",
                end - 2
            ),
        );
        let cut = |host: &Host| {
            let found = problems(host);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].0, end - 1, "{found:?}");
            found[0].1.clone()
        };
        assert!(cut(host).contains("the end was cut off, the journal knows more"));
        host.run(&["systemctl", "restart", "lockdownd"]).ok();
        assert!(cut(host).contains("the end was cut off"));
        // When the trail has grown over it, its events are not those that the journal knows.
        some_events(host);
        assert!(cut(host).contains("written anew"));
    }
);

on_each_release!(
    fn a_store_of_an_earlier_version_is_linked_and_what_is_too_old_leaves_it(host: &Host) {
        host.run(&["systemctl", "stop", "lockdownd.service", "lockdownd.socket"]).ok();
        host.sh("rm -rf /var/lib/lockdown/lockdown.db* /var/lib/lockdown/deny/*").ok();
        let earlier = [
            include_str!("../../daemon/src/store/schema/001_accounts_locks_sessions_events.sql"),
            include_str!("../../daemon/src/store/schema/002_lockdowns.sql"),
            include_str!("../../daemon/src/store/schema/003_authenticators.sql"),
            // Three a day for two years, to today.
            "PRAGMA user_version = 3;
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2190)
             INSERT INTO events (time, action, severity, account, target, owner, reason, outcome, error, caller, input)
             SELECT unixepoch() - (2190 - n) * 28800, 'lock', 'notice', 'alice', 'lock:' || n, 'operator', 'r' || n,
                 'success', '', '{}', '{}' FROM n;",
        ];
        sqlite(host, &earlier.concat()).ok();
        host.run(&["systemctl", "start", "lockdownd.socket", "lockdownd.service"]).ok();
        let found = host.ask_lockdown(&["events", "verify"]);
        assert_eq!(
            (&found["ok"], &found["checked"], &found["last"]),
            (&true.into(), &2190.into(), &2190.into())
        );

        // Shorter than what holds if nobody says anything; so it is done at once.
        host.write(DROP_IN, "[events]\nkeep = \"100d\"\n");
        host.run(&["systemctl", "reload", "lockdownd"]).ok();
        let oldest = || host.ask_lockdown(&["events", "--limit", "10000"])[0].clone();
        eventually(SOON, || oldest()["id"].as_i64() > Some(1800));
        let said = &host.ask_lockdown(&["events", "--action", "events-pruned"])[0];
        let up_to: i64 = said["input"]["up_to"].as_str().and_then(|id| id.parse().ok()).expect("a number");
        assert_eq!(
            (oldest()["id"].as_i64(), said["input"]["count"].as_str()),
            (Some(up_to + 1), said["input"]["up_to"].as_str())
        );
        let changes =
            host.ask_lockdown(&["events", "--action", "config-reload"])[0]["input"]["changes"].clone();
        assert_eq!(changes, "events.keep = \"100d\", was \"365d\"");
        eventually(SOON, || {
            sqlite(host, "SELECT count(*) FROM events WHERE id <= 1800;").ok().text().trim() == "0"
        });
        assert_eq!(problems(host), []);
        assert_eq!(host.ask_lockdown(&["events", "verify"])["first"], up_to + 1);
        // The young ones are still refused to everybody.
        sqlite(host, "DELETE FROM events WHERE id = 2000;").fails().says("append-only");

        // Somebody helps along.
        forge(
            host,
            "INSERT INTO event_checkpoints SELECT id, hash, 1, time FROM events WHERE id = 2000; DELETE FROM events WHERE id <= 2000",
        );
        let found = problems(host);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].1.contains("somebody else than lockdownd"), "{found:?}");
    }
);

on_each_release!(
    fn a_configuration_that_changes_while_nobody_looks_is_an_event(host: &Host) {
        let changes = |host: &Host| {
            let Value::Array(events) = host.ask_lockdown(&["events", "--action", "config-reload"]) else {
                panic!("no array")
            };
            events.into_iter().map(|event| event["input"]["changes"].clone()).collect::<Vec<_>>()
        };
        host.run(&["systemctl", "restart", "lockdownd"]).ok();
        assert_eq!(changes(host), Vec::<Value>::new());
        host.write(DROP_IN, "[lock]\nduration = \"2h\"\n[protected]\nusers = [\"carol\"]\n");
        host.run(&["systemctl", "restart", "lockdownd"]).ok();
        let said = "lock.duration = \"2h\", was \"1h\"; protected.users = [\"carol\"], was []";
        assert_eq!(changes(host), [said]);
        host.run(&["systemctl", "reload", "lockdownd"]).ok();
        assert_eq!(changes(host), [said.into(), Value::Null]);
    }
);

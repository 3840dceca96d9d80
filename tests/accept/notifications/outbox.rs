//! What waits: bursts become one message, and a queue that is full gives up what matters least.

use lockdown_tests::{Host, eventually, on_each_release};
use serde_json::Value;

use super::pager::Pager;
use super::{SOON, configure, queue, text, waiting};

/// The least that `queue_max` can be.
const FEWEST: usize = 100;

on_each_release!(
    fn a_burst_is_one_message_and_locks_never_are(host: &Host) {
        let pager = Pager::new(host);
        let rules = [
            Pager::rule("bursts", "actions = ['login-denied', 'attempts-failed']"),
            Pager::rule("locks", "actions = ['lock', 'unlock', 'lockdown']"),
        ];
        configure(host, &rules.concat());
        // Nothing is delivered until all of it has happened.
        pager.ends_with("exit 1");
        for _ in 0..3 {
            host.lockdownctl(&["unlock", "alice"]).succeeded();
            host.lockdownctl(&["lock", "alice"]).ok();
        }
        host.lock_down(&["alice", "bob"]);
        for number in 0..5 {
            let user = if number % 2 == 0 { "alice" } else { "bob" };
            host.run(&["su", user, "-c", "true"]).fails();
        }
        let denied = || host.ask_lockdown(&["events", "--action", "login-denied"]).as_array().map(Vec::len);
        eventually(SOON, || denied() == Some(5));

        let burst = waiting(host, "bursts");
        assert_eq!((&burst["total"], &burst["attempts"]), (&5.into(), &0.into()), "{burst:#}");
        host.lockdownctl(&["notify", "queue"]).ok().says("5 × login-denied");
        let locks = queue(host).into_iter().filter(|message| message["rule"] == "locks");
        let locks: Vec<_> = locks.map(|message| text(&message, "action").to_owned()).collect();
        assert_eq!(locks, ["lock", "unlock", "lock", "unlock", "lock", "lockdown", "lockdown"]);

        // It is told of within a minute, and sooner if somebody wants to know now.
        pager.ends_with("exit 0");
        let all: Vec<_> = queue(host).iter().map(|message| text(message, "id").to_owned()).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        eventually(SOON, || {
            host.lockdownctl(&[&["notify", "retry"], &all[..]].concat()).succeeded() || queue(host).is_empty()
        });
        eventually(SOON, || queue(host).is_empty());
        let pages = pager.pages();
        assert_eq!(pages.len(), 8);
        let page = &pages[text(&burst, "id")];
        assert_eq!(
            (&page.event["type"], &page.event["data"]["total"]),
            (&"lockdown.login-denied".into(), &5.into())
        );
        let users: Vec<_> = page.event["data"]["events"]
            .as_array()
            .expect("events")
            .iter()
            .map(|event| text(event, "user"))
            .collect();
        assert_eq!(users, ["alice", "bob", "alice", "bob", "alice"]);
        assert_eq!(page.environment["LOCKDOWN_TOTAL"], "5");
        // The next begins another.
        host.run(&["su", "alice", "-c", "true"]).fails();
        eventually(SOON, || !queue(host).is_empty());
        assert_eq!(waiting(host, "bursts")["total"], 1);
    }
);

on_each_release!(
    fn a_full_queue_gives_up_what_matters_least(host: &Host) {
        host.run(&["systemctl", "stop", "lockdown-relay.socket", "lockdown-relay.service"]).ok();
        let rule = |name: &str, action: &str, severity: &str| {
            format!(
                "[[notify]]\nname = '{name}'\nmatch = {{ actions = ['{action}'] }}\nseverity = '{severity}'\n\
                 transport = 'alertmanager'\nurl = 'http://localhost:8080/'\n"
            )
        };
        configure(
            host,
            &[
                "[notifications]\nqueue_max = 100\n".to_owned(),
                rule("loud", "lock", "critical"),
                rule("quiet", "unlock", "info"),
            ]
            .concat(),
        );
        // Two messages for each account and round, of which the queue has not got room for all.
        let rounds = |number: usize, command: &str| {
            host.sh(&format!("for number in $(seq {number}); do {command}; done")).ok();
        };
        let loud = FEWEST / 2 + 10;
        rounds(loud / 2, "lockdownctl lock alice bob; lockdownctl unlock alice bob");
        let of = |messages: &[Value], rule: &str| {
            messages.iter().filter(|message| message["rule"] == rule).count()
        };
        let left = queue(host);
        assert_eq!((left.len(), of(&left, "loud")), (FEWEST, loud));
        // Of the quiet, the oldest are gone.
        let unlocks = host.ask_lockdown(&["events", "--action", "unlock", "--limit", "40"]);
        let quiet: Vec<_> = left
            .iter()
            .filter(|message| message["rule"] == "quiet")
            .map(|message| &message["created"])
            .collect();
        assert_eq!(
            quiet,
            unlocks.as_array().expect("events").iter().map(|event| &event["time"]).collect::<Vec<_>>()
        );
        // That is an event, once a minute.
        let dropped = || host.ask_lockdown(&["events", "--action", "notifications-dropped"]);
        let events = dropped();
        assert_eq!(events.as_array().map(Vec::len), Some(1), "{events:#}");
        assert_eq!(
            (&events[0]["severity"], &events[0]["reason"]),
            (&"warning".into(), &"the queue is full: see [notifications] queue_max".into())
        );
        // Where there is nothing else, the loud go as well. The trail has everything.
        rounds(FEWEST / 4, "lockdownctl lock alice bob");
        let left = queue(host);
        assert_eq!((left.len(), of(&left, "loud")), (FEWEST, FEWEST));
        assert_eq!(host.events_about("bob", "lock").len(), loud / 2 + FEWEST / 4);
        host.lockdownctl(&["events", "verify"]).ok();
    }
);

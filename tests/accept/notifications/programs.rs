//! A program of the site's is run for an event, and run again until it has taken it.

use std::time::Duration;

use lockdown_tests::{Host, eventually, on_each_release};
use serde_json::Value;

use super::pager::Pager;
use super::{SOON, configure, queue, text, waiting};
use crate::exit_codes::{NOT_AUTHORIZED, USAGE};

const REASON: &str = "it's $(touch /root/forged) \"so\"\nLOCKDOWN_USER=bob\u{1b}[2J";

on_each_release!(
    fn a_program_is_run_until_it_has_taken_the_event(host: &Host) {
        host.lockdownctl(&["notify", "test"]).code(USAGE).says("there are no rules");
        let pager = Pager::new(host);
        configure(host, &Pager::rule("page", "actions = ['lock', 'unlock']"));
        pager.ends_with("printf 'the line is busy\\033[2J\\n' >&2; exit 75");
        host.lockdownctl(&["lock", "alice", "--reason", REASON]).ok();
        eventually(SOON, || {
            queue(host).iter().any(|message| message["attempts"] == 1 && message["state"] == "queued")
        });
        let message = waiting(host, "page");
        assert_eq!(message["error"], r"/usr/local/bin/page: exit status: 75: the line is busy\u{1b}[2J");
        let id = text(&message, "id");
        host.lockdownctl(&["notify", "queue"]).ok().says(id).says("the line is busy").says_not("\u{1b}");
        host.lockdownctl(&["notify", "queue", "--rule", "other"]).ok().says("no messages");
        host.lockdownctl(&["notify", "queue", "--dead"]).ok().says("no messages");

        pager.ends_with("exit 0");
        host.lockdownctl(&["notify", "retry", id]).ok().says("1 message");
        eventually(SOON, || queue(host).is_empty());
        let pages = pager.pages();
        assert_eq!(pages.keys().collect::<Vec<_>>(), [id]);
        let page = &pages[id];
        let event = &host.events_about("alice", "lock")[0];
        assert_eq!((page.attempts, page.arguments.as_str()), (2, "--urgent\n$(id) *\n"));
        for (name, value) in [
            ("ACTION", "lock"),
            ("SEVERITY", "notice"),
            ("USER", "alice"),
            ("REASON", REASON),
            ("OUTCOME", "success"),
            ("RULE", "page"),
            ("CALLER_NAME", "root"),
            ("EVENT_ID", &event["id"].to_string()),
            ("HOST", host.run(&["hostname"]).ok().text()),
        ] {
            assert_eq!(page.environment[&format!("LOCKDOWN_{name}")], value, "{name}");
        }
        assert_eq!(page.event["type"], "lockdown.lock");
        for key in event.as_object().expect("an object").keys() {
            assert_eq!(page.event["data"][key], event[key], "{key}");
        }
        host.run(&["test", "-e", "/root/forged"]).fails();
        host.lockdownctl(&["notify", "retry", id]).code(1).says("not found");

        // A test says what is wrong, and is not tried a second time.
        host.lockdownctl(&["notify", "test"]).ok().says("page").says("exec");
        host.lockdownctl(&["notify", "test", "other"]).code(USAGE).says("there are page");
        pager.ends_with("echo 'no such number' >&2; exit 1");
        host.lockdownctl(&["notify", "test", "page"])
            .code(1)
            .says("no such number")
            .says("not delivered by 1 of 1");
        assert_eq!(queue(host), Vec::<Value>::new());
        for args in [&["test"][..], &["queue"], &["retry"]] {
            host.run_as("bob", &[&["lockdownctl", "notify"], args].concat()).code(NOT_AUTHORIZED);
        }

        // One that hangs holds nobody up.
        pager.ends_with("sleep 4711");
        let took = host.lockdownctl(&["unlock", "alice"]).ok().took;
        assert!(took < Duration::from_secs(5), "{took:?}");
        eventually(SOON, || host.commands().iter().any(|command| command == "sleep 4711"));
        let took = host.lockdownctl(&["lock", "bob"]).ok().took;
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
);

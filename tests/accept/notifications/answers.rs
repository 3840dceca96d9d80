//! What receivers answer, and what becomes of the message: as Standard Webhooks says, and SMTP.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use lockdown_tests::{Host, eventually, on_each_release, stays};
use serde_json::Value;

use super::receivers::{Authority, Hooks, Mails};
use super::{A_WHILE, SOON, configure, queue, reload, text, waiting};

/// A receiver has fifteen seconds.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A rule for lockdowns, by a webhook without a signature.
fn webhook(name: &str, url: &str) -> String {
    format!(
        "[[notify]]\nname = '{name}'\nmatch = {{ actions = ['lockdown'] }}\ntransport = 'alertmanager'\nurl = '{url}'\n"
    )
}

/// What becomes of the first attempt of these rules, each as it is seen before the second, which may come while another rule still
/// waits for its first; and when it was seen.
#[track_caller]
fn first_attempts(host: &Host, rules: &[&str]) -> BTreeMap<String, (Value, i64)> {
    let mut first = BTreeMap::new();
    eventually(SOON, || {
        for message in queue(host).into_iter().filter(is_tried_once) {
            first.entry(text(&message, "rule").to_owned()).or_insert_with(|| (message, now()));
        }
        rules.iter().all(|rule| first.contains_key(*rule))
    });
    first
}

fn is_tried_once(message: &Value) -> bool {
    message["attempts"] == 1 && message["state"] == "queued"
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(now.as_secs()).expect("now")
}

fn dead(host: &Host) -> Vec<Value> {
    host.ask_lockdown(&["notify", "queue", "--dead"]).as_array().expect("an array").clone()
}

/// The events that say that a rule's messages failed.
fn failures(host: &Host, rule: &str) -> Vec<Value> {
    let failed = host.ask_lockdown(&["events", "--action", "notification-failed"]);
    let failed = failed.as_array().expect("an array");
    failed.iter().filter(|event| event["target"] == format!("rule:{rule}")).cloned().collect()
}

on_each_release!(
    fn an_answer_says_when_to_come_again(host: &Host) {
        let (hooks, slow) = (Hooks::plain(host, 8080), Hooks::plain(host, 8081));
        let unknown = Authority::new(host, "nobody").certificate("unknown.example.org");
        let unknown = Hooks::encrypted(host, 8443, &unknown);
        let in_an_hour = host.run(&["date", "--utc", "--date=1 hour", "+%a, %d %b %Y %H:%M:%S GMT"]).ok();
        let in_an_hour = in_an_hour.text();
        // Answer to the first attempt, what is said of it, and after how many seconds the next one is.
        let at_the_sending_end = 4..=6;
        let cases = [
            ("broken", "500 Internal Server Error", "500 Internal Server Error", at_the_sending_end.clone()),
            ("busy", "429 Too Many Requests\nRetry-After: 120", "429 Too Many Requests", 120..=120),
            (
                "closed",
                &format!("503 Service Unavailable\nRetry-After: {in_an_hour}"),
                "503 Service",
                3580..=3600,
            ),
            (
                "never",
                "429 Too Many Requests\nRetry-After: never",
                "429 Too Many",
                at_the_sending_end.clone(),
            ),
            (
                "moved",
                "302 Found\nLocation: /elsewhere",
                "redirects are not followed",
                at_the_sending_end.clone(),
            ),
            ("wrong", "404 Not Found", "404 Not Found", at_the_sending_end.clone()),
            ("noise", "rubbish", "the answer is not HTTP", at_the_sending_end.clone()),
        ];
        let mut rules: String =
            cases.iter().map(|(name, ..)| webhook(name, &format!("http://localhost:8080/{name}"))).collect();
        rules += &webhook("slow", "http://localhost:8081/slow");
        rules += &webhook("unknown", "https://unknown.example.org:8443/unknown");
        rules += &webhook("plain", "https://localhost:8080/plain");
        rules += &webhook("nowhere", "https://nowhere.example.org/nowhere");
        configure(host, &rules);
        for (name, answer, ..) in &cases {
            hooks.answer(name, answer);
        }
        slow.answer("slow", "hang");

        host.lock_down(&["alice"]);
        let rules: Vec<&str> =
            cases.iter().map(|(name, ..)| *name).chain(["unknown", "plain", "nowhere"]).collect();
        let first = first_attempts(host, &rules);
        for (name, _, said, pauses) in &cases {
            let (message, seen) = &first[*name];
            assert!(text(message, "error").contains(said), "{message:#}");
            // The attempt was made after the message was written, and before it was seen.
            let second = |key: &str| message[key].as_i64().expect("a time");
            let (most, least) = (second("next_attempt") - second("created"), second("next_attempt") - seen);
            assert!(most >= *pauses.start() && least <= *pauses.end(), "{least} to {most}: {message:#}");
        }
        for (name, said) in [("unknown", "TLS: "), ("plain", "TLS: "), ("nowhere", "nowhere.example.org: ")] {
            let (message, _) = &first[name];
            assert!(text(message, "error").contains(said), "{message:#}");
        }
        assert_eq!(unknown.requests_to("unknown"), Vec::<Value>::new());
        assert_eq!(hooks.requests_to("elsewhere"), Vec::<Value>::new());

        // Who comes again is welcome, with the same message; the slow one has held nobody up.
        for (name, ..) in &cases {
            hooks.take(name);
        }
        assert_eq!(waiting(host, "slow")["state"], "sending");
        let soon = cases.iter().filter(|(.., pause)| *pause == at_the_sending_end);
        for (name, ..) in soon {
            eventually(SOON, || hooks.requests_to(name).len() == 2);
            let ids = hooks.requests_to(name);
            assert_eq!(ids[0]["headers"]["webhook-id"], ids[1]["headers"]["webhook-id"]);
        }
        assert_eq!(hooks.requests_to("busy").len(), 1);
        eventually(TIMEOUT, || is_tried_once(&waiting(host, "slow")));
        assert!(text(&waiting(host, "slow"), "error").contains("no answer within 15 s"));
    }
);

on_each_release!(
    fn what_nobody_takes_is_put_aside_for_people(host: &Host) {
        let (mails, hooks) = (Mails::plain(host, 2525), Hooks::plain(host, 8080));
        configure(
            host,
            &format!(
                r#"
                email = {{ server = "localhost:2525", tls = "none" }}
                {}
                [[notify]]
                name = "mail"
                match = {{ actions = ["lockdown"] }}
                transport = "email"
                to = "nobody@example.org"
                [[notify]]
                name = "later"
                match = {{ actions = ["lockdown"] }}
                transport = "email"
                to = "later@example.org"
                [[notify]]
                name = "two"
                match = {{ actions = ["lockdown"] }}
                transport = "email"
                to = ["nobody@example.org", "somebody@example.org"]
                "#,
                webhook("gone", "http://localhost:8080/gone")
            ),
        );
        hooks.answer("gone", "410 Gone");
        mails.refuse("nobody@example.org 550 No such user\nlater@example.org 451 Greylisted\n");
        host.lock_down(&["alice"]);

        eventually(SOON, || dead(host).len() == 2 && queue(host).len() == 3);
        eventually(SOON, || text(&waiting(host, "later"), "error").contains("451 Greylisted"));
        let messages = dead(host);
        let of = |rule: &str| messages.iter().find(|message| message["rule"] == rule).expect(rule);
        assert_eq!((&of("mail")["attempts"], &of("gone")["attempts"]), (&1.into(), &1.into()));
        assert!(text(of("mail"), "error").contains("nobody@example.org: 550 No such user"), "{messages:#?}");
        assert!(text(of("gone"), "error").contains("localhost answered 410 Gone"), "{messages:#?}");
        // Who can be told is.
        assert_eq!(
            mails.taken().iter().map(|mail| mail.to().join(" ")).collect::<Vec<_>>(),
            ["somebody@example.org"]
        );

        host.lockdownctl(&["status"]).ok().says("1 on the way, 2 could not be delivered");
        assert_eq!(host.ask_lockdown(&["status"])["notifications"]["dead"], 2);
        host.lockdownctl(&["doctor"])
            .says("2 notifications could not be delivered")
            .says("lockdownctl notify queue --dead");
        host.lockdownctl(&["notify", "queue", "--dead"])
            .ok()
            .says("550 No such user")
            .says("410 Gone")
            .says_not("451");
        for (rule, error, reason) in
            [("mail", "550 No such user", "given up"), ("gone", "410 Gone", "the rule is off")]
        {
            let failed = failures(host, rule);
            assert_eq!((failed.len(), &failed[0]["outcome"]), (1, &"failed".into()), "{failed:#?}");
            assert!(
                text(&failed[0], "error").contains(error) && text(&failed[0], "reason").contains(reason),
                "{failed:#?}"
            );
        }

        // Who wants nothing more gets nothing more, until the configuration is read again.
        hooks.take("gone");
        host.lock_down(&["bob"]);
        eventually(SOON, || dead(host).len() == 3);
        stays(A_WHILE, || hooks.requests_to("gone").len() == 1);
        reload(host);
        host.lock_down(&["carol"]);
        eventually(SOON, || hooks.requests_to("gone").len() == 2);

        // What was put aside is sent when somebody asks for it, and put aside again if that is no better.
        mails.refuse("DATA 554 Looks like spam\n");
        let id = text(of("mail"), "id");
        host.lockdownctl(&["notify", "retry", id]).ok().says("1 message will be sent again");
        let again =
            |message: &Value| message["id"] == id && text(message, "error").contains("554 Looks like spam");
        eventually(SOON, || dead(host).iter().any(again));
        mails.refuse("");
        host.lockdownctl(&["notify", "retry"]).ok().says("will be sent again");
        eventually(SOON, || dead(host).is_empty() && hooks.requests_to("gone").len() == 3);
        let attempts = || {
            let given = mails.given().into_iter().filter(|mail| mail.header("Message-ID").contains(id));
            given.map(|mail| mail.envelope["taken"] == true).collect::<Vec<_>>()
        };
        eventually(SOON, || attempts() == [false, true]);
        host.lockdownctl(&["doctor"]).says_not("could not be delivered");
        host.lockdownctl(&["notify", "retry", text(of("gone"), "id")]).code(1).says("1 of 1 not found");
    }
);

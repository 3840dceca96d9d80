//! Text of strangers in messages: it arrives as text, and nowhere as anything else.

use lockdown_tests::{Host, eventually, on_each_release};

use super::receivers::{Hooks, Mail, Mails, body};
use super::{SOON, configure, queue, text};

/// Line breaks, a header, the end of a mail, HTML, terminal escapes, text that runs backwards, a placeholder.
const REASON: &str = "x\r\nBcc: mallory@example.org\r\n.\r\n<script>alert(1)</script>\u{1b}[2J\u{7}\u{9b}1m\u{202e}dekcol {user} \\ ü";
/// As people are shown it.
const SHOWN: &str = r"x\r\nBcc: mallory@example.org\r\n.\r\n<script>alert(1)</script>\u{1b}[2J\u{7}\u{9b}1m\u{202e}dekcol {user} \\ ü";
/// What nobody's terminal or mail program is to get.
const HARMFUL: [char; 4] = ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}'];

const RULES: &str = r#"
    email = { server = "localhost:2525", tls = "none" }
    [[notify]]
    name = "mail"
    match = { actions = ["lock", "lockdown"] }
    transport = "email"
    to = "security@example.org"
    [[notify]]
    name = "words"
    match = { actions = ["lock", "lockdown"] }
    transport = "email"
    to = "words@example.org"
    template = "{user}: {reason}"
    [[notify]]
    name = "refused"
    match = { actions = ["lock"] }
    transport = "email"
    to = "mallory@example.org"
    [[notify]]
    name = "hook"
    match = { actions = ["lock", "lockdown"] }
    transport = "webhook"
    url = "http://localhost:8080/hook"
    secret_file = "/etc/lockdown/key"
    [[notify]]
    name = "busy"
    match = { actions = ["lock"] }
    transport = "alertmanager"
    url = "http://localhost:8080/busy"
"#;

/// A mail's text, and its headers with encoded words in them, as Python's mail package reads them.
fn read(host: &Host, mail: &Mail) -> serde_json::Value {
    const READER: &str = "
import email, email.policy, json, sys
mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
print(json.dumps({'names': mail.keys(), 'subject': mail['subject'], 'body': mail.get_content()}))
";
    host.command(&["python3", "-c", READER]).stdin(text(&mail.envelope, "text")).run().ok().json()
}

fn is_harmless(shown: &str) -> bool {
    !shown.contains(HARMFUL) && !shown.lines().any(|line| line.trim_start().starts_with("Bcc:"))
}

on_each_release!(
    fn a_strangers_text_is_only_text(host: &Host) {
        let (mails, hooks) = (Mails::plain(host, 2525), Hooks::plain(host, 8080));
        host.sh("umask 077; echo key > /etc/lockdown/key").ok();
        configure(host, RULES);
        // What a receiver answers is a stranger's text, too.
        mails.refuse("mallory@example.org 550 <b>no\u{1b}[2J\u{7}");
        hooks.answer("busy", "429 \u{1b}[2J\nRetry-After: \u{1b}[2J");
        host.lockdownctl(&["lock", "alice", "--reason", REASON]).ok();
        // A name that cannot be, in an attempt of somebody who may not.
        let call = ["busctl", "call", "org.lockdown1", "/org/lockdown1", "org.lockdown1.Manager", "Lockdown"];
        host.run_as("bob", &[&call[..], &["asa{sv}", "1", REASON, "0"]].concat()).fails();

        eventually(SOON, || {
            mails.taken().len() == 4 && hooks.requests_to("hook").len() == 2 && queue(host).len() == 2
        });
        for mail in mails.taken() {
            let shown = read(host, &mail);
            let (subject, body) = (text(&shown, "subject"), text(&shown, "body"));
            assert_eq!(shown["names"].as_array().map(Vec::len), Some(11), "{shown:#}");
            assert!(is_harmless(subject) && is_harmless(body), "{shown:#}");
            assert!(body.contains(SHOWN), "{shown:#}");
            assert_eq!(mail.to().len(), 1, "{mail:#?}");
            assert!(subject.contains("lock alice") || subject.contains("lockdown x\\r\\nBcc:"), "{subject}");
        }
        let requests = hooks.requests_to("hook");
        let told: Vec<_> = requests.iter().map(body).collect();
        let of = |action: &str| told.iter().find(|body| body["data"]["action"] == action).expect(action);
        // Whole for programs, the message fit for people.
        assert_eq!(
            (&of("lock")["data"]["reason"], &of("lockdown")["data"]["user"]),
            (&REASON.into(), &REASON.into())
        );
        for (request, told) in requests.iter().zip(&told) {
            // As it is, it could stand in a log or a page.
            let is_plain = |c: char| matches!(c, ' '..='~') && !"<>&".contains(c);
            assert!(text(request, "body").chars().all(is_plain), "{request}");
            assert!(is_harmless(text(&told["data"], "message")), "{told:#}");
        }

        let journal = host.journalctl(&["--all", "--output=cat"]).ok().stdout;
        assert!(journal.contains(r"550 <b>no\u{1b}[2J\u{7}"), "{journal}");
        for unit in ["lockdownd", "lockdown-relay"] {
            assert!(is_harmless(&host.journal(Some(unit))), "{unit}");
        }
        for args in
            [&["notify", "queue"][..], &["notify", "queue", "--dead"], &["notify", "test"], &["events"]]
        {
            let shown = host.lockdownctl(args);
            assert!(is_harmless(&shown.stdout) && is_harmless(&shown.stderr), "{shown}");
        }
        host.lockdownctl(&["notify", "queue"])
            .ok()
            .says(r"550 <b>no\u{1b}[2J\u{7}")
            .says("the answer is not HTTP");
        let screen = host.terminal(&["lockdownctl", "notify", "queue"]).wait_ended(SOON).text;
        assert!(!screen.contains("[2J\u{7}") && screen.contains(r"no\u{1b}[2J"), "{screen:?}");
    }
);

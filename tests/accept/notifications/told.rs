//! Who is told of what: one message for each event and rule, signed, and to nobody whom it is about.

use std::collections::BTreeSet;

use lockdown_tests::{Host, eventually, on_each_release, stays};
use serde_json::Value;

use super::receivers::{Authority, Hooks, Mail, Mails, body};
use super::{A_WHILE, SOON, configure, queue, text};

const OLD_KEY: &str = "old-key-of-the-webhook-4711";
const NEW_KEY: &str = "new-key-of-the-webhook-0815";

/// Keys of a webhook that is changing from one to the other, the second in the form that Standard Webhooks gives it.
fn store_keys(host: &Host) {
    host.sh(&format!(
        "umask 077; echo '{OLD_KEY}' > /etc/lockdown/old.key; \
         echo \"whsec_$(printf %s '{NEW_KEY}' | base64)\" > /etc/lockdown/new.key"
    ))
    .ok();
}

/// What a receiver with this key expects in `webhook-signature`, by openssl's reckoning.
fn signature(host: &Host, key: &str, request: &Value) -> String {
    let header = |name: &str| text(&request["headers"], name).to_owned();
    let signed =
        format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), text(request, "body"));
    let hmac = format!("openssl dgst -sha256 -hmac '{key}' -binary | base64");
    let base64 = host.command(&["bash", "-euc", &hmac]).stdin(signed).run().ok();
    format!("v1,{}", base64.text())
}

fn is_signed(host: &Host, request: &Value) -> bool {
    let given: Vec<_> = text(&request["headers"], "webhook-signature").split(' ').collect();
    let sent: f64 = text(&request["headers"], "webhook-timestamp").parse().expect("Unix seconds");
    let age = request["time"].as_f64().expect("Unix seconds") - sent;
    given == [signature(host, OLD_KEY, request), signature(host, NEW_KEY, request)]
        && (0.0..5.0).contains(&age)
}

/// A mail about the lockdown of this account, with what its headers have to be.
fn check_mail(host: &Host, mail: &Mail, user: &str) {
    let name = host.run(&["hostname"]).ok();
    let event = &host.events_about(user, "lockdown")[0];
    assert_eq!(mail.to(), ["security@example.org"]);
    let from = format!("lockdown@{}", name.text());
    assert_eq!(mail.envelope["from"], from.as_str());
    for (header, value) in [
        ("From", from.as_str()),
        ("To", "security@example.org"),
        ("Subject", &format!("[lockdown] {}: lockdown {user}", name.text())),
        ("Auto-Submitted", "auto-generated"),
        ("Importance", "high"),
        ("X-Lockdown-Event", &event["id"].to_string()),
        ("Content-Type", "text/plain; charset=utf-8"),
    ] {
        assert_eq!(mail.header(header), value, "{header}");
    }
    for line in
        [format!("user        {user}"), "reason      test".to_owned(), "outcome     success".to_owned()]
    {
        assert!(mail.body.contains(&format!("{line}\r\n")), "{line}: {}", mail.body);
    }
}

on_each_release!(
    fn each_of_two_who_are_locked_down_is_told_of_once(host: &Host) {
        let mails = Mails::plain(host, 2525);
        let hooks = Hooks::encrypted(
            host,
            8443,
            &Authority::new(host, "ca").trusted().certificate("hooks.example.org"),
        );
        store_keys(host);
        configure(
            host,
            r#"
            security_email = "security@example.org"
            email = { server = "localhost:2525", tls = "none" }
            [[notify]]
            name = "mail"
            match = { actions = ["lockdown"] }
            transport = "email"
            [[notify]]
            name = "soc"
            match = { actions = ["lockdown"] }
            transport = "webhook"
            url = "https://hooks.example.org:8443/soc"
            secret_file = ["/etc/lockdown/old.key", "/etc/lockdown/new.key"]
            "#,
        );
        assert_eq!(host.lock_down(&["alice", "bob"]).len(), 2);

        eventually(SOON, || mails.given().len() == 2 && hooks.requests_to("soc").len() == 2);
        stays(A_WHILE, || mails.given().len() == 2 && hooks.requests_to("soc").len() == 2);
        assert_eq!(queue(host), Vec::<Value>::new());
        assert_eq!(hooks.users_told_at("soc"), ["alice", "bob"]);
        for request in hooks.requests_to("soc") {
            assert!(is_signed(host, &request), "{request:#}");
            assert!(text(&request["headers"], "webhook-id").starts_with("msg_"));
            let (told, headers) = (body(&request), &request["headers"]);
            assert_eq!(
                (&told["type"], &headers["content-type"]),
                (&"lockdown.lockdown".into(), &"application/json".into())
            );
            let event = &host.events_about(text(&told["data"], "user"), "lockdown")[0];
            for key in event.as_object().expect("an object").keys() {
                assert_eq!(told["data"][key], event[key], "{key}");
            }
        }
        let mut given = mails.given();
        given.sort_by_key(|mail| mail.header("Subject").to_owned());
        check_mail(host, &given[0], "alice");
        check_mail(host, &given[1], "bob");
        let mut ids: BTreeSet<String> =
            given.iter().map(|mail| mail.header("Message-ID").to_owned()).collect();
        ids.extend(
            hooks.requests_to("soc").iter().map(|request| text(&request["headers"], "webhook-id").to_owned()),
        );
        assert_eq!(ids.len(), 4, "{ids:?}");

        // What it signs with is in nothing that anybody sees, and neither is the address, which can be a secret itself.
        let seen = [
            host.journalctl(&["--all", "--output=export"]).ok().stdout,
            host.lockdownctl(&["--json", "events"]).ok().stdout,
            host.sh("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'").ok().stdout,
            given.iter().map(|mail| text(&mail.envelope, "text")).collect(),
            hooks.requests_to("soc").iter().map(Value::to_string).collect(),
        ];
        let encoded = host.read("/etc/lockdown/new.key");
        for secret in [OLD_KEY, NEW_KEY, encoded.trim(), "hooks.example.org:8443/soc"] {
            assert!(!seen.iter().any(|text| text.contains(secret)), "{secret}");
        }
        host.lockdownctl(&["config", "show"])
            .ok()
            .says_not(OLD_KEY)
            .says_not(NEW_KEY)
            .says_not(encoded.trim());
        // From who can read it, it is no key.
        host.run(&["chmod", "0640", "/etc/lockdown/old.key"]).ok();
        host.lockdownctl(&["notify", "test", "soc"]).code(1).says("/etc/lockdown/old.key").says("chmod 600");
        assert_eq!(hooks.requests_to("soc").len(), 2);
    }
);

/// A rule for everything that matches, by a webhook to a path of its own name.
fn webhook(name: &str, matches: &str) -> String {
    format!(
        "[[notify]]\nname = '{name}'\nmatch = {{ {matches} }}\ntransport = 'webhook'\n\
         url = 'http://localhost:8080/{name}'\nsecret_file = '/etc/lockdown/old.key'\n"
    )
}

on_each_release!(
    fn rules_choose_by_what_happened_and_whom_it_is_about(host: &Host) {
        let mails = Mails::plain(host, 2525);
        let hooks = Hooks::plain(host, 8080);
        store_keys(host);
        let rules = [
            ("actions", "actions = ['lockdown', 'unlock']"),
            ("severities", "actions = ['lock', 'lockdown'], severities = ['crit*']"),
            ("accounts", "actions = ['lock', 'lockdown'], accounts = ['b?b', 'car*']"),
            ("groups", "actions = ['lock*'], groups = ['sud[a-z]']"),
            ("owners", "actions = ['lock*'], owners = ['oper*']"),
            ("nothing", "actions = []"),
            ("nobody", "actions = ['lock*'], accounts = ['dora']"),
        ];
        let rules: String = rules.map(|(name, matches)| webhook(name, matches)).concat();
        configure(
            host,
            &format!(
                r#"
                security_email = "security@example.org"
                email = {{ server = "localhost:2525", tls = "none", from = "lockdown@example.org" }}
                {rules}
                [[notify]]
                name = "alerts"
                match = {{ accounts = ["carol"] }}
                transport = "alertmanager"
                url = "http://127.0.0.1:8080/alerts"
                [[notify]]
                name = "alice-and-others"
                match = {{ actions = ["lockdown"] }}
                transport = "email"
                to = ["Alice@example.org", "ops@example.org"]
                template = "{{action}} of {{user}}, they said \"{{reason}}\""
                [[notify]]
                name = "alice-alone"
                match = {{ actions = ["lockdown"] }}
                transport = "email"
                to = "alice@example.org"
                "#
            ),
        );
        host.lockdownctl(&["account", "set", "alice", "--email", "alice@example.org"]).ok();
        host.lock_down(&["alice", "bob"]);
        host.lockdownctl(&["lock", "carol", "--reason", "leave"]).ok();
        host.lockdownctl(&["unlock", "carol"]).ok();

        let told = [
            ("actions", &["alice", "bob", "carol"][..]),
            ("severities", &["alice", "bob"]),
            ("accounts", &["bob", "carol"]),
            ("groups", &["carol"]),
            ("owners", &["carol"]),
            ("nothing", &[]),
            ("nobody", &[]),
        ];
        let all_told = || told.iter().all(|(rule, users)| hooks.users_told_at(rule) == *users);
        eventually(SOON, || all_told() && mails.given().len() == 4);
        stays(A_WHILE, || all_told() && mails.given().len() == 4);

        // The lock that is lifted resolves the alert that it was.
        let mut alerts: Vec<_> = hooks.requests_to("alerts").iter().map(body).collect();
        alerts.sort_by_key(|alert| text(alert, "status").to_owned());
        assert_eq!((&alerts[0]["version"], &alerts[0]["status"]), (&"4".into(), &"firing".into()));
        assert_eq!(alerts[1]["status"], "resolved");
        assert_eq!(alerts[0]["groupKey"], alerts[1]["groupKey"]);
        assert_eq!(alerts[0]["alerts"][0]["fingerprint"], alerts[1]["alerts"][0]["fingerprint"]);

        // Alice does not hear of her own lockdown at an address of hers; bob's is told her.
        let told_of = |user: &str| {
            let about = |mail: &Mail| mail.header("Subject").ends_with(&format!(": lockdown {user}"));
            let told = mails.given().into_iter().filter(about);
            told.flat_map(|mail| mail.to().iter().map(|to| to.to_lowercase()).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        let sorted = |mut all: Vec<String>| {
            all.sort();
            all
        };
        assert_eq!(sorted(told_of("alice")), ["ops@example.org", "security@example.org"]);
        assert_eq!(sorted(told_of("bob")), ["alice@example.org", "alice@example.org", "ops@example.org"]);
        assert!(
            mails.given().iter().any(|mail| mail.body.trim_end() == "lockdown of bob, they said \"test\"")
        );
    }
);

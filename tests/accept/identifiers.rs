//! Accounts named by what an administrator has given them, what else is kept and told of them, and tags.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use lockdown_tests::{Host, Output, eventually, on_each_release};
use serde_json::Value;

use crate::exit_codes::{NOT_AUTHORIZED, NOT_FOUND, REFUSED, USAGE};

const MANAGER: [&str; 3] = ["org.lockdown1", "/org/lockdown1", "org.lockdown1.Manager"];
/// As facts of clocks and terminals are told: the kernel keeps the use of a terminal to eight seconds.
const ABOUT: i64 = 20;
const SOON: Duration = Duration::from_secs(10);

/// A public key whose private half lives in a FIDO2 authenticator.
const PASSKEY: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDo= token";

#[track_caller]
fn set(host: &Host, account: &str, options: &[&str]) -> Output {
    host.lockdownctl(&[&["account", "set", account], options].concat())
}

#[track_caller]
fn status(host: &Host, account: &str) -> Value {
    host.ask_lockdown(&["status", account])
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
    now.as_secs().try_into().expect("a clock before the end of time")
}

fn is_about(time: &Value, moment: i64) -> bool {
    time.as_i64().is_some_and(|time| (moment - time).abs() <= ABOUT)
}

fn gets_in(host: &Host, account: &str) -> bool {
    host.run(&["su", account, "-c", "true"]).succeeded()
}

on_each_release!(
    fn an_account_is_named_by_what_it_was_given(host: &Host) {
        set(host, "alice", &["--email", "Alice@Example.org", "--phone", "+1 (555) 0100", "--id", "00u1/x7"])
            .ok()
            .says("Alice@Example.org");
        set(
            host,
            "id:00u1/x7",
            &["--identifier", "badge=B 17", "--metadata", "team=blue", "--metadata", "cost-center=4"],
        )
        .ok();
        for reference in
            ["email:alice@example.ORG", "phone:+15550100", "id:00u1/x7", "badge:B 17", "uid:1000"]
        {
            host.lockdownctl(&["lock", reference, "--for", "1h"]).ok().says("alice");
            assert!(!gets_in(host, "alice"), "{reference}");
            host.lockdownctl(&["unlock", reference]).ok();
            assert!(gets_in(host, "alice"), "{reference}");
        }
        let text = host.lockdownctl(&["status", "badge:B 17"]).ok();
        for said in ["+1 (555) 0100", "00u1/x7", "badge: B 17", "team: blue", "cost-center: 4"] {
            let _ = text.clone().says(said);
        }

        // A file of the daemon's, so a restart, a crash and a reboot lose nothing.
        let kept = |account: &Value| {
            ["email", "phone", "external_id", "identifiers", "metadata"].map(|key| account[key].clone())
        };
        let before = kept(&status(host, "alice"));
        assert_eq!(before[0], "Alice@Example.org");
        assert_eq!(before[3], serde_json::json!({"badge": "B 17"}));
        assert_eq!(before[4], serde_json::json!({"team": "blue", "cost-center": "4"}));
        host.run(&["systemctl", "restart", "lockdownd"]).ok();
        assert_eq!(kept(&status(host, "email:alice@example.org")), before);
        host.kill_daemon();
        assert_eq!(kept(&status(host, "badge:B 17")), before);

        set(host, "alice", &["--email", "", "--identifier", "badge=", "--metadata", "team="]).ok();
        host.lockdownctl(&["status", "email:alice@example.org"]).code(NOT_FOUND);
        host.lockdownctl(&["status", "badge:B 17"]).code(NOT_FOUND);
        let left = status(host, "phone:+1-555-0100");
        assert_eq!((&left["email"], &left["identifiers"]), (&"".into(), &serde_json::json!({})));
        assert_eq!(left["metadata"], serde_json::json!({"cost-center": "4"}));
    }
);

on_each_release!(
    fn an_identifier_is_one_accounts_and_nobody_guesses_whose(host: &Host) {
        set(host, "alice", &["--email", "alice@example.org", "--tag", "ticket=1"]).ok();
        let taken = set(host, "bob", &["--email", "ALICE@example.org", "--id", "17", "--tag", "ticket=2"]);
        taken.code(REFUSED).says("that of alice");
        assert_eq!(status(host, "bob")["external_id"], "", "all of it, or nothing");
        for unknown in ["email:nobody@example.org", "id:17", "badge:1"] {
            host.lockdownctl(&["lock", unknown]).code(NOT_FOUND).says(unknown);
        }
        for none in ["email:", "email:alice", "phone:x", "Badge:1", "uid:x", ":x", "badge:a\u{1b}b"] {
            let refused = host.lockdownctl(&["lock", none]).code(USAGE);
            assert!(!refused.stderr.contains('\u{1b}'), "{refused}");
        }
        for none in [
            ["--email", "alice"],
            ["--phone", "x"],
            ["--identifier", "uid=1"],
            ["--identifier", "email=a@b.c"],
            ["--metadata", "a b=c"],
        ] {
            set(host, "bob", &none).code(USAGE);
        }

        // Two names, one uid: which of them is meant the uid does not say. Each is a name of its own.
        host.run(&["useradd", "--non-unique", "--uid=1001", "--no-create-home", "rob"]).ok();
        host.lockdownctl(&["lock", "uid:1001"]).code(USAGE).says("bob, rob");
        assert_eq!(status(host, "bob")["locked"], false);
        set(host, "rob", &["--id", "17"]).ok();
        assert_eq!(status(host, "id:17")["name"], "rob");

        // What an account that is gone leaves behind is free.
        host.run(&["userdel", "rob"]).ok();
        host.lockdownctl(&["status", "id:17"]).code(NOT_FOUND);
        assert_eq!(status(host, "uid:1001")["name"], "bob");
        set(host, "bob", &["--id", "17"]).ok();
        assert_eq!(status(host, "id:17")["name"], "bob");

        // Who may not look at others hears no more of an address that somebody has than of one that nobody has.
        let ask = |reference: &str| host.run_as("bob", &["lockdownctl", "status", reference]);
        let (theirs, nobodys) = (ask("email:alice@example.org"), ask("email:nobody@example.org"));
        assert_eq!(theirs.stderr, nobodys.stderr);
        theirs.code(NOT_AUTHORIZED);
        nobodys.code(NOT_AUTHORIZED);
        ask("id:17").ok().says("bob");
        host.run_as("bob", &["lockdownctl", "account", "set", "bob", "--id", "18"]).code(NOT_AUTHORIZED);

        let events = host.events_about("bob", "set-account");
        let of = |key: &str| events.iter().map(|event| event[key].clone()).collect::<Vec<_>>();
        // Taken by another, done, and not bob's to do.
        assert_eq!(of("outcome"), ["refused", "success", "refused"]);
        assert_eq!(events[0]["tags"], serde_json::json!({"ticket": "2"}));
        assert_eq!(of("input")[1], serde_json::json!({"id": "17"}));
    }
);

/// What busctl prints of a dictionary, as plain JSON.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) if fields.contains_key("type") && fields.contains_key("data") => {
            plain(&fields["data"])
        }
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        Value::Array(values) => values.iter().map(plain).collect(),
        other => other.clone(),
    }
}

on_each_release!(
    fn the_dictionary_tells_what_the_host_knows(host: &Host) {
        host.run(&["useradd", "--create-home", "dora"]).ok();
        let dora = status(host, "dora");
        assert!(is_about(&dora["created"], now()), "{dora:#}");
        assert_eq!(
            (&dora["last_active"], &dora["passkeys"], &dora["backup_codes"]),
            (&0.into(), &0.into(), &0.into())
        );
        assert_eq!(dora["totp_enabled"], false);
        assert_eq!(status(host, "nobody")["created"], 0, "it has no home directory");

        // With a session she is active now; when that has ended, until then.
        let shell = host.ssh_session("alice");
        shell.ask("true").ok();
        eventually(SOON, || is_about(&status(host, "alice")["last_active"], now()));
        shell.send("exit");
        shell.wait_ended(SOON);
        eventually(SOON, || status(host, "alice")["sessions"] == 0);
        let ended = status(host, "alice")["last_active"].clone();
        assert!(is_about(&ended, now()), "{ended}");

        host.sh(&format!("echo '{PASSKEY}' >> /home/alice/.ssh/authorized_keys")).ok();
        host.sh(
            r#"
            cd /home/alice
            install -d --owner=alice .config/Yubico
            echo 'alice:handle,key,es256,+presence:another,key,es256,+presence' > .config/Yubico/u2f_keys
            printf '%s\n' SECRETSECRET '" RATE_LIMIT 3 30' '" TOTP_AUTH' 11112222 33334444 55556666 > .google_authenticator
            chown --recursive alice .config .google_authenticator
            chmod 400 .google_authenticator
            "#,
        )
        .ok();
        let alice = status(host, "alice");
        assert_eq!(
            (&alice["passkeys"], &alice["totp_enabled"], &alice["backup_codes"]),
            (&3.into(), &true.into(), &3.into())
        );
        host.lockdownctl(&["status", "alice"]).ok().says("enabled, 3 backup codes left").says_not("11112222");
        let listed = host.ask_lockdown(&["authenticators", "alice"]);
        let passkeys = listed.as_array().unwrap().iter().filter(|one| one["passkey"] == true).count();
        assert_eq!(alice["passkeys"], passkeys);

        // The same keys over the bus, in a reply to LockAccount as well, and no counts in lists.
        let over_bus = |member: &str, arguments: &[&str]| {
            let call = [&["busctl", "--json=short", "call"], &MANAGER[..], &[member], arguments].concat();
            plain(&host.run(&call).ok().json()["data"][0])
        };
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let mut shown = alice.clone();
        shown.as_object_mut().unwrap().remove("open_sessions");
        assert_eq!(over_bus("GetAccount", &["s", "alice"]), shown);
        let locked = over_bus("LockAccount", &["sa{sv}", "alice", "0"]);
        assert_eq!((&locked["passkeys"], &locked["last_active"]), (&3.into(), &alice["last_active"]));
        host.lockdownctl(&["unlock", "alice"]).ok();
        let all = host.ask_lockdown(&["accounts"]);
        let all: BTreeMap<&str, &Value> = all
            .as_array()
            .unwrap()
            .iter()
            .map(|account| (account["name"].as_str().unwrap(), account))
            .collect();
        assert_eq!(
            (&all["alice"]["last_active"], &all["dora"]["created"]),
            (&alice["last_active"], &dora["created"])
        );
        let counts = ["passkeys", "totp_enabled", "backup_codes"];
        let listed: Vec<_> = keys(&shown).into_iter().filter(|key| !counts.contains(&key.as_str())).collect();
        assert_eq!(keys(all["alice"]), listed);

        // What she puts in the way of a look is not followed, and not taken for nothing.
        host.sh("ln --symbolic --force /etc/shadow /home/alice/.google_authenticator").ok();
        let alice = status(host, "alice");
        assert_eq!((alice.get("backup_codes"), alice.get("totp_enabled")), (None, None), "{alice:#}");
        assert_eq!(alice["passkeys"], 3);
        host.sh("rm /home/alice/.google_authenticator; mkfifo /home/alice/.google_authenticator").ok();
        assert_eq!(status(host, "alice").get("backup_codes"), None);
    }
);

on_each_release!(
    fn tags_go_with_every_change_into_its_event(host: &Host) {
        let _session = host.ssh_session("bob");
        for (action, account, args) in [
            ("lock", "alice", &["lock", "alice"][..]),
            ("unlock", "alice", &["unlock", "alice"]),
            ("lock", "root", &["lock", "root"]),
            ("set-expiry", "alice", &["expire", "alice", "--at", "tomorrow"]),
            ("set-account", "alice", &["account", "set", "alice", "--metadata", "a=b"]),
            ("end-sessions", "bob", &["end-sessions", "bob"]),
            ("lock-authenticator", "alice", &["authenticator", "lock", "alice", "password", "--unenforced"]),
            ("unlock-authenticator", "alice", &["authenticator", "unlock", "alice", "password"]),
            ("lockdown", "alice", &["lockdown", "alice", "--reason", "r", "--yes"]),
            ("restore", "alice", &["restore", "alice", "--undo"]),
        ] {
            let tagged = [args, &["--tag", "ticket=INC-4711", "--tag", "by=night shift"]].concat();
            host.lockdownctl(&tagged).code(if account == "root" { REFUSED } else { 0 });
            let events = host.events_about(account, action);
            let event = events.last().unwrap_or_else(|| panic!("no {action}"));
            assert_eq!(
                event["tags"],
                serde_json::json!({"ticket": "INC-4711", "by": "night shift"}),
                "{event:#}"
            );
        }
        let trail = host.lockdownctl(&["events", "--user", "alice"]).ok();
        let trail = trail.says("by=night shift, ticket=INC-4711");
        assert!(host.journal(Some("lockdownd")).contains("tag_ticket=INC-4711"), "{trail}");

        let many: Vec<String> = (0..17).map(|number| format!("--tag=t{number}=")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        host.lockdownctl(&[&["lock", "alice"], &many[..]].concat()).code(USAGE).says("17 tags");
        host.lockdownctl(&["lock", "alice", "--tag", "a b=c"]).code(USAGE);
        let tags = ["sa{sv}", "alice", "1", "tags", "a{ss}", "1", "bad\nkey", "x"];
        host.run(&[&["busctl", "call"], &MANAGER[..], &["LockAccount"], &tags[..]].concat()).fails();
        assert_eq!(status(host, "alice")["locked"], false);
    }
);

//! A lock of attack protection among the others: who has placed it, who is told, how it ends.

use std::path::Path;
use std::time::Duration;

use lockdown_enforcement::AttackProtection;
use lockdown_tests::{Attempt, Host, PamClient, eventually, on_each_release, password_of, stays};
use serde_json::Value;

use crate::without_daemon::{bring_back, kill_and_mask};

const SOON: Duration = Duration::from_secs(20);
const A_WHILE: Duration = Duration::from_secs(2);
const FROM: &str = "192.0.2.1";
const ELSEWHERE: &str = "192.0.2.2";

/// Three failures lock.
fn settings() -> AttackProtection {
    AttackProtection { max_attempts: 3, ..AttackProtection::default() }
}

/// A door of the host's, which all services share.
struct Door<'h> {
    host: &'h Host,
    client: PamClient<'h>,
}

impl<'h> Door<'h> {
    fn of(host: &'h Host, settings: &AttackProtection) -> Self {
        host.protect(settings);
        host.write("/etc/pam.d/guarded", "@include common-auth\n@include common-account\n");
        Self { host, client: host.pam_client(Path::new(env!("CARGO_BIN_EXE_pam-attempts")), &[]) }
    }

    fn guess(&self, source: &str, times: usize) {
        let wrong = Attempt::new("guarded", "alice", "wrong").from(source);
        assert!(self.client.attempts(&vec![wrong; times]).iter().all(|outcome| !outcome.entered()));
    }

    fn opens(&self, source: &str) -> bool {
        self.client.attempt(&Attempt::new("guarded", "alice", &password_of("alice")).from(source)).entered()
    }

    fn account(&self) -> Value {
        self.host.ask_lockdown(&["status", "alice"])
    }

    /// Owner and source of each lock.
    fn locks(&self) -> Vec<(String, String)> {
        let text = |lock: &Value, key: &str| lock[key].as_str().unwrap_or_default().to_owned();
        let account = self.account();
        let locks = account["locks"].as_array().expect("locks").iter();
        let mut locks: Vec<_> = locks.map(|lock| (text(lock, "owner"), text(lock, "source"))).collect();
        locks.sort();
        locks
    }

    fn failures(&self, args: &[&str]) -> Vec<Value> {
        let shown = self.host.ask_lockdown(&[&["failures", "alice"], args].concat());
        shown.as_array().expect("failures").clone()
    }

    /// The events of this action about alice that are of attack protection.
    fn events(&self, action: &str) -> Vec<Value> {
        let mut events = self.host.events_about("alice", action);
        events.retain(|event| event["owner"] == "attack-protection");
        events
    }
}

fn named(locks: &[(&str, &str)]) -> Vec<(String, String)> {
    locks.iter().map(|(owner, source)| ((*owner).to_owned(), (*source).to_owned())).collect()
}

on_each_release!(
    fn it_is_told_of_and_ends_no_session(host: &Host) {
        let door = Door::of(host, &settings());
        host.sh("busctl --match=\"type='signal',interface='org.lockdown1.Manager'\" monitor > /run/signals 2>&1 &").ok();
        let session = host.ssh_session("alice");
        eventually(SOON, || host.read("/run/signals").contains("SessionStarted"));
        door.guess(FROM, 3);
        eventually(SOON, || host.read("/run/signals").contains("AccountLocked"));

        assert_eq!(door.locks(), named(&[("attack-protection", FROM)]));
        let account = door.account();
        let lock = &account["locks"][0];
        let time = |key: &str| lock[key].as_i64().expect("a time");
        assert_eq!(time("expires_at") - time("created_at"), 3600, "{lock:#}");
        // She signs in from elsewhere.
        assert_eq!(
            (&account["locked"], &account["failed_attempts"]),
            (&false.into(), &3.into()),
            "{account:#}"
        );
        host.lockdownctl(&["status", "alice"]).ok().says("attack-protection").says(FROM);
        let call = [
            "busctl",
            "call",
            "org.lockdown1",
            "/org/lockdown1",
            "org.lockdown1.Manager",
            "GetAccount",
            "s",
            "alice",
        ];
        host.run(&call).ok().says("\"attack-protection\"").says(&format!("\"source\" s \"{FROM}\""));
        let events = door.events("lock");
        assert_eq!((events.len(), &events[0]["severity"]), (1, &"warning".into()), "{events:#?}");
        assert_eq!(events[0]["input"]["source"], FROM);

        // Nobody is put out, and nothing of it is in the deny record.
        stays(A_WHILE, || session.is_alive());
        session.ask("true").ok();
        assert!(host.events_about("alice", "end-sessions").is_empty());
        host.run(&["test", "-e", "/var/lib/lockdown/deny/1000"]).fails();
        assert_eq!(host.drifts(), "aa{sv} 0");

        // For all remote hosts, she is locked.
        host.forget_failures("alice");
        host.protect(&AttackProtection { max_attempts_total: 3, ..settings() });
        door.guess(FROM, 2);
        door.guess(ELSEWHERE, 1);
        assert_eq!(door.locks(), named(&[("attack-protection", "remote")]));
        assert_eq!(door.account()["locked"], true);
        session.ask("true").ok();
        // Wherever one signs in.
        host.forget_failures("alice");
        assert_eq!((door.locks(), &door.account()["failed_attempts"]), (Vec::new(), &0.into()));
        host.protect(&AttackProtection { per_source: false, ..settings() });
        door.guess(FROM, 3);
        assert_eq!(door.locks(), named(&[("attack-protection", "")]));
        assert_eq!(door.account()["locked"], true);
        session.ask("true").ok();
    }
);

on_each_release!(
    fn it_stands_beside_an_operator_s_lock(host: &Host) {
        let door = Door::of(host, &settings());
        let (ours, theirs) = (("attack-protection", FROM), ("operator", ""));
        for attack_first in [true, false] {
            if attack_first {
                door.guess(FROM, 3);
            }
            host.lockdownctl(&["lock", "alice", "--reason", "on leave"]).ok();
            if !attack_first {
                door.guess(FROM, 3);
            }
            assert_eq!(door.locks(), named(&[ours, theirs]), "attack first: {attack_first}");
            if attack_first {
                host.forget_failures("alice");
                assert_eq!(door.locks(), named(&[theirs]));
                assert!(!door.opens(ELSEWHERE));
                host.lockdownctl(&["unlock", "alice"]).ok();
            } else {
                host.lockdownctl(&["unlock", "alice", "--owner", "operator"]).ok();
                assert_eq!(door.locks(), named(&[ours]));
                assert!(!door.opens(FROM) && door.opens(ELSEWHERE));
                host.lockdownctl(&["unlock", "alice", "--owner", "attack-protection"]).ok();
            }
            assert_eq!(door.locks(), []);
            assert!(door.opens(FROM));
        }
        // Nobody else may place one in its name.
        let to = [
            "busctl",
            "call",
            "org.lockdown1",
            "/org/lockdown1",
            "org.lockdown1.Manager",
            "LockAccount",
            "sa{sv}",
        ];
        host.run(&[&to[..], &["alice", "1", "owner", "s", "attack-protection"]].concat()).fails();
        // An operator's unlock lifts both.
        door.guess(FROM, 3);
        host.lockdownctl(&["lock", "alice"]).ok();
        host.lockdownctl(&["unlock", "alice", "--reason", "called"]).ok();
        assert!(door.opens(FROM));
        let lifted = door.events("unlock");
        assert_eq!(lifted.last().map(|event| &event["reason"]), Some(&"called".into()), "{lifted:#?}");
    }
);

on_each_release!(
    fn it_ends_by_time_and_by_nothing_else(host: &Host) {
        let door = Door::of(host, &AttackProtection { duration: Some(6), ..settings() });
        let tally_until =
            || host.tally(1000).locks().filter_map(|(_, lock)| lock.until).max().expect("a lock");
        let now = || -> i64 { host.run(&["date", "+%s"]).ok().text().parse().expect("Unix seconds") };
        // With the daemon, which says so.
        door.guess(FROM, 3);
        eventually(SOON, || door.opens(FROM));
        assert!(now() >= tally_until());
        eventually(SOON, || door.events("lock-expired").len() == 1);
        assert_eq!(door.locks(), []);
        // Dead and masked.
        door.guess(FROM, 3);
        kill_and_mask(host);
        let until = tally_until();
        assert!(!door.opens(FROM));
        eventually(SOON, || door.opens(FROM));
        assert!((until..=until + 2).contains(&now()));
        bring_back(host);
        eventually(SOON, || door.events("lock-expired").len() == 2);

        // A reboot changes nothing, with it or without.
        host.protect(&settings());
        door.guess(FROM, 3);
        host.reboot();
        assert!(!door.opens(FROM) && door.opens(ELSEWHERE));
        assert_eq!(door.locks(), named(&[("attack-protection", FROM)]));
        host.run(&["systemctl", "mask", "lockdownd.service", "lockdownd.socket"]).ok();
        host.reboot();
        host.run(&["pgrep", "-x", "lockdownd"]).fails();
        assert!(!door.opens(FROM) && door.opens(ELSEWHERE));
    }
);

on_each_release!(
    fn what_the_daemon_has_missed_it_catches_up_with(host: &Host) {
        let door = Door::of(host, &settings());
        kill_and_mask(host);
        door.guess(FROM, 5);
        assert!(!door.opens(FROM));
        bring_back(host);
        eventually(SOON, || door.events("lock").len() == 1);
        assert_eq!(door.locks(), named(&[("attack-protection", FROM)]));
        assert_eq!(door.failures(&[]).len(), 3);
        // Once, however often it looks.
        host.run(&["systemctl", "restart", "lockdownd"]).ok();
        assert_eq!(door.failures(&[]).len(), 3);
        assert_eq!(door.events("lock").len(), 1);
        // Lifted while it was away is lifted: somebody has removed the tally.
        kill_and_mask(host);
        host.run(&["rm", "/var/lib/lockdown/tally/1000"]).ok();
        assert!(door.opens(FROM));
        bring_back(host);
        eventually(SOON, || door.locks().is_empty());
    }
);

on_each_release!(
    fn failures_are_listed_and_reset(host: &Host) {
        let door = Door::of(host, &AttackProtection { ignore_services: vec!["login".into()], ..settings() });
        let flags = |failure: &Value| {
            ["counted", "cleared", "locked"].map(|key| failure[key].as_bool().expect("a flag"))
        };
        door.guess(FROM, 2);
        assert!(door.opens(FROM));
        door.guess(FROM, 3);
        door.guess(ELSEWHERE, 1);
        let shown = door.failures(&[]);
        let seen: Vec<_> = shown.iter().map(flags).collect();
        let (cleared, counted, led_to_a_lock) =
            ([true, true, false], [true, false, false], [true, false, true]);
        assert_eq!(seen, [cleared, cleared, counted, counted, led_to_a_lock, counted], "{shown:#?}");
        let last = &shown[5];
        assert_eq!(
            (&last["user"], &last["number"], &last["service"], &last["source"]),
            (&"alice".into(), &6.into(), &"guarded".into(), &ELSEWHERE.into())
        );
        assert_eq!(door.failures(&["--source", ELSEWHERE]).len(), 1);
        assert_eq!(door.failures(&["--since", "2100-01-01"]).len(), 0);
        assert_eq!(door.failures(&["--since", "1h", "--limit", "2"]).len(), 2);
        host.lockdownctl(&["failures"]).ok().says("alice").says("led to a lock").says("cleared");
        host.lockdownctl(&["failures", "bob"]).ok().says("no failed attempts");
        host.lockdownctl(&["failures", "no-such"]).code(3);

        // Others see nothing of it, and change nothing.
        for args in [&["failures", "alice"][..], &["failures"], &["failures", "alice", "--reset"]] {
            host.run_as("bob", &[&["lockdownctl"], args].concat()).fails();
        }
        assert!(!door.opens(FROM));
        host.lockdownctl(&["failures", "alice", "--reset", "--source", ELSEWHERE]).ok();
        assert!(!door.opens(FROM), "another source");
        host.lockdownctl(&["failures", "alice", "--reset", "--source", FROM, "--reason", "called"]).ok();
        assert!(door.opens(FROM));
        let events = host.events_about("alice", "reset-failures");
        let outcomes: Vec<_> = events.iter().map(|event| event["outcome"].clone()).collect();
        assert_eq!(outcomes, ["refused", "success", "success"], "{events:#?}");
        assert_eq!(events[2]["reason"], "called");
        assert!(door.failures(&[]).iter().all(|failure| failure["cleared"] == true));
        assert_eq!(door.account()["failed_attempts"], 0);
    }
);

on_each_release!(
    /// Whoever guesses fills neither the audit trail nor the disk.
    fn a_flood_of_attempts_is_a_few_events(host: &Host) {
        let door = Door::of(host, &AttackProtection::default());
        host.judge_quickly(&["alice"]);
        let wrong =
            |number| Attempt::new("guarded", "alice", "wrong").from(&format!("198.51.100.{}", number / 5));
        let attempts: Vec<Attempt> = (0..200).map(wrong).collect();
        assert!(door.client.attempts(&attempts).iter().all(|outcome| !outcome.entered()));
        eventually(SOON, || !host.events_about("alice", "attempts-failed").is_empty());
        assert_eq!(door.locks(), named(&[("attack-protection", "remote")]));
        // 100 count, and lock; the others are refused.
        assert_eq!((door.failures(&[]).len(), host.tally(1000).count()), (100, 100));
        let told = host.events_about("alice", "attempts-failed");
        assert!(told.len() < 5, "{told:#?}");
        assert_eq!(door.events("lock").len(), 1);
    }
);

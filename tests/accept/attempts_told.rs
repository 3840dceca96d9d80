//! Attack protection as operators see it: its settings, its locks beside their own, who tried what, and how a count is ended.

use std::thread;
use std::time::Duration;

use lockdown_enforcement::{ATTACK_PROTECTION, TALLY_DIRECTORY};
use lockdown_tests::{Host, Output, eventually, on_each_release, password_of};
use serde_json::Value;

use crate::without_daemon::{bring_back, kill_and_mask};

const SOON: Duration = Duration::from_secs(20);
const DROP_IN: &str = "/etc/lockdown/lockdown.d/50-attempts.toml";
/// Every address of 127/8 is the host's: remote hosts as far as sshd knows.
const ATTACKER: &str = "127.0.0.5";
const OTHER_ATTACKER: &str = "127.0.0.6";

fn configure(host: &Host, settings: &str) {
    host.write(
        DROP_IN,
        format!("[attack_protection]\nmax_attempts = 3\nmax_attempts_total = 6\n{settings}\n"),
    );
    host.run(&["systemctl", "reload", "lockdownd"]).ok();
}

fn sign_in(host: &Host, user: &str, address: &str, password: &str) -> Output {
    host.ssh(user).arg(&format!("-oBindAddress={address}")).password(password).run("true")
}

fn guess(host: &Host, user: &str, address: &str, times: usize) {
    thread::scope(|scope| {
        for _ in 0..times {
            scope.spawn(|| sign_in(host, user, address, "wrong").code(255));
        }
    });
}

fn is_let_in(host: &Host, user: &str, address: &str) -> bool {
    sign_in(host, user, address, &password_of(user)).succeeded()
}

fn status(host: &Host, user: &str) -> Value {
    host.ask_lockdown(&["status", user])
}

/// What the locks in force are for, by their owner.
fn locks(host: &Host, user: &str) -> Vec<String> {
    let account = status(host, user);
    let of = |lock: &Value| {
        format!("{}:{}", lock["owner"].as_str().unwrap_or("?"), lock["source"].as_str().unwrap_or("?"))
    };
    let mut locks: Vec<_> = account["locks"].as_array().expect("locks").iter().map(of).collect();
    locks.sort();
    locks
}

fn failures(host: &Host, args: &[&str]) -> Vec<Value> {
    host.ask_lockdown(&[&["failures"], args].concat()).as_array().expect("failures").clone()
}

on_each_release!(
    fn a_lock_of_attack_protection_is_told_and_lifted_beside_an_operator_s(host: &Host) {
        configure(host, "");
        host.sh("busctl --match=\"type='signal',interface='org.lockdown1.Manager'\" monitor > /run/signals 2>&1 &").ok();
        let session = host.ssh_session("carol");
        guess(host, "carol", ATTACKER, 3);
        eventually(SOON, || host.events_about("carol", "lock").len() == 1);
        let event = host.events_about("carol", "lock").remove(0);
        assert_eq!((&event["owner"], &event["severity"]), (&"attack-protection".into(), &"warning".into()));
        assert_eq!((&event["input"]["source"], &event["caller"]), (&ATTACKER.into(), &serde_json::json!({})));
        eventually(SOON, || host.events_about("carol", "attempts-failed").len() == 1);
        let digest = host.events_about("carol", "attempts-failed").remove(0);
        assert_eq!((&digest["input"]["count"], &digest["input"]["services"]), (&"3".into(), &"sshd".into()));
        eventually(SOON, || host.read("/run/signals").contains("AccountLocked"));

        // Locked for one source alone, the account is not locked; no deny record has it, no session ends.
        let account = status(host, "carol");
        assert_eq!((&account["locked"], &account["failed_attempts"]), (&false.into(), &3.into()));
        assert_eq!(locks(host, "carol"), [format!("attack-protection:{ATTACKER}")]);
        host.run(&["test", "-e", "/var/lib/lockdown/deny/1002"]).fails();
        assert_eq!(host.drifts(), "aa{sv} 0");
        assert!(session.is_alive());
        host.lockdownctl(&["status", "carol"]).ok().says("127.0.0.5 alone");
        let listed = failures(host, &["carol"]);
        let numbers: Vec<_> = listed.iter().map(|failure| failure["number"].as_u64()).collect();
        assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
        assert!(listed.iter().all(|failure| failure["service"] == "sshd" && failure["counted"] == true));
        assert_eq!(listed.iter().filter(|failure| failure["locked"] == true).count(), 1);

        // Everybody sees their own, and nobody others'.
        host.run_as("carol", &["lockdownctl", "failures", "carol"]).ok().says(ATTACKER);
        host.run_as("bob", &["lockdownctl", "failures", "carol"]).code(4);
        host.run_as("carol", &["lockdownctl", "failures", "carol", "--reset"]).code(4);

        // An operator's lock stands beside it, and either is lifted without the other.
        host.lockdownctl(&["lock", "carol", "--keep-sessions"]).ok();
        assert_eq!(locks(host, "carol"), [format!("attack-protection:{ATTACKER}"), "operator:".to_owned()]);
        host.lockdownctl(&["unlock", "carol", "--owner", "operator"]).ok();
        assert_eq!(locks(host, "carol"), [format!("attack-protection:{ATTACKER}")]);
        assert!(!is_let_in(host, "carol", ATTACKER) && is_let_in(host, "carol", OTHER_ATTACKER));
        host.lockdownctl(&["unlock", "carol", "--reason", "it was her"]).ok();
        assert_eq!(locks(host, "carol"), [""; 0]);
        assert!(is_let_in(host, "carol", ATTACKER));
        assert_eq!(host.events_about("carol", "unlock")[1]["reason"], "it was her");
        assert!(failures(host, &["carol"]).iter().all(|failure| failure["cleared"] == true));
        assert!(session.is_alive());
    }
);

on_each_release!(
    fn settings_come_into_force_and_what_the_daemon_missed_is_caught_up_with(host: &Host) {
        assert!(host.read(ATTACK_PROTECTION).contains("max-attempts 10\n"));
        configure(host, "warn_attempts_left = 1\nduration = \"never\"");
        let written = host.read(ATTACK_PROTECTION);
        assert!(written.contains("max-attempts 3\n") && !written.contains("duration"), "{written}");
        // A mistake changes nothing.
        host.write(DROP_IN, "[attack_protection]\nmax_attempts = 101\n");
        host.run(&["systemctl", "reload", "lockdownd"]).ok();
        host.lockdownctl(&["config", "check"])
            .code(1)
            .says(&format!("{DROP_IN}:2:"))
            .says("max_attempts_total 100");
        assert_eq!(host.read(ATTACK_PROTECTION), written);
        configure(host, "");

        // The tally is what counts: nothing of what came while the daemon was dead is lost, and it held at once.
        kill_and_mask(host);
        guess(host, "alice", ATTACKER, 3);
        assert!(!is_let_in(host, "alice", ATTACKER) && is_let_in(host, "alice", OTHER_ATTACKER));
        guess(host, "alice", OTHER_ATTACKER, 3);
        assert!(!is_let_in(host, "alice", "127.0.0.7"), "six in all");
        bring_back(host);
        eventually(SOON, || host.events_about("alice", "attempts-failed").len() == 1);
        assert_eq!(host.events_about("alice", "attempts-failed")[0]["input"]["count"], "6");
        let of_tally = |source: &str| format!("attack-protection:{source}");
        assert_eq!(locks(host, "alice"), [ATTACKER, OTHER_ATTACKER, "remote"].map(of_tally));
        let account = status(host, "alice");
        assert!(account["locked"] == true && account["locked_until"].as_i64() > Some(0), "{account:#}");
        assert_eq!(host.ask_lockdown(&["status"])["locked_accounts"], 1);
        assert_eq!(failures(host, &["--source", OTHER_ATTACKER]).len(), 3);

        // One source, then the rest.
        let reset = ["failures", "alice", "--reset", "--source", ATTACKER, "--reason", "her phone"];
        host.lockdownctl(&reset).ok().says("stays locked by attack-protection");
        assert_eq!(locks(host, "alice"), [OTHER_ATTACKER, "remote"].map(of_tally));
        host.lockdownctl(&["failures", "alice", "--reset", "--tag", "ticket=7"]).ok();
        assert_eq!(locks(host, "alice"), [""; 0]);
        assert!(is_let_in(host, "alice", "127.0.0.7"));
        assert_eq!(host.events_about("alice", "reset-failures")[1]["tags"]["ticket"], "7");

        // Who removes a tally lifts its locks; who switches it off lifts all.
        guess(host, "bob", ATTACKER, 3);
        eventually(SOON, || locks(host, "bob").len() == 1);
        host.run(&["rm", &format!("{TALLY_DIRECTORY}/1001")]).ok();
        assert_eq!(locks(host, "bob"), [""; 0]);
        assert!(is_let_in(host, "bob", ATTACKER));
        guess(host, "bob", ATTACKER, 3);
        configure(host, "enabled = false");
        host.run(&["test", "-e", ATTACK_PROTECTION]).fails();
        assert!(is_let_in(host, "bob", ATTACKER) && locks(host, "bob").is_empty());

        // It ends by itself, and that is told.
        configure(host, "duration = \"4s\"");
        host.run(&["rm", &format!("{TALLY_DIRECTORY}/1001")]).ok();
        guess(host, "bob", ATTACKER, 3);
        eventually(SOON, || host.events_about("bob", "lock-expired").len() == 1);
        assert!(is_let_in(host, "bob", ATTACKER) && locks(host, "bob").is_empty());
    }
);

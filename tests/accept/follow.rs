//! What a lockdown finds beyond the account: its keys in other accounts, and what it had systemd start as root.

use std::time::Duration;

use lockdown_tests::{Host, Ssh, eventually, on_each_release, stays};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(10);
const A_WHILE: Duration = Duration::from_secs(1);
const ALICES_KEY: &str = "/home/alice/.ssh/id_ed25519";
const BOBS_KEY: &str = "/home/bob/.ssh/id_ed25519";

/// Gives alice's key to bob and root, and leaves alice with no other one.
fn spread_her_key(host: &Host) -> String {
    host.sh("
        cd /home/alice/.ssh
        cp id_ed25519.pub authorized_keys
        printf '# bob, 2024\\nfrom=\"127.0.0.1\",no-pty %s\\n# end, without a line end' \"$(cat id_ed25519.pub)\" >> /home/bob/.ssh/authorized_keys
        cat id_ed25519.pub >> /root/.ssh/authorized_keys
        chmod 0640 /home/bob/.ssh/authorized_keys
    ")
    .ok();
    let fingerprint = host.run(&["ssh-keygen", "-lf", ALICES_KEY]).ok();
    fingerprint.text().split(' ').nth(1).expect("a fingerprint").to_owned()
}

/// Her keys elsewhere, as a result has them: account, line, whether it was taken out.
fn elsewhere(result: &Value, fingerprint: &str) -> Vec<(String, u64, bool)> {
    let Some(found) = result["keys_elsewhere"].as_array() else { return Vec::new() };
    let mut found: Vec<_> = found
        .iter()
        .map(|key| {
            assert_eq!(key["fingerprint"], fingerprint, "{key}");
            assert!(
                key["path"].as_str().is_some_and(|path| path.ends_with("/.ssh/authorized_keys")),
                "{key}"
            );
            let user = key["user"].as_str().unwrap_or_default().to_owned();
            (user, key["line"].as_u64().unwrap_or_default(), key["quarantined"] == true)
        })
        .collect();
    found.sort();
    found
}

on_each_release!(
    fn sessions_that_her_key_opened_end_and_her_key_is_found(host: &Host) {
        let fingerprint = spread_her_key(host);
        let by = |user: &str, key: &str| -> Ssh<'_> { host.ssh(user).key(key) };
        let before = ["alice", "bob"].map(|user| host.sign_in_state(user));
        let roots = || host.read("/root/.ssh/authorized_keys");
        let root_before = roots();

        for follow in ["report", "quarantine"] {
            host.write(
                "/etc/lockdown/lockdown.d/50-follow.toml",
                format!("[lockdown]\nfollow_keys = \"{follow}\"\n"),
            );
            host.run(&["systemctl", "reload", "lockdownd"]).ok();
            let (his, root) = (by("bob", BOBS_KEY).open(), host.ssh("root").open());
            // Without a terminal, as her key allows no other.
            let hers = [by("bob", ALICES_KEY).start_command("sleep 7001"), by("root", ALICES_KEY).open()];
            let tunnel = by("bob", ALICES_KEY).arg("-N").start();
            eventually(SOON, || {
                host.sessions_of("bob").len() == 3 && host.commands().contains(&"sleep 7001".to_owned())
            });

            let result = host.lock_down_wholly("alice");
            for session in hers.iter().chain([&tunnel]) {
                session.wait_ended(SOON);
            }
            assert!(!host.commands().contains(&"sleep 7001".to_owned()), "{result:#}");
            assert_eq!(result["followed_sessions"].as_array().map(Vec::len), Some(3), "{result:#}");
            his.ask("true").ok();
            root.ask("true").ok();

            let quarantine = follow == "quarantine";
            // Line 1 is root's key, 2 is bob's, then a comment. Root's own file is only ever reported.
            let expected = [("bob".to_owned(), 4, quarantine), ("root".to_owned(), 2, false)];
            assert_eq!(elsewhere(&result, &fingerprint), expected, "{result:#}");
            assert_eq!(roots(), root_before);
            assert_eq!(by("bob", ALICES_KEY).run("true").succeeded(), !quarantine, "{follow}");
            by("bob", BOBS_KEY).run("true").ok();
            let bobs = host.read("/home/bob/.ssh/authorized_keys");
            assert!(bobs.contains("# bob, 2024\n") && bobs.ends_with("# end, without a line end"), "{bobs}");
            assert_eq!(host.sign_in_state("bob") == before[1], !quarantine, "{follow}");
            let owner = ["stat", "--format=%a %U:%G", "/home/bob/.ssh/authorized_keys"];
            assert_eq!(host.run(&owner).ok().text(), "640 bob:bob");

            host.undo("alice");
            assert_eq!(["alice", "bob"].map(|user| host.sign_in_state(user)), before, "{follow}");
            by("bob", ALICES_KEY).run("true").ok();
        }
    }
);

fn is_active(host: &Host, unit: &str) -> bool {
    host.run(&["systemctl", "is-active", "--quiet", unit]).succeeded()
}

on_each_release!(
    fn what_she_had_systemd_start_as_root_is_suspect(host: &Host) {
        host.run(&["systemd-run", "--quiet", "--unit=roots-own", "sleep", "9001"]).ok();
        let alice = host.ssh("alice").key(ALICES_KEY).open();
        alice.ask("sudo -n systemd-run --quiet --unit=planted --property=Restart=always sleep 7001").ok();
        alice.ask("sudo -n systemd-run --quiet --unit=later --on-active=1h sleep 7002").ok();
        assert!(is_active(host, "planted.service"));

        let result = host.lock_down_wholly("alice");
        let suspects = |result: &Value| -> Vec<String> {
            let suspects = result["suspects"].as_array().cloned().unwrap_or_default();
            suspects.iter().map(|suspect| suspect["unit"].as_str().unwrap_or_default().to_owned()).collect()
        };
        assert!(suspects(&result).contains(&"planted.service".to_owned()), "{result:#}");
        let planted = result["suspects"]
            .as_array()
            .expect("suspects")
            .iter()
            .find(|it| it["unit"] == "planted.service");
        let planted = planted.expect("it is there");
        assert!(planted["evidence"].as_str().is_some_and(|evidence| evidence.contains("sudo")), "{planted}");
        assert_eq!(planted["stopped"], json!(false), "{planted}");
        assert!(suspects(&result).iter().any(|unit| unit.starts_with("later.")), "{result:#}");
        // Reported and no more: they may be what keeps the host running.
        assert!(is_active(host, "planted.service"));

        let result = host.lock_down(&["alice", "--suspects", "stop"]).remove(0);
        assert!(suspects(&result).contains(&"planted.service".to_owned()), "{result:#}");
        let gone = || ["planted.service", "later.timer"].iter().all(|unit| !is_active(host, unit));
        assert!(gone(), "{result:#}");
        stays(A_WHILE, gone);
        assert!(!suspects(&result).contains(&"roots-own.service".to_owned()), "{result:#}");
        for unit in ["roots-own", "ssh", "cron", "atd", "systemd-logind", "dbus", "lockdownd"] {
            assert!(is_active(host, unit), "{unit} was stopped");
        }
    }
);

//! A daemon that is killed while it applies a document leaves what was or what is to be.

use std::{collections::BTreeSet, thread};

use lockdown_tests::{Host, eventually, on_each_release};

use super::{SOON, locked};

const ACCOUNTS: usize = 400;
const ROUNDS: u32 = 12;

/// The accounts of which the number leaves this rest when it is divided by two.
fn half(rest: usize) -> BTreeSet<String> {
    (0..ACCOUNTS).filter(|number| number % 2 == rest).map(|number| format!("user{number}")).collect()
}

fn document(accounts: &BTreeSet<String>) -> String {
    format!("version = 1\n{}", accounts.iter().map(|name| locked(name)).collect::<String>())
}

/// Accounts that the store has as locked.
fn in_store(host: &Host) -> BTreeSet<String> {
    let Some(accounts) = host.ask_lockdown(&["accounts", "--locked"]).as_array().cloned() else {
        panic!("no list")
    };
    accounts.iter().map(|account| account["name"].as_str().expect("a name").to_owned()).collect()
}

/// Accounts that the login path refuses, by their records.
fn in_records(host: &Host) -> BTreeSet<String> {
    let uids = host.run(&["ls", "/var/lib/lockdown/deny"]).ok().stdout;
    let number = |uid: &str| uid.parse::<usize>().ok()?.checked_sub(20_000);
    uids.lines().filter_map(number).map(|number| format!("user{number}")).collect()
}

on_each_release!(
    /// By given documents: those of state.d would be applied again at once by the next daemon.
    fn a_daemon_killed_in_the_middle_of_an_apply_leaves_old_or_new(host: &Host) {
        host.sh(&format!(
            "for n in $(seq 0 {}); do echo \"user$n:x:$((20000 + n)):100::/nonexistent:/bin/sh\"; done >> /etc/passwd
             mkdir -p /run/systemd/system/lockdownd.service.d
             printf '[Unit]\\nStartLimitIntervalSec=0\\n[Service]\\nRestartSec=50ms\\n' > /run/systemd/system/lockdownd.service.d/soon.conf
             systemctl daemon-reload",
            ACCOUNTS - 1
        ))
        .ok();
        let halves = [half(0), half(1)];
        for (half, path) in halves.iter().zip(["/root/even.toml", "/root/odd.toml"]) {
            host.write(path, document(half));
        }
        let apply = |path: &str| host.lockdownctl(&["apply", path, "--name", "half"]);
        apply("/root/odd.toml").ok();
        let took = apply("/root/even.toml").ok().took;
        let (mut stands, mut interrupted) = (0, 0);
        for round in 0..ROUNDS {
            let next = 1 - stands;
            let path = ["/root/even.toml", "/root/odd.toml"][next];
            let applied = thread::scope(|scope| {
                let applying = scope.spawn(|| apply(path));
                thread::sleep(took * round / (ROUNDS - 1));
                host.run(&["pkill", "-KILL", "-x", "lockdownd"]).ok();
                applying.join().expect("no panic")
            });
            eventually(SOON, || host.lockdownctl(&["status"]).succeeded());
            let store = in_store(host);
            let came_to = halves.iter().position(|half| *half == store);
            assert!(came_to.is_some(), "round {round}: between the two: {store:?}");
            stands = came_to.unwrap_or_default();
            assert!(!applied.succeeded() || stands == next, "acknowledged, and lost: {applied}");
            interrupted += usize::from(!applied.succeeded());
            assert_eq!(in_records(host), store, "round {round}");
            assert_eq!(host.drifts(), "aa{sv} 0");
        }
        assert!(interrupted >= 3, "only {interrupted} were interrupted");
        apply(["/root/even.toml", "/root/odd.toml"][1 - stands]).ok();
        assert_eq!(in_store(host), halves[1 - stands]);
        host.lockdownctl(&["events", "verify"]).ok();
    }
);

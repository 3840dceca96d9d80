//! Locks and expiry hold by what is on disk and by the clock, whether or not the daemon runs.

use std::time::Duration;

use lockdown_tests::{Host, Output, eventually, on_each_release, on_releases};

const SOON: Duration = Duration::from_secs(10);
/// An account check by a service that asks nothing but the module.
const LOCKER: &str = "auth required pam_permit.so\naccount required pam_lockdown.so\n";

pub fn kill_and_mask(host: &Host) {
    host.run(&["systemctl", "mask", "lockdownd.service"]).ok();
    host.kill_daemon();
}

pub fn bring_back(host: &Host) {
    host.run(&["systemctl", "unmask", "lockdownd.service"]).ok();
    host.run(&["systemctl", "start", "lockdownd.service"]).ok();
}

pub fn now(host: &Host) -> i64 {
    host.run(&["date", "+%s"]).ok().text().parse().expect("Unix seconds")
}

/// Has alice expire in `seconds`; gives the moment.
fn expire_in(host: &Host, seconds: u32) -> i64 {
    let at = host.run(&["date", "--date", &format!("+{seconds} seconds"), "+%F %T"]).ok();
    host.lockdownctl(&["expire", "alice", "--at", at.text()]).ok();
    host.ask_lockdown(&["status", "alice"])["valid_until"].as_i64().expect("a moment")
}

fn login(host: &Host) -> Output {
    host.ssh("alice").run("true")
}

/// The account check of a process of `asker`'s.
fn check(host: &Host, asker: &str, account: &str) -> Output {
    host.run_as(asker, &["pamtester", "locker", account, "acct_mgmt"])
}

on_releases!([bookworm, trixie, trixie_broker]
    fn a_lock_ends_by_time_alone(host: &Host) {
        let locked = host.ask_lockdown(&["lock", "alice", "--for", "4s"]);
        let ends = locked["locked_until"].as_i64().expect("a moment");
        kill_and_mask(host);
        login(host).code(255).says("locked");
        host.lockdownctl(&["status", "alice"]).code(5);
        eventually(SOON, || login(host).succeeded());
        assert!(now(host) >= ends, "let in too early");
        assert!(now(host) <= ends + 2, "let in too late");

        assert!(host.run(&["test", "-e", "/var/lib/lockdown/deny/1000"]).succeeded());
        bring_back(host);
        eventually(SOON, || host.events_about("alice", "lock-expired").len() == 1);
        assert_eq!(host.ask_lockdown(&["status", "alice"])["locked"], false);
        host.run(&["test", "-e", "/var/lib/lockdown/deny/1000"]).fails();
        assert_eq!(host.drifts(), "aa{sv} 0");
    }
);

on_each_release!(
    fn a_lock_outlives_power_cuts_and_holds_before_the_daemon_starts(host: &Host) {
        let bob = host.ssh_session("bob");
        eventually(SOON, || host.sessions_of("bob").len() == 1);
        host.lockdownctl(&["lock", "alice", "--indefinite", "--message", "Call 555-1234."]).ok();
        host.power_cut();
        login(host).code(255).says("555-1234");
        assert_eq!(host.ask_lockdown(&["status", "alice"])["locks"][0]["id"], 1);
        assert_eq!(host.drifts(), "aa{sv} 0");
        // His session ended with the power.
        assert!(!bob.is_alive());
        eventually(SOON, || host.sessions_of("bob").is_empty());

        host.run(&["systemctl", "mask", "lockdownd.service", "lockdownd.socket"]).ok();
        host.reboot();
        host.run(&["pgrep", "-x", "lockdownd"]).fails();
        login(host).code(255).says("555-1234");
        host.run(&["su", "-", "alice", "-c", "true"]).fails();
        host.ssh("bob").run("true").ok();
    }
);

on_each_release!(
    fn who_may_not_read_the_records_is_answered_about_itself(host: &Host) {
        host.write("/etc/pam.d/locker", LOCKER);
        check(host, "alice", "alice").ok();
        host.lockdownctl(&["lock", "alice", "--message", "Call 555-1234."]).ok();
        check(host, "alice", "alice").fails().says("555-1234");
        check(host, "bob", "bob").ok();
        // About others nobody gets an answer, locked or not.
        for account in ["alice", "carol"] {
            check(host, "bob", account).fails().says_not("555-1234");
        }
        // Who locked that screen is on the host already: without the daemon it opens again.
        kill_and_mask(host);
        check(host, "alice", "alice").ok();
        check(host, "root", "alice").fails().says("555-1234");
    }
);

on_each_release!(
    fn an_account_expires_at_its_moment(host: &Host) {
        host.write("/etc/pam.d/locker", LOCKER);
        host.sh("busctl --match=\"type='signal',interface='org.lockdown1.Manager'\" monitor > /run/signals 2>&1 &").ok();
        let alice = host.ssh_session("alice");
        eventually(SOON, || host.read("/run/signals").contains("SessionStarted"));
        let moment = expire_in(host, 4);
        login(host).ok();
        let shown = alice.wait_ended(SOON);
        assert!(now(host) >= moment, "ended too early: {}", shown.text);
        // While the sweep is at it, the refused one is ended before it is told why.
        eventually(SOON, || login(host).code(255).stderr.contains("expired"));
        check(host, "root", "alice").fails().says("User account has expired");
        assert_eq!(host.ask_lockdown(&["status", "alice"])["expired"], true);
        eventually(SOON, || host.read("/run/signals").contains("AccountExpired"));
        let events = host.events_about("alice", "account-expired");
        assert_eq!((events.len(), &events[0]["input"]["valid_until"]), (1, &moment.to_string().into()));
        host.ssh("bob").run("true").ok();
        host.lockdownctl(&["expire", "alice", "--never"]).ok();
        login(host).ok();

        // Without the daemon nobody ends what runs, but nobody new comes in; it catches up.
        let alice = host.ssh_session("alice");
        let moment = expire_in(host, 2);
        kill_and_mask(host);
        eventually(SOON, || login(host).status == 255);
        assert!(now(host) >= moment, "refused too early");
        alice.ask("true").ok();
        bring_back(host);
        alice.wait_ended(SOON);
        eventually(SOON, || host.events_about("alice", "account-expired").len() == 2);
        host.lockdownctl(&["expire", "alice", "--never"]).ok();
        // The sweep may be at its last pass.
        eventually(SOON, || login(host).succeeded());
    }
);

/// Calls a method of the manager about alice by `busctl`, with these options.
fn call(host: &Host, method: &str, options: &[&str]) -> Output {
    let to = [
        "busctl",
        "call",
        "org.lockdown1",
        "/org/lockdown1",
        "org.lockdown1.Manager",
        method,
        "sa{sv}",
        "alice",
    ];
    host.run(&[&to[..], options].concat())
}

on_each_release!(
    fn locks_of_two_owners_stand_side_by_side(host: &Host) {
        let configuration = ["1", "owner", "s", "config:web"];
        let place =
            || drop(call(host, "LockAccount", &["2", "owner", "s", "config:web", "duration", "t", "0"]).ok());
        place();
        host.lockdownctl(&["lock", "alice"]).ok();
        let owners = || {
            let locks = host.ask_lockdown(&["status", "alice"])["locks"].clone();
            locks
                .as_array()
                .expect("locks")
                .iter()
                .map(|lock| lock["owner"].as_str().expect("an owner").to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(owners(), ["config:web", "operator"]);
        host.lockdownctl(&["unlock", "alice"]).ok();
        login(host).code(255).says("locked");
        host.lockdownctl(&["unlock", "alice"]).code(1).says("locked by config:web");
        assert_eq!(owners(), ["config:web"]);
        call(host, "UnlockAccount", &configuration).ok();
        login(host).ok();
        host.lockdownctl(&["unlock", "alice"]).code(1).says("is not locked");

        // The other way round, and by time.
        place();
        host.lockdownctl(&["lock", "alice", "--for", "1s"]).ok();
        eventually(SOON, || host.events_about("alice", "lock-expired").len() == 1);
        assert_eq!(owners(), ["config:web"]);
        login(host).code(255).says("locked");
        host.lockdownctl(&["lock", "alice"]).ok();
        call(host, "UnlockAccount", &configuration).ok();
        assert_eq!(owners(), ["operator"]);
        login(host).code(255).says("locked");
        host.lockdownctl(&["unlock", "alice"]).ok();
        login(host).ok();
        assert_eq!(host.drifts(), "aa{sv} 0");
    }
);

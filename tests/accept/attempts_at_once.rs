//! Many attempts at once: all failures are counted, and no more are judged than may be.

use std::path::Path;
use std::time::Duration;

use lockdown_enforcement::AttackProtection;
use lockdown_tests::{Attempt, Host, eventually, on_each_release, password_of};

const SOON: Duration = Duration::from_secs(20);
const PROCESSES: usize = 64;
/// Of each process.
const FAILURES: usize = 5;
const SERVICE: &str = "guarded";
/// Writes down every password that comes to the judge: it stands before pam_unix, behind preauth.
const WITNESS: &str = "auth optional pam_exec.so quiet expose_authtok /root/witness";

const FAILLOCK: &str = "auth required pam_faillock.so preauth deny=10000\nauth sufficient pam_unix.so\n\
    auth [default=die] pam_faillock.so authfail deny=10000\nauth required pam_deny.so\n";

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_pam-attempts"))
}

/// The failures of one account that pam_faillock has.
fn faillock_count(host: &Host, user: &str) -> usize {
    let shown = host.run(&["faillock", "--user", user]).ok();
    shown.stdout.lines().filter(|line| line.ends_with(" V")).count()
}

on_each_release!(
    fn three_hundred_and_twenty_failures_at_once_are_three_hundred_and_twenty(host: &Host) {
        host.protect(&AttackProtection::default());
        host.write(&format!("/etc/pam.d/{SERVICE}"), "@include common-auth\n@include common-account\n");
        host.write("/etc/pam.d/faillock", FAILLOCK);
        host.judge_quickly(&["alice", "bob"]);
        let client = host.pam_client(program(), &[]);
        // Each process somebody else's, so that nobody waits for his turn and no lock is in the way; then all one remote
        // host's, in turn, which is trusted: its failures count towards no lock, and are counted.
        let trusting = AttackProtection {
            trusted_sources: vec!["192.0.2.0/24".parse().expect("a network")],
            ..AttackProtection::default()
        };
        type Origin = fn(Attempt, usize) -> Attempt;
        let rounds: [(&str, u32, AttackProtection, Origin); 2] = [
            ("alice", 1000, AttackProtection::default(), |attempt, process| {
                attempt.by(&format!("user{process}"))
            }),
            ("bob", 1001, trusting, |attempt, _| attempt.from("192.0.2.1")),
        ];
        for (user, uid, settings, origin) in rounds {
            host.protect(&settings);
            let lists = |service: &str| -> Vec<Vec<Attempt>> {
                let of = |process| vec![origin(Attempt::new(service, user, "wrong"), process); FAILURES];
                (0..PROCESSES).map(of).collect()
            };
            let make = |service: &str| {
                let lists = lists(service);
                let lists: Vec<&[Attempt]> = lists.iter().map(Vec::as_slice).collect();
                let outcomes = client.attempts_at_once(&lists).concat();
                assert_eq!(outcomes.len(), PROCESSES * FAILURES);
                assert!(outcomes.iter().all(|outcome| !outcome.entered()));
            };
            make(SERVICE);
            make("faillock");
            let (lockdown, faillock) = (host.tally(uid).count(), faillock_count(host, user));
            println!(
                "{user}: of {} failures lockdown counted {lockdown}, pam_faillock {faillock}",
                PROCESSES * FAILURES
            );
            assert_eq!(lockdown, (PROCESSES * FAILURES) as u64, "{user}");
        }
    }
);

on_each_release!(
    /// A hundred different guesses at once, nobody but the module there to stop them.
    fn of_many_guesses_at_once_no_more_are_judged_than_may_be(host: &Host) {
        let settings = AttackProtection::default();
        host.protect(&settings);
        host.write(
            "/root/witness",
            "#!/bin/sh\nif [ \"$PAM_TYPE\" = auth ]; then { tr -d '\\000'; echo; } >> /root/judged; fi\n",
        );
        host.run(&["chmod", "0700", "/root/witness"]).ok();
        let client = host.pam_client(program(), &[]);
        host.sh(&format!(
            "sed '/pam_unix.so/i {WITNESS}' /etc/pam.d/common-auth > /etc/pam.d/{SERVICE}; echo '@include common-account' >> /etc/pam.d/{SERVICE}"
        ))
        .ok();
        host.run(&["systemctl", "mask", "--now", "lockdownd.service", "lockdownd.socket"]).code(0);
        eventually(SOON, || !host.run(&["pgrep", "-x", "lockdownd"]).succeeded());

        let guess =
            |number: usize| Attempt::new(SERVICE, "alice", &format!("guess {number}")).from("192.0.2.1");
        let lists: Vec<[Attempt; 2]> =
            (0..PROCESSES).map(|number| [guess(number), guess(PROCESSES + number)]).collect();
        let lists: Vec<&[Attempt]> = lists.iter().map(<[Attempt; 2]>::as_slice).collect();
        let outcomes = client.attempts_at_once(&lists).concat();
        assert!(
            outcomes.iter().all(|outcome| !outcome.entered() && outcome.heard == ["Password: "]),
            "{outcomes:?}"
        );

        let witnessed = host.read("/root/judged");
        let judged = witnessed.lines().filter(|line| line.starts_with("guess ")).count();
        println!("of {} guesses {judged} were judged", 2 * PROCESSES);
        assert_eq!(judged as u32, settings.max_attempts);
        assert_eq!(host.tally(1000).count(), u64::from(settings.max_attempts));
        // The right one comes too late, from there.
        let right = Attempt::new(SERVICE, "alice", &password_of("alice"));
        assert!(!client.attempt(&right.clone().from("192.0.2.1")).entered());
        assert!(!host.read("/root/judged").contains(&password_of("alice")));
        assert!(client.attempt(&right.from("192.0.2.2")).entered());
    }
);

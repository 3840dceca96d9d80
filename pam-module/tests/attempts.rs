//! Attack protection as libpam runs it: real transactions, many at once, without the daemon. Has to be run by root.

#![allow(clippy::unwrap_used, reason = "in a test")]

mod daemon;
mod libpam;
mod support;

use std::ffi::{CStr, CString};
use std::time::{Duration, Instant};

use daemon::Daemon;
use libpam::{AUTH_ERR, Item, PERM_DENIED, SUCCESS, Transaction};
use lockdown_enforcement::{AttackProtection, AttemptOutcome, Request};
use support::{ACCOUNT, Scratch, UID, profiles};

/// In pam_faillock's positions; a refused attempt does not come to the judge.
const STACK: &str = "auth requisite LOCKDOWN preauth\nauth [success=1 default=ignore] JUDGE\n\
    auth [default=die] LOCKDOWN authfail\nauth required LOCKDOWN authsucc\naccount required LOCKDOWN\n";

fn from(scratch: &Scratch, host: &CStr) -> Transaction {
    let transaction = scratch.start("test", ACCOUNT);
    transaction.set(Item::RemoteHost, host);
    transaction
}

fn scratch(settings: &AttackProtection) -> Scratch {
    let scratch = Scratch::new();
    scratch.protect(settings);
    scratch.stack_of("test", STACK);
    scratch
}

fn counted(scratch: &Scratch) -> u64 {
    scratch.tallies.open(UID).unwrap().map_or(0, |tally| tally.read().unwrap().count())
}

#[test]
fn of_sixty_four_at_once_ten_are_judged() {
    let scratch = scratch(&AttackProtection::default());
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                let transaction = from(&scratch, c"192.0.2.1");
                assert_eq!(transaction.authenticate(), AUTH_ERR);
                assert_eq!(transaction.heard(), ["Password: "]);
            });
        }
    });
    assert_eq!((scratch.judged(), counted(&scratch)), (10, 10));

    // The right password does not help any more, from there; from elsewhere it does.
    scratch.judge_right(true);
    assert_eq!(from(&scratch, c"192.0.2.1").authenticate(), AUTH_ERR);
    assert_eq!(scratch.judged(), 10);
    assert_eq!(from(&scratch, c"192.0.2.2").authenticate(), SUCCESS);
    // Who comes in by another way is told.
    let by_key = from(&scratch, c"192.0.2.1");
    assert_eq!(by_key.check_account(0), PERM_DENIED);
    let heard = by_key.heard();
    assert!(heard[0].starts_with("This account is locked until 20"), "{heard:?}");
    assert_eq!(from(&scratch, c"192.0.2.2").check_account(0), SUCCESS);
    assert_eq!(scratch.start("test", ACCOUNT).check_account(0), SUCCESS, "on this host");
}

#[test]
fn of_many_sources_at_once_all_failures_are_counted() {
    let scratch = scratch(&AttackProtection { max_attempts_total: 128, ..AttackProtection::default() });
    std::thread::scope(|scope| {
        for number in 0..32 {
            let scratch = &scratch;
            scope.spawn(move || {
                let host = CString::new(format!("192.0.2.{number}")).unwrap();
                for _ in 0..3 {
                    assert_eq!(from(scratch, &host).authenticate(), AUTH_ERR);
                }
            });
        }
    });
    assert_eq!((scratch.judged(), counted(&scratch)), (96, 96));
}

#[test]
fn many_right_passwords_at_once_are_all_right() {
    let scratch = scratch(&AttackProtection { max_attempts: 2, ..AttackProtection::default() });
    scratch.judge_right(true);
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| assert_eq!(from(&scratch, c"192.0.2.1").authenticate(), SUCCESS));
        }
    });
    assert_eq!(counted(&scratch), 0);
}

#[test]
fn success_starts_the_count_anew_and_the_daemon_is_told() {
    let scratch = scratch(&AttackProtection { max_attempts: 3, ..AttackProtection::default() });
    let daemon = Daemon::listen(&scratch.socket(), 16);
    let outcome = || {
        let Request::Attempt(report) = daemon.next() else { panic!("no attempt") };
        assert_eq!(
            (report.login.account.as_str(), report.login.uid, report.login.service.as_str()),
            (ACCOUNT, UID, "test")
        );
        assert_eq!(
            (report.login.remote_host.as_deref(), report.login.pid),
            (Some("192.0.2.1"), std::process::id())
        );
        report.outcome
    };
    let fail = |number, locks: bool| {
        assert_eq!(from(&scratch, c"192.0.2.1").authenticate(), AUTH_ERR);
        let AttemptOutcome::Failed { number: reported, counted: true, lock } = outcome() else {
            panic!("not failed")
        };
        assert_eq!((reported, lock.is_some_and(|lock| lock.source)), (number, locks));
    };
    fail(1, false);
    fail(2, false);
    scratch.judge_right(true);
    assert_eq!(from(&scratch, c"192.0.2.1").authenticate(), SUCCESS);
    assert_eq!(outcome(), AttemptOutcome::Succeeded { cleared: 2 });
    scratch.judge_right(false);
    fail(3, false);
    fail(4, false);
    fail(5, true);
    assert_eq!(from(&scratch, c"192.0.2.1").authenticate(), AUTH_ERR);
    assert!(matches!(outcome(), AttemptOutcome::Refused { until: Some(_) }));
    assert_eq!(scratch.judged(), 6);
}

#[test]
fn where_refused_attempts_come_to_the_judge_they_neither_succeed_nor_count() {
    let scratch = scratch(&AttackProtection { max_attempts: 2, ..AttackProtection::default() });
    scratch.stack_of("test", &STACK.replace("requisite", "required"));
    (0..2).for_each(|_| assert_eq!(from(&scratch, c"192.0.2.1").authenticate(), AUTH_ERR));
    assert_eq!(scratch.judged_password(), "wrong");
    for is_right in [true, false] {
        scratch.judge_right(is_right);
        assert_eq!(from(&scratch, c"192.0.2.1").authenticate(), AUTH_ERR);
        // What was typed does not even come to the judge.
        assert!(!scratch.judged_password().contains("wrong"));
    }
    assert_eq!((scratch.judged(), counted(&scratch)), (4, 2));
}

#[test]
fn locked_unlocked_and_unknown_look_the_same() {
    let scratch = scratch(&AttackProtection { max_attempts: 1, ..AttackProtection::default() });
    // The delay is the same also where the module that judges asks for none.
    let unix = "pam_unix.so try_first_pass nodelay";
    let requisite = STACK.replace("JUDGE", unix);
    for stack in
        [requisite.replace("requisite", "required"), requisite, profiles("pam_unix.so try_first_pass")]
    {
        scratch.stack_of("test", &stack);
        scratch.tallies.open(UID).unwrap().map(|tally| tally.clear(None).unwrap());
        // Not locked, locked, no such account.
        for (name, failures) in [(ACCOUNT, 1), (ACCOUNT, 1), ("nobody here", 1)] {
            let transaction = scratch.start("test", name);
            transaction.set(Item::RemoteHost, c"192.0.2.1");
            // pam_unix says USER_UNKNOWN to the service, not to the user; authfail makes that an error like the others.
            assert_eq!(transaction.authenticate(), AUTH_ERR, "{name}");
            assert_eq!(transaction.heard(), ["Password: "], "{name}");
            let delays = transaction.delays();
            assert_eq!(delays.len(), failures, "{name}");
            assert!(
                (Duration::from_secs(1)..Duration::from_secs(4)).contains(&delays[0]),
                "{name}: {delays:?}"
            );
        }
    }
}

#[test]
fn locked_unlocked_and_unknown_wait_for_their_like() {
    let scratch = scratch(&AttackProtection { max_attempts: 1, ..AttackProtection::default() });
    let locks_by_failing = scratch.start("test", ACCOUNT);
    locks_by_failing.set(Item::RemoteHost, c"192.0.2.2");
    assert_eq!(locks_by_failing.authenticate(), AUTH_ERR);
    // Without authfail a turn lasts for as long as its transaction.
    scratch.stack_of("test", "auth required LOCKDOWN preauth\nauth required JUDGE\n");
    let begin = |name, host| {
        let transaction = scratch.start("test", name);
        transaction.set(Item::RemoteHost, host);
        assert_ne!(transaction.authenticate(), SUCCESS);
        transaction
    };
    for (name, host) in [(ACCOUNT, c"192.0.2.1"), (ACCOUNT, c"192.0.2.2"), ("nobody here", c"192.0.2.1")] {
        let first = begin(name, host);
        let waited = std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let start = Instant::now();
                drop(begin(name, host));
                start.elapsed()
            });
            std::thread::sleep(Duration::from_secs(1));
            drop(first);
            second.join().unwrap()
        });
        assert!(waited > Duration::from_millis(500), "{name} {host:?}: {waited:?}");
        // It waited, and that is all.
        let start = Instant::now();
        let (_first, _other) = (begin(name, host), begin(name, c"192.0.2.3"));
        assert!(start.elapsed() < Duration::from_secs(5), "{name} {host:?}: another source waited");
    }
    let (_one, start) = (begin("nobody here", c"192.0.2.1"), Instant::now());
    drop(begin("nobody there", c"192.0.2.1"));
    assert!(start.elapsed() < Duration::from_secs(5), "another name waited");
}

#[test]
fn a_turn_ends_with_account_or_setcred_where_a_stack_has_no_authsucc() {
    let scratch = scratch(&AttackProtection::default());
    scratch.stack_of(
        "test",
        "auth requisite LOCKDOWN preauth\nauth required JUDGE\nauth required pam_permit.so\naccount required LOCKDOWN\n",
    );
    scratch.judge_right(true);
    // As sshd does, which keeps its transaction for as long as the session lasts.
    let kept = [from(&scratch, c"192.0.2.1"), from(&scratch, c"192.0.2.1"), from(&scratch, c"192.0.2.1")];
    let start = Instant::now();
    assert_eq!((kept[0].authenticate(), kept[0].check_account(0)), (SUCCESS, SUCCESS));
    assert_eq!((kept[1].authenticate(), kept[1].set_credentials()), (SUCCESS, SUCCESS));
    assert_eq!(kept[2].authenticate(), SUCCESS);
    // sudo asks three times in one transaction.
    assert_eq!(kept[2].authenticate(), SUCCESS);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn no_directory_of_tallies_locks_nobody_out() {
    let scratch = scratch(&AttackProtection { max_attempts: 1, ..AttackProtection::default() });
    std::fs::remove_dir(scratch.tallies.path()).unwrap();
    assert_eq!(from(&scratch, c"192.0.2.1").authenticate(), AUTH_ERR);
    scratch.judge_right(true);
    let transaction = from(&scratch, c"192.0.2.1");
    assert_eq!((transaction.authenticate(), transaction.check_account(0)), (SUCCESS, SUCCESS));
}

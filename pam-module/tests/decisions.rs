//! The module as libpam loads it: real transactions on real records. Has to be run by root.

#![allow(clippy::unwrap_used, reason = "in a test")]

mod daemon;
mod libpam;
mod support;

use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use daemon::{Daemon, as_uid};
use libpam::{ACCT_EXPIRED, AUTH_ERR, Item, PERM_DENIED, SILENT, SUCCESS};
use lockdown_enforcement::{Denial, DenialKind, Phase, Record, Reply, Request};
use support::{ACCOUNT, Scratch, UID, locked};

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

#[test]
fn nobody_is_denied_without_a_record() {
    let scratch = Scratch::new();
    let transaction = scratch.start_with("", ACCOUNT);
    assert_eq!(transaction.authenticate(), SUCCESS);
    assert_eq!(transaction.check_account(0), SUCCESS);
    assert_eq!(transaction.open_session(0), SUCCESS);
    assert_eq!(transaction.close_session(), SUCCESS);
    assert!(transaction.heard().is_empty());
}

#[test]
fn a_lock_denies_account_and_session_until_it_ends() {
    let scratch = Scratch::new();
    scratch.enforce(&locked(UID, Some(now() + 3600)));
    let transaction = scratch.start_with("", ACCOUNT);
    assert_eq!(transaction.check_account(0), PERM_DENIED);
    assert_eq!(transaction.open_session(0), PERM_DENIED);
    let heard = transaction.heard();
    assert!(heard[0].starts_with("This account is locked until 20"), "{heard:?}");
    assert!(heard[0].ends_with(" UTC.\nCall the help desk."), "{heard:?}");
    assert_eq!(scratch.start_with("", "root").check_account(0), SUCCESS);

    scratch.enforce(&locked(UID, Some(now() - 1)));
    assert_eq!(transaction.check_account(0), SUCCESS);
    assert_eq!(transaction.open_session(0), SUCCESS);
}

#[test]
fn an_expired_account_is_denied() {
    let scratch = Scratch::new();
    scratch.enforce(&Record { locks: vec![], valid_until: Some(now() - 1), ..locked(UID, None) });
    let transaction = scratch.start_with("", ACCOUNT);
    assert_eq!(transaction.check_account(0), ACCT_EXPIRED);
    assert_eq!(transaction.heard(), ["This account has expired."]);
}

#[test]
fn nothing_is_said_where_it_must_not_be() {
    let scratch = Scratch::new();
    scratch.enforce(&locked(UID, None));
    for service in ["sshd", "renamed"] {
        scratch.stack(service, "");
        let transaction = scratch.start(service, ACCOUNT);
        transaction.put_variable(c"SSH_CONNECTION=192.0.2.1 4 192.0.2.2 22");
        assert_eq!(transaction.open_session(0), PERM_DENIED);
        assert!(transaction.heard().is_empty(), "{service}");
        assert_eq!(transaction.check_account(0), PERM_DENIED);
        assert_eq!(transaction.heard().len(), 1, "{service}");
    }
    for (arguments, flags) in [("quiet", 0), ("", SILENT)] {
        let transaction = scratch.start_with(arguments, ACCOUNT);
        assert_eq!(transaction.check_account(flags), PERM_DENIED);
        assert_eq!(transaction.open_session(flags), PERM_DENIED);
        assert!(transaction.heard().is_empty(), "{arguments}");
    }
}

#[test]
fn a_damaged_record_denies_its_account_but_not_root() {
    let scratch = Scratch::new();
    for uid in [UID, 0] {
        fs::write(scratch.records.record_path(uid), "lockdown-record 1\nuid 1\n").unwrap();
    }
    assert_eq!(scratch.start_with("on_error=allow", ACCOUNT).check_account(0), PERM_DENIED);
    assert_eq!(scratch.start_with("", "root").check_account(0), SUCCESS);
    assert_eq!(scratch.start_with("", "bin").check_account(0), SUCCESS);
    // The primary group of the account.
    assert_eq!(scratch.start_with("break_glass=daemon", ACCOUNT).check_account(0), SUCCESS);
    assert_eq!(scratch.start_with("break_glass=root", ACCOUNT).check_account(0), PERM_DENIED);
}

#[test]
fn a_missing_directory_goes_as_on_error_says() {
    let scratch = Scratch::new();
    fs::remove_dir(scratch.records.path()).unwrap();
    assert_eq!(scratch.start_with("", ACCOUNT).check_account(0), PERM_DENIED);
    assert_eq!(scratch.start_with("on_error=deny", ACCOUNT).open_session(0), PERM_DENIED);
    assert_eq!(scratch.start_with("on_error=allow", ACCOUNT).check_account(0), SUCCESS);
    assert_eq!(scratch.start_with("", "root").check_account(0), SUCCESS);
    assert_eq!(scratch.start_with("break_glass=daemon", ACCOUNT).check_account(0), SUCCESS);
}

#[test]
fn wrong_arguments_change_nothing() {
    let scratch = Scratch::new();
    scratch.enforce(&locked(UID, None));
    let wrong = "on_error=maybe preauth=1 nonsense directory=relative";
    assert_eq!(scratch.start_with(wrong, ACCOUNT).check_account(0), PERM_DENIED);
    assert_eq!(scratch.start_with(wrong, "root").check_account(0), SUCCESS);
    assert_eq!(scratch.start_with(wrong, ACCOUNT).authenticate(), SUCCESS);
}

#[test]
fn names_that_no_account_has_are_left_to_other_modules() {
    let scratch = Scratch::new();
    scratch.enforce(&locked(UID, None));
    let long = "x".repeat(10_000);
    for name in ["no such account", "a\nb: \"c\"", "\u{1b}[2J", ";$(id)", "../1", &long] {
        let transaction = scratch.start_with("debug", name);
        assert_eq!(transaction.check_account(0), SUCCESS, "{name}");
        assert_eq!(transaction.open_session(0), SUCCESS, "{name}");
        assert_eq!(transaction.close_session(), SUCCESS, "{name}");
    }
}

#[test]
fn the_daemon_is_told_of_sessions_and_denials() {
    let scratch = Scratch::new();
    let daemon = Daemon::listen(&scratch.socket(), 8);
    scratch.stack("sshd", "");
    let transaction = scratch.start("sshd", ACCOUNT);
    transaction.set(Item::Tty, c"ssh");
    transaction.set(Item::RemoteHost, c"192.0.2.1\n");
    transaction.put_variable(c"XDG_SESSION_ID=c7");
    transaction.put_variable(c"SSH_AUTH_INFO_0=publickey ssh-ed25519 AAAA");
    assert_eq!(transaction.check_account(0), SUCCESS);
    assert_eq!(transaction.open_session(0), SUCCESS);
    let Request::SessionOpened(opened) = daemon.next() else { panic!("no session opened") };
    assert_eq!(
        (opened.login.account.as_str(), opened.login.uid, opened.login.service.as_str()),
        (ACCOUNT, UID, "sshd")
    );
    assert_eq!(
        (opened.login.tty.as_deref(), opened.login.remote_host.as_deref()),
        (Some("ssh"), Some("192.0.2.1\n"))
    );
    assert_eq!((opened.logind_session.as_deref(), opened.login.remote_user.as_deref()), (Some("c7"), None));
    assert_eq!(opened.auth_info.as_deref(), Some("publickey ssh-ed25519 AAAA"));
    assert_eq!(opened.login.pid, std::process::id());

    assert_eq!(transaction.close_session(), SUCCESS);
    assert_eq!(daemon.next(), Request::SessionClosed(opened));

    scratch.enforce(&locked(UID, None));
    assert_eq!(transaction.check_account(0), PERM_DENIED);
    assert_eq!(transaction.open_session(0), PERM_DENIED);
    for phase in [Phase::Account, Phase::Session] {
        let Request::Denied(denied) = daemon.next() else { panic!("no denial") };
        assert_eq!((denied.login.account.as_str(), denied.login.uid, denied.phase), (ACCOUNT, UID, phase));
        assert_eq!(
            denied.kind,
            DenialKind::Locked { lock: 7, owner: "operator".into(), authenticator: None }
        );
    }
}

#[test]
fn who_reaches_the_trigger_is_reported_and_sees_what_a_wrong_password_shows() {
    let scratch = Scratch::new();
    let daemon = Daemon::listen(&scratch.socket(), 8);
    for name in [ACCOUNT, "root", "no such account"] {
        let transaction = scratch.start_with("trigger=lockdown", name);
        transaction.set(Item::RemoteHost, c"192.0.2.1");
        assert_eq!(transaction.authenticate(), AUTH_ERR, "{name}");
        assert_eq!(transaction.heard(), ["Password: "], "{name}");
        let [delay] = transaction.delays()[..] else { panic!("{:?}", transaction.delays()) };
        // libpam makes it up to half as long or as short again, so that nobody can measure anything by it.
        assert!((Duration::from_secs(1)..Duration::from_secs(4)).contains(&delay), "{delay:?}");
        assert_eq!(transaction.check_account(0), AUTH_ERR, "{name}");
        assert_eq!(transaction.heard().len(), 1, "{name}");
    }
    for (name, uid) in [(ACCOUNT, UID), ("root", 0)] {
        for phase in [Phase::Auth, Phase::Account] {
            let Request::Trigger(report) = daemon.next() else { panic!("no trigger") };
            assert_eq!((report.login.account.as_str(), report.login.uid, report.phase), (name, uid, phase));
            assert_eq!((report.login.service.as_str(), report.login.pid), ("test", std::process::id()));
            assert_eq!(report.login.remote_host.as_deref(), Some("192.0.2.1"));
        }
    }
    // Nobody listens.
    drop(daemon);
    fs::remove_file(scratch.socket()).unwrap();
    assert_eq!(scratch.start_with("trigger=lockdown", ACCOUNT).authenticate(), AUTH_ERR);
}

#[test]
fn a_daemon_that_does_not_listen_holds_nobody_up() {
    let scratch = Scratch::new();
    let daemon = Daemon::listen(&scratch.socket(), 0);
    scratch.stack("test", "");
    let transaction = scratch.start("test", ACCOUNT);
    let start = Instant::now();
    // More than the socket has room for.
    for _ in 0..20 {
        assert_eq!(transaction.open_session(0), SUCCESS);
    }
    assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
    // What found room waits for the daemon, even when the sender is gone.
    drop(transaction);
    assert!(matches!(daemon.next(), Request::SessionOpened(_)));
}

#[test]
fn a_process_that_may_not_read_the_records_asks_about_itself() {
    let scratch = Scratch::new();
    scratch.enforce(&locked(UID, None));
    scratch.stack("locker", "");
    let locker = || as_uid(UID, || scratch.start("locker", ACCOUNT).check_account(0));
    assert_eq!(locker(), SUCCESS, "no daemon");

    let daemon = Daemon::listen(&scratch.socket(), 8);
    let denial = Denial { kind: DenialKind::Expired { valid_until: 0 }, expires_at: None, message: None };
    for (reply, code) in [(Reply::Allow, SUCCESS), (Reply::Deny(denial), ACCT_EXPIRED)] {
        std::thread::scope(|scope| {
            let asked = scope.spawn(locker);
            let peer = daemon.accept();
            assert_eq!((peer.receive(), peer.uid()), (Request::Ask, UID));
            peer.send(&reply);
            assert_eq!(asked.join().unwrap(), code);
        });
    }
    assert!(matches!(daemon.next(), Request::Denied(_)));

    let start = Instant::now();
    assert_eq!(locker(), SUCCESS, "a daemon that hangs");
    assert!(
        (Duration::from_millis(900)..Duration::from_secs(3)).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
    // Another account's record: not to be read, and not to be asked about.
    let other = || as_uid(2, || scratch.start("locker", ACCOUNT).check_account(0));
    assert_eq!(other(), PERM_DENIED);
    scratch.stack("locker", "on_error=allow");
    assert_eq!(other(), SUCCESS);
}

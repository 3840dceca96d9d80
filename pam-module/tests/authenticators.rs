//! Locked authenticators as libpam runs them. Has to be run by root.

#![allow(clippy::unwrap_used, reason = "in a test")]

mod daemon;
mod libpam;
mod support;

use daemon::Daemon;
use libpam::{AUTH_ERR, PERM_DENIED, SUCCESS};
use lockdown_enforcement::{AttackProtection, DenialKind, Phase, Record, Request, ssh};
use support::{ACCOUNT, Scratch, UID, locked};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICdTtSu/ZYSakBRnbD4PDDZ85pX+VRxZsOqkeELzBuE1";

fn locked_authenticator(id: &str) -> Record {
    let mut record = locked(UID, None);
    record.locks[0].authenticator = Some(id.to_owned());
    record
}

#[test]
fn a_guard_has_the_stack_pass_over_what_is_locked() {
    let scratch = Scratch::new();
    scratch.judge_right(true);
    let stack = "auth [success=ignore authinfo_unavail=1 default=die] LOCKDOWN authenticator=fingerprint\n\
        auth sufficient JUDGE\nauth requisite pam_deny.so\naccount required LOCKDOWN\n";
    scratch.stack_of("test", stack);
    assert_eq!(scratch.start("test", ACCOUNT).authenticate(), SUCCESS);
    for id in ["fingerprint", "fingerprint:left-thumb"] {
        scratch.enforce(&locked_authenticator(id));
        let transaction = scratch.start("test", ACCOUNT);
        assert_eq!(transaction.authenticate(), AUTH_ERR);
        assert!(transaction.heard().is_empty());
        assert_eq!(transaction.check_account(0), SUCCESS);
    }
    scratch.enforce(&locked_authenticator("password"));
    assert_eq!(scratch.start("test", ACCOUNT).authenticate(), SUCCESS);
    assert_eq!(scratch.judged(), 2);
}

#[test]
fn a_locked_password_looks_like_a_wrong_one() {
    let scratch = Scratch::new();
    let stack = "auth [success=ignore authinfo_unavail=1 default=die] LOCKDOWN authenticator=password\n\
        auth sufficient pam_unix.so\nauth requisite pam_deny.so\n";
    scratch.stack_of("test", stack);
    let mut seen = Vec::new();
    for name in [ACCOUNT, ACCOUNT, "nobody here"] {
        let transaction = scratch.start("test", name);
        // libpam gives the first failure's code, which is not shown to who types: pam_deny's, after a pass over pam_unix.
        assert_ne!(transaction.authenticate(), SUCCESS);
        seen.push((transaction.heard(), transaction.delays().len()));
        scratch.enforce(&locked_authenticator("password"));
    }
    assert!(seen.iter().all(|look| *look == (vec!["Password: ".to_owned()], 1)), "{seen:?}");
}

#[test]
fn a_locked_key_opens_no_session_in_silence_and_the_daemon_is_told_which() {
    let scratch = Scratch::new();
    let daemon = Daemon::listen(&scratch.socket(), 8);
    let id = ssh::key_id(KEY).unwrap();
    scratch.enforce(&locked_authenticator(&id));
    scratch.stack("sshd", "");
    let transaction = scratch.start("sshd", ACCOUNT);
    assert_eq!(transaction.check_account(0), SUCCESS);
    let variable = std::ffi::CString::new(format!("SSH_AUTH_INFO_0=publickey {KEY}\npassword\n")).unwrap();
    transaction.put_variable(&variable);
    assert_eq!(transaction.open_session(0), PERM_DENIED);
    assert!(transaction.heard().is_empty());
    let Request::Denied(denied) = daemon.next() else { panic!("not denied") };
    assert_eq!(denied.phase, Phase::Session);
    assert!(matches!(denied.kind, DenialKind::Locked { authenticator: Some(locked), .. } if locked == id));

    transaction.put_variable(c"SSH_AUTH_INFO_0=password");
    assert_eq!(transaction.open_session(0), SUCCESS);
    scratch.enforce(&locked_authenticator("password"));
    assert_eq!(transaction.open_session(0), PERM_DENIED);
    assert!(transaction.heard().is_empty());
}

/// The example of pam_lockdown(8), with another judge than pam_unix.
#[test]
fn the_stack_of_the_manual_guards_counts_and_lets_in() {
    let scratch = Scratch::new();
    scratch.protect(&AttackProtection { max_attempts: 2, ..AttackProtection::default() });
    let manual = include_str!("../../packaging/man/pam_lockdown.8");
    let lines = manual.lines().skip_while(|line| !line.contains("authinfo_unavail=3"));
    let lines = lines.take_while(|line| *line != ".fi").collect::<Vec<_>>().join("\n");
    scratch.stack_of("test", &lines.replace("pam_lockdown.so", "LOCKDOWN").replace("pam_unix.so", "JUDGE"));
    let authenticate = || scratch.start("test", ACCOUNT).authenticate();
    let count = || scratch.tallies.create(UID).unwrap().read().unwrap().count();
    scratch.judge_right(true);
    assert_eq!((authenticate(), scratch.judged()), (SUCCESS, 1));
    scratch.enforce(&locked_authenticator("password"));
    assert_eq!((authenticate() == SUCCESS, scratch.judged(), count()), (false, 1, 0));
    scratch.records.remove(UID).unwrap();
    scratch.judge_right(false);
    assert_eq!((authenticate(), count()), (AUTH_ERR, 1));
    assert_eq!((authenticate(), count()), (AUTH_ERR, 2));
    scratch.judge_right(true);
    assert_eq!((authenticate(), count()), (AUTH_ERR, 2));
}

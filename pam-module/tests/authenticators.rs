//! Locked authenticators as libpam runs them. Has to be run by root.

#![allow(clippy::unwrap_used, reason = "in a test")]

mod daemon;
mod libpam;
mod support;

use daemon::Daemon;
use libpam::{AUTH_ERR, PERM_DENIED, SUCCESS};
use lockdown_enforcement::{AttackProtection, DenialKind, Phase, Record, Request, ssh};
use support::{ACCOUNT, Scratch, UID, locked, profiles};

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

#[test]
fn the_lines_of_the_package_have_a_locked_password_judged_in_vain() {
    let scratch = Scratch::new();
    let daemon = Daemon::listen(&scratch.socket(), 8);
    scratch.judge_right(true);
    scratch.stack_of("test", &profiles("JUDGE"));
    let authenticate = || {
        let transaction = scratch.start("test", ACCOUNT);
        (transaction.authenticate(), transaction.heard())
    };
    let asked_once = || vec!["Password: ".to_owned()];
    assert_eq!(authenticate(), (SUCCESS, asked_once()));
    assert_eq!((scratch.judged(), scratch.judged_password().as_str()), (1, "wrong"));

    // A judge that says yes to anything changes nothing; another authenticator's lock does not, either.
    for (id, expected) in [("fingerprint", SUCCESS), ("password", AUTH_ERR), ("password:x", AUTH_ERR)] {
        scratch.enforce(&locked_authenticator(id));
        assert_eq!(authenticate().0, expected, "{id}");
    }
    assert_eq!((scratch.judged(), scratch.judged_password().contains("wrong")), (4, false));
    for fingerprint in [true, false, false] {
        let Request::Denied(denied) = daemon.next() else { panic!("not denied") };
        let DenialKind::Locked { authenticator: Some(id), .. } = denied.kind else { panic!("not locked") };
        assert_eq!((denied.phase, id == "fingerprint"), (Phase::Auth, fingerprint));
    }

    // Several attempts in one transaction, as sudo makes them; the lock is lifted in between.
    let transaction = scratch.start("test", ACCOUNT);
    assert_eq!(transaction.authenticate(), AUTH_ERR);
    scratch.records.remove(UID).unwrap();
    assert_eq!((transaction.authenticate(), transaction.set_credentials()), (SUCCESS, SUCCESS));
    assert_eq!(transaction.heard(), [asked_once(), asked_once()].concat());
}

#[test]
fn by_the_lines_of_the_package_right_wrong_locked_and_unknown_look_the_same() {
    let scratch = Scratch::new();
    scratch.stack_of("test", &profiles("pam_unix.so try_first_pass"));
    for protected in [false, true] {
        if protected {
            scratch.protect(&AttackProtection::default());
        }
        for (name, lock) in [(ACCOUNT, None), (ACCOUNT, Some("password")), ("nobody here", None)] {
            if let Some(id) = lock {
                scratch.enforce(&locked_authenticator(id));
            }
            let transaction = scratch.start("test", name);
            assert_eq!(transaction.authenticate(), AUTH_ERR, "{name}");
            assert_eq!(transaction.heard(), ["Password: "], "{name}");
            assert_eq!(transaction.delays().len(), 1, "{name}");
            scratch.records.remove(UID).unwrap();
        }
    }
    let counted = scratch.tallies.open(UID).unwrap().unwrap().read().unwrap().count();
    assert_eq!(counted, 1, "what was refused for the lock is not counted");
}

#[test]
fn the_lines_of_the_package_let_in_while_the_module_cannot_be_loaded() {
    let scratch = Scratch::new();
    scratch.judge_right(true);
    scratch.stack_of("test", &profiles("JUDGE").replace("LOCKDOWN", "/nonexistent/pam_lockdown.so"));
    let transaction = scratch.start("test", ACCOUNT);
    assert_eq!((transaction.authenticate(), transaction.set_credentials()), (SUCCESS, SUCCESS));
    scratch.judge_right(false);
    assert_ne!(scratch.start("test", ACCOUNT).authenticate(), SUCCESS);
    // And with it, to cron, which only sets credentials.
    scratch.stack_of("test", &profiles("pam_permit.so"));
    assert_eq!(scratch.start("test", ACCOUNT).set_credentials(), SUCCESS);
}

#[test]
fn a_guard_jumps_over_the_reader_or_over_the_line_that_holds_its_place() {
    let scratch = Scratch::new();
    scratch.judge_right(true);
    let with_reader = profiles("JUDGE").replacen(
        "auth [default=ignore]\t",
        "auth [success=5 default=ignore] pam_permit.so\nauth [default=ignore]\t",
        1,
    );
    assert_ne!(with_reader, profiles("JUDGE"), "the line that holds a place is not there");
    for (stack, judged) in [(with_reader, [0, 1]), (profiles("JUDGE"), [3, 4])] {
        scratch.stack_of("test", &stack);
        for (lock, judged) in [None, Some("fingerprint:left-thumb")].into_iter().zip(judged) {
            scratch.records.remove(UID).unwrap();
            if let Some(id) = lock {
                scratch.enforce(&locked_authenticator(id));
            }
            assert_eq!(scratch.start("test", ACCOUNT).authenticate(), SUCCESS);
            assert_eq!(scratch.judged(), judged, "{lock:?}");
        }
        // The jump does not fall on the line that guards the password.
        let mut both = locked_authenticator("fingerprint");
        both.locks.extend(locked_authenticator("password").locks);
        scratch.enforce(&both);
        assert_eq!(scratch.start("test", ACCOUNT).authenticate(), AUTH_ERR);
    }
}

/// The examples of pam_lockdown(8) that `is_meant`, as stacks.
fn examples(is_meant: impl Fn(&str) -> bool) -> Vec<String> {
    let manual = include_str!("../../packaging/man/pam_lockdown.8");
    let blocks = manual.split(".nf\n").skip(1).filter_map(|block| block.split(".fi\n").next());
    blocks.filter(|block| is_meant(block)).map(|block| block.replace("pam_lockdown.so", "LOCKDOWN")).collect()
}

#[test]
fn the_stack_of_the_manual_guards_counts_and_lets_in() {
    let scratch = Scratch::new();
    scratch.protect(&AttackProtection { max_attempts: 2, ..AttackProtection::default() });
    let [stack] = &examples(|block| block.contains("pam_unix.so"))[..] else { panic!("one example") };
    scratch.stack_of("test", &stack.replace("pam_unix.so try_first_pass", "JUDGE"));
    let authenticate = || scratch.start("test", ACCOUNT).authenticate();
    let count = || scratch.tallies.create(UID).unwrap().read().unwrap().count();
    scratch.judge_right(true);
    assert_eq!((authenticate(), scratch.judged()), (SUCCESS, 1));
    scratch.enforce(&locked_authenticator("password"));
    assert_eq!((authenticate(), scratch.judged(), count()), (AUTH_ERR, 2, 0));
    scratch.records.remove(UID).unwrap();
    scratch.judge_right(false);
    assert_eq!((authenticate(), count()), (AUTH_ERR, 1));
    assert_eq!((authenticate(), count()), (AUTH_ERR, 2));
    scratch.judge_right(true);
    assert_eq!((authenticate(), count()), (AUTH_ERR, 2));
}

#[test]
fn the_guards_of_the_manual_keep_what_is_locked_from_letting_in() {
    let scratch = Scratch::new();
    scratch.judge_right(true);
    let guards = examples(|block| block.lines().count() == 2 && block.contains("authenticator="));
    assert_eq!(guards.len(), 4);
    for guard in guards {
        let kind = ["u2f", "face", "pin"].into_iter().find(|kind| guard.contains(kind)).unwrap();
        let (first, second) = guard.split_once('\n').unwrap();
        let control = second.split_whitespace().nth(1).unwrap();
        let stack = format!("{first}\nauth {control} JUDGE\nauth requisite pam_deny.so\n");
        scratch
            .stack_of("test", &stack.replace("required JUDGE\nauth requisite pam_deny.so", "required JUDGE"));
        let before = scratch.judged();
        assert_eq!((scratch.start("test", ACCOUNT).authenticate(), scratch.judged()), (SUCCESS, before + 1));
        scratch.enforce(&locked_authenticator(kind));
        let refused = scratch.start("test", ACCOUNT).authenticate() != SUCCESS;
        assert_eq!((refused, scratch.judged()), (true, before + 1), "{guard}");
        scratch.records.remove(UID).unwrap();
    }
}

#[test]
fn the_lines_for_authselect_guard_count_and_let_in() {
    let scratch = Scratch::new();
    scratch.protect(&AttackProtection { max_attempts: 2, ..AttackProtection::default() });
    let text = include_str!("../../packaging/fedora.md");
    let block = text.split("```\n").find(|block| block.contains("pam_unix.so nullok")).unwrap();
    let lines: String = block.lines().map(|line| format!("{}\n", line.split('{').next().unwrap())).collect();
    let stack =
        format!("{lines}auth required pam_deny.so\n").replace("pam_unix.so nullok try_first_pass", "JUDGE");
    let authenticate = || scratch.start("test", ACCOUNT).authenticate();
    scratch.judge_right(true);
    for module in ["/nonexistent/pam_lockdown.so", "LOCKDOWN"] {
        scratch.stack_of("test", &stack.replace("pam_lockdown.so", module));
        assert_eq!(authenticate(), SUCCESS, "{module}");
    }
    scratch.enforce(&locked_authenticator("password"));
    assert_eq!((authenticate(), scratch.judged()), (AUTH_ERR, 3));
    scratch.records.remove(UID).unwrap();
    scratch.judge_right(false);
    assert_eq!([authenticate(), authenticate()], [AUTH_ERR; 2]);
    scratch.judge_right(true);
    assert_eq!(authenticate(), AUTH_ERR, "two failures lock");
}

//! Conversations with a scripted host.

use std::io;
use std::time::Duration;

use lockdown_enforcement::{
    AttackProtection, AttackProtectionError, Failure, LockEntry, Source, Table, tally::NOBODYS_UID,
};

use super::*;
use script::{
    Script,
    Step::{self, *},
};

mod attempts;
mod authenticator;
mod script;
mod trigger;

const NOW: i64 = 1_000_000;
const ALICE: Account = Account { uid: 1000, gid: 1000 };
const ROOT: Account = Account { uid: 0, gid: 0 };

fn check(script: impl IntoIterator<Item = Step>) -> Code {
    with(Arguments::default(), script)
}

fn with(arguments: Arguments, script: impl IntoIterator<Item = Step>) -> Code {
    check_account(&Script::of(script), &arguments, 0)
}

fn open(arguments: Arguments, flags: c_int, script: impl IntoIterator<Item = Step>) -> Code {
    open_session(&Script::of(script), &arguments, flags)
}

fn record(uid: u32, valid_until: Option<i64>, lock_expires_at: Option<Option<i64>>) -> Step {
    let lock = |expires_at| LockEntry {
        id: 3,
        owner: "operator".into(),
        authenticator: None,
        expires_at,
        message: Some("Call 7.".into()),
    };
    let locks = lock_expires_at.map(lock).into_iter().collect();
    File(Ok(Some(Record { uid, account: "alice".into(), valid_until, locks })))
}

fn known(account: Account) -> Step {
    Nss(Ok(Some(account)))
}

fn denied_in(phase: Phase) -> fn(&Request) -> bool {
    match phase {
        Phase::Session => {
            |request| matches!(request, Request::Denied(report) if report.phase == Phase::Session)
        }
        _ => |request| matches!(request, Request::Denied(report) if report.phase == Phase::Account),
    }
}

fn refused() -> ReadError {
    ReadError::Io(io::ErrorKind::PermissionDenied.into())
}

fn allow_on_error() -> Arguments {
    Arguments { on_error: OnError::Allow, ..Arguments::default() }
}

const LOCKED_LINE: &str =
    r#"denied: user="alice" uid=1000 service="su" tty="pts/1\n" rhost="192.0.2.1" lock=3 owner="operator""#;

#[test]
fn no_record_lets_in_with_four_questions() {
    assert_eq!(check([User(Some(c"alice")), known(ALICE), File(Ok(None)), Now]), Code::Success);
}

#[test]
fn a_lock_denies_and_says_so() {
    let script = [
        User(Some(c"alice")),
        known(ALICE),
        record(1000, None, Some(None)),
        Now,
        About("su"),
        Log(Priority::Notice, LOCKED_LINE),
        Say("This account is locked.\nCall 7."),
        Ids(0, 0),
        Report(denied_in(Phase::Account)),
    ];
    assert_eq!(check(script), Code::PermissionDenied);
}

#[test]
fn a_lock_that_has_ended_lets_in() {
    assert_eq!(
        check([User(Some(c"alice")), known(ALICE), record(1000, None, Some(Some(NOW))), Now]),
        Code::Success
    );
}

#[test]
fn an_expired_account_is_denied_by_the_code_for_it() {
    let script = [
        User(Some(c"alice")),
        known(ALICE),
        record(1000, Some(NOW), None),
        Now,
        About("su"),
        Log(Priority::Notice, "denied: "),
        Say("This account has expired."),
        Ids(0, 0),
        Report(denied_in(Phase::Account)),
    ];
    assert_eq!(check(script), Code::AccountExpired);
}

#[test]
fn nothing_is_said_when_quiet_or_silent_or_in_the_session_of_sshd() {
    let script = |service| {
        [
            User(Some(c"alice")),
            known(ALICE),
            record(1000, None, Some(None)),
            Now,
            About(service),
            Log(Priority::Notice, "denied: "),
            Ids(0, 0),
            Report(denied_in(Phase::Session)),
        ]
    };
    let quiet = Arguments { quiet: true, ..Arguments::default() };
    assert_eq!(open(quiet, 0, script("login")), Code::PermissionDenied);
    assert_eq!(open(Arguments::default(), SILENT, script("login")), Code::PermissionDenied);
    assert_eq!(open(Arguments::default(), 0, script("sshd")), Code::PermissionDenied);
}

#[test]
fn a_session_is_reported_when_it_opens_and_when_it_closes() {
    let opened = [
        User(Some(c"alice")),
        known(ALICE),
        File(Ok(None)),
        Now,
        About("sshd"),
        Ids(0, 0),
        Report(
            |request| matches!(request, Request::SessionOpened(session) if session.login.uid == 1000 && session.login.pid == 7),
        ),
    ];
    assert_eq!(open(Arguments::default(), 0, opened), Code::Success);
    let closed = [
        User(Some(c"alice")),
        known(ALICE),
        About("sshd"),
        Ids(0, 0),
        Report(
            |request| matches!(request, Request::SessionClosed(session) if session.login.account == "alice"),
        ),
    ];
    let script = Script::of(closed);
    assert_eq!(close_session(&script, &Arguments::default(), 0), Code::Success);
}

#[test]
fn closing_never_fails() {
    for script in [vec![User(None)], vec![User(Some(c"alice")), Nss(Err(io::ErrorKind::Other.into()))]] {
        let script = Script::of(script);
        assert_eq!(close_session(&script, &Arguments::default(), 0), Code::Success);
    }
}

#[test]
fn a_record_for_root_does_not_deny_root() {
    let script = [
        User(Some(c"root")),
        known(ROOT),
        record(0, None, Some(None)),
        Now,
        Log(Priority::Alert, "LET IN UNCHECKED: user=\"root\": root cannot be locked"),
    ];
    assert_eq!(check(script), Code::Success);
}

#[test]
fn an_unreadable_record_denies_whatever_on_error_says() {
    for error in [ReadError::NotTrusted, ReadError::OtherUid(7), refused()] {
        // A root process that may not read is no screen locker.
        let asks_who = error.is_permission_denied().then_some(Ids(0, 0));
        let start = [User(Some(c"alice")), known(ALICE), File(Err(error))];
        let end = [
            Log(Priority::Error, "\"alice\" cannot be checked: the deny record of uid 1000 "),
            About("su"),
            Log(Priority::Notice, "denied: "),
            Say("This account cannot be used for now. Please tell the administrator of this host."),
            Ids(0, 0),
            Report(denied_in(Phase::Account)),
        ];
        assert_eq!(
            with(allow_on_error(), start.into_iter().chain(asks_who).chain(end)),
            Code::PermissionDenied
        );
    }
}

#[test]
fn root_and_who_breaks_glass_get_in_past_an_unreadable_record() {
    let let_in = |user| Log(Priority::Alert, user);
    let script = [
        User(Some(c"root")),
        known(ROOT),
        File(Err(ReadError::NotTrusted)),
        let_in("LET IN UNCHECKED: user=\"root\""),
    ];
    assert_eq!(check(script), Code::Success);
    let rescue = || Arguments { break_glass: Some("rescue".into()), ..Arguments::default() };
    let script = [
        User(Some(c"alice")),
        known(ALICE),
        File(Err(ReadError::NotTrusted)),
        IsMember("rescue", true),
        let_in("LET IN UNCHECKED: user=\"alice\""),
    ];
    assert_eq!(with(rescue(), script), Code::Success);
}

#[test]
fn breaking_glass_does_not_lift_a_lock() {
    let script = [
        User(Some(c"alice")),
        known(ALICE),
        record(1000, None, Some(None)),
        Now,
        About("su"),
        Log(Priority::Notice, LOCKED_LINE),
        Say("This account is locked.\nCall 7."),
        Ids(0, 0),
        Report(denied_in(Phase::Account)),
    ];
    let rescue = Arguments { break_glass: Some("rescue".into()), ..allow_on_error() };
    assert_eq!(with(rescue, script), Code::PermissionDenied);
}

#[test]
fn a_missing_directory_goes_as_on_error_says() {
    let start = |name, account| [User(Some(name)), known(account), File(Err(ReadError::DirectoryMissing))];
    let let_in = || Log(Priority::Alert, "LET IN UNCHECKED: ");
    let denied = [
        Log(Priority::Error, "\"alice\" cannot be checked: the directory"),
        About("su"),
        Log(Priority::Notice, "denied: "),
        Say("This account cannot be used for now. Please tell the administrator of this host."),
        Ids(0, 0),
        Report(denied_in(Phase::Account)),
    ];
    assert_eq!(check(start(c"alice", ALICE).into_iter().chain(denied)), Code::PermissionDenied);
    assert_eq!(with(allow_on_error(), start(c"alice", ALICE).into_iter().chain([let_in()])), Code::Success);
    assert_eq!(check(start(c"root", ROOT).into_iter().chain([let_in()])), Code::Success);
}

#[test]
fn a_failing_nss_goes_as_on_error_says_and_knows_root_by_name() {
    let start = |name| [User(Some(name)), Nss(Err(io::ErrorKind::TimedOut.into()))];
    let denied = [Log(Priority::Error, "\"a\\nb\" cannot be checked: NSS ")];
    let let_in = || [Log(Priority::Alert, "LET IN UNCHECKED: ")];
    assert_eq!(check(start(c"a\nb").into_iter().chain(denied)), Code::PermissionDenied);
    assert_eq!(check(start(c"root").into_iter().chain(let_in())), Code::Success);
    assert_eq!(with(allow_on_error(), start(c"alice").into_iter().chain(let_in())), Code::Success);
}

#[test]
fn who_is_no_account_is_no_business_of_ours_and_no_name_is_denied() {
    assert_eq!(check([User(Some(c"virtual")), Nss(Ok(None))]), Code::Ignore);
    assert_eq!(check([User(None), Log(Priority::Error, "denied: ")]), Code::UserUnknown);
}

#[test]
fn a_screen_locker_asks_the_daemon() {
    let start =
        || [User(Some(c"alice")), known(ALICE), File(Err(refused())), Ids(1000, 1000), Ids(1000, 1000)];
    assert_eq!(check(start().into_iter().chain([Ask(Ok(Reply::Allow))])), Code::Success);
    let no_answer = Ask(Err(io::ErrorKind::TimedOut.into()));
    assert_eq!(check(start().into_iter().chain([no_answer])), Code::Success);
    let kind = DenialKind::Locked { lock: 3, owner: "operator".into(), authenticator: None };
    let denied = [
        Ask(Ok(Reply::Deny(Denial { kind, expires_at: None, message: None }))),
        About("su"),
        Log(Priority::Notice, LOCKED_LINE),
        Say("This account is locked."),
        Ids(1000, 1000),
        Report(denied_in(Phase::Account)),
    ];
    assert_eq!(check(start().into_iter().chain(denied)), Code::PermissionDenied);
}

#[test]
fn the_daemon_is_not_asked_about_another_account() {
    let start = |uid, effective| {
        [User(Some(c"alice")), known(ALICE), File(Err(refused())), Ids(uid, effective), Ids(uid, effective)]
    };
    let denied = [
        Log(Priority::Error, "\"alice\" cannot be checked: only root "),
        About("su"),
        Log(Priority::Notice, "denied: "),
        Say("This account cannot be used for now. Please tell the administrator of this host."),
        Ids(33, 33),
        Report(denied_in(Phase::Account)),
    ];
    assert_eq!(check(start(33, 33).into_iter().chain(denied)), Code::PermissionDenied);
    let let_in = [Log(Priority::Alert, "LET IN UNCHECKED: ")];
    assert_eq!(with(allow_on_error(), start(33, 33).into_iter().chain(let_in)), Code::Success);
    // Started by alice, set-uid to another: it could only ask about the other.
    assert_eq!(check(start(1000, 33)), Code::Success);
}

#[test]
fn wrong_arguments_are_logged_and_the_rest_works() {
    let arguments =
        Arguments { complaints: vec!["argument \"nonsense\" ignored".into()], ..Arguments::default() };
    let complaint = || Log(Priority::Error, "argument \"nonsense\" ignored");
    let script = [complaint(), User(Some(c"alice")), known(ALICE), File(Ok(None)), Now];
    assert_eq!(with(arguments.clone(), script), Code::Success);
    let auth = Script::of([complaint()]);
    assert_eq!(authenticate(&auth, &arguments, 0), Code::Ignore);
}

#[test]
fn after_a_panic_root_gets_in_and_others_as_on_error_says() {
    let after =
        |arguments: &Arguments, script: Vec<Step>| after_panic(&Script::of(script), arguments, SILENT);
    let let_in = || Log(Priority::Alert, "LET IN UNCHECKED: ");
    let default = Arguments::default();
    assert_eq!(after(&default, vec![User(Some(c"root")), known(ROOT), let_in()]), Code::Success);
    assert_eq!(after(&allow_on_error(), vec![User(Some(c"alice")), known(ALICE), let_in()]), Code::Success);
    let denied = vec![
        User(Some(c"alice")),
        known(ALICE),
        Log(Priority::Error, "\"alice\" cannot be checked: pam_lockdown has failed inside"),
        About("su"),
        Log(Priority::Notice, "denied: "),
        Ids(0, 0),
        Report(denied_in(Phase::Account)),
    ];
    assert_eq!(after(&default, denied), Code::PermissionDenied);
    assert_eq!(after(&default, vec![User(None)]), Code::UserUnknown);
}

#[test]
fn debug_says_what_was_decided() {
    let debug = Arguments { debug: true, ..Arguments::default() };
    let script = [
        User(Some(c"alice")),
        known(ALICE),
        File(Ok(None)),
        Now,
        Log(Priority::Debug, "user=\"alice\" allowed"),
    ];
    assert_eq!(with(debug, script), Code::Success);
}

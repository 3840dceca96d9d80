//! `trigger=lockdown`.

use super::*;

fn arguments() -> Arguments {
    Arguments { trigger: true, ..Arguments::default() }
}

fn in_auth(script: impl IntoIterator<Item = Step>) -> Code {
    authenticate(&Script::of(script), &arguments(), 0)
}

fn in_account(script: impl IntoIterator<Item = Step>) -> Code {
    with(arguments(), script)
}

fn asked() -> [Step; 3] {
    [AskUser(Asked::Given), AskPassword(Asked::Given), DelayFailure]
}

fn not_triggered() -> Step {
    Log(Priority::Alert, "LOCKDOWN NOT TRIGGERED: user=\"")
}

fn reported_in(phase: Phase) -> fn(&Request) -> bool {
    match phase {
        Phase::Auth => |request| {
            matches!(request, Request::Trigger(report)
                if report.phase == Phase::Auth && report.login.uid == 1000 && report.login.account == "alice" && report.login.pid == 7)
        },
        _ => {
            |request| matches!(request, Request::Trigger(report) if report.phase == Phase::Account && report.login.uid == 1000)
        }
    }
}

#[test]
fn the_line_asks_waits_reports_and_answers_as_for_a_wrong_password() {
    let report = [
        User(Some(c"alice")),
        known(ALICE),
        Ids(0, 0),
        About("sshd"),
        Report(reported_in(Phase::Auth)),
        Log(Priority::Notice, "lockdown triggered: user=\"alice\" uid=1000 service=\"sshd\""),
    ];
    assert_eq!(in_auth(asked().into_iter().chain(report)), Code::AuthError);
}

#[test]
fn in_account_it_reports_and_says_nothing() {
    let script = [
        User(Some(c"alice")),
        known(ALICE),
        Ids(0, 0),
        About("sshd"),
        Report(reported_in(Phase::Account)),
        Log(Priority::Notice, "lockdown triggered: "),
    ];
    assert_eq!(in_account(script), Code::AuthError);
}

#[test]
fn root_is_reported_for_the_daemon_to_refuse_and_gets_the_same_answer() {
    let script = [
        User(Some(c"root")),
        known(ROOT),
        Ids(0, 0),
        About("sshd"),
        Report(|request| matches!(request, Request::Trigger(report) if report.login.uid == 0)),
        Log(Priority::Notice, "lockdown triggered: "),
    ];
    assert_eq!(in_account(script), Code::AuthError);
}

#[test]
fn a_stranger_gets_the_same_dialogue_and_answer() {
    let stranger = [
        User(Some(c"a\nb")),
        Nss(Ok(None)),
        Log(Priority::Notice, "user=\"a\\nb\" reached trigger=lockdown, but is no account"),
    ];
    assert_eq!(in_auth(asked().into_iter().chain(stranger)), Code::AuthError);
}

#[test]
fn what_cannot_be_reported_is_loud_and_gets_the_same_answer() {
    let failing_nss = || [User(Some(c"alice")), Nss(Err(io::ErrorKind::TimedOut.into())), not_triggered()];
    assert_eq!(in_auth(asked().into_iter().chain(failing_nss())), Code::AuthError);
    let not_root = [User(Some(c"alice")), known(ALICE), Ids(1000, 1000), not_triggered()];
    assert_eq!(in_account(not_root), Code::AuthError);
    for error in [io::ErrorKind::NotFound, io::ErrorKind::WouldBlock] {
        let no_daemon =
            [User(Some(c"alice")), known(ALICE), Ids(0, 0), About("su"), Lost(error), not_triggered()];
        assert_eq!(in_account(no_daemon), Code::AuthError);
    }
    assert_eq!(in_account([User(None), not_triggered()]), Code::AuthError);
}

#[test]
fn a_conversation_that_fails_is_answered_as_pam_unix_answers() {
    assert_eq!(in_auth([AskUser(Asked::Later)]), Code::Incomplete);
    assert_eq!(in_auth([AskUser(Asked::Failed)]), Code::ConversationError);
    assert_eq!(in_auth([AskUser(Asked::Given), AskPassword(Asked::Later)]), Code::Incomplete);
    let reached = [
        AskUser(Asked::Given),
        AskPassword(Asked::Failed),
        DelayFailure,
        User(Some(c"alice")),
        known(ALICE),
        Ids(0, 0),
        About("sshd"),
        Report(reported_in(Phase::Auth)),
        Log(Priority::Notice, "lockdown triggered: "),
    ];
    assert_eq!(in_auth(reached), Code::ConversationError);
}

#[test]
fn in_session_the_argument_is_a_mistake_and_the_rest_is_as_without() {
    let script = [
        Log(Priority::Error, "trigger= has no function in session"),
        User(Some(c"alice")),
        known(ALICE),
        record(1000, None, Some(None)),
        Now,
        About("sshd"),
        Log(Priority::Notice, "denied: "),
        Ids(0, 0),
        Report(denied_in(Phase::Session)),
    ];
    assert_eq!(open(arguments(), 0, script), Code::PermissionDenied);
}

#[test]
fn after_a_panic_nobody_gets_past_the_line() {
    let script = |user| Script::of([User(user), not_triggered()]);
    assert_eq!(after_panic(&script(Some(c"root")), &arguments(), 0), Code::AuthError);
    assert_eq!(authenticate_after_panic(&script(None), &arguments(), 0), Code::AuthError);
    let nothing = Script::of([]);
    assert_eq!(authenticate_after_panic(&nothing, &Arguments::default(), 0), Code::Ignore);
}

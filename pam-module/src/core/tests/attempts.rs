//! `preauth`, `authfail` and `authsucc`.

use lockdown_enforcement::tally::Standing;
use lockdown_enforcement::text::Text;
use lockdown_enforcement::{AttemptOutcome, TallyLock};

use super::*;

fn run(function: AuthFunction, script: impl IntoIterator<Item = Step>) -> Code {
    let arguments = Arguments { function: Some(function), ..Arguments::default() };
    authenticate(&Script::of(script), &arguments, 0)
}

fn enabled() -> Step {
    Settings(Ok(Some(AttackProtection {
        ignore_services: vec!["ignored".into()],
        ..AttackProtection::default()
    })))
}

fn failure(number: u64, lock_until: Option<i64>) -> Failure {
    let lock =
        lock_until.map(|until| TallyLock { source: true, remote: false, all: false, until: Some(until) });
    let source = Source::new(Some("192.0.2.1"), None);
    Failure { number, at: NOW - 1, service: Text::cut("sshd"), source, standing: Standing::Counted, lock }
}

fn table(failures: &[Failure]) -> Table {
    Table::decode(failures.iter().map(Failure::encode).collect::<Vec<_>>().as_flattened())
}

/// What `preauth` asks before it looks.
fn begun(user: &'static CStr, account: Option<Account>) -> Vec<Step> {
    vec![
        EndAttempt,
        enabled(),
        About("sshd"),
        AskUser(Asked::Given),
        AskPassword(Asked::Given),
        DelayFailure,
        User(Some(user)),
        Nss(Ok(account)),
    ]
}

fn refused_until(is_known: bool) -> [Step; 6] {
    let report: fn(&Request) -> bool = if is_known {
        |request| matches!(request, Request::Attempt(report) if matches!(report.outcome, AttemptOutcome::Refused { until: Some(_) }))
    } else {
        |request| matches!(request, Request::Attempt(report) if report.outcome == AttemptOutcome::Refused { until: None })
    };
    [
        SpoilPassword,
        DelayFailure,
        Hold(Held::Refused),
        Log(Priority::Notice, "refused: user=\"alice\" uid=1000 service=\"sshd\""),
        Ids(0, 0),
        Report(report),
    ]
}

#[test]
fn an_attempt_takes_its_turn_once_the_password_is_there() {
    for (failures, counted) in [(vec![], 0), (vec![failure(1, None), failure(2, None)], 2)] {
        let turn =
            [TakeTurn("192.0.2.1", Ok(Turn::Taken(table(&failures)))), Now, Hold(Held::InTurn(counted))];
        assert_eq!(
            run(AuthFunction::PreAuth, begun(c"alice", Some(ALICE)).into_iter().chain(turn)),
            Code::Ignore
        );
    }
}

#[test]
fn while_locked_it_is_refused_after_the_same_dialogue() {
    let turn = [TakeTurn("192.0.2.1", Ok(Turn::Taken(table(&[failure(1, Some(NOW + 1))])))), Now];
    let script = begun(c"alice", Some(ALICE)).into_iter().chain(turn).chain(refused_until(true));
    assert_eq!(run(AuthFunction::PreAuth, script), Code::AuthError);
    let ended =
        [TakeTurn("192.0.2.1", Ok(Turn::Taken(table(&[failure(1, Some(NOW))])))), Now, Hold(Held::InTurn(0))];
    assert_eq!(
        run(AuthFunction::PreAuth, begun(c"alice", Some(ALICE)).into_iter().chain(ended)),
        Code::Ignore
    );
}

#[test]
fn an_attempt_that_never_gets_its_turn_is_refused() {
    let turn = [TakeTurn("192.0.2.1", Ok(Turn::Busy))];
    let script = begun(c"alice", Some(ALICE)).into_iter().chain(turn).chain(refused_until(false));
    assert_eq!(run(AuthFunction::PreAuth, script), Code::AuthError);
}

#[test]
fn root_and_trusted_sources_have_the_dialogue_and_no_turn() {
    assert_eq!(run(AuthFunction::PreAuth, begun(c"root", Some(ROOT))), Code::Ignore);
    let mut trusted = begun(c"alice", Some(ALICE));
    let trusted_sources = vec!["192.0.2.0/24".parse().unwrap()];
    trusted[1] = Settings(Ok(Some(AttackProtection { trusted_sources, ..AttackProtection::default() })));
    assert_eq!(run(AuthFunction::PreAuth, trusted), Code::Ignore);
}

#[test]
fn a_name_that_is_no_account_takes_the_same_way_and_is_never_refused() {
    for (turn, ends) in
        [(Ok(Turn::Taken(Table::default())), vec![Now, Hold(Held::InTurn(0))]), (Ok(Turn::Busy), vec![])]
    {
        let script = begun(c"stranger", None).into_iter().chain([TakeTurn("192.0.2.1", turn)]).chain(ends);
        assert_eq!(run(AuthFunction::PreAuth, script), Code::Ignore);
    }
    let mut start =
        vec![IsHeld(Some(Held::InTurn(0))), enabled(), User(Some(c"stranger")), About("sshd"), Nss(Ok(None))];
    let not_counted = Failure { standing: Standing::NotCounted, ..failure(1, None) };
    let report =
        |request: &Request| matches!(request, Request::Attempt(report) if report.login.uid == NOBODYS_UID);
    start.extend([Now, Add(false, Ok(not_counted)), Ids(0, 0), Report(report), EndAttempt]);
    assert_eq!(run(AuthFunction::AuthFail, start), Code::AuthError);
    let start = [IsHeld(None), enabled(), User(Some(c"stranger")), About("sshd"), Nss(Ok(None)), EndAttempt];
    assert_eq!(run(AuthFunction::AuthSucc, start), Code::Success);
}

#[test]
fn without_settings_and_for_ignored_services_it_asks_nothing() {
    assert_eq!(run(AuthFunction::PreAuth, [EndAttempt, Settings(Ok(None))]), Code::Ignore);
    assert_eq!(run(AuthFunction::PreAuth, [EndAttempt, enabled(), About("ignored")]), Code::Ignore);
    assert_eq!(run(AuthFunction::AuthFail, [IsHeld(None), Settings(Ok(None)), EndAttempt]), Code::AuthError);
    assert_eq!(run(AuthFunction::AuthSucc, [IsHeld(None), Settings(Ok(None)), EndAttempt]), Code::Success);
    let ignored = [IsHeld(None), enabled(), User(Some(c"alice")), About("ignored"), known(ALICE), EndAttempt];
    assert_eq!(run(AuthFunction::AuthFail, ignored), Code::AuthError);
}

#[test]
fn damaged_settings_do_not_switch_it_off() {
    let mut script = begun(c"alice", Some(ALICE));
    script[1] = Settings(Err(AttackProtectionError::Damaged));
    script.insert(2, Log(Priority::Error, "the file of attack protection is damaged"));
    let turn = [TakeTurn("192.0.2.1", Ok(Turn::Taken(Table::default()))), Now, Hold(Held::InTurn(0))];
    assert_eq!(run(AuthFunction::PreAuth, script.into_iter().chain(turn)), Code::Ignore);
}

#[test]
fn a_tally_that_cannot_be_used_locks_nobody_out_and_is_loud() {
    let full = || io::ErrorKind::StorageFull.into();
    let loud = || [Log(Priority::Alert, "NOT COUNTED: user=\"alice\"")];
    let turn = [TakeTurn("192.0.2.1", Err(full()))];
    let script = begun(c"alice", Some(ALICE)).into_iter().chain(turn).chain(loud());
    assert_eq!(run(AuthFunction::PreAuth, script), Code::Ignore);
    let start = |held| [IsHeld(held), enabled(), User(Some(c"alice")), About("sshd"), known(ALICE)];
    let script =
        start(None).into_iter().chain([Now, Add(true, Err(full()))]).chain(loud()).chain([EndAttempt]);
    assert_eq!(run(AuthFunction::AuthFail, script), Code::AuthError);
    let script = start(None).into_iter().chain([Tally(Err(full()))]).chain(loud()).chain([EndAttempt]);
    assert_eq!(run(AuthFunction::AuthSucc, script), Code::Success);
    let nss = [
        IsHeld(None),
        enabled(),
        User(Some(c"alice")),
        About("sshd"),
        Nss(Err(full())),
        loud().into_iter().next().unwrap(),
        EndAttempt,
    ];
    assert_eq!(run(AuthFunction::AuthFail, nss), Code::AuthError);
    let locker = [TakeTurn("192.0.2.1", Err(io::ErrorKind::PermissionDenied.into())), Ids(1000, 1000)];
    assert_eq!(
        run(AuthFunction::PreAuth, begun(c"alice", Some(ALICE)).into_iter().chain(locker)),
        Code::Ignore
    );
}

#[test]
fn a_failure_is_counted_and_reported_before_the_turn_ends() {
    let start = |user, account| {
        [IsHeld(Some(Held::InTurn(1))), enabled(), User(Some(user)), About("sshd"), known(account)]
    };
    let counted = [
        Now,
        Add(true, Ok(failure(2, None))),
        Ids(0, 0),
        Report(|request| {
            matches!(request, Request::Attempt(report) if report.login.uid == 1000
                && report.outcome == AttemptOutcome::Failed { number: 2, counted: true, lock: None })
        }),
        EndAttempt,
    ];
    assert_eq!(
        run(AuthFunction::AuthFail, start(c"alice", ALICE).into_iter().chain(counted)),
        Code::AuthError
    );
    let locking = [
        Now,
        Add(true, Ok(failure(10, Some(NOW + 5)))),
        Log(Priority::Notice, "locked: user=\"alice\""),
        Ids(0, 0),
        Report(|request| {
            matches!(request, Request::Attempt(report)
                if matches!(report.outcome, AttemptOutcome::Failed { lock: Some(lock), .. } if lock.source))
        }),
        EndAttempt,
    ];
    assert_eq!(
        run(AuthFunction::AuthFail, start(c"alice", ALICE).into_iter().chain(locking)),
        Code::AuthError
    );
    let not_counted = Failure { standing: Standing::NotCounted, ..failure(1, None) };
    let root = [
        Now,
        Add(false, Ok(not_counted)),
        Ids(0, 0),
        Report(|request| {
            matches!(request, Request::Attempt(report)
                if matches!(report.outcome, AttemptOutcome::Failed { counted: false, .. }))
        }),
        EndAttempt,
    ];
    assert_eq!(run(AuthFunction::AuthFail, start(c"root", ROOT).into_iter().chain(root)), Code::AuthError);
}

#[test]
fn what_was_refused_is_not_counted_and_does_not_succeed() {
    let refused = || [IsHeld(Some(Held::Refused)), EndAttempt];
    assert_eq!(run(AuthFunction::AuthFail, refused()), Code::AuthError);
    assert_eq!(run(AuthFunction::AuthSucc, refused()), Code::AuthError);
}

#[test]
fn failures_are_answered_in_steps_once_the_turn_has_ended() {
    let wait = |answer_after, since: u64, expected: u64| {
        let (since, expected) = (Duration::from_millis(since), Duration::from_millis(expected));
        let script = [IsHeld(Some(Held::Refused)), SinceBegin(since), EndAttempt, Wait(expected)];
        let arguments =
            Arguments { function: Some(AuthFunction::AuthFail), answer_after, ..Arguments::default() };
        let script = Script::of(script);
        assert_eq!(authenticate(&script, &arguments, 0), Code::AuthError);
    };
    let default = Arguments::default().answer_after;
    // And half of a fifth, by chance.
    wait(default, 0, 550);
    wait(default, 30, 520);
    wait(default, 501, 549);
    wait(Duration::from_secs(1), 30, 1070);
    wait(Duration::ZERO, 30, 0);
}

#[test]
fn a_success_without_failures_asks_nothing() {
    assert_eq!(run(AuthFunction::AuthSucc, [IsHeld(Some(Held::InTurn(0))), EndAttempt]), Code::Success);
}

#[test]
fn a_success_ends_the_count_and_comes_too_late_for_a_lock() {
    let start = |tally| {
        [
            IsHeld(Some(Held::InTurn(1))),
            enabled(),
            User(Some(c"alice")),
            About("sshd"),
            known(ALICE),
            Tally(Ok(tally)),
        ]
    };
    let cleared = [
        Now,
        Clear(1),
        Ids(0, 0),
        Report(
            |request| matches!(request, Request::Attempt(report) if report.outcome == AttemptOutcome::Succeeded { cleared: 1 }),
        ),
        EndAttempt,
    ];
    let script = start(Some(table(&[failure(1, None)]))).into_iter().chain(cleared);
    assert_eq!(run(AuthFunction::AuthSucc, script), Code::Success);
    assert_eq!(run(AuthFunction::AuthSucc, start(None).into_iter().chain([EndAttempt])), Code::Success);
    let late = start(Some(table(&[failure(1, Some(NOW + 9))]))).into_iter().chain([Now]);
    let script = late.chain(refused_until(true)).chain([EndAttempt]);
    assert_eq!(run(AuthFunction::AuthSucc, script), Code::AuthError);
}

#[test]
fn who_succeeds_is_told_of_failures_only_if_few_were_left() {
    let warning = |settings: AttackProtection, failures: u64, quiet: bool| {
        let failures: Vec<Failure> = (1..=failures).map(|number| failure(number, None)).collect();
        let script = [
            IsHeld(Some(Held::InTurn(1))),
            Settings(Ok(Some(settings))),
            User(Some(c"alice")),
            About("sshd"),
            known(ALICE),
            Tally(Ok(Some(table(&failures)))),
            Now,
            Clear(failures.len()),
            Ids(0, 0),
            Report(|request| matches!(request, Request::Attempt(_))),
        ];
        let told = (!quiet && failures.len() >= 7).then_some(Say(
            "7 failed attempts to sign in as alice from here since 1970-01-12 13:46 UTC; 3 more would have locked it.",
        ));
        let arguments = Arguments { function: Some(AuthFunction::AuthSucc), quiet, ..Arguments::default() };
        let script = script.into_iter().chain(told).chain([EndAttempt]);
        assert_eq!(authenticate(&Script::of(script), &arguments, 0), Code::Success);
    };
    warning(AttackProtection::default(), 6, false);
    warning(AttackProtection::default(), 7, false);
    warning(AttackProtection::default(), 7, true);
    warning(AttackProtection { warn_attempts_left: 0, ..AttackProtection::default() }, 6, false);
}

#[test]
fn a_conversation_that_fails_is_answered_as_pam_unix_answers() {
    let start = || [EndAttempt, enabled(), About("sshd")];
    let then = |steps: Vec<Step>| run(AuthFunction::PreAuth, start().into_iter().chain(steps));
    assert_eq!(then(vec![AskUser(Asked::Later)]), Code::Incomplete);
    assert_eq!(then(vec![AskUser(Asked::Failed)]), Code::ConversationError);
    assert_eq!(then(vec![AskUser(Asked::Given), AskPassword(Asked::Later)]), Code::Incomplete);
    let failed = vec![AskUser(Asked::Given), AskPassword(Asked::Failed), DelayFailure];
    assert_eq!(then(failed), Code::ConversationError);
    assert_eq!(
        then(vec![AskUser(Asked::Given), AskPassword(Asked::Given), DelayFailure, User(None)]),
        Code::Ignore
    );
}

#[test]
fn who_has_proved_to_be_the_user_is_told_until_when() {
    let start = |user, account, tally| {
        [
            EndAttempt,
            User(Some(user)),
            known(account),
            File(Ok(None)),
            Now,
            RemoteHost("192.0.2.1"),
            Tally(Ok(tally)),
        ]
    };
    let locked = || Some(table(&[failure(1, Some(NOW + 3540))]));
    let denied = [
        enabled(),
        About("sshd"),
        About("sshd"),
        Log(Priority::Notice, "denied: user=\"alice\""),
        Say("This account is locked until 1970-01-12 14:46 UTC."),
        Ids(0, 0),
        Report(|request| {
            matches!(request, Request::Denied(report)
                if matches!(&report.kind, DenialKind::Locked { lock: 0, owner, .. } if owner == "attack-protection"))
        }),
    ];
    assert_eq!(check(start(c"alice", ALICE, locked()).into_iter().chain(denied)), Code::PermissionDenied);
    assert_eq!(check(start(c"alice", ALICE, None)), Code::Success);
    assert_eq!(check(start(c"alice", ALICE, Some(table(&[failure(9, None)])))), Code::Success);
    assert_eq!(
        check(start(c"alice", ALICE, locked()).into_iter().chain([Settings(Ok(None))])),
        Code::Success
    );
    let root = [EndAttempt, User(Some(c"root")), known(ROOT), File(Ok(None)), Now];
    assert_eq!(check(root), Code::Success);
}

#[test]
fn an_attempt_ends_with_setcred_and_functions_belong_into_auth() {
    let script = Script::of([EndAttempt]);
    assert_eq!(set_credentials(&script, &Arguments::default(), 0), Code::Ignore);
    let arguments = Arguments { function: Some(AuthFunction::PreAuth), ..Arguments::default() };
    let script = [
        Log(Priority::Error, "preauth, authfail, authsucc and authenticator= have a function in auth only"),
        User(Some(c"alice")),
        known(ALICE),
        File(Ok(None)),
        Now,
    ];
    assert_eq!(with(arguments, script), Code::Success);
}

#[test]
fn after_a_panic_nobody_is_locked_out_and_no_wrong_password_is_right() {
    let after = |function| {
        let arguments = Arguments { function: Some(function), ..Arguments::default() };
        authenticate_after_panic(&Script::of([]), &arguments, 0)
    };
    assert_eq!(after(AuthFunction::PreAuth), Code::Ignore);
    assert_eq!(after(AuthFunction::AuthFail), Code::AuthError);
    assert_eq!(after(AuthFunction::AuthSucc), Code::Success);
}

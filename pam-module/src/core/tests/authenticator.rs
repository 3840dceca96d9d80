//! `authenticator=TYPE`, and the authenticators that sshd names.

use super::*;
use crate::arguments::AuthenticatorType;

const ED25519: &str =
    "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICdTtSu/ZYSakBRnbD4PDDZ85pX+VRxZsOqkeELzBuE1\n";

fn guarding(kind: AuthenticatorType) -> Arguments {
    Arguments { function: Some(AuthFunction::Guard(kind)), ..Arguments::default() }
}

fn guard_with(arguments: &Arguments, script: impl IntoIterator<Item = Step>) -> Code {
    authenticate(&Script::of(script), arguments, 0)
}

fn guard(kind: AuthenticatorType, script: impl IntoIterator<Item = Step>) -> Code {
    guard_with(&guarding(kind), script)
}

fn locked(ids: &[&str], expires_at: Option<i64>) -> Step {
    let lock = |id: &&str| LockEntry {
        id: 3,
        owner: "operator".into(),
        authenticator: Some((*id).to_owned()),
        expires_at,
        message: None,
    };
    File(Ok(Some(Record {
        uid: 1000,
        account: "alice".into(),
        valid_until: None,
        locks: ids.iter().map(lock).collect(),
    })))
}

fn start(record: Step) -> [Step; 5] {
    [AskUser(Asked::Given), User(Some(c"alice")), known(ALICE), record, Now]
}

fn reported() -> [Step; 4] {
    [
        About("sudo"),
        Log(Priority::Notice, ""),
        Ids(0, 0),
        Report(|request| {
            matches!(request, Request::Denied(report) if report.phase == Phase::Auth
                && matches!(&report.kind, DenialKind::Locked { lock: 3, authenticator: Some(_), .. }))
        }),
    ]
}

#[test]
fn a_locked_password_is_asked_for_and_unavailable() {
    let dialogue = [AskPassword(Asked::Given), DelayFailure, SpoilPassword];
    let script = start(locked(&["password"], None)).into_iter().chain(dialogue).chain(reported());
    assert_eq!(guard(AuthenticatorType::Password, script), Code::AuthInfoUnavailable);
    let dialogue = [AskPassword(Asked::Failed), DelayFailure];
    let script = start(locked(&["password"], None)).into_iter().chain(dialogue).chain(reported());
    assert_eq!(guard(AuthenticatorType::Password, script), Code::ConversationError);
    let later = start(locked(&["password"], None)).into_iter().chain([AskPassword(Asked::Later)]);
    assert_eq!(guard(AuthenticatorType::Password, later), Code::Incomplete);
}

/// `preauth authenticator=password`, which asks before it looks.
fn preauth(
    arguments: Arguments,
    protection: Option<AttackProtection>,
    script: impl IntoIterator<Item = Step>,
) -> Code {
    let protected = protection.is_some().then_some(About("sudo"));
    let start = [EndAttempt, Settings(Ok(protection))].into_iter().chain(protected);
    let dialogue = [AskUser(Asked::Given), AskPassword(Asked::Given), DelayFailure];
    let arguments = Arguments { function: Some(AuthFunction::PreAuthOfPassword), ..arguments };
    guard_with(&arguments, start.chain(dialogue).chain(script))
}

fn looked_up(record: Step) -> Vec<Step> {
    vec![User(Some(c"alice")), known(ALICE), record, Now]
}

fn spoiled() -> [Step; 3] {
    [SpoilPassword, DelayFailure, Hold(Held::Refused)]
}

#[test]
fn an_attempt_with_a_locked_password_goes_on_with_one_that_nothing_matches() {
    let locked = || looked_up(locked(&["password"], None)).into_iter();
    let script = locked().chain(reported()).chain(spoiled());
    assert_eq!(preauth(Arguments::default(), None, script), Code::AuthError, "without attack protection");
    let protection = AttackProtection { ignore_services: vec!["sudo".into()], ..AttackProtection::default() };
    let script = locked().chain(reported()).chain(spoiled());
    assert_eq!(
        preauth(Arguments::default(), Some(protection), script),
        Code::AuthError,
        "an ignored service"
    );
    // It takes its turn like every other, and is not counted in the end.
    let turn =
        [known(ALICE), TakeTurn("192.0.2.1", Ok(Turn::Taken(Table::default()))), Now, Hold(Held::InTurn(0))];
    let script = locked().chain(turn).chain(reported()).chain(spoiled());
    assert_eq!(
        preauth(Arguments::default(), Some(AttackProtection::default()), script),
        Code::AuthError,
        "not locked by attack protection"
    );
}

#[test]
fn an_attempt_with_a_usable_password_goes_on_as_it_is() {
    for record in [locked(&["fingerprint", "passwords"], None), locked(&["password"], Some(NOW))] {
        assert_eq!(preauth(Arguments::default(), None, looked_up(record)), Code::Ignore);
    }
    let no_record = [User(Some(c"alice")), known(ALICE), File(Ok(None))];
    assert_eq!(preauth(Arguments::default(), None, no_record), Code::Ignore);
    let stranger = [User(Some(c"nobody here")), Nss(Ok(None)), File(Ok(None))];
    assert_eq!(preauth(Arguments::default(), None, stranger), Code::Ignore);
    assert_eq!(preauth(Arguments::default(), None, [User(None)]), Code::Ignore);
}

#[test]
fn where_nobody_knows_whether_the_password_is_locked_root_gets_on() {
    let missing = || File(Err(ReadError::DirectoryMissing));
    let unknown = || Log(Priority::Error, "password of \"alice\" cannot be checked: ");
    let alice = [User(Some(c"alice")), known(ALICE), missing(), unknown()];
    let script = alice.into_iter().chain(spoiled());
    assert_eq!(preauth(Arguments::default(), None, script), Code::AuthError);
    let loud = || Log(Priority::Alert, "NOT CHECKED: user=");
    let root = [User(Some(c"root")), known(ROOT), missing(), loud()];
    assert_eq!(preauth(Arguments::default(), None, root), Code::Ignore);
    let alice = [User(Some(c"alice")), known(ALICE), missing(), loud()];
    assert_eq!(preauth(allow_on_error(), None, alice), Code::Ignore);

    let after = |script: Vec<Step>| {
        let arguments = Arguments { function: Some(AuthFunction::PreAuthOfPassword), ..Arguments::default() };
        authenticate_after_panic(&Script::of(script), &arguments, 0)
    };
    assert_eq!(after(vec![User(Some(c"root")), known(ROOT), loud()]), Code::Ignore);
    let asked = [AskPassword(Asked::Given), DelayFailure, SpoilPassword];
    let alice = [User(Some(c"alice")), known(ALICE), unknown()].into_iter().chain(asked).chain(spoiled());
    assert_eq!(after(alice.collect()), Code::AuthError);
}

#[test]
fn any_locked_enrolment_makes_its_type_unavailable_and_asks_nothing() {
    for id in ["fingerprint", "fingerprint:right-index-finger"] {
        let script = start(locked(&["password", id], None)).into_iter().chain(reported());
        assert_eq!(guard(AuthenticatorType::Fingerprint, script), Code::AuthInfoUnavailable, "{id}");
    }
}

#[test]
fn what_is_not_locked_is_usable() {
    for ids in [&["password", "pin", "ssh", "faces", "fac", ""][..], &[]] {
        assert_eq!(guard(AuthenticatorType::Face, start(locked(ids, None))), Code::Success);
    }
    assert_eq!(guard(AuthenticatorType::Pin, start(locked(&["pin"], Some(NOW)))), Code::Success);
    let no_record = [AskUser(Asked::Given), User(Some(c"alice")), known(ALICE), File(Ok(None))];
    assert_eq!(guard(AuthenticatorType::U2f, no_record), Code::Success);
    // The account's own lock is not for auth to say.
    assert_eq!(guard(AuthenticatorType::Pin, start(record(1000, Some(0), Some(None)))), Code::Success);
}

#[test]
fn a_stranger_and_a_failed_conversation_are_answered_as_ever() {
    let stranger = [AskUser(Asked::Given), User(Some(c"nobody here")), Nss(Ok(None)), File(Ok(None))];
    assert_eq!(guard(AuthenticatorType::Password, stranger), Code::Success);
    assert_eq!(guard(AuthenticatorType::Pin, [AskUser(Asked::Given), User(None)]), Code::Success);
    assert_eq!(guard(AuthenticatorType::Pin, [AskUser(Asked::Later)]), Code::Incomplete);
    assert_eq!(guard(AuthenticatorType::Pin, [AskUser(Asked::Failed)]), Code::ConversationError);
}

#[test]
fn what_cannot_be_looked_up_fails_in_the_direction_that_is_written_down() {
    let start = |user, account: io::Result<_>, record: Option<ReadError>| {
        [AskUser(Asked::Given), User(Some(user)), Nss(account)]
            .into_iter()
            .chain(record.map(|error| File(Err(error))))
    };
    let broken = || Err(io::ErrorKind::TimedOut.into());
    let pin = AuthenticatorType::Pin;
    let loud = || [Log(Priority::Alert, "NOT CHECKED: user=")];
    let denied = || [Log(Priority::Error, "pin of \"alice\" cannot be checked: ")];
    let missing = || Some(ReadError::DirectoryMissing);
    let damaged = || Some(ReadError::NotTrusted);
    assert_eq!(guard(pin, start(c"alice", broken(), None).chain(denied())), Code::AuthInfoUnavailable);
    assert_eq!(guard(pin, start(c"root", broken(), None).chain(loud())), Code::Success);
    assert_eq!(
        guard(pin, start(c"alice", Ok(Some(ALICE)), missing()).chain(denied())),
        Code::AuthInfoUnavailable
    );
    assert_eq!(guard(pin, start(c"root", Ok(Some(ROOT)), missing()).chain(loud())), Code::Success);
    assert_eq!(
        guard(pin, start(c"alice", Ok(Some(ALICE)), damaged()).chain(denied())),
        Code::AuthInfoUnavailable
    );
    let allowing = Arguments { on_error: OnError::Allow, ..guarding(pin) };
    assert_eq!(
        guard_with(&allowing, start(c"alice", Ok(Some(ALICE)), missing()).chain(loud())),
        Code::Success
    );
    assert_eq!(
        guard_with(&allowing, start(c"alice", Ok(Some(ALICE)), damaged()).chain(denied())),
        Code::AuthInfoUnavailable
    );
    let rescue = Arguments { break_glass: Some("rescue".into()), ..guarding(pin) };
    let member = [IsMember("rescue", true)].into_iter().chain(loud());
    assert_eq!(guard_with(&rescue, start(c"alice", Ok(Some(ALICE)), damaged()).chain(member)), Code::Success);
    let locker = start(c"alice", Ok(Some(ALICE)), Some(refused())).chain([Ids(1000, 1000)]);
    assert_eq!(guard(pin, locker), Code::Success);
    let root = [AskUser(Asked::Given), User(Some(c"root")), known(ROOT), locked(&["pin"], None), Now];
    assert_eq!(guard(pin, root.into_iter().chain(loud())), Code::Success);
    let after = |user, account, end: [Step; 1]| {
        let script = [User(Some(user)), known(account)].into_iter().chain(end);
        authenticate_after_panic(&Script::of(script), &guarding(pin), 0)
    };
    assert_eq!(after(c"alice", ALICE, denied()), Code::AuthInfoUnavailable);
    assert_eq!(after(c"root", ROOT, loud()), Code::Success);
}

#[test]
fn a_locked_key_is_denied_in_the_session_of_sshd_in_silence_and_reported() {
    let key = ED25519.trim_end();
    let id = ssh::key_id(key.strip_prefix("publickey ").unwrap()).unwrap();
    let id: &'static str = Box::leak(id.into_boxed_str());
    for (ids, auth_info) in [
        (&["x", id][..], key.to_owned()),
        (&["ssh"], key.to_owned()),
        (&["password"], "password".to_owned()),
        (&["password"], "keyboard-interactive/pam".to_owned()),
        (&["password"], format!("{key}\npassword")),
    ] {
        let script = [
            User(Some(c"alice")),
            known(ALICE),
            locked(ids, None),
            Now,
            AuthInfo(auth_info),
            About("sshd"),
            Log(Priority::Notice, "denied: "),
            Ids(0, 0),
            Report(|request| {
                matches!(request, Request::Denied(report) if report.phase == Phase::Session
                    && matches!(&report.kind, DenialKind::Locked { authenticator: Some(_), .. }))
            }),
        ];
        assert_eq!(open(Arguments::default(), 0, script), Code::PermissionDenied);
    }
}

#[test]
fn another_key_opens_a_session_and_one_that_cannot_be_read_does_not_while_any_is_locked() {
    let start = |ids: &[&str], auth_info: &str| {
        [User(Some(c"alice")), known(ALICE), locked(ids, None), Now, AuthInfo(auth_info.to_owned())]
    };
    let opened =
        || [About("sshd"), Ids(0, 0), Report(|request| matches!(request, Request::SessionOpened(_)))];
    for (ids, auth_info) in [
        (&["ssh:SHA256:other", "fingerprint", "password"][..], ED25519),
        (&["ssh"], "password"),
        (&["ssh"], ""),
        (&["password"], "publickey ssh-ed25519 ?"),
    ] {
        let unreadable = auth_info.contains('?').then_some(Log(Priority::Error, "sshd names a key"));
        let script = start(ids, auth_info).into_iter().chain(unreadable).chain(opened());
        assert_eq!(open(Arguments::default(), 0, script), Code::Success, "{ids:?} {auth_info}");
    }
    let denied = [
        Log(Priority::Error, "sshd names a key that cannot be read"),
        About("sshd"),
        Log(Priority::Notice, "denied: "),
        Ids(0, 0),
        Report(denied_in(Phase::Session)),
    ];
    let script = start(&["ssh-ca:SHA256:other"], "publickey ssh-ed25519 ?").into_iter().chain(denied);
    assert_eq!(open(Arguments::default(), 0, script), Code::PermissionDenied);
}

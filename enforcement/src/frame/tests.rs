use proptest::option::of;
use proptest::prelude::*;

use super::fields::{CUT_MARK, MAX_TEXT};
use super::*;

fn any_login() -> impl Strategy<Value = Login> {
    let text = || any::<String>();
    let required = (text(), any::<u32>(), text(), any::<u32>());
    (required, of(text()), of(text()), of(text())).prop_map(
        |((account, uid, service, pid), tty, remote_host, remote_user)| Login {
            account,
            uid,
            service,
            tty,
            remote_host,
            remote_user,
            pid,
        },
    )
}

fn any_session() -> impl Strategy<Value = SessionReport> {
    (any_login(), of(any::<String>()), of(any::<String>()))
        .prop_map(|(login, logind_session, auth_info)| SessionReport { login, logind_session, auth_info })
}

fn any_kind() -> impl Strategy<Value = DenialKind> {
    let locked = (any::<i64>(), any::<String>(), of(any::<String>()))
        .prop_map(|(lock, owner, authenticator)| DenialKind::Locked { lock, owner, authenticator });
    let expired = any::<i64>().prop_map(|valid_until| DenialKind::Expired { valid_until });
    prop_oneof![locked, expired, Just(DenialKind::RecordUnreadable)]
}

fn any_phase() -> impl Strategy<Value = Phase> {
    prop_oneof![Just(Phase::Auth), Just(Phase::Account), Just(Phase::Session)]
}

fn any_request() -> impl Strategy<Value = Request> {
    let denied = (any_session(), any_kind(), any_phase()).prop_map(|(session, kind, phase)| {
        let SessionReport { login, auth_info, .. } = session;
        Request::Denied(DenialReport { login, auth_info, phase, kind })
    });
    let trigger = (any_login(), any_phase())
        .prop_map(|(login, phase)| Request::Trigger(TriggerReport { login, phase }));
    let attempt = (any_login(), any_outcome())
        .prop_map(|(login, outcome)| Request::Attempt(AttemptReport { login, outcome }));
    prop_oneof![
        any_session().prop_map(Request::SessionOpened),
        any_session().prop_map(Request::SessionClosed),
        denied,
        trigger,
        attempt,
        Just(Request::Ask),
    ]
}

fn any_outcome() -> impl Strategy<Value = AttemptOutcome> {
    let lock = (1..8_u8, any::<Option<i64>>()).prop_map(|(bits, until)| TallyLock {
        source: bits & 1 > 0,
        remote: bits & 2 > 0,
        all: bits & 4 > 0,
        until,
    });
    prop_oneof![
        (any::<u64>(), any::<bool>(), of(lock)).prop_map(|(number, counted, lock)| AttemptOutcome::Failed {
            number,
            counted,
            lock
        }),
        any::<Option<i64>>().prop_map(|until| AttemptOutcome::Refused { until }),
        any::<u64>().prop_map(|cleared| AttemptOutcome::Succeeded { cleared }),
    ]
}

fn any_reply() -> impl Strategy<Value = Reply> {
    let deny = (any_kind(), any::<Option<i64>>(), of(any::<String>()))
        .prop_map(|(kind, expires_at, message)| Reply::Deny(Denial { kind, expires_at, message }));
    prop_oneof![Just(Reply::Allow), deny]
}

fn alice() -> Login {
    Login { account: "alice".into(), uid: 1000, service: "su".into(), pid: 7, ..Login::default() }
}

fn session() -> SessionReport {
    SessionReport { login: alice(), ..SessionReport::default() }
}

#[test]
fn is_written_as_drawn() {
    let frame = b"\x01\x02\x01\x05\0alice\x02\x04\0\xe8\x03\0\0\x03\x02\0su\x04\x04\0\x07\0\0\0";
    assert_eq!(Request::SessionClosed(session()).encode(), frame);
    let login = Login { remote_user: Some("bob".into()), ..alice() };
    let trigger = TriggerReport { login, phase: Phase::Auth };
    let frame =
        b"\x01\x05\x01\x05\0alice\x02\x04\0\xe8\x03\0\0\x03\x02\0su\x04\x04\0\x07\0\0\0\x07\x03\0bob\x0a\x01\0\x03";
    assert_eq!(Request::Trigger(trigger).encode(), frame);
    let lock = Some(TallyLock { source: true, remote: false, all: false, until: Some(5) });
    let outcome = AttemptOutcome::Failed { number: 10, counted: true, lock };
    let attempt = AttemptReport { login: alice(), outcome };
    let frame = b"\x01\x06\x01\x05\0alice\x02\x04\0\xe8\x03\0\0\x03\x02\0su\x04\x04\0\x07\0\0\0\
        \x12\x01\0\x01\x13\x08\0\x0a\0\0\0\0\0\0\0\x14\x01\0\x09\x10\x08\0\x05\0\0\0\0\0\0\0";
    assert_eq!(Request::Attempt(attempt).encode(), frame);
    assert_eq!(Request::Ask.encode(), [1, 4]);
    assert_eq!(Reply::Allow.encode(), [1, 128]);
}

#[test]
fn refuses_what_is_not_a_frame() {
    let refused = |bytes: &[u8]| Request::decode(bytes).unwrap_err();
    assert_eq!(refused(b""), FrameError::Truncated);
    assert_eq!(refused(b"\x02\x04"), FrameError::Version(2));
    assert_eq!(refused(b"\x01\x80"), FrameError::Kind(128));
    assert_eq!(Reply::decode(b"\x01\x04"), Err(FrameError::Kind(4)));
    assert_eq!(refused(b"\x01\x04\x01\x05\0alic"), FrameError::Truncated);
    assert_eq!(refused(b"\x01\x04\x01\x05"), FrameError::Truncated);
    assert_eq!(refused(b"\x01\x04\x01\0\0\x01\0\0"), FrameError::Duplicate(1));
    assert_eq!(refused(b"\x01\x01\x01\x01\0a"), FrameError::Missing(2));
    assert_eq!(refused(b"\x01\x01\x01\x01\0\xff"), FrameError::Value(1));
    assert_eq!(refused(b"\x01\x01\x01\0\0\x02\x01\0\0"), FrameError::Value(2));
    assert_eq!(
        refused(b"\x01\x05\x01\x01\0a\x02\x04\0\0\0\0\0\x03\0\0\x04\x04\0\0\0\0\0\x0a\x01\0\x04"),
        FrameError::Value(10)
    );
    assert_eq!(refused(&vec![1; MAX_FRAME + 1]), FrameError::TooLarge);
}

#[test]
fn skips_a_field_it_does_not_know() {
    let mut frame = Request::SessionOpened(session()).encode();
    frame.extend(b"\xc8\x03\0new");
    assert_eq!(Request::decode(&frame), Ok(Request::SessionOpened(session())));
}

#[test]
fn the_longest_texts_still_make_a_frame() {
    let long = || Some("é".repeat(70_000));
    let login = Login {
        account: "é".repeat(10_000),
        service: "x".repeat(10_000),
        tty: long(),
        remote_host: long(),
        remote_user: long(),
        ..alice()
    };
    let auth_info = Some(format!("password\n{}", "k".repeat(70_000)));
    let session = SessionReport { login, logind_session: long(), auth_info };
    let frame = Request::SessionOpened(session).encode();
    assert!(frame.len() <= MAX_FRAME, "{}", frame.len());
    let Ok(Request::SessionOpened(session)) = Request::decode(&frame) else { panic!("refused") };
    let account = session.login.account;
    assert!(account.ends_with(CUT_MARK) && account.len() <= MAX_TEXT);
    assert_eq!(session.auth_info.as_deref(), Some("password"));
    let kind = DenialKind::Locked { lock: 1, owner: "o".repeat(9_000), authenticator: long() };
    let reply = Reply::Deny(Denial { kind, expires_at: None, message: long() }).encode();
    assert!(reply.len() <= MAX_FRAME && Reply::decode(&reply).is_ok());
}

proptest! {
    #[test]
    fn a_request_reads_back(request in any_request()) {
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn a_reply_reads_back(reply in any_reply()) {
        prop_assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
    }

    #[test]
    fn a_cut_request_is_refused_or_reads_as_one_that_has_less(request in any_request(), at: prop::sample::Index) {
        let bytes = request.encode();
        let end = at.index(bytes.len());
        prop_assert_ne!(Request::decode(&bytes[..end]), Ok(request));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, kind in prop_oneof![1..7_u8, 128..130_u8], fields: Vec<(u8, Vec<u8>)>) {
        let _ = (Request::decode(&bytes), Reply::decode(&bytes));
        let mut frame = Writer::new(kind);
        fields.iter().for_each(|(tag, value)| frame.field(tag % 23, value));
        let _ = (Request::decode(&frame.0), Reply::decode(&frame.0));
    }
}

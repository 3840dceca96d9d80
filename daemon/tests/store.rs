//! The store and its deny records, as one: what is acknowledged is in both, what fails is in neither.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "tests report by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use lockdown_dbus_api::options::EventFilter;
use lockdown_enforcement::{DenyDirectory, Verdict, decide};
use lockdownd::{
    domain::{
        event::{Action, Event},
        lock::{Lock, NewLock, Owner},
    },
    enforce,
    store::{
        Store, StoreError,
        accounts::{self, UidHolder},
        events, locks,
        sessions::{self, Session},
    },
};
use proptest::prelude::*;

const ALICE: (&str, u32) = ("alice", 1000);

fn directory(root: &Path) -> DenyDirectory {
    DenyDirectory::new(root.join("deny")).owned_by(nix::unistd::geteuid().as_raw())
}

fn open(root: &Path) -> Store {
    Store::open(&root.join("lockdown.db"), directory(root)).unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn terms(owner: Owner, expires_at: Option<i64>) -> NewLock {
    NewLock { owner, reason: "r".into(), message: "m\nn".into(), created_by: "root".into(), expires_at }
}

async fn lock(store: &Store, (name, uid): (&'static str, u32), terms: NewLock) -> Result<Lock, StoreError> {
    store
        .write(move |change| {
            let id = accounts::ensure(change, name, uid, 1)?;
            let lock = locks::put(change, id, uid, &terms, 1)?;
            change.record(Event::new(1, Action::Lock, name))?;
            Ok(lock)
        })
        .await
}

async fn unlock(store: &Store, uid: u32, lock: i64) -> Result<(), StoreError> {
    store.write(move |change| locks::remove(change, lock, uid)).await
}

fn denies(root: &Path, uid: u32, now: i64) -> bool {
    let record = directory(root).read(uid).unwrap();
    decide(record.as_ref(), now, &BTreeSet::new()) != Verdict::Allow
}

async fn drifts(store: &Store, root: &Path) -> Vec<enforce::Drift> {
    let directory = directory(root);
    store.read(move |connection| enforce::compare(connection, &directory)).await.unwrap()
}

#[test]
fn a_lock_is_in_its_record_when_the_call_returns() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open(root.path());
        let first = lock(&store, ALICE, terms(Owner::Operator, Some(100))).await.unwrap();
        assert!(denies(root.path(), 1000, 99));
        assert!(!denies(root.path(), 1000, 100));
        unlock(&store, 1000, first.id).await.unwrap();
        assert_eq!(directory(root.path()).read(1000).unwrap(), None);
    });
}

#[test]
fn locks_of_two_owners_stand_beside_each_other_and_one_of_the_same_is_updated() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open(root.path());
        let first = lock(&store, ALICE, terms(Owner::Operator, Some(100))).await.unwrap();
        let second = lock(&store, ALICE, terms(Owner::Config("web".into()), None)).await.unwrap();
        let again = lock(&store, ALICE, terms(Owner::Operator, Some(200))).await.unwrap();
        assert_eq!(first.id, again.id);
        unlock(&store, 1000, second.id).await.unwrap();
        assert!(denies(root.path(), 1000, 199));
        unlock(&store, 1000, first.id).await.unwrap();
        assert!(!denies(root.path(), 1000, 0));
    });
}

#[test]
fn a_locked_authenticator_is_in_the_record_and_locks_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open(root.path());
        for id in ["ssh:SHA256:a", "password"] {
            let placed = store.write(move |change| {
                let row = accounts::ensure(change, "alice", 1000, 1)?;
                locks::put_on(change, row, 1000, Some(id), &terms(Owner::Operator, Some(100)), 1)
            });
            placed.await.unwrap();
        }
        let denied = |id: &str| {
            let record = directory(root.path()).read(1000).unwrap();
            decide(record.as_ref(), 99, &BTreeSet::from([id.to_owned()])) != Verdict::Allow
        };
        assert!(denied("ssh:SHA256:a") && denied("password") && !denied("ssh:SHA256:b"));
        assert!(!denies(root.path(), 1000, 99));
        let lock = lock(&store, ALICE, terms(Owner::Operator, None)).await.unwrap();
        assert!(denied("ssh:SHA256:b"), "a lock on the account stands beside them");
        unlock(&store, 1000, lock.id).await.unwrap();
        assert!(denied("password") && !denied("ssh:SHA256:b"));
    });
}

#[test]
fn what_opened_a_session_is_kept_by_every_id_with_its_last_time() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open(root.path());
        let session = |logind_id: &str, authenticators: &[&str], started_at| Session {
            logind_id: Some(logind_id.to_owned()),
            authenticator: authenticators.first().map(|id| (*id).to_owned()).unwrap_or_default(),
            authenticators: authenticators.iter().map(|id| (*id).to_owned()).collect(),
            started_at,
            ..Session::default()
        };
        // logind announces it first, and does not know.
        for new in [
            session("1", &[], 10),
            session("1", &["ssh:SHA256:k", "ssh-ca:SHA256:a:x\ny"], 10),
            session("2", &["ssh:SHA256:k"], 20),
            session("2", &[], 20),
        ] {
            let put = store.write(move |change| {
                let row = accounts::ensure(change, "alice", 1000, 1)?;
                sessions::put(change, row, "boot", &new)
            });
            put.await.unwrap();
        }
        let (open, used) = store
            .read(|connection| {
                Ok::<_, StoreError>((
                    sessions::open(connection, Some("alice"))?,
                    sessions::last_used(connection, "alice")?,
                ))
            })
            .await
            .unwrap();
        assert_eq!(open.iter().map(|session| session.authenticators.len()).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(
            used.into_iter().collect::<Vec<_>>(),
            [("ssh-ca:SHA256:a:x\ny".to_owned(), 10), ("ssh:SHA256:k".to_owned(), 20)]
        );
    });
}

#[test]
fn an_error_leaves_neither_lock_nor_record_nor_event() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open(root.path());
        let refused: Result<(), StoreError> = store
            .write(|change| {
                let id = accounts::ensure(change, "alice", 1000, 1)?;
                locks::put(change, id, 1000, &terms(Owner::Operator, None), 1)?;
                change.record(Event::new(1, Action::Lock, "alice"))?;
                Err(StoreError::Stopped)
            })
            .await;
        assert!(refused.is_err());
        assert_eq!(directory(root.path()).read(1000).unwrap(), None);
        let left = store
            .read(|connection| {
                Ok::<_, StoreError>((
                    accounts::known(connection)?,
                    events::list(connection, &EventFilter::default())?,
                ))
            })
            .await
            .unwrap();
        assert_eq!(left, (Vec::new(), Vec::new()));
    });
}

#[test]
fn a_record_that_cannot_be_written_fails_the_lock_before_anything_has_changed() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open(root.path());
        std::fs::remove_dir(root.path().join("deny")).unwrap();
        std::fs::write(root.path().join("deny"), "in the way").unwrap();
        let error = lock(&store, ALICE, terms(Owner::Operator, None)).await.unwrap_err();
        assert!(matches!(&error, StoreError::Record { account, .. } if account == "alice"), "{error}");
        let locks =
            store.read(|connection| Ok::<_, StoreError>(locks::of_account(connection, "alice")?)).await;
        assert_eq!(locks.unwrap(), Vec::new());
    });
}

#[test]
fn an_account_that_gets_another_uid_stays_locked() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open(root.path());
        lock(&store, ALICE, terms(Owner::Operator, None)).await.unwrap();
        store.write(|change| accounts::ensure(change, "alice", 2000, 1).map(drop)).await.unwrap();
        assert!(denies(root.path(), 2000, 0));
        assert!(!denies(root.path(), 1000, 0));
    });
}

#[test]
fn drift_is_found_and_mended_with_an_event() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open(root.path());
        lock(&store, ALICE, terms(Owner::Operator, None)).await.unwrap();
        lock(&store, ("bob", 1001), terms(Owner::Operator, None)).await.unwrap();
        assert_eq!(drifts(&store, root.path()).await, Vec::new());

        std::fs::write(root.path().join("deny/1000"), "damaged").unwrap();
        directory(root.path()).remove(1001).unwrap();
        std::fs::copy(root.path().join("deny/1000"), root.path().join("deny/1002")).unwrap();
        let found = drifts(&store, root.path()).await;
        assert_eq!(found.iter().map(|drift| drift.uid).collect::<Vec<_>>(), [1000, 1001, 1002]);

        store.write(move |change| enforce::mend(change, &found, 5)).await.unwrap();
        assert_eq!(drifts(&store, root.path()).await, Vec::new());
        assert!(denies(root.path(), 1000, 0) && denies(root.path(), 1001, 0));
        let filter = EventFilter { action: Some("record-drift".into()), ..EventFilter::default() };
        let events =
            store.read(move |connection| Ok::<_, StoreError>(events::list(connection, &filter)?)).await;
        assert_eq!(events.unwrap().len(), 3);
    });
}

#[test]
fn the_audit_trail_cannot_be_changed() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open(root.path());
        lock(&store, ALICE, terms(Owner::Operator, None)).await.unwrap();
        for statement in ["DELETE FROM events", "UPDATE events SET reason = 'other'"] {
            let changed = store
                .write(move |change| {
                    change.connection().execute(statement, [])?;
                    Ok::<_, StoreError>(())
                })
                .await;
            assert!(changed.unwrap_err().to_string().contains("append-only"));
        }
    });
}

#[derive(Clone, Debug)]
enum Step {
    Lock(u32, Option<i64>),
    Unlock(usize),
    Expire(u32, Option<i64>),
    Time(i64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1000..1004u32, proptest::option::of(1..100i64)).prop_map(|(uid, end)| Step::Lock(uid, end)),
        (0..8usize).prop_map(Step::Unlock),
        (1000..1004u32, proptest::option::of(1..100i64)).prop_map(|(uid, end)| Step::Expire(uid, end)),
        (1..100i64).prop_map(Step::Time),
        Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn records_equal_the_store_after_any_history(steps in proptest::collection::vec(step(), 1..40)) {
        const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
        let root = tempfile::tempdir().unwrap();
        run(async {
            let mut store = open(root.path());
            let mut placed: Vec<(i64, u32)> = Vec::new();
            for step in steps {
                match step {
                    Step::Lock(uid, end) => {
                        let owner = if end.is_some() { Owner::Operator } else { Owner::Config("x".into()) };
                        let lock = lock(&store, (NAMES[(uid - 1000) as usize], uid), terms(owner, end)).await.unwrap();
                        placed.push((lock.id, uid));
                    }
                    Step::Unlock(index) => {
                        if let Some((id, uid)) = placed.get(index).copied() {
                            unlock(&store, uid, id).await.unwrap();
                        }
                    }
                    Step::Expire(uid, end) => store
                        .write(move |change| {
                            let id = accounts::ensure(change, NAMES[(uid - 1000) as usize], uid, 1)?;
                            accounts::set_valid_until(change, id, uid, end)
                        })
                        .await
                        .unwrap(),
                    Step::Time(now) => store
                        .write(move |change| locks::take_expired(change, now).map(drop))
                        .await
                        .unwrap(),
                    Step::Restart => store = open(root.path()),
                }
            }
            assert_eq!(drifts(&store, root.path()).await, Vec::new());
        });
    }
}

#[test]
fn of_an_account_that_is_gone_nothing_denies_whoever_has_its_uid_now() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (alice, uid) = ALICE;
    run(async {
        let held = lock(&store, ALICE, terms(Owner::Operator, None)).await.unwrap();
        assert!(denies(root.path(), uid, 2));
        let given: Result<(), StoreError> =
            store.write(move |change| accounts::set_uid_holder(change, alice, uid, UidHolder::Nobody)).await;
        given.unwrap();
        assert!(denies(root.path(), uid, 2), "who is not there now may be back");
        let given: Result<(), StoreError> =
            store.write(move |change| accounts::set_uid_holder(change, alice, uid, UidHolder::Another)).await;
        given.unwrap();
        assert!(!denies(root.path(), uid, 2) && drifts(&store, root.path()).await.is_empty());
        let known = store
            .read(move |connection| {
                let denied = accounts::denied(connection, 2)?;
                Ok::<_, StoreError>((
                    denied,
                    accounts::uid_of(connection, alice)?,
                    accounts::names_of(connection, uid)?,
                ))
            })
            .await
            .unwrap();
        assert_eq!(known, (Vec::new(), None, Vec::new()));
        // Whoever has it now is locked for themselves only.
        let of_bob = lock(&store, ("bob", uid), terms(Owner::Operator, None)).await.unwrap();
        let record = directory(root.path()).read(uid).unwrap().unwrap();
        assert_eq!((record.account.as_str(), record.locks.len()), ("bob", 1));
        unlock(&store, uid, of_bob.id).await.unwrap();

        // She is back, with another uid or with her own.
        for uid in [2000, 1000] {
            let back: Result<_, StoreError> =
                store.write(move |change| accounts::ensure(change, alice, uid, 3)).await;
            back.unwrap();
            assert!(denies(root.path(), uid, 3) && drifts(&store, root.path()).await.is_empty());
        }
        assert!(!denies(root.path(), 2000, 3));
        unlock(&store, uid, held.id).await.unwrap();
        assert!(!denies(root.path(), uid, 3));
    });
}

#[test]
fn an_account_that_expires_when_its_uid_is_anothers_has_none() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let expired = run(store.write(|change| {
        for (name, uid) in [ALICE, ("bob", 1001)] {
            let id = accounts::ensure(change, name, uid, 1)?;
            accounts::set_valid_until(change, id, uid, Some(5))?;
        }
        accounts::set_uid_holder(change, "alice", 1000, UidHolder::Another)?;
        accounts::take_newly_expired(change, 6)
    }));
    let expired: Result<Vec<_>, StoreError> = expired;
    assert_eq!(expired.unwrap(), [("alice".to_owned(), None, 5), ("bob".to_owned(), Some(1001), 5)]);
    assert!(!denies(root.path(), 1000, 6) && denies(root.path(), 1001, 6));
}

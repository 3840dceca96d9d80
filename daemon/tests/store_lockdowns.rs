//! Lockdowns in the store: what they took away is kept, given out once, and gone when it is forgotten.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "tests report by panicking")]

use std::path::Path;

use lockdown_enforcement::DenyDirectory;
use lockdownd::{
    domain::lockdown::{Actions, Suspects, Wanted},
    host::shadow_utils::ShadowState,
    operations::prior,
    store::{
        Store, StoreError, accounts,
        lockdowns::{self, EXPIRY, Lockdown, PriorState, SHADOW},
        recoveries,
    },
};

const DAY: i64 = 24 * 3600;
const HASH: &str = "$y$j9T$this-is-the-hash-of-alice";

fn open_store(root: &Path) -> Store {
    let directory = DenyDirectory::new(root.join("deny")).owned_by(nix::unistd::geteuid().as_raw());
    Store::open(&root.join("lockdown.db"), directory).unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn wanted(unusable_password: bool) -> Wanted {
    let actions = Actions { deactivate: true, unusable_password, end_sessions: false, revoke_tokens: false };
    Wanted { actions, suspects: Suspects::Report }
}

/// At `now`, with a day for an undo.
async fn lock_down(store: &Store, wanted: Wanted, now: i64) -> Lockdown {
    store
        .write(move |change| {
            let id = accounts::ensure(change, "alice", 1000, now)?;
            lockdowns::open(change, id, "r", wanted, now, now + DAY)
        })
        .await
        .unwrap()
}

async fn restore(store: &Store, lockdown: &Lockdown, now: i64) -> bool {
    let lockdown = lockdown.clone();
    store.write(move |change| lockdowns::set_restored(change, &lockdown, now)).await.unwrap()
}

async fn keep(store: &Store, lockdown: &Lockdown, states: Vec<PriorState>) {
    let id = lockdown.id;
    store.write(move |change| lockdowns::keep(change, id, &states)).await.unwrap();
}

fn file(path: &str, content: &str) -> PriorState {
    let kind = "crontab".to_owned();
    PriorState { kind, name: path.into(), content: content.into(), details: "{}".to_owned() }
}

fn line(hash: &str, expires: &str) -> ShadowState {
    ShadowState { hash: hash.to_owned(), last_change: "20000".to_owned(), expires: expires.to_owned() }
}

async fn keep_shadow(store: &Store, lockdown: &Lockdown, line: ShadowState) {
    let id = lockdown.id;
    store.write(move |change| prior::keep_shadow(change, id, &line)).await.unwrap();
}

/// Kind and content.
async fn kept(store: &Store, lockdown: &Lockdown) -> Vec<(String, String)> {
    let id = lockdown.id;
    let states = store
        .read(move |connection| lockdowns::prior_states(connection, id).map_err(StoreError::from))
        .await
        .unwrap();
    states.into_iter().map(|(_, state)| (state.kind, String::from_utf8(state.content).unwrap())).collect()
}

async fn last(store: &Store) -> Lockdown {
    let last =
        store.read(|connection| lockdowns::last_of(connection, "alice").map_err(StoreError::from)).await;
    last.unwrap().unwrap()
}

async fn unfinished(store: &Store) -> Vec<i64> {
    let unfinished =
        store.read(|connection| lockdowns::unfinished(connection).map_err(StoreError::from)).await;
    unfinished.unwrap().iter().map(|lockdown| lockdown.id).collect()
}

async fn finish(store: &Store, lockdown: &Lockdown) {
    let lockdown = lockdown.clone();
    store.write(move |change| lockdowns::set_finished(change, &lockdown, Some(9))).await.unwrap();
}

async fn forget_old(store: &Store, now: i64) {
    store.write(move |change| lockdowns::forget_old(change, now)).await.unwrap();
}

async fn next_deadline(store: &Store) -> Option<i64> {
    store.read(|connection| lockdowns::next_deadline(connection).map_err(StoreError::from)).await.unwrap()
}

/// A code that waits until `expires_at`, in the place of the account's own expiry.
async fn put_code(store: &Store, lockdown: &Lockdown, expires_at: i64, own: Option<i64>) {
    let lockdown = lockdown.id;
    store
        .write(move |change| {
            let id = accounts::ensure(change, "alice", 1000, 1)?;
            recoveries::put(change, id, lockdown, expires_at, own)
        })
        .await
        .unwrap();
}

/// Whether these bytes are anywhere on the disk.
async fn is_on_disk(store: &Store, root: &Path, secret: &str) -> bool {
    store.checkpoint().await.unwrap();
    let files = ["lockdown.db", "lockdown.db-wal"].map(|name| std::fs::read(root.join(name)));
    let bytes: Vec<u8> = files.into_iter().flatten().flatten().collect();
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

#[test]
fn a_second_order_goes_on_with_the_lockdown_that_stands() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open_store(root.path());
        let first = lock_down(&store, wanted(false), 100).await;
        finish(&store, &first).await;
        assert!(unfinished(&store).await.is_empty());
        let second = lock_down(&store, wanted(true), 200).await;
        assert_eq!((second.id, second.orders, second.started_at), (first.id, 2, 100));
        assert!(second.wanted.actions.deactivate && second.wanted.actions.unusable_password);
        assert_eq!(second.undo_until, 200 + DAY);
        assert_eq!(unfinished(&store).await, [first.id]);
        // Not even an earlier moment shortens the time for an undo: clocks are set back.
        assert_eq!(lock_down(&store, wanted(false), 150).await.undo_until, 200 + DAY);

        assert!(restore(&store, &last(&store).await, 300).await);
        let third = lock_down(&store, wanted(false), 400).await;
        assert_ne!(third.id, first.id);
        assert!(!third.wanted.actions.unusable_password);
    });
}

#[test]
fn what_began_for_an_earlier_order_neither_ends_nor_restores_a_later_one() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open_store(root.path());
        let first = lock_down(&store, wanted(false), 100).await;
        let second = lock_down(&store, wanted(true), 200).await;
        finish(&store, &first).await;
        assert_eq!(unfinished(&store).await, [second.id]);
        assert!(!restore(&store, &first, 300).await);
        assert!(!last(&store).await.restored);
        assert!(restore(&store, &second, 300).await);
        assert!(!restore(&store, &second, 400).await, "only once");
    });
}

#[test]
fn what_was_kept_first_stays_and_nothing_is_kept_twice() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open_store(root.path());
        let lockdown = lock_down(&store, wanted(true), 100).await;
        keep_shadow(&store, &lockdown, line(HASH, "")).await;
        keep(&store, &lockdown, vec![file("/a", "one"), file("/a", "one")]).await;
        keep(&store, &lockdown, vec![file("/a", "two"), file("/a", "one")]).await;
        // The second time it is the lockdown's own work that stands there.
        keep_shadow(&store, &lockdown, line("!*", "1")).await;
        let expected = [(SHADOW, HASH), ("crontab", "one"), ("crontab", "two")];
        assert_eq!(kept(&store, &lockdown).await, expected.map(|(kind, text)| (kind.into(), text.into())));
        assert!(!format!("{:?}", file("/a", "one")).contains("one"), "a secret in a log");
    });
}

#[test]
fn what_is_forgotten_is_gone_from_the_disk() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open_store(root.path());
        let lockdown = lock_down(&store, wanted(true), 100).await;
        // Longer than a page, too: the rest of it lies in pages of its own.
        let long = "a job with a password in it ".repeat(1000);
        keep(&store, &lockdown, vec![file("/a", "the-secret-of-alice"), file("/b", &long)]).await;
        assert!(is_on_disk(&store, root.path(), "the-secret-of-alice").await);
        let id = lockdown.id;
        store
            .write(move |change| {
                let rows = lockdowns::prior_states(change.connection(), id)?;
                lockdowns::forget(change, &rows.iter().map(|(row, _)| *row).collect::<Vec<_>>())
            })
            .await
            .unwrap();
        assert!(kept(&store, &lockdown).await.is_empty());
        assert!(!is_on_disk(&store, root.path(), "the-secret-of-alice").await);
        assert!(!is_on_disk(&store, root.path(), "a job with a password").await);
    });
}

#[test]
fn when_the_time_for_an_undo_is_over_a_lockdown_that_stands_keeps_the_expiry_and_no_secret() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open_store(root.path());
        let lockdown = lock_down(&store, wanted(true), 100).await;
        keep_shadow(&store, &lockdown, line(HASH, "21000")).await;
        keep(&store, &lockdown, vec![file("/a", "the-secret-of-alice")]).await;
        assert_eq!(next_deadline(&store).await, Some(100 + DAY));
        forget_old(&store, 99 + DAY).await;
        assert_eq!(kept(&store, &lockdown).await.len(), 2);
        forget_old(&store, 100 + DAY).await;
        assert_eq!(kept(&store, &lockdown).await, [(EXPIRY.to_owned(), String::new())]);
        assert_eq!(next_deadline(&store).await, None, "nothing left to forget, or the daemon spins");
        assert!(!is_on_disk(&store, root.path(), HASH).await);
        assert!(!is_on_disk(&store, root.path(), "the-secret-of-alice").await);

        // Locked down again, what stands in shadow(5) is not taken for what was there before.
        let again = lock_down(&store, wanted(true), 100 + 2 * DAY).await;
        assert_eq!(again.id, lockdown.id);
        keep_shadow(&store, &again, line("!*", "1")).await;
        let id = again.id;
        let states = store
            .read(move |connection| lockdowns::prior_states(connection, id).map_err(StoreError::from))
            .await
            .unwrap();
        assert_eq!(states.len(), 1);
        assert!(states[0].1.details.contains("21000"), "{}", states[0].1.details);

        assert!(restore(&store, &last(&store).await, 200 + 2 * DAY).await);
        forget_old(&store, 100 + 4 * DAY).await;
        assert!(kept(&store, &lockdown).await.is_empty());
    });
}

#[test]
fn while_a_code_waits_the_lockdown_can_stand_again_and_what_that_needs_is_kept() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open_store(root.path());
        let lockdown = lock_down(&store, wanted(true), 100).await;
        keep_shadow(&store, &lockdown, line(HASH, "")).await;
        assert!(restore(&store, &lockdown, 200).await);
        put_code(&store, &lockdown, 300 + DAY, None).await;
        forget_old(&store, 100 + DAY).await;
        assert_eq!(kept(&store, &lockdown).await, [(EXPIRY.to_owned(), String::new())]);
        store.write(move |change| lockdowns::stand_again(change, lockdown.id)).await.unwrap();
        assert!(!last(&store).await.restored);
        assert_eq!(unfinished(&store).await, [last(&store).await.id]);
    });
}

#[test]
fn an_earlier_lockdown_does_not_stand_again_beside_a_later_one() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open_store(root.path());
        let first = lock_down(&store, wanted(true), 100).await;
        assert!(restore(&store, &first, 200).await);
        let second = lock_down(&store, wanted(true), 300).await;
        store.write(move |change| lockdowns::stand_again(change, first.id)).await.unwrap();
        assert_eq!(last(&store).await.id, second.id);
        assert_eq!(unfinished(&store).await, [second.id]);
        // One that stands comes before a later one that was taken back.
        assert!(restore(&store, &second, 400).await);
        store.write(move |change| lockdowns::stand_again(change, first.id)).await.unwrap();
        assert_eq!(last(&store).await.id, first.id);
    });
}

#[test]
fn a_code_ends_at_its_time_and_the_expiry_of_the_account_itself_is_remembered() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open_store(root.path());
        let lockdown = lock_down(&store, wanted(true), 100).await;
        let id = lockdown.id;
        put_code(&store, &lockdown, 500, Some(900)).await;
        // Another one in its place: its expiry is not the account's own.
        put_code(&store, &lockdown, 700, Some(500)).await;
        let read = |now| {
            store.read(move |connection| {
                let all = (
                    recoveries::of_account(connection, "alice")?,
                    recoveries::due(connection, now)?.len(),
                    recoveries::next_deadline(connection)?,
                );
                Ok::<_, StoreError>(all)
            })
        };
        let (code, due, deadline) = read(699).await.unwrap();
        let code = code.unwrap();
        assert_eq!((code.lockdown, code.expires_at, code.valid_until), (id, 700, Some(900)));
        assert_eq!((due, deadline), (0, Some(700)));
        assert_eq!(read(700).await.unwrap().1, 1);
        store.write(move |change| recoveries::remove(change, code.account_id)).await.unwrap();
        assert_eq!(read(700).await.unwrap(), (None, 0, None));
    });
}

use lockdown_enforcement::DenyDirectory;

use super::*;
use crate::{
    domain::state::{AccountWants, Wants},
    store::{Store, documents::Origin, metadata},
};

const NOW: Time = 1_000;
const UID: u32 = 61_981;

fn store(root: &tempfile::TempDir) -> Store {
    let directory = DenyDirectory::new(root.path().join("deny")).owned_by(nix::unistd::geteuid().as_raw());
    Store::open(&root.path().join("lockdown.db"), directory).unwrap()
}

/// What `web` wants: alice locked.
fn wanted() -> Wanted {
    let lock = Some(Terms { reason: "left".into(), ..Terms::default() });
    let wants = AccountWants { lock, ..AccountWants::default() };
    let wants = Wants { accounts: [("alice".to_owned(), wants)].into(), ..Wants::default() };
    [("web".to_owned(), wants)].into()
}

/// The order of `web` as the store is now.
async fn judged(store: &Store) -> Order {
    let (wanted, names) = (wanted(), BTreeSet::from(["web".to_owned()]));
    let revision = store.revision();
    let found = store.read(move |connection| standing(connection, &names).map_err(StoreError::from));
    let web = Applied {
        name: "web".into(),
        origin: Origin::Given,
        path: "web".into(),
        hash: vec![1],
        standing: Vec::new(),
        has_groups: false,
        pending: 0,
        protected: Vec::new(),
        applied_at: NOW,
    };
    Order {
        caller: Caller::default(),
        now: NOW,
        steps: plan(&wanted, &found.await.unwrap(), NOW),
        wanted,
        revision,
        people: People::of(&[("alice", UID)], &[]),
        gone: BTreeSet::new(),
        documents: vec![(web, Some("version = 1".into()))],
        removed: Vec::new(),
        around: String::new(),
    }
}

/// Whether it was committed, or the store was another by then.
async fn commit(store: &Store, order: Order) -> bool {
    match store.write(move |change| put(change, order)).await {
        Ok(_) => true,
        Err(Abort::Moved) => false,
        Err(Abort::Failed(error)) => panic!("{error:?}"),
    }
}

async fn reasons(store: &Store) -> Vec<String> {
    let locks = store.read(|connection| locks::of_account(connection, "alice").map_err(StoreError::from));
    locks.await.unwrap().into_iter().map(|lock| lock.terms.reason).collect()
}

/// Somebody else's change.
async fn meanwhile<T: Send + 'static>(
    store: &Store,
    job: impl FnOnce(&mut Change<'_>, AccountId) -> Result<T, StoreError> + Send + 'static,
) {
    let done = store.write(move |change| {
        let id = accounts::ensure(change, "alice", UID, NOW)?;
        job(change, id)
    });
    done.await.unwrap();
}

#[tokio::test]
async fn what_was_judged_is_committed_while_the_store_stays_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let store = store(&root);
    let order = judged(&store).await;
    assert!(commit(&store, order).await);
    assert_eq!(reasons(&store).await, ["left"]);
    assert_eq!(judged(&store).await.steps, []);
}

#[tokio::test]
async fn what_was_judged_by_what_stands_no_more_is_judged_again() {
    let root = tempfile::tempdir().unwrap();
    let store = store(&root);
    let order = judged(&store).await;
    // The same document, by another call.
    let first = judged(&store).await;
    assert!(commit(&store, first).await);
    assert!(!commit(&store, order).await, "the lock was there already");
    let events = store.read(|connection| {
        connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).map_err(StoreError::from)
    });
    let events: i64 = events.await.unwrap();
    assert_eq!(events, 2, "nothing of it is left");
    // One that lifts what somebody has lifted meanwhile.
    let mut order = judged(&store).await;
    order.wanted = Wanted::new();
    let found =
        store.read(|connection| standing(connection, &["web".to_owned()].into()).map_err(StoreError::from));
    order.steps = plan(&order.wanted, &found.await.unwrap(), NOW);
    assert_eq!(order.steps.len(), 1);
    meanwhile(&store, |change, _| Ok(change.connection().execute("DELETE FROM locks", [])?)).await;
    assert!(!commit(&store, order).await);
}

#[tokio::test]
async fn what_others_change_that_no_document_is_about_delays_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = store(&root);
    let order = judged(&store).await;
    meanwhile(&store, |change, id| metadata::set(change, id, "desk", "4")).await;
    meanwhile(&store, |change, id| {
        let terms = NewLock {
            owner: Owner::Operator,
            reason: "stolen key".into(),
            message: String::new(),
            created_by: "carol".into(),
            expires_at: None,
        };
        locks::put(change, id, UID, &terms, NOW)
    })
    .await;
    assert!(commit(&store, order).await);
    assert_eq!(reasons(&store).await, ["stolen key", "left"]);
}

//! What the store keeps about accounts beside locks: identifiers, metadata, the end of the last session; and the tags of
//! events.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "tests report by panicking")]

use std::path::Path;

use lockdown_dbus_api::{options::EventFilter, tags::Tags};
use lockdown_enforcement::DenyDirectory;
use lockdownd::{
    domain::{
        event::{Action, Event},
        identifier::Identifier,
    },
    store::{
        Store, StoreError, accounts, events, identifiers, metadata,
        sessions::{self, Session},
    },
};

fn open(root: &Path) -> Store {
    let directory = DenyDirectory::new(root.join("deny")).owned_by(nix::unistd::geteuid().as_raw());
    Store::open(&root.join("lockdown.db"), directory).unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn identifier(kind: &str, value: &str) -> Identifier {
    Identifier::new(kind, value).unwrap()
}

async fn put(
    store: &Store,
    name: &'static str,
    kind: &'static str,
    value: &'static str,
) -> Result<(), StoreError> {
    store
        .write(move |change| {
            let account = accounts::ensure(change, name, 1000, 1)?;
            identifiers::put(change, account, &identifier(kind, value))
        })
        .await
}

async fn holder(store: &Store, kind: &str, value: &str) -> Option<String> {
    let wanted = identifier(kind, value);
    store
        .read(move |connection| Ok::<_, StoreError>(identifiers::holder(connection, &wanted)?))
        .await
        .unwrap()
}

async fn kept(store: &Store, name: &'static str) -> Vec<(String, String)> {
    let kept =
        store.read(move |connection| Ok::<_, StoreError>(identifiers::of_account(connection, name)?)).await;
    kept.unwrap().into_iter().collect()
}

#[test]
fn an_identifier_is_one_accounts_alone_however_it_is_written() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open(root.path());
        put(&store, "alice", "email", "Alice@Example.org").await.unwrap();
        put(&store, "alice", "phone", "+1 555-0100").await.unwrap();
        put(&store, "alice", "badge", "17").await.unwrap();
        assert_eq!(holder(&store, "email", "alice@EXAMPLE.ORG").await.as_deref(), Some("alice"));
        assert_eq!(holder(&store, "phone", "+15550100").await.as_deref(), Some("alice"));
        assert_eq!(holder(&store, "id", "17").await, None, "another kind is another identifier");
        put(&store, "bob", "email", "ALICE@example.org").await.unwrap_err();
        assert_eq!(holder(&store, "email", "alice@example.org").await.as_deref(), Some("alice"));
        assert_eq!(kept(&store, "bob").await, []);

        // One of a kind: the new one takes the place of the old one, which is free again.
        put(&store, "alice", "email", "a@example.org").await.unwrap();
        assert_eq!(holder(&store, "email", "alice@example.org").await, None);
        put(&store, "bob", "email", "alice@example.org").await.unwrap();
        let pairs = [("badge", "17"), ("email", "a@example.org"), ("phone", "+1 555-0100")];
        assert_eq!(
            kept(&store, "alice").await,
            pairs.map(|(kind, value)| (kind.to_owned(), value.to_owned()))
        );
    });
}

#[test]
fn an_identifier_is_taken_away_and_from_whoever_has_it() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open(root.path());
        for (name, kind, value) in [("alice", "id", "1"), ("alice", "badge", "1"), ("bob", "id", "2")] {
            put(&store, name, kind, value).await.unwrap();
        }
        let without = store.write(|change| {
            let alice = accounts::ensure(change, "alice", 1000, 1)?;
            identifiers::remove(change, alice, "badge")?;
            identifiers::release(change, &identifier("id", "2"))
        });
        let without: Result<(), StoreError> = without.await;
        without.unwrap();
        assert_eq!(kept(&store, "alice").await, [("id".to_owned(), "1".to_owned())]);
        assert_eq!(kept(&store, "bob").await, []);
    });
}

#[test]
fn metadata_is_kept_by_key_and_outlives_the_daemon() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let set = async |store: &Store, pairs: &'static [(&str, &str)]| {
            let set = store.write(move |change| {
                let alice = accounts::ensure(change, "alice", 1000, 1)?;
                pairs.iter().try_for_each(|(key, value)| metadata::set(change, alice, key, value))
            });
            let set: Result<(), StoreError> = set.await;
            set.unwrap();
        };
        set(&open(root.path()), &[("team", "blue"), ("desk", "4"), ("team", "red")]).await;
        let store = open(root.path());
        set(&store, &[("desk", ""), ("floor", "")]).await;
        let kept =
            store.read(|connection| Ok::<_, StoreError>(metadata::of_account(connection, "alice")?)).await;
        assert_eq!(kept.unwrap(), [("team".to_owned(), "red".to_owned())].into());
    });
}

#[test]
fn the_end_of_the_last_session_outlives_its_row() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open(root.path());
        let used = async |from: i64, until: i64| {
            let used = store.write(move |change| {
                let alice = accounts::ensure(change, "alice", 1000, 1)?;
                let new = Session { account: "alice".into(), started_at: from, ..Session::default() };
                let (session, _) = sessions::put(change, alice, "boot", &new)?;
                sessions::end(change, session.row, until)?;
                // What has ended does not end again.
                sessions::end(change, session.row, until + 1_000)
            });
            let used: Result<bool, StoreError> = used.await;
            assert!(!used.unwrap());
        };
        let ended = async || {
            let stored =
                store.read(|connection| Ok::<_, StoreError>(accounts::stored(connection, "alice")?)).await;
            stored.unwrap().last_session_end
        };
        used(10, 20).await;
        assert_eq!(ended().await, Some(20));
        // The clock was set back.
        used(5, 15).await;
        assert_eq!(ended().await, Some(20));
        let months = 90 * 24 * 3600;
        used(months, months + 1).await;
        assert_eq!(ended().await, Some(months + 1));
    });
}

#[test]
fn tags_are_kept_with_their_event_and_cannot_be_changed() {
    let root = tempfile::tempdir().unwrap();
    run(async {
        let store = open(root.path());
        let tags = Tags::from([("ticket".to_owned(), "a \"b\" ü".to_owned())]);
        let event = Event { tags: tags.clone(), ..Event::new(1, Action::SetAccount, "alice") };
        let recorded: Result<(), StoreError> = store
            .write(|change| {
                change.record(event)?;
                change.record(Event::new(2, Action::Lock, "alice"))
            })
            .await;
        recorded.unwrap();
        let listed =
            store.read(|connection| Ok::<_, StoreError>(events::list(connection, &EventFilter::default())?));
        let listed = listed.await.unwrap();
        assert_eq!(
            (listed[0].action.as_str(), &listed[0].tags),
            ("set-account", &tags.into_iter().collect())
        );
        assert!(listed[1].tags.is_empty());
        let forged: Result<usize, StoreError> =
            store.write(|change| Ok(change.connection().execute("UPDATE events SET tags = '{}'", [])?)).await;
        assert!(forged.unwrap_err().to_string().contains("append-only"));
    });
}

/// As the version before identifiers, metadata and tags left it.
fn earlier(root: &Path) {
    let connection = rusqlite::Connection::open(root.join("lockdown.db")).unwrap();
    for step in [
        include_str!("../src/store/schema/001_accounts_locks_sessions_events.sql"),
        include_str!("../src/store/schema/002_lockdowns.sql"),
        include_str!("../src/store/schema/003_authenticators.sql"),
        "INSERT INTO accounts (id, name, uid, created_at) VALUES (1, 'alice', 1000, 1), (2, 'bob', 1001, 1);
         INSERT INTO sessions (account_id, boot_id, service, tty, remote_host, leader_pid, authenticator, started_at, ended_at)
             VALUES (1, 'b', '', '', '', 1, '', 10, 20), (1, 'b', '', '', '', 1, '', 10, 30), (2, 'b', '', '', '', 1, '', 5, NULL);
         INSERT INTO events (time, action, severity, account, target, owner, reason, outcome, error, caller, input)
             VALUES (1, 'lock', 'notice', 'alice', '', '', '', 'success', '', '{}', '{}');
         PRAGMA user_version = 3;",
    ] {
        connection.execute_batch(step).unwrap();
    }
}

#[test]
fn what_an_earlier_version_left_is_brought_along() {
    let root = tempfile::tempdir().unwrap();
    earlier(root.path());
    run(async {
        let store = open(root.path());
        let read = store.read(|connection| {
            let ended = |name| accounts::stored(connection, name).map(|stored| stored.last_session_end);
            Ok::<_, StoreError>((
                ended("alice")?,
                ended("bob")?,
                events::list(connection, &EventFilter::default())?,
            ))
        });
        let (alice, bob, events) = read.await.unwrap();
        assert_eq!((alice, bob), (Some(30), None));
        assert_eq!((events.len(), events[0].tags.len()), (1, 0));
        put(&store, "alice", "id", "1").await.unwrap();
    });
}

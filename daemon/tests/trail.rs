//! The audit trail against somebody who has the database in hand: whatever they do to it is found and named, and what lockdown
//! itself removes leaves it whole.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "tests report by panicking")]

use std::path::Path;

use lockdown_dbus_api::{options::EventFilter, views};
use lockdown_enforcement::DenyDirectory;
use lockdownd::{
    domain::event::{Action, Event, Outcome},
    store::{
        Store, StoreError,
        events::{
            self,
            chain::{self, hex},
            prune::{self, Cut},
            verify::{Findings, Verification, Witnesses},
        },
    },
};
use proptest::prelude::*;
use rusqlite::Connection;

fn open(root: &Path) -> Store {
    let directory = DenyDirectory::new(root.join("deny")).owned_by(nix::unistd::geteuid().as_raw());
    Store::open(&root.join("lockdown.db"), directory).unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The `number`th event, a day after the one before; no two are alike.
fn event(number: i64) -> Event {
    let action = Action::ALL[usize::try_from(number).unwrap() % Action::ALL.len()];
    let mut event = Event::new(number * 86_400, action, if number % 2 == 0 { "alice" } else { "bob" });
    event.target = format!("lock:{number}");
    event.owner = "operator".into();
    event.reason = format!("reason\n{number}");
    event.caller = [("name", "root".to_owned()), ("uid", "0".to_owned())].into();
    event.input = [("duration", number.to_string())].into();
    if number % 4 == 0 {
        event.tags = [("ticket".to_owned(), number.to_string())].into();
    }
    if number % 3 == 0 {
        event.outcome = Outcome::Refused("is protected".into());
    }
    event
}

/// A store with events 1 to `count`.
fn trail(root: &Path, count: i64) -> Store {
    let store = open(root);
    run(append(&store, 1..=count));
    store
}

async fn append(store: &Store, numbers: impl Iterator<Item = i64> + Send + 'static) {
    let written = store.write(move |change| {
        for number in numbers {
            change.record(event(number))?;
        }
        Ok::<_, StoreError>(())
    });
    written.await.unwrap();
}

/// The database in the hands of somebody who takes what is in the way out of it first.
fn tamper(root: &Path) -> Connection {
    let connection = Connection::open(root.join("lockdown.db")).unwrap();
    connection
        .execute_batch("DROP TRIGGER events_are_not_changed; DROP TRIGGER events_are_not_removed; DROP INDEX events_by_caller;")
        .unwrap();
    connection
}

/// Puts back what `tamper` took out, so that only the rows tell.
fn cover_up(connection: &Connection) {
    let schema = include_str!("../src/store/schema/006_event_chain.sql");
    for name in ["TRIGGER events_are_not_changed", "TRIGGER events_are_not_removed", "INDEX events_by_caller"]
    {
        let start = schema.find(&format!("CREATE {name}")).unwrap();
        let end = if name.starts_with("TRIGGER") { "END;" } else { ";" };
        let statement = &schema[start..];
        connection.execute_batch(&statement[..statement.find(end).unwrap() + end.len()]).unwrap();
    }
}

fn verify_from(root: &Path, since: Option<i64>, witnesses: Witnesses) -> Findings {
    let connection = Connection::open(root.join("lockdown.db")).unwrap();
    let mut verification = Verification::begin(&connection, since, witnesses).unwrap();
    while verification.go_on(&connection).unwrap() {}
    verification.finish()
}

fn verify(root: &Path) -> Findings {
    verify_from(root, None, Witnesses::new())
}

/// The events that something is wrong with, and what.
fn problems(findings: &Findings) -> Vec<(i64, &str)> {
    findings.problems.iter().map(|problem| (problem.id, problem.problem.as_str())).collect()
}

fn named(findings: &Findings) -> Vec<i64> {
    findings.problems.iter().map(|problem| problem.id).collect()
}

fn hashes(root: &Path) -> Witnesses {
    let connection = Connection::open(root.join("lockdown.db")).unwrap();
    let mut select = connection.prepare("SELECT id, hash FROM events").unwrap();
    let hashes =
        select.query_map([], |row| Ok((row.get(0)?, [hex(&row.get::<_, Vec<u8>>(1)?)].into()))).unwrap();
    hashes.collect::<Result<_, _>>().unwrap()
}

async fn list(store: &Store, filter: EventFilter) -> Vec<views::Event> {
    store.read(move |connection| events::list(connection, &filter).map_err(StoreError::from)).await.unwrap()
}

async fn remove_before(store: &Store, limit: i64, now: i64) {
    let mut cut = store.read(|connection| Cut::begin(connection).map_err(StoreError::from)).await.unwrap();
    while !cut.is_whole {
        cut = store
            .read(move |connection| cut.extend(connection, limit).map_err(StoreError::from))
            .await
            .unwrap();
    }
    if cut.count > 0 {
        store.write(move |change| prune::sign_off(change, &cut, now)).await.unwrap();
    }
    while store.write(prune::remove_some).await.unwrap() {}
}

#[test]
fn a_trail_that_nobody_touched_is_whole() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(
        verify({
            drop(trail(root.path(), 0));
            root.path()
        })
        .checked,
        0
    );
    let store = open(root.path());
    run(append(&store, 1..=5000));
    let findings = verify_from(root.path(), None, hashes(root.path()));
    assert_eq!((findings.checked, findings.first, findings.last.id), (5000, 1, 5000));
    assert_eq!((findings.witnesses, problems(&findings)), (5000, vec![]));
    // A change that is rolled back leaves nothing behind.
    let failed: Result<(), StoreError> = run(store.write(|change| {
        change.record(event(1))?;
        Err(StoreError::Stopped)
    }));
    assert!(failed.is_err());
    run(append(&store, 1..=1));
    assert_eq!(problems(&verify(root.path())), []);
}

#[test]
fn what_is_in_the_way_of_a_change_is_missed() {
    let root = tempfile::tempdir().unwrap();
    let _store = trail(root.path(), 3);
    let connection = tamper(root.path());
    let findings = verify(root.path());
    assert_eq!(named(&findings), [0, 0]);
    assert!(findings.problems[0].problem.contains("events_are_not_changed"), "{findings:?}");
    // An empty one in its place is none.
    connection
        .execute_batch("CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events BEGIN SELECT 1; END;")
        .unwrap();
    assert_eq!(named(&verify(root.path())), [0, 0]);
    cover_up({
        connection.execute_batch("DROP TRIGGER events_are_not_changed").unwrap();
        &connection
    });
    assert_eq!(named(&verify(root.path())), [0_i64; 0]);
}

#[test]
fn what_was_taken_out_is_named() {
    let root = tempfile::tempdir().unwrap();
    let _store = trail(root.path(), 10);
    let connection = tamper(root.path());
    connection.execute("DELETE FROM events WHERE id IN (1, 4, 5, 6)", []).unwrap();
    cover_up(&connection);
    let findings = verify(root.path());
    assert_eq!(
        problems(&findings),
        [(1, "is missing: removed"), (4, "and those up to 6 are missing: removed")]
    );
}

#[test]
fn an_end_that_was_cut_off_is_told_by_the_journal() {
    let root = tempfile::tempdir().unwrap();
    let store = trail(root.path(), 10);
    let mut known = hashes(root.path());
    let connection = tamper(root.path());
    connection.execute("DELETE FROM events WHERE id > 7", []).unwrap();
    cover_up(&connection);
    // The store has counted, unless somebody sees to that, too.
    assert_eq!(named(&verify(root.path())), [8]);
    connection.execute("UPDATE sqlite_sequence SET seq = 7 WHERE name = 'events'", []).unwrap();
    assert_eq!(named(&verify(root.path())), [0_i64; 0]);
    let findings = verify_from(root.path(), None, known.clone());
    assert_eq!(
        problems(&findings),
        [(8, "and those up to 10 are missing: the end was cut off, the journal knows more")]
    );
    // The trail goes on, with other events under the same numbers.
    run(append(&store, 20..=24));
    assert_eq!(named(&verify(root.path())), [0_i64; 0]);
    // Whether or not the journal knows those as well.
    for (id, hashes) in hashes(root.path()) {
        let findings = verify_from(root.path(), None, known.clone());
        assert_eq!(named(&findings), [8]);
        assert!(findings.problems[0].problem.contains("written anew"), "{findings:?}");
        known.entry(id).or_default().extend(hashes);
    }
}

#[test]
fn a_store_that_was_cut_off_leaves_a_gap_when_it_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let store = trail(root.path(), 10);
    let connection = tamper(root.path());
    connection.execute("DELETE FROM events WHERE id > 7", []).unwrap();
    cover_up(&connection);
    run(append(&store, 20..=20));
    assert_eq!(problems(&verify(root.path())), [(8, "and those up to 10 are missing: removed")]);
}

#[test]
fn a_hash_that_fits_does_not_help() {
    let root = tempfile::tempdir().unwrap();
    let _store = trail(root.path(), 10);
    let other = tempfile::tempdir().unwrap();
    let _other = trail(other.path(), 4);
    // Another's trail has an event 5 with a hash of its own, on top of the same first four.
    run(append(&_other, 5..=5));
    let connection = tamper(root.path());
    connection.execute("ATTACH ?1 AS other", [other.path().join("lockdown.db").to_str().unwrap()]).unwrap();
    run(append(&_other, 77..=77));
    connection.execute("DELETE FROM events WHERE id = 6", []).unwrap();
    connection.execute("INSERT INTO events SELECT * FROM other.events WHERE id = 6", []).unwrap();
    cover_up(&connection);
    let findings = verify(root.path());
    assert_eq!(named(&findings), [7]);
    assert!(findings.problems[0].problem.contains("event 6 was put in the place"), "{findings:?}");
}

#[test]
fn events_of_nobody_are_named() {
    let root = tempfile::tempdir().unwrap();
    let store = trail(root.path(), 3);
    let connection = Connection::open(root.path().join("lockdown.db")).unwrap();
    let insert = "INSERT INTO events SELECT ?1, time, action, severity, account, target, owner, reason, outcome, \
                  error, caller, input, tags, hash FROM events WHERE id = 2";
    for id in [-5, 4] {
        connection.execute(insert, [id]).unwrap();
    }
    assert_eq!(named(&verify(root.path())), [-5, 4]);
    // It gets in nobody's way.
    run(append(&store, 5..=6));
    assert_eq!(named(&verify(root.path())), [-5, 4]);
    assert_eq!(run(list(&store, EventFilter::default())).len(), 6, "what is before the first is not shown");
}

#[test]
fn what_is_too_old_leaves_the_trail_whole() {
    let root = tempfile::tempdir().unwrap();
    let store = trail(root.path(), 1200);
    let known = hashes(root.path());
    run(remove_before(&store, 701 * 86_400, 2000 * 86_400));
    let listed = run(list(&store, EventFilter { limit: Some(10_000), ..EventFilter::default() }));
    assert_eq!((listed[0].id, listed.len()), (701, 501));
    let said = &listed[500];
    assert_eq!((said.action.as_str(), said.input["up_to"].as_str()), ("events-pruned", "700"));
    assert!(known[&700].contains(&said.input["hash"]));
    assert_eq!(said.input["count"], "700");
    let findings = verify_from(root.path(), None, known.clone());
    assert_eq!((findings.checked, findings.first, problems(&findings)), (501, 701, vec![]));
    assert_eq!(findings.witnesses, 501, "the last that was removed is one of them");
    // And once more, to the last.
    run(remove_before(&store, 3000 * 86_400, 2001 * 86_400));
    assert_eq!(run(list(&store, EventFilter::default())).len(), 1);
    run(append(&store, 3000..=3010));
    assert_eq!(problems(&verify_from(root.path(), None, known)), []);
}

#[test]
fn a_removal_that_was_interrupted_is_finished_and_nothing_of_it_is_shown() {
    let root = tempfile::tempdir().unwrap();
    let store = trail(root.path(), 1200);
    run(async {
        let cut = store.read(|connection| Cut::begin(connection).map_err(StoreError::from)).await.unwrap();
        let cut = store
            .read(move |connection| cut.extend(connection, 1101 * 86_400).map_err(StoreError::from))
            .await
            .unwrap();
        store.write(move |change| prune::sign_off(change, &cut, 1)).await.unwrap();
        assert!(store.write(prune::remove_some).await.unwrap());
        assert_eq!(
            list(&store, EventFilter { order: Some("oldest".into()), ..EventFilter::default() }).await[0].id,
            1201
        );
        let first = EventFilter { after: Some(0), order: Some("oldest".into()), ..EventFilter::default() };
        assert_eq!(list(&store, first).await[0].id, 1101);
        assert_eq!(problems(&verify(root.path())), []);
        assert!(
            store.read(|connection| Ok::<_, StoreError>(prune::is_unfinished(connection)?)).await.unwrap()
        );
    });
}

#[test]
fn a_beginning_that_somebody_else_cut_off_is_named() {
    let root = tempfile::tempdir().unwrap();
    let _store = trail(root.path(), 10);
    let connection = tamper(root.path());
    connection
        .execute_batch(
            "INSERT INTO event_checkpoints SELECT id, hash, 4, 1 FROM events WHERE id = 4;
             DELETE FROM events WHERE id <= 4;",
        )
        .unwrap();
    cover_up(&connection);
    let findings = verify(root.path());
    assert_eq!(named(&findings), [4]);
    assert!(findings.problems[0].problem.contains("somebody else than lockdownd"), "{findings:?}");
}

#[test]
fn part_of_the_trail_can_be_verified() {
    let root = tempfile::tempdir().unwrap();
    let _store = trail(root.path(), 10);
    let known = hashes(root.path());
    let connection = tamper(root.path());
    connection.execute("UPDATE events SET reason = '' WHERE id = 3", []).unwrap();
    cover_up(&connection);
    let findings = verify_from(root.path(), Some(6 * 86_400), known.clone());
    assert_eq!((findings.checked, findings.first, problems(&findings)), (5, 6, vec![]));
    assert_eq!(named(&verify_from(root.path(), Some(3 * 86_400), known.clone())), [3]);
    let findings = verify_from(root.path(), Some(100 * 86_400), known);
    assert_eq!((findings.checked, findings.last.id, problems(&findings)), (0, 10, vec![]));
}

/// A database of this version, from before the chain, with rows.
fn earlier(root: &Path, version: usize) {
    let steps = [
        include_str!("../src/store/schema/001_accounts_locks_sessions_events.sql"),
        include_str!("../src/store/schema/002_lockdowns.sql"),
        include_str!("../src/store/schema/003_authenticators.sql"),
        include_str!("../src/store/schema/004_attempts.sql"),
        include_str!("../src/store/schema/005_identifiers_metadata_tags.sql"),
    ];
    let connection = Connection::open(root.join("lockdown.db")).unwrap();
    connection.execute_batch(&steps[..version].concat()).unwrap();
    connection.pragma_update(None, "user_version", version.to_string()).unwrap();
    let rows = |columns: &str, values: &str| {
        format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1250)
             INSERT INTO events (time, action, severity, account, target, owner, reason, outcome, error, caller, input{columns})
             SELECT n, 'lock', 'notice', 'alice', 'lock:' || n, 'operator', 'r', 'success', '', '{{}}', '{{}}'{values} FROM n"
        )
    };
    connection.execute_batch(&rows("", "")).unwrap();
    let (columns, values) =
        if version < 5 { ("", "") } else { (", tags", ", json_object('ticket', 'INC-' || n)") };
    connection.execute_batch(&rows(columns, values)).unwrap();
}

#[test]
fn a_database_from_before_the_chain_is_linked() {
    for version in [3, 5] {
        let root = tempfile::tempdir().unwrap();
        earlier(root.path(), version);
        let store = open(root.path());
        run(append(&store, 1..=3));
        let findings = verify(root.path());
        assert_eq!((findings.checked, problems(&findings)), (2503, vec![]));
        let last = EventFilter { before: Some(2501), limit: Some(1), ..EventFilter::default() };
        let tags = &run(list(&store, last))[0].tags;
        assert_eq!(tags.get("ticket").map(String::as_str), (version == 5).then_some("INC-1250"));
        // The triggers are back in place.
        let connection = Connection::open(root.path().join("lockdown.db")).unwrap();
        let changed = connection.execute("UPDATE events SET reason = ''", []);
        assert!(changed.unwrap_err().to_string().contains("append-only"));
        // A store that is opened again is not linked again.
        drop(store);
        let head = |store: &Store| {
            run(store.read(|connection| chain::head(connection).map_err(StoreError::from))).unwrap()
        };
        let first = head(&open(root.path()));
        assert_eq!(head(&open(root.path())), first);
    }
}

/// What somebody might do to the rows.
#[derive(Clone, Debug)]
enum Deed {
    Change { id: i64, column: usize, value: String },
    Remove { id: i64 },
    Swap { one: i64, other: i64 },
}

const COUNT: i64 = 12;
const COLUMNS: [&str; 13] = [
    "time", "action", "severity", "account", "target", "owner", "reason", "outcome", "error", "caller",
    "input", "tags", "hash",
];

fn deed() -> impl Strategy<Value = Deed> {
    let id = || 1..=COUNT;
    prop_oneof![
        (id(), 0..COLUMNS.len(), "(\\PC|[{}\"a-z]){0,8}").prop_map(|(id, column, value)| Deed::Change {
            id,
            column,
            value
        }),
        id().prop_map(|id| Deed::Remove { id }),
        (id(), id()).prop_map(|(one, other)| Deed::Swap { one, other }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_is_done_to_a_row_is_found_and_named(deed in deed()) {
        let root = tempfile::tempdir().unwrap();
        let store = trail(root.path(), COUNT);
        let known = hashes(root.path());
        drop(store);
        let connection = tamper(root.path());
        let expected = match &deed {
            Deed::Change { id, column, value } => {
                let name = COLUMNS[*column];
                let before: rusqlite::types::Value = connection
                    .query_row(&format!("SELECT {name} FROM events WHERE id = ?1"), [id], |row| row.get(0))
                    .unwrap();
                let after = match name {
                    "time" => rusqlite::types::Value::Integer(value.len() as i64),
                    "hash" => rusqlite::types::Value::Blob(value.clone().into_bytes()),
                    _ => rusqlite::types::Value::Text(value.clone()),
                };
                connection.execute(&format!("UPDATE events SET {name} = ?2 WHERE id = ?1"), (id, &after)).unwrap();
                if before == after { vec![] } else { vec![*id] }
            }
            Deed::Remove { id } => {
                connection.execute("DELETE FROM events WHERE id = ?1", [id]).unwrap();
                vec![*id]
            }
            Deed::Swap { one, other } if one == other => vec![],
            Deed::Swap { one, other } => {
                for (from, to) in [(*one, 1000), (*other, *one), (1000, *other)] {
                    connection.execute("UPDATE events SET id = ?2 WHERE id = ?1", [from, to]).unwrap();
                }
                vec![*one.min(other), *one.max(other)]
            }
        };
        // Garbage in the caller would keep the index from coming back.
        let covered = matches!(&deed, Deed::Change { column, .. } if COLUMNS[*column] == "caller");
        if !covered {
            cover_up(&connection);
        }
        // The counter went up when rows were moved.
        connection.execute("UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'events'", [COUNT]).unwrap();
        let findings = verify_from(root.path(), None, known);
        let found: Vec<i64> = named(&findings).into_iter().filter(|id| *id != 0).collect();
        let mut distinct = found.clone();
        distinct.dedup();
        for id in &expected {
            prop_assert!(found.contains(id), "{deed:?}: {findings:?}");
        }
        // The one after a pair that was swapped may be suspected, too; nothing else is.
        let also = expected.iter().map(|id| id + 1).filter(|_| matches!(deed, Deed::Swap { .. }));
        let allowed: Vec<i64> = expected.iter().copied().chain(also).collect();
        prop_assert!(distinct.iter().all(|id| allowed.contains(id)), "{deed:?}: {findings:?}");
        prop_assert_eq!(expected.is_empty(), found.is_empty());
    }

    #[test]
    fn whatever_is_removed_by_age_leaves_the_trail_whole(
        steps in proptest::collection::vec((0..40i64, 0..60i64), 1..8),
    ) {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path());
        run(async {
            let mut known = Witnesses::new();
            for (more, limit) in steps {
                append(&store, 1..=more).await;
                known.extend(hashes(root.path()));
                remove_before(&store, limit * 86_400, limit * 86_400).await;
                known.extend(hashes(root.path()));
                let findings = verify_from(root.path(), None, known.clone());
                assert_eq!(problems(&findings), []);
            }
        });
    }
}

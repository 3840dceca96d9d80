//! What the audit trail costs when it is long: listings, a verification, and an event beside the lock that it is about.
//!
//! ```text
//! events-bench [--rows NUMBER] [--host] [--check]
//! ```
//!
//! Makes a store with so many events (10 million if nothing else is said, about 2.2 GB) in the current directory, and removes it.
//! Neither root nor a booted host is needed, except with `--host`: that boots a Debian host, with the package that
//! `LOCKDOWN_DEB` names, gives it this trail, and asks its daemon. `--check` makes it an exit code of 1 if a limit is passed.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a benchmark that cannot run says why and ends")]

mod long_trail;

use std::{
    process::ExitCode,
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use lockdown_dbus_api::options::EventFilter;
use lockdown_enforcement::DenyDirectory;
use lockdownd::{
    domain::{
        event::{Action, Event},
        lock::{NewLock, Owner},
    },
    store::{
        Store, StoreError, accounts, events,
        events::verify::{Verification, Witnesses},
        locks,
    },
};

/// Unix seconds of the last event.
static NOW: LazyLock<i64> =
    LazyLock::new(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64);
const DAY: i64 = 24 * 3600;
/// The trail is that long.
const YEAR: i64 = 365 * DAY;
/// Events written in one transaction, while the store is filled.
const AT_ONCE: i64 = 20_000;
const QUERIES: usize = 25;
const LOCKS: usize = 400;

/// A listing may take so long.
const LIMIT: Duration = Duration::from_millis(50);
struct Arguments {
    rows: i64,
    host: bool,
    check: bool,
}

fn arguments() -> Arguments {
    let mut arguments = Arguments { rows: 10_000_000, host: false, check: false };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--host" => arguments.host = true,
            "--check" => arguments.check = true,
            "--rows" => match given.next().and_then(|number| number.parse().ok()) {
                Some(rows @ 1..) => arguments.rows = rows,
                _ => panic!("--rows needs a number"),
            },
            other => panic!("unknown argument {other:?}; known are --rows, --host and --check"),
        }
    }
    arguments
}

fn main() -> ExitCode {
    let arguments = arguments();
    let root = tempfile::tempdir_in(".").unwrap();
    // SAFETY: geteuid(2) only returns a number.
    #[expect(unsafe_code, reason = "the system call has no safe form here")]
    let uid = unsafe { libc::geteuid() };
    let directory = DenyDirectory::new(root.path().join("deny")).owned_by(uid);
    let path = root.path().join("lockdown.db");
    let store = Store::open(&path, directory).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (mut missed, event) = runtime.block_on(async {
        let start = Instant::now();
        fill(&store, arguments.rows).await;
        let each = start.elapsed().as_secs_f64() * 1e6 / arguments.rows as f64;
        let size = path.metadata().unwrap().len() >> 20;
        println!("{} events written, {each:.1} µs each, {size} MiB", arguments.rows);
        let missed = listings(&store).await + verification(&store).await;
        (missed, event_beside_lock(&store).await)
    });
    drop(store);
    if arguments.host {
        missed += long_trail::on_a_host(&path, event);
    }
    if arguments.check && missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn fill(store: &Store, rows: i64) {
    for first in (0..rows).step_by(AT_ONCE as usize) {
        let written = store.write(move |change| {
            for number in first..rows.min(first + AT_ONCE) {
                change.record(event(number, *NOW - YEAR + number * YEAR / rows))?;
            }
            Ok::<_, StoreError>(())
        });
        written.await.unwrap();
    }
    store.checkpoint().await.unwrap();
}

/// Sessions mostly; a third of them alice's. One in twenty is a denied login, one in a hundred a lock.
fn event(number: i64, time: i64) -> Event {
    let account = if number % 3 == 0 { "alice".to_owned() } else { format!("user{:04}", number % 997) };
    let action = match number % 100 {
        0 => Action::Lock,
        1..=5 => Action::LoginDenied,
        even if even % 2 == 0 => Action::SessionStart,
        _ => Action::SessionEnd,
    };
    let mut event = Event::new(time, action, &account);
    event.target = format!("session:{number}");
    event.input = [("service", "sshd".to_owned()), ("remote_host", "192.0.2.17".to_owned())].into();
    if action == Action::Lock {
        event.owner = "operator".into();
        event.reason = "seen in two places at once".into();
        event.caller = caller(if number % 1000 == 0 { "carol" } else { "root" });
    }
    event
}

fn caller(name: &str) -> lockdownd::domain::event::Fields {
    [
        ("uid", "0"),
        ("name", name),
        ("loginuid", "1002"),
        ("pid", "4711"),
        ("executable", "/usr/bin/lockdownctl"),
        ("tty", "pts/0"),
        ("session", "42"),
        ("remote_host", "192.0.2.9"),
        ("bus_name", ":1.77"),
    ]
    .map(|(key, value)| (key, value.to_owned()))
    .into()
}

async fn listings(store: &Store) -> usize {
    let text = |text: &str| Some(text.to_owned());
    let none = EventFilter::default;
    let day = Some(*NOW - DAY);
    let middle = store
        .read(|connection| {
            let filter =
                EventFilter { until: Some(*NOW - YEAR / 2), limit: Some(1), ..EventFilter::default() };
            events::list(connection, &filter).map_err(StoreError::from)
        })
        .await
        .unwrap()
        .first()
        .map(|event| event.id);
    let mut missed = 0;
    for (name, filter) in [
        ("events --user alice --since 1d", EventFilter { user: text("alice"), since: day, ..none() }),
        ("events", none()),
        (
            "events --user alice --action lock",
            EventFilter { user: text("alice"), action: text("lock"), ..none() },
        ),
        ("events --caller carol", EventFilter { caller: text("carol"), ..none() }),
        (
            "events --severity notice --owner operator",
            EventFilter { severity: text("notice"), owner: text("operator"), ..none() },
        ),
        ("events --severity critical", EventFilter { severity: text("critical"), ..none() }),
        ("events --before, in the middle", EventFilter { before: middle, ..none() }),
        (
            "events --user alice, a page in the middle",
            EventFilter { user: text("alice"), before: middle, ..none() },
        ),
    ] {
        let mut times = Vec::new();
        let mut rows = 0;
        for _ in 0..QUERIES {
            let filter = filter.clone();
            let start = Instant::now();
            let listed =
                store.read(move |connection| events::list(connection, &filter).map_err(StoreError::from));
            rows = listed.await.unwrap().len();
            times.push(start.elapsed());
        }
        // The first finds no page in memory.
        let (first, median) = (times[0], median(&mut times));
        let note = if first.max(median) > LIMIT { "over the limit" } else { "" };
        missed += usize::from(!note.is_empty());
        println!("{name:<44} {rows:>6} rows  first {first:>9.2?}  median {median:>9.2?}  {note}");
    }
    missed
}

async fn verification(store: &Store) -> usize {
    let start = Instant::now();
    let findings = store
        .read_apart(|connection| {
            let mut verification = Verification::begin(connection, None, Witnesses::new())?;
            while verification.go_on(connection)? {}
            Ok(verification.finish())
        })
        .await
        .unwrap();
    println!("{:<44} {:>6} events in {:.1?}", "events verify", findings.checked, start.elapsed());
    findings.problems.len()
}

/// What an event adds to the same lock, updated: in the store and in its deny record, durable. That is the least that a lock
/// can be: nobody has asked for it, been looked up or been checked.
async fn event_beside_lock(store: &Store) -> Duration {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..LOCKS {
        for (with_event, times) in [false, true].into_iter().zip(&mut times) {
            let start = Instant::now();
            let locked = store.write(move |change| {
                let account = accounts::ensure(change, "alice", 1000, *NOW)?;
                let terms = NewLock {
                    owner: Owner::Operator,
                    reason: "seen in two places at once".into(),
                    message: String::new(),
                    created_by: "carol".into(),
                    expires_at: Some(*NOW + DAY),
                };
                let lock = locks::put(change, account, 1000, &terms, *NOW)?;
                if with_event {
                    let mut event = Event::new(*NOW, Action::Lock, "alice");
                    event.target = format!("lock:{}", lock.id);
                    event.owner = "operator".into();
                    event.reason = terms.reason;
                    event.caller = caller("carol");
                    change.record(event)?;
                }
                Ok::<_, StoreError>(())
            });
            locked.await.unwrap();
            times.push(start.elapsed());
        }
    }
    let [without, with] = times.each_mut().map(|times| median(times));
    let ratio = with.as_secs_f64() / without.as_secs_f64();
    println!(
        "{:<44} {without:.2?} without, {with:.2?} with: {ratio:.2}",
        "a lock in the store, and its event"
    );
    with.saturating_sub(without)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

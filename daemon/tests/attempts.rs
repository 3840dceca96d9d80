//! Attack protection on a bus of its own: real tallies, written as the login path writes them, and what the daemon makes of
//! them.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "tests report by panicking")]

mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use lockdown_config::Settings;
use lockdown_dbus_api::{
    Error, ManagerProxy, options,
    views::{Event, Failure, Lock},
};
use lockdown_enforcement::{
    AttackProtection, AttemptOutcome, AttemptReport, LockEntry, Login, Record, Source, TallyDirectory,
    tally::SLOTS,
};
use lockdownd::{
    core::Core,
    domain::{
        account::Account,
        lock::{NewLock, Owner},
    },
    host::clock,
    operations::{attempts, settle::settle},
    store::{StoreError, accounts, events, failures, locks},
};
use support::Bus;
use zbus::Connection;

/// Whom every host has, and whom no lock of an operator can be set on.
const NAME: &str = "nobody";
const UID: u32 = 65_534;

/// The login path, by the settings that the daemon has by default.
struct LoginPath {
    tallies: TallyDirectory,
    settings: AttackProtection,
}

impl LoginPath {
    fn of(bus: &Bus) -> Self {
        let tallies = TallyDirectory::new(bus.path().join("tally"));
        attempts::policy::make_directory(tallies.path()).unwrap();
        let settings =
            AttackProtection { max_attempts: 3, max_attempts_total: 7, ..AttackProtection::default() };
        Self { tallies, settings }
    }

    fn fail(&self, source: &Source, times: usize) {
        self.fail_at(source, times, clock::now());
    }

    fn fail_at(&self, source: &Source, times: usize, now: i64) {
        for _ in 0..times {
            let tally = self.tallies.create(UID).unwrap();
            tally.add(("sshd", source), true, &self.settings, now).unwrap();
        }
    }
}

fn host(name: &str) -> Source {
    Source::new(Some(name), None)
}

fn nobody() -> Account {
    Account::without_nss(NAME.into(), UID)
}

struct Daemon {
    core: Arc<Core>,
    client: Connection,
    login: LoginPath,
    _bus: Bus,
}

impl Daemon {
    async fn start() -> Self {
        let bus = Bus::start();
        let (core, client) = (bus.serve(Settings::default()).await, bus.connect().await);
        Self { core, client, login: LoginPath::of(&bus), _bus: bus }
    }

    async fn manager(&self) -> ManagerProxy<'_> {
        ManagerProxy::new(&self.client).await.unwrap()
    }

    /// Source and owner of the locks in force, and whether they make the account locked.
    async fn locks(&self) -> (Vec<(String, String)>, bool) {
        let account = self.manager().await.get_account(NAME).await.unwrap();
        let mut locks: Vec<_> =
            account.locks.into_iter().map(|Lock { source, owner, .. }| (source, owner)).collect();
        locks.sort();
        (locks, account.locked)
    }

    async fn events(&self) -> Vec<Event> {
        let filter = options::EventFilter::default();
        let read =
            self.core.store.read(move |connection| Ok::<_, StoreError>(events::list(connection, &filter)?));
        read.await.unwrap()
    }

    async fn actions(&self) -> Vec<String> {
        self.events().await.into_iter().map(|event| event.action).collect()
    }

    async fn fold(&self) {
        attempts::fold(&self.core, &nobody()).await.unwrap();
    }

    fn record(&self) -> Option<Record> {
        self.core.directory.read(UID).unwrap()
    }

    /// As an operator's, which the rule of protected accounts would refuse.
    async fn operator_locks(&self) {
        let terms = NewLock {
            owner: Owner::Operator,
            reason: String::new(),
            message: String::new(),
            created_by: "root".into(),
            expires_at: None,
        };
        let put = self.core.store.write(move |change| {
            let id = accounts::ensure(change, NAME, UID, 1)?;
            locks::put(change, id, UID, &terms, 1)
        });
        put.await.unwrap();
    }
}

fn of_tally(sources: &[&str]) -> Vec<(String, String)> {
    sources.iter().map(|source| ((*source).to_owned(), "attack-protection".to_owned())).collect()
}

async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn report(outcome: AttemptOutcome) -> AttemptReport {
    let login = Login {
        account: "whatever was typed".into(),
        uid: UID,
        service: "sshd".into(),
        remote_host: Some("192.0.2.1".into()),
        pid: 1,
        ..Login::default()
    };
    AttemptReport { login, outcome }
}

#[tokio::test]
async fn the_store_has_what_the_tally_has_and_nothing_is_written_twice() {
    let daemon = Daemon::start().await;
    let (a, b) = (host("2001:db8::1"), host("192.0.2.1"));
    daemon.login.fail(&a, 2);
    daemon.login.fail(&Source::new(None, Some("bob")), 1);
    let account = daemon.manager().await.get_account(NAME).await.unwrap();
    assert_eq!((account.failed_attempts, account.locked, account.locks.len()), (3, false, 0));

    daemon.login.fail(&a, 1);
    assert_eq!(daemon.locks().await, (of_tally(&["2001:db8::/64"]), false));
    daemon.login.fail(&b, 1);
    daemon.login.fail(&host("203.0.113.1"), 2);
    daemon.login.fail(&host("203.0.113.2"), 1);
    assert_eq!(daemon.locks().await, (of_tally(&["2001:db8::/64", "remote"]), true));
    assert_eq!(daemon.record(), None, "the login path knows by itself");
    assert_eq!(daemon.manager().await.locked_accounts().await.unwrap(), 1);

    let locks: Vec<Event> = daemon.events().await;
    let told: Vec<_> = locks
        .iter()
        .map(|event| (event.action.as_str(), event.severity.as_str(), event.input["source"].as_str()))
        .collect();
    assert_eq!(told, [("lock", "warning", "2001:db8::/64"), ("lock", "warning", "remote")]);
    assert!(locks.iter().all(|event| event.owner == "attack-protection" && event.caller.is_empty()));
    let mut changes = daemon.core.store.changes();
    changes.mark_unchanged();
    daemon.fold().await;
    assert!(!changes.has_changed().unwrap());

    let listed =
        daemon.manager().await.list_failures(NAME, &options::FailureFilter::default()).await.unwrap();
    let numbers: Vec<u64> = listed.iter().map(|failure| failure.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    let third = Failure { time: listed[3].time, ..listed[3].clone() };
    assert!(third.locked && third.counted && !third.cleared && third.source == "2001:db8::1", "{third:?}");
    let of_bob = options::FailureFilter { source: Some("user:bob".into()), ..Default::default() };
    let of_network = options::FailureFilter {
        source: Some("2001:db8::ffff".into()),
        limit: Some(2),
        ..Default::default()
    };
    let manager = daemon.manager().await;
    assert_eq!(manager.list_failures("", &of_bob).await.unwrap(), [listed[2].clone()]);
    assert_eq!(
        manager.list_failures("uid:65534", &of_network).await.unwrap(),
        [listed[1].clone(), listed[3].clone()]
    );
    let later = options::FailureFilter { since: Some(clock::now() + 60), ..Default::default() };
    assert_eq!(manager.list_failures("", &later).await.unwrap(), []);
}

#[tokio::test]
async fn locks_of_an_operator_and_of_attack_protection_are_lifted_each_by_itself() {
    let daemon = Daemon::start().await;
    daemon.login.fail(&host("192.0.2.1"), 3);
    daemon.operator_locks().await;
    let before = daemon.record().unwrap();
    let both = [of_tally(&["192.0.2.1"]), vec![(String::new(), "operator".to_owned())]].concat();
    let (mut locks, locked) = daemon.locks().await;
    locks.sort_by_key(|(_, owner)| owner.clone());
    assert_eq!((locks, locked), (both, true));
    assert_eq!(daemon.record().unwrap(), before);
    assert!(matches!(&before.locks[..], [LockEntry { owner, .. }] if owner == "operator"));

    let manager = daemon.manager().await;
    let of = |owner: &str| options::Unlock { owner: Some(owner.into()), ..Default::default() };
    manager.unlock_account(NAME, &of("operator")).await.unwrap();
    assert_eq!((daemon.locks().await.0, daemon.record()), (of_tally(&["192.0.2.1"]), None));
    let error = manager.unlock_account(NAME, &of("operator")).await.unwrap_err();
    assert!(
        matches!(&error, Error::NotLocked(text) if text.contains("without an owner lifts it")),
        "{error:?}"
    );

    daemon.operator_locks().await;
    manager.unlock_account(NAME, &of("attack-protection")).await.unwrap();
    assert_eq!(daemon.locks().await.0, [(String::new(), "operator".to_owned())]);
    assert_eq!(daemon.record().unwrap().locks.len(), 1);

    daemon.login.fail(&host("192.0.2.1"), 3);
    let reason = options::Unlock { reason: Some("called".into()), ..Default::default() };
    let account = manager.unlock_account(NAME, &reason).await.unwrap();
    assert_eq!((account.locks.len(), account.failed_attempts, daemon.record()), (0, 0, None));
    assert!(matches!(manager.unlock_account(NAME, &reason).await.unwrap_err(), Error::NotLocked(_)));
    let last = daemon.events().await.into_iter().rev().take(2);
    for event in last {
        assert_eq!((event.action.as_str(), event.reason.as_str()), ("unlock", "called"));
        assert_eq!(event.caller["uid"], "0");
    }
    // What was lifted does not come back.
    daemon.login.fail(&host("192.0.2.1"), 1);
    assert_eq!(daemon.locks().await.0, []);
}

#[tokio::test]
async fn a_reset_ends_the_count_of_one_source_or_of_all() {
    let daemon = Daemon::start().await;
    let (a, b) = (host("192.0.2.1"), host("192.0.2.2"));
    daemon.login.fail(&a, 3);
    daemon.login.fail(&b, 3);
    let manager = daemon.manager().await;
    let one = options::ResetFailures {
        source: Some("192.0.2.1".into()),
        reason: Some("typed it wrong".into()),
        tags: Some([("ticket".to_owned(), "7".to_owned())].into()),
    };
    let account = manager.reset_failures(NAME, &one).await.unwrap();
    assert_eq!((account.failed_attempts, account.locks.len()), (3, 1));
    assert_eq!(account.locks[0].source, "192.0.2.2");
    let account = manager.reset_failures(NAME, &options::ResetFailures::default()).await.unwrap();
    assert_eq!((account.failed_attempts, account.locks.len()), (0, 0));
    manager.reset_failures(NAME, &options::ResetFailures::default()).await.unwrap();
    let nameless = options::ResetFailures { source: Some(String::new()), ..Default::default() };
    assert!(matches!(manager.reset_failures(NAME, &nameless).await.unwrap_err(), Error::InvalidArgument(_)));

    let events = daemon.events().await;
    let resets: Vec<_> = events.iter().filter(|event| event.action == "reset-failures").collect();
    let cleared: Vec<_> = resets.iter().map(|event| event.input["cleared"].as_str()).collect();
    assert_eq!(cleared, ["3", "3", "0"]);
    assert_eq!((resets[0].input["source"].as_str(), resets[0].tags["ticket"].as_str()), ("192.0.2.1", "7"));
    let unlocks: Vec<_> = events.iter().filter(|event| event.action == "unlock").collect();
    assert_eq!((unlocks.len(), unlocks[0].reason.as_str()), (2, "typed it wrong"));
    let listed = manager.list_failures(NAME, &options::FailureFilter::default()).await.unwrap();
    assert!(listed.len() == 6 && listed.iter().all(|failure| failure.cleared && failure.counted));
}

#[tokio::test]
async fn a_lock_goes_with_its_tally_with_attack_protection_and_with_time() {
    let daemon = Daemon::start().await;
    let path = daemon.login.tallies.tally_path(UID);
    daemon.login.fail(&host("192.0.2.1"), 3);
    attempts::fold_all(&daemon.core).await.unwrap();
    assert_eq!(daemon.actions().await, ["lock", "attempts-failed"]);
    let told_again = daemon.core.store.write(|change| {
        let id = accounts::ensure(change, NAME, UID, 1)?;
        failures::take_untold(change, id)
    });
    assert_eq!(told_again.await.unwrap(), []);
    let kept = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    attempts::fold_all(&daemon.core).await.unwrap();
    assert_eq!(daemon.actions().await, ["lock", "attempts-failed", "unlock"]);
    // The tally begins anew, and what it had is still told.
    daemon.login.fail_at(&host("192.0.2.9"), 1, clock::now() + 1);
    let listed =
        daemon.manager().await.list_failures(NAME, &options::FailureFilter::default()).await.unwrap();
    let numbers: Vec<u64> = listed.iter().map(|failure| failure.number).collect();
    assert_eq!(numbers, [1, 2, 3, 1]);

    std::fs::write(&path, kept).unwrap();
    assert_eq!(daemon.locks().await.0.len(), 1);
    let mut off = Settings::default();
    off.attack_protection.enabled = false;
    daemon.core.configure(off);
    let account = daemon.manager().await.get_account(NAME).await.unwrap();
    assert_eq!((account.locks.len(), account.failed_attempts), (0, 0));
    daemon.core.configure(Settings::default());
    assert_eq!(daemon.locks().await.0.len(), 1, "it has time left");

    std::fs::remove_file(&path).unwrap();
    daemon.fold().await;
    let short = AttackProtection { duration: Some(1), ..daemon.login.settings.clone() };
    let login = LoginPath { tallies: daemon.login.tallies.clone(), settings: short };
    login.fail(&host("192.0.2.1"), 3);
    assert_eq!(daemon.locks().await.0.len(), 1);
    eventually("the lock ends", async || {
        settle(&daemon.core).await.unwrap();
        daemon.actions().await.last().unwrap() == "lock-expired"
    })
    .await;
    daemon.fold().await;
    assert_eq!(daemon.actions().await.last().unwrap(), "lock-expired", "and stays so");
}

#[tokio::test]
async fn a_burst_is_one_event_and_so_is_a_minute() {
    let daemon = Daemon::start().await;
    let follower = tokio::spawn(attempts::follow(Arc::clone(&daemon.core)));
    let outcome = |number| AttemptOutcome::Failed { number, counted: true, lock: None };
    daemon.login.fail(&host("192.0.2.1"), 2);
    for number in 1..=2 {
        daemon.core.attempts.report(&report(outcome(number)));
    }
    daemon.core.attempts.report(&report(AttemptOutcome::Refused { until: None }));
    eventually("an event tells", async || !daemon.events().await.is_empty()).await;
    let events = daemon.events().await;
    assert_eq!((events[0].action.as_str(), events[0].user.as_str()), ("attempts-failed", NAME));
    assert_eq!(events[0].reason, "2 failed, 1 refused, from 192.0.2.1, by sshd");

    // A lock is told at once, the rest when the minute is over.
    daemon.login.fail(&host("192.0.2.1"), 1);
    let lock = daemon.login.tallies.open(UID).unwrap().unwrap().read().unwrap();
    let lock = lock.locks().map(|(_, lock)| lock).next();
    daemon.core.attempts.report(&report(AttemptOutcome::Failed { number: 3, counted: true, lock }));
    let start = Instant::now();
    eventually("the lock is told", async || daemon.actions().await.contains(&"lock".to_owned())).await;
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
    daemon.login.fail(&host("192.0.2.2"), 1);
    (0..1000).for_each(|_| daemon.core.attempts.report(&report(outcome(4))));
    eventually("the failure is there", async || {
        let all = failures::Wanted::default();
        let read = daemon
            .core
            .store
            .read(move |connection| Ok::<_, StoreError>(failures::list(connection, &all, |_| true)?.len()));
        read.await.unwrap() == 4
    })
    .await;
    assert_eq!(daemon.actions().await, ["attempts-failed", "lock"]);
    follower.abort();
}

#[tokio::test]
async fn what_nobody_has_or_somebody_damaged_keeps_nothing_from_being_told() {
    let daemon = Daemon::start().await;
    let tallies = &daemon.login.tallies;
    daemon.login.fail(&host("192.0.2.1"), 3);
    std::fs::copy(tallies.tally_path(UID), tallies.tally_path(61_987)).unwrap();
    std::fs::create_dir(tallies.tally_path(1)).unwrap();
    std::os::unix::fs::symlink(tallies.tally_path(UID), tallies.tally_path(2)).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        tallies.tally_path(3),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    std::fs::write(tallies.path().join("no uid"), "").unwrap();
    attempts::fold_all(&daemon.core).await.unwrap();
    let listed = daemon.manager().await.list_failures("", &options::FailureFilter::default()).await.unwrap();
    assert!(listed.len() == 3 && listed.iter().all(|failure| failure.user == NAME), "{listed:?}");

    // A directory in its place is told, and takes nothing along.
    let path = tallies.tally_path(UID);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    daemon.operator_locks().await;
    assert_eq!(daemon.locks().await.0.len(), 2);
    let manager = daemon.manager().await;
    let error = manager.unlock_account(NAME, &options::Unlock::default()).await.unwrap_err();
    assert!(matches!(&error, Error::Failed(text) if text.contains("tally of nobody")), "{error:?}");
    assert_eq!(daemon.record(), None, "the operator's is lifted all the same");
    assert_eq!(daemon.locks().await.0, of_tally(&["192.0.2.1"]), "and no other is said to be");
    // Garbage is no failure.
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, vec![7; 16_384]).unwrap();
    assert_eq!(daemon.locks().await.0, []);
    std::fs::remove_dir_all(tallies.path()).unwrap();
    attempts::fold_all(&daemon.core).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_was_set_back_changes_nothing_that_stands() {
    let daemon = Daemon::start().await;
    daemon.login.fail_at(&host("192.0.2.1"), 3, clock::now() + 86_400);
    let (locks, locked) = daemon.locks().await;
    assert_eq!((locks, locked), (of_tally(&["192.0.2.1"]), false));
    let account = daemon.manager().await.get_account(NAME).await.unwrap();
    assert_eq!((account.failed_attempts, account.locks[0].created_at > clock::now()), (3, true));
}

#[tokio::test]
async fn the_oldest_failures_are_forgotten_and_do_not_come_back() {
    let daemon = Daemon::start().await;
    daemon.login.fail(&host("192.0.2.1"), 1);
    daemon.fold().await;
    let fill = daemon.core.store.write(|change| {
        let id = accounts::ensure(change, NAME, UID, 1)?;
        let sql = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 12000)
                   INSERT INTO failures (account_id, number, at, service, source, standing, locked, told)
                   SELECT ?1, x + 1000, 1, 's', 'x', 'counted', 0, 1 FROM n";
        change.connection().execute(sql, [id])?;
        Ok::<_, StoreError>(())
    });
    fill.await.unwrap();
    daemon.login.fail(&host("192.0.2.1"), SLOTS);
    daemon.fold().await;
    let count = async || {
        let count = daemon.core.store.read(|connection| {
            let count = connection.query_row("SELECT count(*) FROM failures", [], |row| row.get(0));
            Ok::<u32, StoreError>(count?)
        });
        count.await.unwrap()
    };
    assert_eq!(count().await, failures::KEPT + 1, "and the first, which still counts");
    let mut changes = daemon.core.store.changes();
    changes.mark_unchanged();
    daemon.fold().await;
    assert!(!changes.has_changed().unwrap());
    assert_eq!(count().await, failures::KEPT + 1);
}

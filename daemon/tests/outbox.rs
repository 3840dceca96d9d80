//! The outbox: messages stand and fall with their events, wait for their time, give way by their severity, and end.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "tests report by panicking")]

use std::{path::Path, sync::Arc};

use lockdown_config::{Glob, Rule, Settings, Severity as Severities, Transport};
use lockdown_dbus_api::{
    options::{EventFilter, NotificationFilter},
    views::Notification,
};
use lockdown_enforcement::DenyDirectory;
use lockdownd::{
    domain::{
        event::{Action, Event, Outcome},
        lock::Time,
        notify::{GATHERING, Next, PATIENCE, Rules},
    },
    store::{Change, Store, StoreError, events, outbox},
};

const THEN: Time = 1_795_264_200;

struct Outbox {
    _root: tempfile::TempDir,
    store: Store,
}

fn rule(name: &str) -> Rule {
    Rule { name: name.into(), transport: Transport::Wall, ..Rule::default() }
}

fn globs(patterns: &[&str]) -> Option<Vec<Glob>> {
    Some(patterns.iter().map(|pattern| Glob::parse(pattern).unwrap()).collect())
}

impl Outbox {
    fn new(rules: Vec<Rule>) -> Self {
        Self::of(rules, 10_000)
    }

    fn of(rules: Vec<Rule>, queue_max: u32) -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path());
        let outbox = Self { _root: root, store };
        outbox.configure(rules, queue_max);
        outbox
    }

    fn configure(&self, rules: Vec<Rule>, queue_max: u32) {
        let mut settings = Settings { notify: rules, ..Settings::default() };
        settings.notifications.queue_max = queue_max;
        self.store.notify_by(Arc::new(Rules::of(&settings)));
    }

    fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Change<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        run(self.store.write(job))
    }

    fn record(&self, event: Event) {
        self.write(|change| change.record(event)).unwrap();
    }

    fn list(&self) -> Vec<Notification> {
        let list =
            |connection: &rusqlite::Connection| outbox::list(connection, &NotificationFilter::default());
        run(self.store.read(move |connection| Ok::<_, StoreError>(list(connection)?))).unwrap()
    }

    fn events(&self, action: &str) -> Vec<lockdown_dbus_api::views::Event> {
        let filter = EventFilter { action: Some(action.into()), ..EventFilter::default() };
        run(self.store.read(move |connection| Ok::<_, StoreError>(events::list(connection, &filter)?)))
            .unwrap()
    }

    fn due(&self, now: Time) -> outbox::Due {
        run(self.store.read(move |connection| Ok::<_, StoreError>(outbox::due(connection, now)?))).unwrap()
    }

    fn claim(&self, rule: &'static str, now: Time) -> Vec<outbox::Message> {
        self.write(move |change| outbox::claim(change, rule, 32, now)).unwrap()
    }
}

fn open(root: &Path) -> Store {
    let directory = DenyDirectory::new(root.join("deny")).owned_by(nix::unistd::geteuid().as_raw());
    Store::open(&root.join("lockdown.db"), directory).unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn lock(time: Time, account: &str) -> Event {
    Event::new(time, Action::Lock, account)
}

fn denied(time: Time, account: &str) -> Event {
    Event::new(time, Action::LoginDenied, account)
}

#[test]
fn a_message_stands_and_falls_with_its_event() {
    let outbox = Outbox::new(vec![rule("a"), rule("b")]);
    let failed = outbox.write(|change| {
        change.record(lock(THEN, "alice"))?;
        Err::<(), _>(StoreError::Stopped)
    });
    assert!(failed.is_err());
    assert!(outbox.list().is_empty() && outbox.events("lock").is_empty());
    outbox.record(lock(THEN, "alice"));
    let listed = outbox.list();
    let shown: Vec<_> =
        listed.iter().map(|one| (one.rule.as_str(), one.user.as_str(), one.state.as_str())).collect();
    assert_eq!(shown, [("a", "alice", "queued"), ("b", "alice", "queued")]);
    assert!(
        listed[0].id != listed[1].id
            && listed.iter().all(|one| one.id.starts_with("msg_") && one.id.len() == 36)
    );
    assert_eq!(outbox.events("lock").len(), 1);
}

#[test]
fn an_event_that_cannot_be_put_into_the_outbox_is_none() {
    let outbox = Outbox::new(vec![rule("a")]);
    outbox
        .write(|change| {
            Ok(change.connection().execute_batch("DROP TABLE outbox_accounts; DROP TABLE outbox_events")?)
        })
        .unwrap();
    assert!(outbox.write(|change| change.record(lock(THEN, "alice"))).is_err());
    assert!(outbox.events("lock").is_empty());
}

#[test]
fn bursts_become_one_message_and_locks_do_not() {
    let outbox = Outbox::new(vec![rule("a")]);
    for second in 0..100 {
        outbox.record(denied(THEN + second / 2, &format!("user{second}")));
        outbox.record(lock(THEN + second / 2, "alice"));
    }
    let (digests, locks): (Vec<_>, Vec<_>) =
        outbox.list().into_iter().partition(|one| one.action == "login-denied");
    assert_eq!((digests.len(), digests[0].total, locks.len()), (1, 100, 100));
    assert_eq!(digests[0].next_attempt, THEN + GATHERING);

    let claimed = outbox.claim("a", THEN + GATHERING - 1);
    assert!(claimed.iter().all(|message| message.action == "lock"), "the digest is not due yet");
    // One that is due is full, whether it is taken up or not.
    outbox.record(denied(THEN + GATHERING, "late"));
    let digests: Vec<_> = outbox.list().into_iter().filter(|one| one.action == "login-denied").collect();
    assert_eq!(digests.iter().map(|one| one.total).collect::<Vec<_>>(), [100, 1]);

    // A queue with more that is due before it.
    let digest = loop {
        let claimed = outbox.claim("a", THEN + GATHERING);
        assert!(!claimed.is_empty());
        if let Some(digest) = claimed.into_iter().find(|message| message.action == "login-denied") {
            break digest;
        }
    };
    let named = run(outbox
        .store
        .read(move |connection| Ok::<_, StoreError>(outbox::events_of(connection, digest.number)?)))
    .unwrap();
    let users: Vec<_> = named.iter().map(|event| event.user.as_str()).collect();
    assert_eq!((users.len(), users[0], users[31]), (32, "user68", "user99"), "the last of them are named");
}

#[test]
fn a_clock_that_was_set_back_gathers_nothing_for_hours() {
    let outbox = Outbox::new(vec![rule("a")]);
    outbox.record(denied(THEN, "alice"));
    outbox.record(denied(THEN - 86_400, "alice"));
    let times: Vec<_> = outbox.list().iter().map(|one| one.next_attempt).collect();
    assert_eq!(times, [THEN + GATHERING, THEN - 86_400 + GATHERING]);
}

#[test]
fn when_the_queue_is_full_the_oldest_of_the_least_severe_go_and_that_is_told_once_a_minute() {
    // Warnings are the event's own; "quiet" makes little of everything.
    let mut quiet = rule("quiet");
    (quiet.severity, quiet.actions) = (Some(Severities::Info), globs(&["unlock"]));
    let mut loud = rule("loud");
    loud.actions = globs(&["lock", "record-drift"]);
    let outbox = Outbox::of(vec![quiet, loud], 3);
    let event = |action, account: &str| Event::new(THEN, action, account);
    for (action, account) in [
        (Action::RecordDrift, "warning1"),
        (Action::Unlock, "info1"),
        (Action::Lock, "notice1"),
        (Action::Unlock, "info2"),
        (Action::Lock, "notice2"),
        (Action::RecordDrift, "warning2"),
        (Action::RecordDrift, "warning3"),
        (Action::Unlock, "info3"),
    ] {
        outbox.record(event(action, account));
    }
    let left: Vec<_> = outbox.list().into_iter().map(|one| one.user).collect();
    assert_eq!(left, ["warning1", "warning2", "warning3"]);
    let told = outbox.events("notifications-dropped");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].input["count"].as_str(), told[0].severity.as_str()), ("1", "warning"));
    assert_eq!(outbox.due(THEN).next, Some(THEN + 60));
    assert!(outbox.due(THEN + 60).dropped);
    outbox.write(|change| outbox::report_drops(change, THEN + 60)).unwrap();
    let told = outbox.events("notifications-dropped");
    assert_eq!(told.iter().map(|event| event.input["count"].as_str()).collect::<Vec<_>>(), ["1", "4"]);
    assert!(!outbox.due(THEN + 600).dropped);
}

#[test]
fn what_could_not_be_delivered_gives_way_first_and_what_is_being_sent_never() {
    let outbox = Outbox::of(vec![rule("a")], 3);
    for account in ["one", "two", "three"] {
        outbox.record(lock(THEN, account));
    }
    let claimed = outbox.claim("a", THEN);
    assert_eq!(claimed.iter().map(|message| message.attempt).collect::<Vec<_>>(), [1, 1, 1]);
    let (two, three) = (claimed[1].number, claimed[2].number);
    outbox.write(move |change| outbox::refused(change, three, "no")).unwrap();
    outbox.write(move |change| outbox::failed(change, two, "later", None, 0.5, THEN)).unwrap();
    outbox.record(Event::new(THEN, Action::RecordDrift, "four"));
    let left =
        |outbox: &Outbox| outbox.list().into_iter().map(|one| (one.user, one.state)).collect::<Vec<_>>();
    let state = |user: &str, state: &str| (user.to_owned(), state.to_owned());
    let told = state("", "queued");
    assert_eq!(left(&outbox), [state("one", "sending"), state("four", "queued"), told]);
}

#[test]
fn attempts_end_after_a_day() {
    let outbox = Outbox::new(vec![rule("a")]);
    outbox.record(lock(THEN, "alice"));
    let (mut now, mut attempts) = (THEN, 0);
    loop {
        let [message] = outbox.claim("a", now).try_into().unwrap();
        attempts += 1;
        assert_eq!(message.attempt, attempts);
        assert!(outbox.claim("a", now + PATIENCE).is_empty(), "it is being sent");
        let next =
            outbox.write(move |change| outbox::failed(change, message.number, "x", None, 0.5, now)).unwrap();
        match next {
            Next::At(at) => {
                assert_eq!(outbox.due(now).next, Some(at));
                assert!(outbox.claim("a", at - 1).is_empty());
                now = at;
            }
            Next::GivenUp => break,
        }
    }
    assert_eq!((attempts, now - THEN > PATIENCE - 3_600), (29, true));
    let [dead] = outbox.list().try_into().unwrap();
    assert_eq!((dead.state.as_str(), dead.error.as_str(), dead.next_attempt), ("dead", "x", 0));

    // Whoever has mended what was wrong gets another day.
    assert_eq!(outbox.write(move |change| outbox::retry(change, None, now)).unwrap(), 1);
    let [message] = outbox.claim("a", now).try_into().unwrap();
    assert_eq!(message.attempt, 1);
    let again =
        outbox.write(move |change| outbox::failed(change, message.number, "x", None, 0.5, now)).unwrap();
    assert_eq!(again, Next::At(now + 5));
}

#[test]
fn what_nobody_could_try_is_given_up_after_a_day_and_forgotten_after_a_month() {
    let outbox = Outbox::new(vec![rule("a")]);
    outbox.record(lock(THEN, "alice"));
    let give_up = |now| outbox.write(move |change| outbox::give_up(change, now, "away")).unwrap();
    assert!(give_up(THEN + PATIENCE - 1).is_empty() && !outbox.due(THEN + PATIENCE - 1).hopeless);
    assert!(outbox.due(THEN + PATIENCE).hopeless);
    assert_eq!(give_up(THEN + PATIENCE), [("a".to_owned(), "lock".to_owned(), "away".to_owned())]);
    let month = THEN + PATIENCE + 30 * 86_400;
    assert!(!outbox.due(month - 1).old && outbox.due(month).old);
    assert_eq!(outbox.write(move |change| outbox::forget_old(change, month - 1)).unwrap(), 0);
    assert_eq!(outbox.write(move |change| outbox::forget_old(change, month)).unwrap(), 1);
    assert_eq!(outbox.due(month), outbox::Due::default());
}

#[test]
fn what_was_being_sent_when_the_daemon_died_is_sent_again() {
    let outbox = Outbox::new(vec![rule("a")]);
    outbox.record(lock(THEN, "alice"));
    let [first] = outbox.claim("a", THEN).try_into().unwrap();
    outbox.write(|change| outbox::recover(change, THEN + 1)).unwrap();
    let [second] = outbox.claim("a", THEN + 1).try_into().unwrap();
    assert_eq!((second.id.clone(), second.attempt), (first.id, 2));
    outbox.write(move |change| outbox::delivered(change, second.number)).unwrap();
    assert!(outbox.list().is_empty());
    let rows = |connection: &rusqlite::Connection| {
        connection.query_row("SELECT count(*) FROM outbox_events", [], |row| row.get::<_, u32>(0))
    };
    assert_eq!(run(outbox.store.read(move |connection| Ok::<_, StoreError>(rows(connection)?))).unwrap(), 0);
}

#[test]
fn groups_are_looked_up_before_anything_is_sent() {
    let mut staff = rule("staff");
    staff.groups = globs(&["staff"]);
    let outbox = Outbox::new(vec![staff]);
    outbox.record(lock(THEN, "alice"));
    outbox.record(lock(THEN, "bob"));
    for account in ["alice", "bob", "bob", "alice", "alice"] {
        outbox.record(denied(THEN, account));
    }
    assert!(outbox.due(THEN).unsure && outbox.claim("staff", THEN).is_empty());
    let sort_out = |now| {
        let unsure = outbox.write(move |change| outbox::take_unsure(change, 32, now)).unwrap();
        let accounts: Vec<_> = unsure.iter().map(|one| one.accounts.clone()).collect();
        let sort = move |change: &mut Change<'_>| {
            unsure.iter().try_for_each(|one| outbox::sort_out(change, one.number, &["bob".to_owned()]))
        };
        outbox.write(sort).unwrap();
        accounts
    };
    assert_eq!(sort_out(THEN), [vec!["alice".to_owned()], vec!["bob".to_owned()]]);
    let left: Vec<_> = outbox.list().into_iter().map(|one| (one.action, one.user)).collect();
    let named = |action: &str| (action.to_owned(), "alice".to_owned());
    assert_eq!(left, [named("lock"), named("login-denied")]);
    assert!(!outbox.due(THEN).unsure, "more may join the digest");

    let later = THEN + GATHERING;
    assert!(outbox.due(later).unsure);
    assert_eq!(sort_out(later), [vec!["alice".to_owned(), "bob".to_owned()]]);
    let totals: Vec<_> = outbox.claim("staff", later).iter().map(|message| message.total).collect();
    assert_eq!(totals, [1, 3]);
}

#[test]
fn a_rule_that_is_gone_takes_its_messages_along() {
    let outbox = Outbox::new(vec![rule("a"), rule("b")]);
    outbox.record(lock(THEN, "alice"));
    let kept = std::collections::BTreeSet::from(["b".to_owned()]);
    let dropped = outbox.write(move |change| outbox::drop_rules_but(change, &kept)).unwrap();
    assert_eq!(dropped, [("a".to_owned(), 1)]);
    assert_eq!(outbox.list().len(), 1);
}

#[test]
fn messages_are_tried_again_by_their_ids() {
    let outbox = Outbox::new(vec![rule("a")]);
    for account in ["one", "two"] {
        outbox.record(lock(THEN, account));
    }
    for message in outbox.claim("a", THEN) {
        outbox.write(move |change| outbox::refused(change, message.number, "no")).unwrap();
    }
    let ids = vec![outbox.list()[1].id.clone(), "msg_unknown".to_owned()];
    assert_eq!(outbox.write(move |change| outbox::retry(change, Some(&ids), THEN)).unwrap(), 1);
    let states: Vec<_> = outbox.list().into_iter().map(|one| one.state).collect();
    assert_eq!(states, ["dead", "queued"]);
    let filter = NotificationFilter { dead: Some(true), ..NotificationFilter::default() };
    let dead =
        run(outbox.store.read(move |connection| Ok::<_, StoreError>(outbox::list(connection, &filter)?)))
            .unwrap();
    assert_eq!(dead.len(), 1);
}

#[test]
fn a_refused_lock_is_told_with_its_own_severity() {
    let mut severe = rule("severe");
    severe.severities = globs(&["warning", "critical"]);
    let outbox = Outbox::new(vec![severe]);
    outbox.record(lock(THEN, "alice"));
    outbox.record(Event { outcome: Outcome::Refused("protected".into()), ..lock(THEN, "root") });
    let listed: Vec<_> = outbox.list().into_iter().map(|one| (one.user, one.severity)).collect();
    assert_eq!(listed, [("root".to_owned(), "warning".to_owned())]);
}

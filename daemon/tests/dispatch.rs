//! The dispatcher and a relay that follows a script: slow, hostile, dying in the middle. Whatever it does, a message is delivered,
//! waits, or is given up with an event; and no change waits for it.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "tests report by panicking")]

mod support;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use lockdown_config::{Rule, Settings, Transport};
use lockdown_dbus_api::{
    ManagerProxy, options,
    views::{Event as EventView, Notification},
};
use lockdown_delivery::{Item, MAX_FRAME, MAX_PER_DESTINATION, Outcome, Verdict, frame};
use lockdownd::{
    core::Core,
    domain::event::{Action, Event},
    host::clock::{self, Alarm},
    operations::notify::dispatch::dispatch_forever,
    store::{StoreError, outbox},
};
use support::Bus;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A rule of a transport that needs nothing but the network.
fn rule(name: &str) -> Rule {
    let url = Some(format!("https://{name}.example.org/"));
    Rule { name: name.into(), transport: Transport::Alertmanager, url, ..Rule::default() }
}

struct Stage {
    _bus: Bus,
    _directory: tempfile::TempDir,
    socket: PathBuf,
    core: Arc<Core>,
    manager: ManagerProxy<'static>,
}

impl Stage {
    async fn new(rules: &[&str]) -> Self {
        let settings = settings(rules);
        let (bus, directory) = (Bus::start(), tempfile::tempdir().unwrap());
        let socket = directory.path().join("relay.sock");
        let path = socket.clone();
        let core = bus.serve_with(settings, |core| core.relay_socket = path).await;
        tokio::spawn(dispatch_forever(Arc::clone(&core), Alarm::new().unwrap()));
        let manager = ManagerProxy::new(&bus.connect().await).await.unwrap();
        Self { _bus: bus, _directory: directory, socket, core, manager }
    }

    fn listen(&self) -> Relay {
        let _ = std::fs::remove_file(&self.socket);
        Relay(UnixListener::bind(&self.socket).unwrap())
    }

    async fn record(&self, account: &str) {
        let event = Event::new(clock::now(), Action::Lock, account);
        let recorded: Result<(), StoreError> = self.core.store.write(|change| change.record(event)).await;
        recorded.unwrap();
    }

    async fn list(&self) -> Vec<Notification> {
        self.manager.list_notifications(&options::NotificationFilter::default()).await.unwrap()
    }

    async fn events(&self, action: &str) -> Vec<EventView> {
        let filter = options::EventFilter { action: Some(action.into()), ..options::EventFilter::default() };
        self.manager.list_events(&filter).await.unwrap()
    }

    /// Waits until the queue is like this.
    async fn until(&self, is_so: impl Fn(&[Notification]) -> bool) -> Vec<Notification> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let list = self.list().await;
            if is_so(&list) {
                return list;
            }
            assert!(Instant::now() < deadline, "{list:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What has failed is tried at once.
    async fn hurry(&self) {
        let ids: Vec<String> = self.list().await.into_iter().map(|one| one.id).collect();
        let hurried: Result<u32, StoreError> =
            self.core.store.write(move |change| outbox::retry(change, Some(&ids), clock::now())).await;
        hurried.unwrap();
    }
}

fn settings(rules: &[&str]) -> Settings {
    Settings { notify: rules.iter().map(|name| rule(name)).collect(), ..Settings::default() }
}

struct Relay(UnixListener);

impl Relay {
    async fn accept(&self) -> Connection {
        Connection(timeout(PATIENCE, self.0.accept()).await.expect("a connection").unwrap().0)
    }
}

struct Connection(UnixStream);

impl Connection {
    async fn item(&mut self) -> Item {
        timeout(PATIENCE, self.next()).await.expect("an item").expect("an item, not the end")
    }

    async fn next(&mut self) -> Option<Item> {
        let mut header = [0; frame::HEADER];
        self.0.read_exact(&mut header).await.ok()?;
        let mut json = vec![0; frame::length(header).unwrap()];
        self.0.read_exact(&mut json).await.ok()?;
        Some(frame::decode(&json).unwrap())
    }

    async fn answer(&mut self, id: &str, outcome: Outcome) {
        let verdict = Verdict { id: id.to_owned(), outcome };
        // Who does not listen any more is what some tests are about.
        let _ = self.0.write_all(&frame::encode(&verdict).unwrap()).await;
    }

    async fn is_closed(&mut self) -> bool {
        timeout(PATIENCE, self.next()).await.expect("an end").is_none()
    }
}

#[tokio::test]
async fn a_message_goes_out_whole_and_is_gone_when_it_is_acknowledged() {
    let stage = Stage::new(&["web"]).await;
    let relay = stage.listen();
    stage.record("alice").await;
    let mut connection = relay.accept().await;
    let item = connection.item().await;
    assert_eq!((item.rule.as_str(), item.action.as_str(), item.severity.as_str()), ("web", "lock", "notice"));
    assert_eq!((item.attempt, item.total, item.events.len()), (1, 1, 1));
    assert_eq!((item.events[0].user.as_str(), item.events[0].outcome.as_str()), ("alice", "success"));
    assert_eq!(item.transport.destination(), "http web.example.org");
    assert!(!item.host.is_empty() && item.check().is_ok());
    assert_eq!(stage.list().await[0].state, "sending");
    connection.answer(&item.id, Outcome::Delivered).await;
    stage.until(<[_]>::is_empty).await;
    assert!(connection.is_closed().await, "what has nothing to do is let go");
}

#[tokio::test]
async fn a_relay_that_is_away_delays_messages_and_counts_no_attempt() {
    let stage = Stage::new(&["web"]).await;
    stage.record("alice").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let list = stage.list().await;
    assert_eq!((list[0].state.as_str(), list[0].attempts), ("queued", 0));
    let relay = stage.listen();
    let mut connection = relay.accept().await;
    let item = connection.item().await;
    assert_eq!(item.attempt, 1);
    connection.answer(&item.id, Outcome::Delivered).await;
    stage.until(<[_]>::is_empty).await;
}

#[tokio::test]
async fn a_relay_that_dies_in_the_middle_gets_the_same_message_again() {
    let stage = Stage::new(&["web"]).await;
    let relay = stage.listen();
    stage.record("alice").await;
    let mut connection = relay.accept().await;
    let first = connection.item().await;
    // In the middle of a verdict, too.
    connection.0.write_all(&[40, 0, 0, 0, b'{']).await.unwrap();
    drop(connection);
    let list = stage.until(|list| list[0].state == "queued").await;
    assert!(list[0].error.contains("lockdown-relay"), "{list:?}");
    stage.hurry().await;
    let mut connection = relay.accept().await;
    let second = connection.item().await;
    assert_eq!(second.id, first.id);
    connection.answer(&second.id, Outcome::Delivered).await;
    stage.until(<[_]>::is_empty).await;
}

#[tokio::test]
async fn a_receiver_says_when_it_wants_it_again() {
    let stage = Stage::new(&["web"]).await;
    let relay = stage.listen();
    stage.record("alice").await;
    let mut connection = relay.accept().await;
    let first = connection.item().await;
    let asked = Instant::now();
    connection
        .answer(&first.id, Outcome::Retry { after: Some(2), error: "429 slow\u{1b}[2J down".into() })
        .await;
    let list = stage.until(|list| list[0].state == "queued").await;
    assert_eq!(list[0].error, r"429 slow\u{1b}[2J down");
    let mut connection = relay.accept().await;
    let second = connection.item().await;
    assert_eq!((second.id.as_str(), second.attempt), (first.id.as_str(), 2));
    assert!(asked.elapsed() >= Duration::from_secs(1), "{:?}", asked.elapsed());
    connection.answer(&second.id, Outcome::Delivered).await;
    stage.until(<[_]>::is_empty).await;
}

#[tokio::test]
async fn what_is_refused_for_good_is_kept_with_an_event() {
    let stage = Stage::new(&["web", "other"]).await;
    let relay = stage.listen();
    stage.record("alice").await;
    let mut connection = relay.accept().await;
    for _ in 0..2 {
        let item = connection.item().await;
        let outcome =
            if item.rule == "web" { Outcome::refused("no such mailbox") } else { Outcome::Delivered };
        connection.answer(&item.id, outcome).await;
    }
    // The other rule hears of it, the one that failed does not.
    let news = connection.item().await;
    assert_eq!((news.rule.as_str(), news.action.as_str()), ("other", "notification-failed"));
    // And nobody of that.
    connection.answer(&news.id, Outcome::refused("neither")).await;
    let list = stage.until(|list| list.iter().all(|one| one.state == "dead")).await;
    let errors: Vec<_> = list.iter().map(|one| one.error.as_str()).collect();
    assert_eq!(errors, ["no such mailbox", "neither"]);
    let events = stage.events("notification-failed").await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((events[0].target.as_str(), events[0].error.as_str()), ("rule:web", "no such mailbox"));
    assert_eq!(stage.manager.retry_notifications(&options::RetryNotifications::default()).await.unwrap(), 2);
    assert_eq!(stage.events("notifications-retried").await.len(), 1);
}

#[tokio::test]
async fn a_receiver_that_is_gone_switches_its_rule_off_until_the_next_configuration() {
    let stage = Stage::new(&["web"]).await;
    let relay = stage.listen();
    stage.record("alice").await;
    let mut connection = relay.accept().await;
    let item = connection.item().await;
    connection.answer(&item.id, Outcome::Gone { error: "410".into() }).await;
    stage.until(|list| list[0].state == "dead").await;
    assert_eq!(stage.events("notification-failed").await.len(), 1);
    stage.record("bob").await;
    assert_eq!(stage.list().await.len(), 1, "nothing more is queued");
    stage.core.configure(settings(&["web"]));
    stage.record("carol").await;
    let mut connection = relay.accept().await;
    assert_eq!(connection.item().await.events[0].user, "carol");
}

#[tokio::test]
async fn a_hostile_relay_loses_its_connection_and_no_message() {
    let stage = Stage::new(&["web"]).await;
    let relay = stage.listen();
    stage.record("alice").await;
    let giant = u32::try_from(MAX_FRAME + 1).unwrap().to_le_bytes().to_vec();
    let stranger =
        frame::encode(&Verdict { id: "msg_stranger".into(), outcome: Outcome::Delivered }).unwrap();
    let nonsense = [&4_u32.to_le_bytes()[..], b"null"].concat();
    let mut id = None;
    for bytes in [giant, stranger, nonsense, vec![0; 4]] {
        let mut connection = relay.accept().await;
        let item = connection.item().await;
        assert_eq!(*id.get_or_insert_with(|| item.id.clone()), item.id);
        let _ = connection.0.write_all(&bytes).await;
        assert!(connection.is_closed().await);
        let list = stage.until(|list| list[0].state == "queued").await;
        assert!(list[0].error.starts_with("lockdown-relay: "), "{list:?}");
        stage.hurry().await;
    }
    let mut connection = relay.accept().await;
    let item = connection.item().await;
    connection.answer(&item.id, Outcome::Delivered).await;
    // A second verdict on the same item is about none that it has.
    connection.answer(&item.id, Outcome::refused("after all")).await;
    stage.until(<[_]>::is_empty).await;
    assert_eq!(stage.events("notification-failed").await.len(), 0);
}

#[tokio::test]
async fn a_slow_receiver_holds_up_neither_others_nor_changes() {
    let stage = Stage::new(&["slow", "quick"]).await;
    let relay = stage.listen();
    for _ in 0..20 {
        stage.record("alice").await;
    }
    let mut connection = relay.accept().await;
    let (mut slow, mut quick) = (0, 0);
    while quick < 20 {
        let item = connection.item().await;
        if item.rule == "slow" {
            slow += 1;
        } else {
            quick += 1;
            connection.answer(&item.id, Outcome::Delivered).await;
        }
    }
    assert_eq!(slow, MAX_PER_DESTINATION);
    // It reads nothing any more.
    let begun = Instant::now();
    for _ in 0..20 {
        stage.record("bob").await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_rule_for_groups_tells_of_their_members() {
    let stage = Stage::new(&[]).await;
    let relay = stage.listen();
    let groups = Some(vec![lockdown_config::Glob::parse("roo?").unwrap()]);
    stage.core.configure(Settings { notify: vec![Rule { groups, ..rule("web") }], ..Settings::default() });
    for account in ["nobody", "no-such-account", "root"] {
        stage.record(account).await;
    }
    let mut connection = relay.accept().await;
    let item = connection.item().await;
    assert_eq!(item.events[0].user, "root");
    connection.answer(&item.id, Outcome::Delivered).await;
    stage.until(<[_]>::is_empty).await;
}

#[tokio::test]
async fn what_has_to_wait_waits_without_work() {
    let stage = Stage::new(&["web"]).await;
    let mut changes = stage.core.store.changes();
    let mut is_still = async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        changes.mark_unchanged();
        tokio::time::sleep(Duration::from_millis(700)).await;
        !changes.has_changed().unwrap()
    };
    assert!(is_still().await, "nothing to do");
    for _ in 0..10 {
        stage.record("alice").await;
    }
    assert!(is_still().await, "no relay");
    let relay = stage.listen();
    let mut connection = relay.accept().await;
    let item = connection.item().await;
    assert!(is_still().await, "no verdict");
    connection.answer(&item.id, Outcome::Retry { after: Some(600), error: "later".into() }).await;
    assert!(is_still().await, "no room for the others");
}

#[tokio::test]
async fn a_rule_that_is_taken_out_sends_nothing_more() {
    let stage = Stage::new(&["old"]).await;
    stage.record("alice").await;
    stage.core.configure(settings(&["new"]));
    stage.record("bob").await;
    let list = stage.until(|list| list.iter().all(|one| one.rule == "new")).await;
    assert_eq!(list.iter().filter(|one| one.action == "lock").count(), 1, "{list:?}");
    let events = stage.events("notifications-dropped").await;
    assert_eq!((events.len(), events[0].target.as_str()), (1, "rule:old"));
}

#[tokio::test]
async fn a_rule_that_is_taken_out_while_it_is_tried_is_not_tried_again() {
    let stage = Stage::new(&["old"]).await;
    let relay = stage.listen();
    stage.record("alice").await;
    let mut connection = relay.accept().await;
    let item = connection.item().await;
    stage.core.configure(settings(&["new"]));
    stage.record("bob").await;
    let next = connection.item().await;
    assert_eq!(next.rule, "new");
    connection.answer(&next.id, Outcome::Delivered).await;
    connection.answer(&item.id, Outcome::retry("503")).await;
    let list = stage.until(|list| list.iter().any(|one| one.state == "dead")).await;
    let old = list.iter().find(|one| one.rule == "old").unwrap();
    assert_eq!((old.id.as_str(), old.error.as_str()), (item.id.as_str(), "503"));
}

#[tokio::test]
async fn who_asks_for_a_retry_waits_for_no_relay_that_was_to_be_left_alone() {
    let stage = Stage::new(&["web"]).await;
    // Nobody listens: after six attempts, that is looked at once a minute.
    stage.record("alice").await;
    for _ in 0..6 {
        stage.core.retry_asked.notify_one();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let relay = stage.listen();
    let ids = stage.list().await.into_iter().map(|one| one.id).collect();
    let options = options::RetryNotifications { ids: Some(ids), ..options::RetryNotifications::default() };
    assert_eq!(stage.manager.retry_notifications(&options).await.unwrap(), 1);
    relay.accept().await.item().await;
}

#[tokio::test]
async fn a_queue_drains_in_the_order_in_which_it_came() {
    let stage = Stage::new(&["web"]).await;
    let record = |change: &mut lockdownd::store::Change<'_>| {
        (0..300).try_for_each(|n| change.record(Event::new(clock::now(), Action::Lock, &format!("user{n}"))))
    };
    let recorded: Result<(), StoreError> = stage.core.store.write(record).await;
    recorded.unwrap();
    let relay = stage.listen();
    let mut connection = relay.accept().await;
    for n in 0..300 {
        let item = connection.item().await;
        assert_eq!(item.events[0].user, format!("user{n}"));
        connection.answer(&item.id, Outcome::Delivered).await;
    }
    stage.until(<[_]>::is_empty).await;
    assert!(stage.manager.get_metrics().await.unwrap().deliveries["delivered"] >= 300);
}

#[tokio::test]
async fn a_test_tells_what_is_wrong() {
    let stage = Stage::new(&["web", "other"]).await;
    let results = stage.manager.test_notification("web").await.unwrap();
    assert!(
        !results[0].success && results[0].error.as_deref().unwrap().contains("lockdown-relay.socket"),
        "{results:?}"
    );
    let relay = stage.listen();
    let answering = async {
        for _ in 0..2 {
            let mut connection = relay.accept().await;
            let item = connection.item().await;
            assert_eq!(item.action, "notification-test");
            let outcome = if item.rule == "web" { Outcome::Delivered } else { Outcome::retry("500") };
            connection.answer(&item.id, outcome).await;
        }
    };
    let (results, ()) = tokio::join!(stage.manager.test_notification(""), answering);
    let results: Vec<_> =
        results.unwrap().into_iter().map(|one| (one.rule, one.success, one.error)).collect();
    assert_eq!(results, [("web".into(), true, None), ("other".into(), false, Some("500".to_owned()))]);
    let error = stage.manager.test_notification("wbe\n").await.unwrap_err().to_string();
    assert!(error.contains("no rule is called wbe\\n: there are web, other"), "{error}");
    assert!(stage.list().await.is_empty(), "tests are no messages of the outbox");
    assert_eq!(stage.events("notification-test").await.len(), 2);
}

#[tokio::test]
async fn without_rules_there_is_nothing_to_test() {
    let bus = Bus::start();
    let _core = bus.serve(Settings::default()).await;
    let manager = ManagerProxy::new(&bus.connect().await).await.unwrap();
    let error = manager.test_notification("").await.unwrap_err().to_string();
    assert!(error.contains("there are no rules"), "{error}");
}

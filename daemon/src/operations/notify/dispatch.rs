//! The dispatcher: takes messages up when they are due, hands them on, and takes in what became of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use lockdown_delivery::{MAX_IN_FLIGHT, MAX_PER_DESTINATION, Outcome, frame};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};

use super::{
    item, memberships,
    settle::{self, Settled},
};
use crate::{
    core::Core,
    domain::{
        event::{Action, Event},
        lock::Time,
        notify::Rules,
    },
    host::{
        clock::{self, Alarm},
        random,
        relay::{self, Answer, Link, VERDICT},
    },
    store::{
        Change, StoreError,
        outbox::{self, Due, Message},
    },
};

/// Messages that are delivered on this host at the same time.
const LOCAL_AT_ONCE: usize = 8;
/// How long to wait after a failure of the store, in seconds.
const RETRY: Time = 10;
const RETRY_SORTING: Duration = Duration::from_secs(10);
/// How long to leave a relay alone that cannot be reached or breaks off: doubled every time, up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Dispatches for as long as the daemon runs.
pub async fn dispatch_forever(core: Arc<Core>, mut alarm: Alarm) {
    let mut dispatcher = Dispatcher::new(Arc::clone(&core));
    let mut changes = dispatcher.core.store.changes();
    dispatcher.recover().await;
    loop {
        // Before the look: a change that comes in between wakes the wait below.
        changes.mark_unchanged();
        let wake_at = match dispatcher.work(clock::now()).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!("notifications wait, as the outbox cannot be used: {error}");
                Some(clock::now() + RETRY)
            }
        };
        let patience = dispatcher.patience();
        tokio::select! {
            woken = alarm.wait_until(wake_at) => {
                if let Err(error) = woken {
                    tracing::error!("the timer failed: {error}");
                    return;
                }
            }
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = core.retry_asked.notified() => dispatcher.pause = None,
            Some(report) = dispatcher.reports.recv() => dispatcher.take(report),
            () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => dispatcher.lose_patience(),
        }
    }
}

/// What comes back.
enum Report {
    /// From the connection with this number.
    Relay(u64, Answer),
    /// What became of a message that was delivered here.
    Local(String, Outcome),
    /// Groups have been looked up.
    Sorted,
}

/// A message without a verdict.
struct Flight {
    message: Message,
    /// As the relay tells receivers apart.
    destination: String,
    is_local: bool,
    since: Instant,
}

struct Dispatcher {
    core: Arc<Core>,
    rules: Arc<Rules>,
    /// By the ids of the messages.
    flights: BTreeMap<String, Flight>,
    link: Option<Link>,
    /// Number of the last connection: what comes from one that was given up is not listened to.
    link_number: u64,
    /// Connections in a row that came to nothing, why the last did, and until when the relay is left alone.
    failures: u32,
    trouble: String,
    pause: Option<Instant>,
    /// Has not been noted yet.
    settled: Vec<Settled>,
    is_sorting: bool,
    sender: mpsc::Sender<Report>,
    reports: mpsc::Receiver<Report>,
}

impl Dispatcher {
    fn new(core: Arc<Core>) -> Self {
        let (sender, reports) = mpsc::channel(2 * MAX_IN_FLIGHT);
        Self {
            core,
            // Not those of the core: what is in the outbox from before is held against them first.
            rules: Arc::default(),
            flights: BTreeMap::new(),
            link: None,
            link_number: 0,
            failures: 0,
            trouble: "lockdown-relay was not reached".to_owned(),
            pause: None,
            settled: Vec::new(),
            is_sorting: false,
            sender,
            reports,
        }
    }

    async fn recover(&self) {
        let recovered = self.core.store.write(|change| outbox::recover(change, clock::now())).await;
        if let Err(error) = recovered {
            tracing::error!(
                "messages that were being sent when lockdownd ended wait until it is started again: {error}"
            );
        }
    }

    /// Does what there is to do; when there is more, as far as that can be told.
    async fn work(&mut self, now: Time) -> Result<Option<Time>, StoreError> {
        self.note(now).await?;
        let rules = self.core.store.rules();
        if !Arc::ptr_eq(&rules, &self.rules) {
            self.rules = rules;
            self.drop_other_rules(now).await?;
        }
        let due = self
            .core
            .store
            .read(move |connection| Ok::<_, StoreError>(outbox::due(connection, now)?))
            .await?;
        self.clean_up(&due, now).await?;
        self.look_groups_up(&due);
        let wanted = self.room_for(&due.rules).await;
        if !wanted.is_empty() {
            let claim = move |change: &mut Change<'_>| {
                let claimed = wanted.iter().map(|(rule, room)| outbox::claim(change, rule, *room, now));
                claimed.collect::<Result<Vec<_>, _>>()
            };
            for message in self.core.store.write(claim).await?.into_iter().flatten() {
                self.send(message).await;
            }
            self.note(now).await?;
        }
        if self.flights.values().all(|flight| flight.is_local) {
            // A relay that is not connected to ends when it has nothing to do.
            self.link = None;
        }
        Ok(due.next)
    }

    /// Notes what became of messages.
    async fn note(&mut self, now: Time) -> Result<(), StoreError> {
        if !self.settled.is_empty() {
            settle::settle(&self.core, &self.rules, self.settled.clone(), now).await?;
            self.settled.clear();
        }
        Ok(())
    }

    async fn drop_other_rules(&self, now: Time) -> Result<(), StoreError> {
        let names: BTreeSet<String> = self.rules.all().map(|rule| rule.name.clone()).collect();
        let drop_rules = move |change: &mut Change<'_>| {
            for (rule, count) in outbox::drop_rules_but(change, &names)? {
                let mut event = Event::new(now, Action::NotificationsDropped, "");
                event.target = format!("rule:{rule}");
                event.input.insert("count", count.to_string());
                "the rule is not in the configuration any more".clone_into(&mut event.reason);
                change.record(event)?;
            }
            Ok(())
        };
        self.core.store.write(drop_rules).await
    }

    async fn clean_up(&self, due: &Due, now: Time) -> Result<(), StoreError> {
        if due.hopeless {
            settle::give_up(&self.core, self.trouble.clone(), now).await?;
        }
        if due.old {
            self.core.store.write(move |change| outbox::forget_old(change, now).map(drop)).await?;
        }
        if due.dropped {
            self.core.store.write(move |change| outbox::report_drops(change, now)).await?;
        }
        Ok(())
    }

    fn look_groups_up(&mut self, due: &Due) {
        if !due.unsure || self.is_sorting {
            return;
        }
        self.is_sorting = true;
        let (core, rules, sender) = (Arc::clone(&self.core), Arc::clone(&self.rules), self.sender.clone());
        // Beside the rest: NSS takes its time.
        tokio::spawn(async move {
            if let Err(error) = memberships::sort_out(&core, &rules).await {
                tracing::error!("messages of rules for groups wait: {error}");
                sleep(RETRY_SORTING).await;
            }
            let _ = sender.send(Report::Sorted).await;
        });
    }

    /// Of which rules how many messages can be taken up now.
    async fn room_for(&mut self, due: &[String]) -> Vec<(String, u32)> {
        let settings = self.core.settings();
        let mut flying: BTreeMap<String, usize> = BTreeMap::new();
        let mut room = [MAX_IN_FLIGHT, LOCAL_AT_ONCE];
        for flight in self.flights.values() {
            *flying.entry(flight.destination.clone()).or_default() += 1;
            room[usize::from(flight.is_local)] = room[usize::from(flight.is_local)].saturating_sub(1);
        }
        let mut wanted = Vec::new();
        for rule in due.iter().filter_map(|name| self.rules.named(name)).cloned().collect::<Vec<_>>() {
            let transport = item::outline(&rule, &settings);
            let left = &mut room[usize::from(transport.is_local())];
            let flying = flying.entry(transport.destination()).or_default();
            let count = MAX_PER_DESTINATION.saturating_sub(*flying).min(*left);
            if count == 0 || !transport.is_local() && !self.is_linked().await {
                continue;
            }
            *flying += count;
            *left -= count;
            wanted.push((rule.name, u32::try_from(count).unwrap_or(u32::MAX)));
        }
        wanted
    }

    /// Whether there is a connection to the relay, made if need be.
    async fn is_linked(&mut self) -> bool {
        if self.link.is_some() {
            return true;
        }
        if self.pause.is_some_and(|until| until > Instant::now()) {
            return false;
        }
        self.link_number += 1;
        let number = self.link_number;
        match Link::open(&self.core.relay_socket, self.sender.clone(), move |answer| {
            Report::Relay(number, answer)
        })
        .await
        {
            Ok(link) => self.link = Some(link),
            Err(error) => self.leave_alone(relay::unreachable(&error)),
        }
        self.link.is_some()
    }

    fn leave_alone(&mut self, trouble: String) {
        // Once, not every minute for as long as it is away.
        if self.failures == 0 {
            tracing::warn!("notifications wait: {trouble}");
        }
        let pause = PAUSE.saturating_mul(1 << self.failures.min(6)).min(LONGEST_PAUSE);
        self.pause = Some(Instant::now() + pause);
        self.failures = self.failures.saturating_add(1);
        self.trouble = trouble;
    }

    async fn send(&mut self, message: Message) {
        if let Err((message, outcome)) = self.try_send(message).await {
            self.settle(message, outcome);
        }
    }

    async fn try_send(&mut self, message: Message) -> Result<(), (Message, Outcome)> {
        let number = message.number;
        let read = self
            .core
            .store
            .read(move |connection| Ok::<_, StoreError>(outbox::events_of(connection, number)?));
        let item = match (read.await, self.rules.named(&message.rule)) {
            (Err(error), _) => Err(Outcome::retry(error.to_string())),
            (_, None) => Err(Outcome::refused("the rule is not in the configuration any more")),
            (Ok(events), _) if events.is_empty() => {
                Err(Outcome::refused("its events are not in the audit trail any more"))
            }
            (Ok(events), Some(rule)) => item::item(&self.core, rule, &message, events).await,
        };
        let item = match item {
            Ok(item) => item,
            Err(outcome) => return Err((message, outcome)),
        };
        let (destination, is_local) = (item.transport.destination(), item.transport.is_local());
        let id = message.id.clone();
        if is_local {
            let sender = self.sender.clone();
            tokio::spawn(async move {
                let outcome = relay::deliver_locally(&item).await;
                // The receiver lives as long as the service.
                let _ = sender.send(Report::Local(item.id, outcome)).await;
            });
        } else {
            let sent = match (frame::encode(&item), &self.link) {
                (Ok(frame), Some(link)) => link.send(frame),
                _ => false,
            };
            if !sent {
                return Err((message, Outcome::retry("lockdown-relay takes nothing in")));
            }
        }
        self.flights.insert(id, Flight { message, destination, is_local, since: Instant::now() });
        Ok(())
    }

    fn settle(&mut self, message: Message, outcome: Outcome) {
        self.settled.push(Settled {
            number: message.number,
            rule: message.rule,
            action: message.action,
            outcome,
            random: random(),
        });
    }

    /// Takes in a report, and those that have come with it.
    fn take(&mut self, report: Report) {
        let mut next = Some(report);
        while let Some(report) = next {
            match report {
                Report::Local(id, outcome) => self.land(&id, true, outcome),
                Report::Sorted => self.is_sorting = false,
                Report::Relay(number, _) if number != self.link_number || self.link.is_none() => {}
                Report::Relay(_, Answer::Ended(why)) => self.unlink(&why),
                Report::Relay(_, Answer::Verdict(verdict)) => {
                    if self.flights.get(&verdict.id).is_some_and(|flight| !flight.is_local) {
                        (self.failures, self.pause) = (0, None);
                        self.land(&verdict.id, false, verdict.outcome);
                    } else {
                        self.unlink("it speaks of a message that it was not given");
                    }
                }
            }
            next = self.reports.try_recv().ok();
        }
    }

    fn land(&mut self, id: &str, is_local: bool, outcome: Outcome) {
        if self.flights.get(id).is_some_and(|flight| flight.is_local == is_local)
            && let Some(flight) = self.flights.remove(id)
        {
            self.settle(flight.message, outcome);
        }
    }

    /// Gives the connection up, and what had no verdict yet back.
    fn unlink(&mut self, why: &str) {
        self.link = None;
        let why = format!("lockdown-relay: {why}");
        let ids: Vec<String> =
            self.flights.iter().filter(|(_, flight)| !flight.is_local).map(|(id, _)| id.clone()).collect();
        for id in &ids {
            self.land(id, false, Outcome::retry(why.clone()));
        }
        self.leave_alone(why);
    }

    /// When to do something although nothing has come: the relay has had enough time, or been left alone for long enough.
    fn patience(&self) -> Option<Instant> {
        let overdue =
            self.flights.values().filter(|flight| !flight.is_local).map(|flight| flight.since + VERDICT);
        overdue.chain(self.pause).min()
    }

    fn lose_patience(&mut self) {
        let now = Instant::now();
        self.pause = self.pause.filter(|until| *until > now);
        if self.flights.values().any(|flight| !flight.is_local && flight.since + VERDICT <= now) {
            self.unlink("it does not answer");
        }
    }
}

/// From 0 to 1.
fn random() -> f64 {
    // Without a random number, messages that failed together come back together.
    let number = random::bytes().map_or(0, u32::from_ne_bytes);
    f64::from(number) / f64::from(u32::MAX)
}

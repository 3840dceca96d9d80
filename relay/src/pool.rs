//! Turns: which item is delivered when, so that one slow receiver holds up nobody else, and every item is answered.
//!
//! Each item that is being delivered has a thread, at most [`MAX_PER_DESTINATION`] for one destination; the thread goes on
//! with what waits for the same destination. One that takes longer than its time is answered without being waited for.

use std::{
    collections::{HashMap, VecDeque},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use lockdown_delivery::{Item, MAX_IN_FLIGHT, MAX_PER_DESTINATION, Outcome, Verdict};

use crate::{log, report::Report};

/// JSON that is in memory at a time, in bytes; a larger item waits until it is alone.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Delivered items that are remembered, so that a daemon that died before it read a verdict sends none of them twice.
const REMEMBERED: usize = 4096;
/// Threads that were given up. A receiver that causes more of them is rid of by starting the relay anew.
const MAX_GIVEN_UP: usize = 32;

/// Takes a verdict.
pub type Answer = Box<dyn FnOnce(Verdict) + Send>;

type Deliver = Box<dyn Fn(&Item) -> Report + Send + Sync>;

/// Items on their way.
pub struct Pool {
    deliver: Deliver,
    /// How long one item may take.
    limit: Duration,
    state: Mutex<State>,
    /// Something was answered.
    answered: Condvar,
}

#[derive(Default)]
struct State {
    jobs: HashMap<String, Job>,
    destinations: HashMap<String, Destination>,
    bytes: usize,
    delivered: VecDeque<String>,
    given_up: usize,
    last_ticket: u64,
}

struct Job {
    item: Arc<Item>,
    size: usize,
    destination: String,
    answers: Vec<Answer>,
    running: Option<Running>,
}

#[derive(Clone, Copy)]
struct Running {
    /// Which thread has it: the item may have come again since.
    ticket: u64,
    since: Instant,
}

#[derive(Default)]
struct Destination {
    running: usize,
    waiting: VecDeque<String>,
}

/// A job that a thread is to do.
struct Turn {
    item: Arc<Item>,
    ticket: u64,
}

/// Verdicts to be given once the lock is free: whoever reads them may be slow.
#[derive(Default)]
struct Verdicts(Vec<(Vec<Answer>, Verdict)>);

impl Verdicts {
    fn give(self) {
        for (answers, verdict) in self.0 {
            for answer in answers {
                answer(verdict.clone());
            }
        }
    }
}

impl Pool {
    /// A pool that delivers by this, which may take `limit` for an item.
    pub fn new(deliver: impl Fn(&Item) -> Report + Send + Sync + 'static, limit: Duration) -> Arc<Self> {
        let (deliver, state, answered) = (Box::new(deliver), Mutex::default(), Condvar::new());
        Arc::new(Self { deliver, limit, state, answered })
    }

    /// Takes an item whose JSON has `size` bytes. Waits while there is no room. An item that is on its way already is
    /// not delivered a second time; both who asked get its verdict.
    pub fn submit(self: &Arc<Self>, item: Item, size: usize, answer: Answer) {
        let mut state = self.state();
        loop {
            if state.delivered.contains(&item.id) {
                drop(state);
                return answer(Verdict { id: item.id, outcome: Outcome::Delivered });
            }
            if let Some(job) = state.jobs.get_mut(&item.id) {
                job.answers.push(answer);
                return;
            }
            let fits = state.jobs.is_empty() || state.bytes + size <= MAX_BYTES;
            if fits && state.jobs.len() < MAX_IN_FLIGHT {
                break;
            }
            state = self.answered.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let (id, destination) = (item.id.clone(), item.transport.destination());
        state.bytes += size;
        let job = Job {
            item: Arc::new(item),
            size,
            destination: destination.clone(),
            answers: vec![answer],
            running: None,
        };
        state.jobs.insert(id.clone(), job);
        state.destinations.entry(destination.clone()).or_default().waiting.push_back(id);
        let turn = state.next(&destination);
        drop(state);
        if let Some(turn) = turn {
            self.start(turn);
        }
    }

    /// Whether nothing is on its way. Threads that were given up are not waited for.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state().jobs.is_empty()
    }

    /// Answers what has taken too long, as of `now`; to be called about every second.
    ///
    /// # Errors
    /// Too many threads had to be given up: this process is better ended.
    pub fn give_up(self: &Arc<Self>, now: Instant) -> io::Result<()> {
        let mut state = self.state();
        let overdue: Vec<_> = state
            .jobs
            .iter()
            .filter(|(_, job)| {
                job.running.is_some_and(|running| now.saturating_duration_since(running.since) > self.limit)
            })
            .map(|(id, _)| id.clone())
            .collect();
        let mut verdicts = Verdicts::default();
        let mut turns = Vec::new();
        for id in overdue {
            let error = format!("it took longer than {} s", self.limit.as_secs());
            log::warning(format_args!("{id} is given up for now: {error}"));
            if let Some(destination) = state.end(&id, Outcome::retry(error.clone()), &mut verdicts) {
                state.given_up += 1;
                state.end_waiting(&destination, &error, &mut verdicts);
                turns.extend(state.next(&destination));
            }
        }
        let given_up = state.given_up;
        drop(state);
        self.answered.notify_all();
        verdicts.give();
        for turn in turns {
            self.start(turn);
        }
        if given_up > MAX_GIVEN_UP {
            return Err(io::Error::other(format!("{given_up} deliveries hang; starting anew")));
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(self: &Arc<Self>, turn: Turn) {
        let pool = Arc::clone(self);
        let (id, ticket) = (turn.item.id.clone(), turn.ticket);
        let thread = thread::Builder::new().name("deliver".to_owned()).spawn(move || {
            let mut turn = Some(turn);
            while let Some(Turn { item, ticket }) = turn {
                let report = pool.attempt(&item);
                turn = pool.finish(&item.id, ticket, report);
            }
        });
        if let Err(error) = thread {
            let report = Report::unreachable(Outcome::retry(format!("no thread could be started: {error}")));
            // Nothing waits any more after this, so there is no next turn.
            self.finish(&id, ticket, report);
        }
    }

    fn attempt(&self, item: &Item) -> Report {
        let report = catch_unwind(AssertUnwindSafe(|| (self.deliver)(item)))
            .unwrap_or_else(|_| Report::reached(Outcome::retry("the relay has a bug: it panicked")));
        let (id, way) = (&item.id, item.transport.name());
        match &report.outcome {
            Outcome::Delivered => log::info(format_args!("{id} is delivered by {way}")),
            Outcome::Retry { error, .. } => {
                log::warning(format_args!("{id} is not delivered by {way} for now: {error}"))
            }
            Outcome::Refused { error } | Outcome::Gone { error } => {
                log::warning(format_args!("{id} is not delivered by {way}: {error}"));
            }
        }
        report
    }

    /// Ends a turn; what the thread is to do next.
    fn finish(&self, id: &str, ticket: u64, report: Report) -> Option<Turn> {
        let mut state = self.state();
        let mut verdicts = Verdicts::default();
        if report.outcome == Outcome::Delivered {
            state.remember(id);
        }
        let is_its = |job: &Job| job.running.is_some_and(|running| running.ticket == ticket);
        if !state.jobs.get(id).is_some_and(is_its) {
            state.given_up = state.given_up.saturating_sub(1);
            return None;
        }
        let error = report.outcome.error().unwrap_or_default().to_owned();
        let destination = state.end(id, report.outcome, &mut verdicts)?;
        if report.unreachable {
            state.end_waiting(&destination, &error, &mut verdicts);
        }
        let turn = state.next(&destination);
        drop(state);
        self.answered.notify_all();
        verdicts.give();
        turn
    }
}

impl State {
    /// What is next for a destination, if it has a turn left; a destination without any work is forgotten.
    fn next(&mut self, name: &str) -> Option<Turn> {
        let destination = self.destinations.get_mut(name)?;
        if destination.running >= MAX_PER_DESTINATION {
            return None;
        }
        while let Some(id) = destination.waiting.pop_front() {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            self.last_ticket += 1;
            job.running = Some(Running { ticket: self.last_ticket, since: Instant::now() });
            destination.running += 1;
            return Some(Turn { item: Arc::clone(&job.item), ticket: self.last_ticket });
        }
        if destination.running == 0 {
            self.destinations.remove(name);
        }
        None
    }

    /// Ends a job with this; its destination, which is free for the next.
    fn end(&mut self, id: &str, outcome: Outcome, verdicts: &mut Verdicts) -> Option<String> {
        let job = self.jobs.remove(id)?;
        self.bytes = self.bytes.saturating_sub(job.size);
        if job.running.is_some()
            && let Some(destination) = self.destinations.get_mut(&job.destination)
        {
            destination.running = destination.running.saturating_sub(1);
        }
        verdicts.0.push((job.answers, Verdict { id: id.to_owned(), outcome }));
        Some(job.destination)
    }

    /// What waits for a destination that cannot be reached would only wait for the same.
    fn end_waiting(&mut self, destination: &str, error: &str, verdicts: &mut Verdicts) {
        let waiting = self.destinations.get_mut(destination).map(|it| std::mem::take(&mut it.waiting));
        for id in waiting.unwrap_or_default() {
            self.end(&id, Outcome::retry(error), verdicts);
        }
    }

    fn remember(&mut self, id: &str) {
        if self.delivered.len() == REMEMBERED {
            self.delivered.pop_front();
        }
        self.delivered.push_back(id.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

    use lockdown_delivery::{Format, Secret, Transport};

    use super::*;
    use crate::samples;

    const SOON: Duration = Duration::from_millis(500);
    const LONG: Duration = Duration::from_secs(20);

    fn item(id: &str, host: &str) -> Item {
        let url = Secret::new(format!("https://{host}/"));
        let mut item = samples::item(Transport::Webhook { url, secrets: vec![], format: Format::Standard });
        item.id = id.to_owned();
        item
    }

    /// A pool whose deliveries say that they have begun, and end as they are told by the id's owner.
    struct Scripted {
        pool: Arc<Pool>,
        begun: Receiver<(String, Sender<Report>)>,
        verdicts: Receiver<Verdict>,
        verdict: Sender<Verdict>,
    }

    impl Scripted {
        fn new(limit: Duration) -> Self {
            let (begin, begun) = channel();
            let begin = Mutex::new(begin);
            let (verdict, verdicts) = channel();
            let pool = Pool::new(
                move |item| {
                    let (end, ended) = channel();
                    begin.lock().unwrap().send((item.id.clone(), end)).unwrap();
                    ended.recv().unwrap_or_else(|_| Report::reached(Outcome::retry("the test is over")))
                },
                limit,
            );
            Self { pool, begun, verdicts, verdict }
        }

        fn submit(&self, item: Item, size: usize) {
            submit(&self.pool, &self.verdict, item, size);
        }

        fn begun(&self) -> (String, Sender<Report>) {
            self.begun.recv_timeout(LONG).unwrap()
        }

        fn nothing_begins(&self) -> bool {
            matches!(self.begun.recv_timeout(SOON), Err(RecvTimeoutError::Timeout))
        }

        fn verdict(&self) -> (String, Outcome) {
            let verdict = self.verdicts.recv_timeout(LONG).unwrap();
            (verdict.id, verdict.outcome)
        }
    }

    fn submit(pool: &Arc<Pool>, verdict: &Sender<Verdict>, item: Item, size: usize) {
        let verdict = verdict.clone();
        pool.submit(item, size, Box::new(move |said| verdict.send(said).unwrap()));
    }

    fn delivered() -> Report {
        Report::reached(Outcome::Delivered)
    }

    #[test]
    fn a_slow_receiver_holds_up_only_its_own() {
        let pool = Scripted::new(LONG);
        for number in 0..10 {
            pool.submit(item(&format!("slow{number}"), "slow"), 1);
        }
        let slow: Vec<_> = (0..MAX_PER_DESTINATION).map(|_| pool.begun()).collect();
        assert!(pool.nothing_begins());
        pool.submit(item("fast", "fast"), 1);
        let (id, end) = pool.begun();
        assert_eq!(id, "fast");
        end.send(delivered()).unwrap();
        assert_eq!(pool.verdict(), ("fast".into(), Outcome::Delivered));
        // A turn that ends makes room for the next.
        slow[0].1.send(delivered()).unwrap();
        assert_eq!(pool.verdict().0, slow[0].0);
        assert_eq!(pool.begun().0, "slow4");
    }

    #[test]
    fn what_waits_for_a_destination_that_cannot_be_reached_is_answered_with_it() {
        let pool = Scripted::new(LONG);
        for number in 0..10 {
            pool.submit(item(&format!("msg{number}"), "down"), 1);
        }
        let (first, end) = pool.begun();
        end.send(Report::unreachable(Outcome::retry("refused"))).unwrap();
        let answered: Vec<_> = (0..7).map(|_| pool.verdict()).collect();
        assert_eq!(answered[0].0, first);
        assert!(answered.iter().all(|(_, outcome)| *outcome == Outcome::retry("refused")));
        assert!(!pool.pool.is_idle());
    }

    #[test]
    fn no_more_is_taken_than_fits() {
        let pool = Scripted::new(LONG);
        let begin_over = |first_size: usize, count: usize| {
            let (sent, all) = channel();
            thread::scope(|scope| {
                let (inner, verdict) = (&pool.pool, pool.verdict.clone());
                scope.spawn(move || {
                    for number in 0..count {
                        let size = if number == 0 { first_size } else { 1 };
                        let item = item(&format!("n{first_size}-{number}"), &format!("h{number}"));
                        submit(inner, &verdict, item, size);
                        sent.send(number).unwrap();
                    }
                });
                let mut ends = Vec::new();
                let mut taken = 0;
                while all.recv_timeout(SOON).is_ok() {
                    taken += 1;
                }
                // Ends what runs until all has been taken.
                while let Ok((_, end)) = pool.begun.recv_timeout(SOON) {
                    end.send(delivered()).unwrap();
                    ends.push(pool.verdict());
                }
                assert_eq!(ends.len(), count);
                taken
            })
        };
        assert_eq!(begin_over(1, MAX_IN_FLIGHT + 8), MAX_IN_FLIGHT);
        // One that is larger than the room there is goes when it is alone.
        assert_eq!(begin_over(MAX_BYTES + 1, 3), 1);
        assert!(pool.pool.is_idle());
    }

    #[test]
    fn one_that_is_sent_again_is_delivered_once() {
        let pool = Scripted::new(LONG);
        pool.submit(item("same", "host"), 1);
        let (_, end) = pool.begun();
        pool.submit(item("same", "host"), 1);
        assert!(pool.nothing_begins());
        end.send(delivered()).unwrap();
        assert_eq!((pool.verdict().1, pool.verdict().1), (Outcome::Delivered, Outcome::Delivered));
        pool.submit(item("same", "host"), 1);
        assert_eq!(pool.verdict().1, Outcome::Delivered);
        assert!(pool.nothing_begins());
    }

    #[test]
    fn what_takes_too_long_is_answered_and_counts_if_it_succeeds_after_all() {
        let pool = Scripted::new(Duration::from_secs(60));
        pool.submit(item("late", "host"), 1);
        let (_, end) = pool.begun();
        pool.pool.give_up(Instant::now() + Duration::from_secs(59)).unwrap();
        assert!(!pool.pool.is_idle());
        pool.pool.give_up(Instant::now() + Duration::from_secs(61)).unwrap();
        assert_eq!(pool.verdict(), ("late".into(), Outcome::retry("it took longer than 60 s")));
        assert!(pool.pool.is_idle());
        end.send(delivered()).unwrap();
        while pool.pool.state().given_up > 0 {
            thread::yield_now();
        }
        pool.submit(item("late", "host"), 1);
        assert_eq!(pool.verdict(), ("late".into(), Outcome::Delivered));
    }

    #[test]
    fn too_many_that_hang_end_the_relay() {
        let pool = Scripted::new(Duration::ZERO);
        let mut hanging = Vec::new();
        for number in 0..MAX_GIVEN_UP {
            pool.submit(item(&format!("n{number}"), "host"), 1);
            hanging.push(pool.begun());
            pool.pool.give_up(Instant::now() + SOON).unwrap();
        }
        pool.submit(item("last", "host"), 1);
        hanging.push(pool.begun());
        assert!(pool.pool.give_up(Instant::now() + SOON).is_err());
    }

    #[test]
    fn a_panic_is_answered() {
        let pool = Pool::new(|_| panic!("on purpose"), LONG);
        let (verdict, verdicts) = channel();
        submit(&pool, &verdict, item("msg", "host"), 1);
        let outcome = verdicts.recv_timeout(LONG).unwrap().outcome;
        assert!(matches!(outcome, Outcome::Retry { error, .. } if error.contains("panicked")));
        assert!(pool.is_idle());
    }
}

//! What the login path has reported, until it is folded: a burst becomes one fold, and at most one event a minute.
//!
//! Bounded: one entry an account that has attempts, and not more than so many. A report that finds no room is not missed, for
//! the tally has what it told.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use lockdown_enforcement::{AttemptOutcome, AttemptReport};

use super::digest::Digest;

/// How long a failure waits for those that come with it.
const BURST: Duration = Duration::from_secs(1);
/// Half a tally: a flood is folded before the tally has to use a slot again.
const FULL_BURST: u32 = 64;
/// How long an account has no further event.
const QUIET: Duration = Duration::from_mins(1);
/// How long what could not be folded waits: a full disk must not turn this into a busy loop.
const RETRY: Duration = Duration::from_secs(10);
/// Accounts at a time.
const MAX_ENTRIES: usize = 4096;

/// The accounts that are to be folded, by uid.
#[derive(Debug, Default)]
pub struct Queue {
    entries: HashMap<u32, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    fold_at: Option<Instant>,
    reports: u32,
    refused: Digest,
    told_at: Option<Instant>,
}

impl Entry {
    fn is_quiet(&self, now: Instant) -> bool {
        self.told_at.is_some_and(|told_at| now < told_at + QUIET)
    }

    fn fold_by(&mut self, moment: Instant) {
        self.fold_at = Some(self.fold_at.map_or(moment, |other| other.min(moment)));
    }
}

impl Queue {
    /// Takes a report.
    pub fn report(&mut self, report: &AttemptReport, now: Instant) {
        let Some(entry) = self.entry(report.login.uid, now) else { return };
        entry.reports += 1;
        let is_urgent = match report.outcome {
            AttemptOutcome::Failed { lock, .. } => lock.is_some(),
            AttemptOutcome::Succeeded { .. } => false,
            AttemptOutcome::Refused { .. } => {
                entry.refused.add_refused(report);
                // Nothing to fold, only to tell.
                let told_at = entry.told_at.filter(|told_at| now < *told_at + QUIET);
                entry.fold_by(told_at.map_or(now + BURST, |told_at| told_at + QUIET));
                return;
            }
        };
        entry.fold_by(if is_urgent || entry.reports >= FULL_BURST { now } else { now + BURST });
    }

    fn entry(&mut self, uid: u32, now: Instant) -> Option<&mut Entry> {
        if self.entries.len() >= MAX_ENTRIES && !self.entries.contains_key(&uid) {
            self.entries.retain(|_, entry| entry.fold_at.is_some() || entry.is_quiet(now));
            if self.entries.len() >= MAX_ENTRIES {
                return None;
            }
        }
        Some(self.entries.entry(uid).or_default())
    }

    /// When the next account is to be folded.
    pub(super) fn next(&self) -> Option<Instant> {
        self.entries.values().filter_map(|entry| entry.fold_at).min()
    }

    /// The accounts that are to be folded now.
    pub(super) fn due(&self, now: Instant) -> Vec<u32> {
        let is_due = |entry: &Entry| entry.fold_at.is_some_and(|moment| moment <= now);
        self.entries.iter().filter(|(_, entry)| is_due(entry)).map(|(uid, _)| *uid).collect()
    }

    /// The account is being folded. What is to be told with it, `None` if an event has just told something: then it comes
    /// again when another may.
    pub(super) fn begin(&mut self, uid: u32, now: Instant) -> Option<Digest> {
        let Some(entry) = self.entries.get_mut(&uid) else { return Some(Digest::default()) };
        (entry.fold_at, entry.reports) = (None, 0);
        if entry.is_quiet(now) {
            entry.fold_at = entry.told_at.map(|told_at| told_at + QUIET);
            return None;
        }
        let refused = std::mem::take(&mut entry.refused);
        self.entries.remove(&uid);
        Some(refused)
    }

    /// An event has told of the account.
    pub(super) fn told(&mut self, uid: u32, now: Instant) {
        if let Some(entry) = self.entry(uid, now) {
            entry.told_at = Some(now);
        }
    }

    /// It could not be folded, and what was to be told was not.
    pub(super) fn failed(&mut self, uid: u32, refused: Option<Digest>, now: Instant) {
        if let Some(entry) = self.entry(uid, now) {
            entry.refused = refused.unwrap_or_default();
            entry.fold_by(now + RETRY);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use lockdown_enforcement::{Login, TallyLock};

    use super::*;

    fn report(uid: u32, outcome: AttemptOutcome) -> AttemptReport {
        AttemptReport { login: login(uid, "192.0.2.1"), outcome }
    }

    fn login(uid: u32, host: &str) -> Login {
        Login {
            account: "alice".into(),
            uid,
            service: "sshd".into(),
            remote_host: Some(host.into()),
            ..Login::default()
        }
    }

    pub(crate) fn refused_from(host: &str) -> AttemptReport {
        AttemptReport { login: login(1000, host), outcome: AttemptOutcome::Refused { until: None } }
    }

    fn failed(lock: Option<TallyLock>) -> AttemptReport {
        report(1000, AttemptOutcome::Failed { number: 1, counted: true, lock })
    }

    const LOCK: TallyLock = TallyLock { source: true, remote: false, all: false, until: None };

    #[test]
    fn a_burst_is_folded_once_and_a_lock_or_a_flood_at_once() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.report(&failed(None), now);
        queue.report(&failed(None), now + BURST / 2);
        assert_eq!((queue.next(), queue.due(now)), (Some(now + BURST), vec![]));
        assert_eq!(queue.due(now + BURST), [1000]);
        queue.report(&failed(Some(LOCK)), now);
        assert_eq!(queue.due(now), [1000]);
        assert_eq!(queue.begin(1000, now), Some(Digest::default()));
        assert_eq!(queue.next(), None);
        (0..FULL_BURST).for_each(|_| queue.report(&failed(None), now));
        assert_eq!(queue.due(now), [1000]);
    }

    #[test]
    fn an_event_a_minute_tells_also_what_was_refused_meanwhile() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.report(&failed(None), now);
        assert!(queue.begin(1000, now).is_some());
        queue.told(1000, now);
        queue.report(&refused_from("192.0.2.1"), now);
        assert_eq!(queue.next(), Some(now + QUIET));
        queue.report(&failed(None), now);
        assert_eq!(queue.begin(1000, now + BURST), None);
        assert_eq!(queue.next(), Some(now + QUIET), "it comes again");
        let told = queue.begin(1000, now + QUIET).unwrap();
        assert!(!told.is_empty());
        queue.failed(1000, Some(told.clone()), now + QUIET);
        assert_eq!(queue.next(), Some(now + QUIET + RETRY));
        assert_eq!(queue.begin(1000, now + QUIET + RETRY), Some(told));
        assert!(queue.entries.is_empty());
    }

    #[test]
    fn is_bounded() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        (0..2 * MAX_ENTRIES as u32).for_each(|uid| queue.told(uid, now));
        assert_eq!(queue.entries.len(), MAX_ENTRIES);
        queue.report(&failed(None), now);
        assert_eq!(queue.due(now + BURST), [1000]);
        queue.report(&report(u32::MAX - 1, AttemptOutcome::Succeeded { cleared: 1 }), now + QUIET);
        assert_eq!(queue.entries.len(), 2, "who is not quiet any more makes room");
    }
}

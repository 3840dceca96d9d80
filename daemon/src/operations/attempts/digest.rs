//! A burst of failed and refused attempts, in one event.

use std::collections::{BTreeMap, BTreeSet};

use lockdown_enforcement::{AttemptReport, Source};

use crate::domain::{
    attempts::key_of,
    event::{Action, Event},
    lock::Time,
};

/// Sources that are told apart, and services.
const MAX_DISTINCT: usize = 64;
/// Sources that are named.
const NAMED: usize = 8;

/// What there is to tell of an account's attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    failed: u64,
    refused: u64,
    sources: BTreeMap<String, u64>,
    services: BTreeSet<String>,
}

impl Digest {
    /// A failed attempt of the tally.
    pub(super) fn add_failed(&mut self, source: String, service: String) {
        self.failed += 1;
        self.add(source, service);
    }

    /// An attempt that was refused without being judged.
    pub(super) fn add_refused(&mut self, report: &AttemptReport) {
        self.refused += 1;
        let source = Source::new(report.login.remote_host.as_deref(), report.login.remote_user.as_deref());
        let service = lockdown_enforcement::text::Text::<32>::cut(&report.login.service);
        self.add(key_of(&source), service.as_str().to_owned());
    }

    fn add(&mut self, source: String, service: String) {
        if self.sources.len() < MAX_DISTINCT || self.sources.contains_key(&source) {
            *self.sources.entry(source).or_default() += 1;
        }
        if self.services.len() < MAX_DISTINCT {
            self.services.insert(service);
        }
    }

    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.failed + self.refused == 0
    }

    /// The event that tells it.
    pub(super) fn event(&self, now: Time, account: &str) -> Event {
        let mut event = Event::new(now, Action::AttemptsFailed, account);
        let (sources, services) = (self.named_sources(), self.named_services());
        let refused = if self.refused > 0 { format!(", {} refused", self.refused) } else { String::new() };
        event.reason = format!("{} failed{refused}, from {sources}, by {services}", self.failed);
        event.input.insert("count", self.failed.to_string());
        event.input.insert("refused", self.refused.to_string());
        event.input.insert("sources", sources);
        event.input.insert("services", services);
        event
    }

    /// Those with the most attempts, which are counted where there are several.
    fn named_sources(&self) -> String {
        let mut sources: Vec<_> = self.sources.iter().collect();
        sources.sort_by_key(|(name, count)| (u64::MAX - **count, *name));
        let named = sources.iter().take(NAMED).map(|(name, count)| match sources.len() {
            1 => (*name).clone(),
            _ => format!("{name} ({count})"),
        });
        let others = (sources.len() > NAMED).then(|| "others".to_owned());
        named.chain(others).collect::<Vec<_>>().join(", ")
    }

    fn named_services(&self) -> String {
        let others = (self.services.len() > NAMED).then(|| "others".to_owned());
        self.services.iter().take(NAMED).cloned().chain(others).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::attempts::queue::tests::refused_from;

    #[test]
    fn says_how_many_from_where_and_by_what() {
        let mut digest = Digest::default();
        assert!(digest.is_empty());
        digest.add_failed("192.0.2.1".into(), "sshd".into());
        assert_eq!(digest.event(7, "alice").reason, "1 failed, from 192.0.2.1, by sshd");
        digest.add_failed("user:bob".into(), "su".into());
        digest.add_refused(&refused_from("192.0.2.1"));
        let event = digest.event(7, "alice");
        assert_eq!(event.reason, "2 failed, 1 refused, from 192.0.2.1 (2), user:bob (1), by sshd, su");
        assert_eq!((event.time, event.account.as_str(), event.input["count"].as_str()), (7, "alice", "2"));
    }

    #[test]
    fn a_flood_from_everywhere_stays_one_short_event() {
        let mut digest = Digest::default();
        for number in 0..10_000 {
            digest.add_failed(format!("host-{number}"), format!("service-{number}"));
        }
        let event = digest.event(7, "alice");
        assert_eq!(event.input["count"], "10000");
        assert!(event.reason.len() < 400 && event.input["sources"].ends_with("others"), "{}", event.reason);
        assert_eq!((digest.sources.len(), digest.services.len()), (MAX_DISTINCT, MAX_DISTINCT));
    }
}

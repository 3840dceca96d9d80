//! What became of messages, into the store.

use std::{collections::BTreeMap, sync::Arc};

use lockdown_delivery::{Outcome, still_visible};

use crate::{
    core::Core,
    domain::{
        event::{self, Action, Event},
        lock::Time,
        notify::{Next, Rules},
    },
    metrics,
    store::{Change, StoreError, outbox},
};

/// Longest error that is kept or shown, in characters.
pub(super) const MAX_ERROR: usize = 400;

/// What became of one message.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Its row.
    pub number: outbox::MessageId,
    /// Its rule.
    pub rule: String,
    /// Action of its events.
    pub action: String,
    /// What became of it.
    pub outcome: Outcome,
    /// From 0 to 1.
    pub random: f64,
}

/// Notes what became of messages, in one transaction.
///
/// # Errors
/// [`StoreError`]; nothing was noted.
pub async fn settle(
    core: &Core,
    rules: &Arc<Rules>,
    settled: Vec<Settled>,
    now: Time,
) -> Result<(), StoreError> {
    let rules = Arc::clone(rules);
    let counted: Result<Vec<_>, StoreError> = core
        .store
        .write(move |change| {
            let mut failures = Failures::default();
            let noted = settled.into_iter().map(|settled| note(change, &rules, settled, now, &mut failures));
            let counted = noted.collect::<Result<_, _>>()?;
            let gone: Vec<_> = failures.gone.keys().cloned().collect();
            failures.record(change, now)?;
            // Last: the event of it is not to be lost with the transaction.
            gone.iter().for_each(|rule| rules.switch_off(rule));
            Ok(counted)
        })
        .await;
    counted?.into_iter().for_each(metrics::count_delivery);
    Ok(())
}

/// Notes one; as what the metrics count it.
fn note(
    change: &mut Change<'_>,
    rules: &Rules,
    settled: Settled,
    now: Time,
    failures: &mut Failures,
) -> Result<&'static str, StoreError> {
    let Settled { number, rule, action, outcome, random } = settled;
    let error = outcome.error().map(|error| still_visible(error, MAX_ERROR)).unwrap_or_default();
    Ok(match outcome {
        Outcome::Delivered => {
            outbox::delivered(change, number)?;
            "delivered"
        }
        Outcome::Retry { after, .. } if rules.named(&rule).is_some() => {
            match outbox::failed(change, number, &error, after, random, now)? {
                Next::At(_) => "retried",
                Next::GivenUp => {
                    failures.add(&rule, &action, &error);
                    "failed"
                }
            }
        }
        // One that was on its way when the rule was taken out has nobody to be tried for any more.
        Outcome::Retry { .. } | Outcome::Refused { .. } => {
            outbox::refused(change, number, &error)?;
            failures.add(&rule, &action, &error);
            "failed"
        }
        Outcome::Gone { .. } => {
            outbox::refused(change, number, &error)?;
            outbox::refuse_all(change, &rule, &error)?;
            if !rules.is_off(&rule) {
                failures.gone(&rule, &error);
            }
            "failed"
        }
    })
}

/// Gives up what has waited for a day, for this reason if no attempt has left another.
///
/// # Errors
/// [`StoreError`]
pub async fn give_up(core: &Core, error: String, now: Time) -> Result<(), StoreError> {
    let given_up: Result<usize, StoreError> = core
        .store
        .write(move |change| {
            let mut failures = Failures::default();
            let given_up = outbox::give_up(change, now, &error)?;
            for (rule, action, error) in &given_up {
                failures.add(rule, action, error);
            }
            failures.record(change, now)?;
            Ok(given_up.len())
        })
        .await;
    (0..given_up?).for_each(|_| metrics::count_delivery("failed"));
    Ok(())
}

/// Events about what was given up: one for each rule, however many messages that are.
#[derive(Default)]
struct Failures {
    by_rule: BTreeMap<String, (u64, String)>,
    gone: BTreeMap<String, String>,
}

impl Failures {
    /// That the word of a failure could not be delivered either is no news: two rules would tell of each other for ever.
    fn add(&mut self, rule: &str, action: &str, error: &str) {
        if action != Action::NotificationFailed.name() {
            let (count, last) = self.by_rule.entry(rule.to_owned()).or_default();
            *count += 1;
            error.clone_into(last);
        }
    }

    fn gone(&mut self, rule: &str, error: &str) {
        self.gone.insert(rule.to_owned(), error.to_owned());
    }

    fn record(self, change: &mut Change<'_>, now: Time) -> Result<(), StoreError> {
        let event = |rule: &str, error: String| {
            let mut event = Event::new(now, Action::NotificationFailed, "");
            event.target = format!("rule:{rule}");
            event.input.insert("rule", rule.to_owned());
            event.outcome = event::Outcome::Failed(error);
            event
        };
        for (rule, error) in self.gone {
            let mut event = event(&rule, error);
            "the receiver wants no more: the rule is off until the configuration is loaded again"
                .clone_into(&mut event.reason);
            change.record(event)?;
        }
        for (rule, (count, error)) in self.by_rule {
            let mut event = event(&rule, error);
            event.input.insert("count", count.to_string());
            "given up: see `lockdownctl notify queue --dead`".clone_into(&mut event.reason);
            change.record(event)?;
        }
        Ok(())
    }
}

//! What the daemon counts and measures, from its start on.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// All of it.
#[derive(Clone, Debug)]
pub struct Counts {
    /// Events in the trail, by action.
    pub events: BTreeMap<&'static str, u64>,
    /// Attempts to deliver a message, by what became of them: `delivered`, `retried`, `failed`.
    pub deliveries: BTreeMap<&'static str, u64>,
    /// How often everything that an account runs was ended.
    pub sweeps: u64,
    /// How long that took, all together.
    pub sweep_time: Duration,
    /// How long the longest took.
    pub longest_sweep: Duration,
    /// Processes that were ended.
    pub sweep_processes: u64,
}

static COUNTS: Mutex<Counts> = Mutex::new(Counts {
    events: BTreeMap::new(),
    deliveries: BTreeMap::new(),
    sweeps: 0,
    sweep_time: Duration::ZERO,
    longest_sweep: Duration::ZERO,
    sweep_processes: 0,
});

/// What was counted up to now.
#[must_use]
pub fn counts() -> Counts {
    with(|counts| counts.clone())
}

/// Counts events, by action.
pub fn count_events(actions: BTreeMap<&'static str, u64>) {
    with(|counts| {
        actions.into_iter().for_each(|(action, new)| *counts.events.entry(action).or_default() += new)
    });
}

/// Counts an attempt to deliver a message, by what became of it.
pub fn count_delivery(outcome: &'static str) {
    with(|counts| *counts.deliveries.entry(outcome).or_default() += 1);
}

/// Counts a sweep.
pub fn count_sweep(took: Duration, processes: u32) {
    with(|counts| {
        counts.sweeps += 1;
        counts.sweep_time += took;
        counts.longest_sweep = counts.longest_sweep.max(took);
        counts.sweep_processes += u64::from(processes);
    });
}

fn with<T>(job: impl FnOnce(&mut Counts) -> T) -> T {
    job(&mut COUNTS.lock().unwrap_or_else(PoisonError::into_inner))
}

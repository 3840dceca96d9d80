//! Ends what a target runs, and proves that nothing is left: passes over /proc until several in a row find nothing.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use zbus::Connection;

use lockdown_enforcement::escape::escape;

use super::{
    cgroup::Slice,
    logind,
    processes::{Facts, Target, find},
    subordinate, units,
};

const SUBUID: &str = "/etc/subuid";
/// Passes in a row that must find nothing.
const CLEAN_PASSES: u32 = 3;
/// Between two passes: long enough for a killed process to be gone, and for one that was being forked to show.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest command line in a report, in characters.
const MAX_TITLE: usize = 80;

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Processes that were found and ended.
    pub processes: u32,
    /// System services that ran as the account and were stopped.
    pub units: Vec<String>,
    /// What could not be ended in time: pid and command line, escaped.
    pub survivors: Vec<String>,
}

/// Ends everything that an account runs.
pub async fn end_account(bus: &Connection, uid: u32, name: &str, limit: Duration) -> Outcome {
    let subordinate = subordinate::ranges(Path::new(SUBUID), name, uid);
    let target = Target::Account { uid, name: name.to_owned(), subordinate };
    let mut sweep = Sweep::new(bus, target, limit);
    let slice = Slice::of(uid);
    {
        // Frozen, nothing in her slice can fork away from the passes; SIGKILL reaches it all the same.
        let _frozen = slice.freeze();
        sweep.pass().await;
        slice.kill();
        sweep.stop_waiting_services(uid, name).await;
        sweep.until_clean().await;
    }
    // Her user manager is dead by now. This takes its unit and logind's sessions out of the books, which needs the slice
    // thawed. With lingering on it could have come back.
    if let Err(error) = logind::terminate_user(bus, uid).await {
        tracing::debug!("logind has no user {uid}: {error}");
    }
    if let Err(error) = units::stop(bus, &units::user_manager(uid)).await {
        tracing::debug!("user manager of {uid}: {error}");
    }
    sweep.until_clean().await;
    sweep.outcome
}

/// Ends one session.
pub async fn end_session(
    bus: &Connection,
    target: Target,
    logind_id: Option<&str>,
    limit: Duration,
) -> Outcome {
    let mut sweep = Sweep::new(bus, target, limit);
    sweep.until_clean().await;
    if let Some(id) = logind_id
        && let Err(error) = logind::terminate_session(bus, id).await
    {
        tracing::debug!("logind has no session {id}: {error}");
    }
    sweep.outcome
}

struct Sweep<'b> {
    bus: &'b Connection,
    target: Target,
    deadline: Instant,
    seen: BTreeSet<u32>,
    outcome: Outcome,
}

impl<'b> Sweep<'b> {
    fn new(bus: &'b Connection, target: Target, limit: Duration) -> Self {
        Self {
            bus,
            target,
            deadline: Instant::now() + limit,
            seen: BTreeSet::new(),
            outcome: Outcome::default(),
        }
    }

    async fn until_clean(&mut self) {
        let mut clean = 0;
        while clean < CLEAN_PASSES {
            let found = self.pass().await;
            clean = if found.is_empty() { clean + 1 } else { 0 };
            if !found.is_empty() && Instant::now() >= self.deadline {
                self.outcome.survivors = found.iter().map(named).collect();
                return;
            }
            sleep(PAUSE).await;
        }
        self.outcome.survivors.clear();
    }

    /// Kills what is there now; returns what it found.
    async fn pass(&mut self) -> Vec<Facts> {
        let target = self.target.clone();
        let pass = tokio::task::spawn_blocking(move || {
            find(&target)
                .into_iter()
                .map(|held| {
                    held.kill();
                    held.facts
                })
                .collect::<Vec<_>>()
        });
        let found = pass.await.unwrap_or_default();
        for process in &found {
            if self.seen.insert(process.pid) {
                self.outcome.processes += 1;
            }
        }
        self.stop_services(&found).await;
        found
    }

    async fn stop_services(&mut self, found: &[Facts]) {
        let Target::Account { uid, name, .. } = self.target.clone() else { return };
        let services: BTreeSet<&str> =
            found.iter().filter_map(|process| units::service_of(&process.cgroup)).collect();
        for service in services {
            let known = self.outcome.units.iter().any(|unit| unit == service);
            if !known && units::runs_as(self.bus, service, &name, uid).await {
                self.stop(service).await;
            }
        }
    }

    async fn stop_waiting_services(&mut self, uid: u32, name: &str) {
        match units::waiting_as(self.bus, name, uid).await {
            Ok(waiting) => {
                for service in waiting {
                    self.stop(&service).await;
                }
            }
            Err(error) => {
                tracing::warn!("services that wait to run as {} are unknown: {error}", escape(name))
            }
        }
    }

    async fn stop(&mut self, service: &str) {
        match units::stop(self.bus, service).await {
            Ok(()) => self.outcome.units.push(service.to_owned()),
            Err(error) => tracing::warn!("{} cannot be stopped: {error}", escape(service)),
        }
    }
}

fn named(process: &Facts) -> String {
    let title: String = process.title.chars().take(MAX_TITLE).collect();
    format!("{} {}", process.pid, escape(&title))
}

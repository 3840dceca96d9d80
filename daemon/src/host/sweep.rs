//! Ends what a target runs, and proves that nothing is left: passes over /proc until several in a row find nothing.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use zbus::Connection;

use lockdown_enforcement::escape::escape;

use super::{
    cgroup::Slice,
    logind,
    processes::{Facts, Found, Held, Mark, Moment, Target, command_line, find, of_account},
    tree::hold_still,
    units,
};
use crate::metrics;

/// Passes in a row that must find nothing.
const CLEAN_PASSES: u32 = 3;
/// Between two passes: long enough for a killed process to be gone, and for one that was being forked to show.
const PAUSE: Duration = Duration::from_millis(20);
/// For a command line that cannot be read just now.
const PATIENCE: Duration = Duration::from_millis(500);
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
    /// Its processes that the caller's own terminal runs in, and were left alone: likewise.
    pub spared: Vec<String>,
    /// Processes with its uid in containers of others, which were left alone: likewise.
    pub contained: Vec<String>,
}

/// Ends everything that an account runs, but for the processes marked in `spared`.
pub async fn end_account(
    bus: &Connection,
    uid: u32,
    name: &str,
    spared: Vec<Mark>,
    limit: Duration,
) -> Outcome {
    let mut sweep = AccountSweep::new(bus, uid, name, spared, limit);
    sweep.strike().await;
    sweep.finish().await
}

/// Ends one session.
pub async fn end_session(
    bus: &Connection,
    target: Target,
    logind_id: Option<&str>,
    limit: Duration,
) -> Outcome {
    let mut sweep = Sweep::new(bus, target, Vec::new(), limit);
    sweep.until_clean().await;
    if let Some(id) = logind_id
        && let Err(error) = logind::terminate_session(bus, id).await
    {
        tracing::debug!("logind has no session {id}: {error}");
    }
    sweep.conclude().await
}

/// The end of everything that an account runs, in two parts: what there is now ends at once, and after the caller has taken
/// away what would start anew, the rest.
pub struct AccountSweep<'b> {
    sweep: Sweep<'b>,
    uid: u32,
    name: String,
    limit: Duration,
}

impl<'b> AccountSweep<'b> {
    /// A sweep that has `limit` for what [`finish`](Self::finish) does.
    #[must_use]
    pub fn new(bus: &'b Connection, uid: u32, name: &str, spared: Vec<Mark>, limit: Duration) -> Self {
        let sweep = Sweep::new(bus, of_account(uid, name), spared, limit);
        Self { sweep, uid, name: name.to_owned(), limit }
    }

    /// Freezes the account's slice and kills what there is. It is thawed at once: whatever systemd starts in a frozen slice
    /// stops PID 1, which waits for it (vfork(2)), and with it everything that asks systemd for something.
    pub async fn strike(&mut self) {
        let slice = Slice::of(self.uid);
        // Nothing can fork away from the pass; SIGKILL reaches it all the same.
        let frozen = slice.freeze();
        let inside = slice.processes();
        if self.sweep.spared.iter().all(|mark| !inside.contains(&mark.pid)) {
            // Before the pass: one by one, thousands take a while.
            slice.kill();
            self.sweep.count(inside);
        }
        let found = self.sweep.kill_found().await;
        drop(frozen);
        self.sweep.stop_services(&found).await;
    }

    /// Kills until nothing is left.
    pub async fn finish(mut self) -> Outcome {
        // What was done since the strike may have taken all the time.
        self.sweep.deadline = Instant::now() + self.limit;
        self.sweep.stop_waiting_services(self.uid, &self.name).await;
        self.sweep.until_clean().await;
        if !self.sweep.spares_in_slice() {
            self.clear_the_books().await;
        }
        self.sweep.until_clean().await;
        self.sweep.conclude().await
    }

    /// Her user manager is dead by now. This takes its unit and logind's sessions out of the books. With lingering on it could
    /// have come back.
    async fn clear_the_books(&self) {
        if let Err(error) = logind::terminate_user(self.sweep.bus, self.uid).await {
            tracing::debug!("logind has no user {}: {error}", self.uid);
        }
        if let Err(error) = units::stop(self.sweep.bus, &units::user_manager(self.uid)).await {
            tracing::debug!("user manager of {}: {error}", self.uid);
        }
    }
}

struct Sweep<'b> {
    bus: &'b Connection,
    target: Target,
    spared: Vec<Mark>,
    began: Moment,
    started: Instant,
    deadline: Instant,
    seen: BTreeSet<u32>,
    // Of the last pass.
    spared_now: Vec<Facts>,
    contained: Vec<Facts>,
    survivors: Vec<Facts>,
    outcome: Outcome,
}

impl<'b> Sweep<'b> {
    fn new(bus: &'b Connection, target: Target, spared: Vec<Mark>, limit: Duration) -> Self {
        Self {
            bus,
            target,
            spared,
            began: Moment::now(),
            started: Instant::now(),
            deadline: Instant::now() + limit,
            seen: BTreeSet::new(),
            spared_now: Vec::new(),
            contained: Vec::new(),
            survivors: Vec::new(),
            outcome: Outcome::default(),
        }
    }

    /// Something that is spared lies in the account's slice, which then cannot end whole.
    fn spares_in_slice(&self) -> bool {
        self.spared_now.iter().any(|process| self.target.is_in_slice(process))
    }

    async fn until_clean(&mut self) {
        let mut clean = 0;
        while clean < CLEAN_PASSES {
            let found = self.pass().await;
            clean = if found.is_empty() { clean + 1 } else { 0 };
            if !found.is_empty() && Instant::now() >= self.deadline {
                self.survivors = found;
                return;
            }
            sleep(PAUSE).await;
        }
        self.survivors.clear();
    }

    /// What came of it.
    async fn conclude(mut self) -> Outcome {
        metrics::count_sweep(self.started.elapsed(), self.outcome.processes);
        self.outcome.survivors = named(&self.survivors).await;
        self.outcome.spared = named(&self.spared_now).await;
        self.outcome.contained = named(&self.contained).await;
        self.outcome
    }

    /// Kills what is there now; returns what it found.
    async fn pass(&mut self) -> Vec<Facts> {
        let found = self.kill_found().await;
        self.stop_services(&found).await;
        found
    }

    /// The same without what systemd has to do.
    async fn kill_found(&mut self) -> Vec<Facts> {
        let (target, marks, began) = (self.target.clone(), self.spared.clone(), self.began);
        let pass = tokio::task::spawn_blocking(move || {
            hold_still(&target);
            let Found { its, contained, logging_in } = find(&target);
            // A login that began after the deny was durable is refused; attempts may go on for ever.
            let let_in_before = logging_in.into_iter().filter(|held| held.is_from_before(began));
            let (spared, ended): (Vec<Held>, Vec<Held>) =
                its.into_iter().chain(let_in_before).partition(|held| held.is_one_of(&marks));
            ended.iter().for_each(Held::kill);
            [ended, spared, contained].map(|held| held.into_iter().map(|held| held.facts).collect::<Vec<_>>())
        });
        let [found, spared, contained] = pass.await.unwrap_or_default();
        self.count(found.iter().map(|process| process.pid));
        self.spared_now = spared;
        self.contained = contained;
        found
    }

    /// Counts processes that were ended, each once.
    fn count(&mut self, pids: impl IntoIterator<Item = u32>) {
        for pid in pids {
            if self.seen.insert(pid) {
                self.outcome.processes += 1;
            }
        }
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

/// Pid and command line of each, or the program in brackets where the command line is none or is not to be had: after the first
/// that makes its reader wait, no other is asked for.
async fn named(processes: &[Facts]) -> Vec<String> {
    let mut names = Vec::with_capacity(processes.len());
    let mut answers = true;
    for process in processes {
        let mut title = String::new();
        if answers {
            let pid = i32::try_from(process.pid).unwrap_or_default();
            let reading = tokio::task::spawn_blocking(move || command_line(pid));
            match tokio::time::timeout(PATIENCE, reading).await {
                Ok(read) => title = read.unwrap_or_default(),
                Err(_) => answers = false,
            }
        }
        let title: String = title.chars().take(MAX_TITLE).collect();
        let title = if title.is_empty() { format!("[{}]", process.program) } else { title };
        names.push(format!("{} {}", process.pid, escape(&title)));
    }
    names
}

//! Attack protection, as far as it is the daemon's.
//!
//! The login path counts and locks by itself, in the tally of the account and by the settings that [`policy`] has written down;
//! none of it waits for the daemon. Here the tallies are [folded](fold) into the store, where people look: when the login path
//! [reports](queue) an attempt, a burst at a time, when somebody asks, and from time to time. A fold makes the store's locks of
//! attack protection equal to those that the tally has in force, so what a daemon that died has missed is caught up with, and a
//! tally that somebody has removed takes its locks along.

mod digest;
mod fold;
mod follow;
mod list;
pub mod policy;
mod queue;
mod reset;

use std::{
    io::{self, ErrorKind},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::{Notify, OwnedMutexGuard};

use lockdown_enforcement::{AttemptReport, Source, Table, TallyDirectory, tally::NOBODYS_UID};

use crate::per_uid::PerUid;
pub use fold::{FoldError, fold};
pub use follow::{fold_all, follow};
pub use list::{list, look};
pub use queue::Queue;
pub use reset::{lift, reset};

/// The tallies, and what the login path has reported of them.
#[derive(Debug)]
pub struct Attempts {
    tallies: TallyDirectory,
    queue: Mutex<Queue>,
    reported: Notify,
    alone: PerUid,
}

impl Attempts {
    /// With the tallies of this directory.
    #[must_use]
    pub fn new(tallies: TallyDirectory) -> Self {
        Self { tallies, queue: Mutex::default(), reported: Notify::new(), alone: PerUid::default() }
    }

    /// Takes a report; its account is folded soon. Waits for nothing.
    pub fn report(&self, report: &AttemptReport) {
        if report.login.uid == NOBODYS_UID {
            return;
        }
        self.queue().report(report, Instant::now());
        self.reported.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while the tally of this uid and the store are brought together.
    async fn alone_with(&self, uid: u32) -> OwnedMutexGuard<()> {
        self.alone.lock(uid).await
    }

    /// The tally of the uid; empty if there is none. A few pages of a local file: not worth a thread.
    fn read(&self, uid: u32) -> io::Result<Table> {
        match self.tallies.open(uid)? {
            Some(tally) => tally.read(),
            None => Ok(Table::default()),
        }
    }

    /// Ends the count of a source, or of all. How many failures counted.
    async fn clear(&self, uid: u32, source: Option<Source>) -> io::Result<usize> {
        let Some(tally) = self.tallies.open(uid)? else { return Ok(0) };
        // This one may wait for a login.
        let clear = tokio::task::spawn_blocking(move || tally.clear(source.as_ref()));
        clear.await.map_err(io::Error::other)?
    }

    /// The uids that have a tally.
    fn uids(&self) -> io::Result<Vec<u32>> {
        match self.tallies.uids() {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            uids => uids,
        }
    }
}

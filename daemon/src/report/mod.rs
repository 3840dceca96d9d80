//! Tells the journal and the kernel's audit log of events once they are in the store.
//!
//! That is done by a thread of its own: a journal that hangs delays no change. The store has every event; if the journal takes
//! them too slowly, it misses some and is told so.

pub mod audit;
pub mod journal;

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use crate::{
    host::memory,
    store::events::{Recorded, chain::Head},
};

/// Events that wait; more are left out. There is room for them from the beginning.
const WAITING: usize = 4_000;
/// Events of one change that are told: there is room for them, and for what others do meanwhile.
pub const MOST: usize = 3_000;
/// Events at once that leave memory to be given back.
const MANY: usize = 500;
/// At the end of so many events, the journal is told where the chain is.
const HEAD_EVERY: i64 = 1_000;

/// As small as can be, see [`WAITING`].
enum Report {
    Event(Box<Recorded>),
    Head(Box<Head>),
    Finish(Box<SyncSender<()>>),
}

struct Queue {
    reports: SyncSender<Report>,
    left_out: AtomicU64,
}

static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Starts the thread. Without it, nothing is told.
///
/// # Errors
/// If there cannot be one more thread.
pub fn start() -> std::io::Result<()> {
    let (reports, queue) = sync_channel(WAITING);
    thread::Builder::new().name("reporter".to_owned()).spawn(move || tell_all(&queue))?;
    // It is started once.
    let _ = QUEUE.set(Queue { reports, left_out: AtomicU64::new(0) });
    Ok(())
}

/// Tells of the events of one change: the first of them, of so many, and then where the chain is.
pub fn events(events: Vec<Recorded>, number: u64, end: Option<Head>) {
    let left_out = number.saturating_sub(u64::try_from(events.len()).unwrap_or(u64::MAX));
    for recorded in events {
        let Recorded { id, hash, .. } = recorded;
        send(Report::Event(Box::new(recorded)));
        if id % HEAD_EVERY == 0 {
            send(Report::Head(Box::new(Head { id, hash: hash.to_vec() })));
        }
    }
    if left_out > 0 {
        if let Some(queue) = QUEUE.get() {
            queue.left_out.fetch_add(left_out, Ordering::Relaxed);
        }
        end.into_iter().for_each(head);
    }
}

/// Tells where the chain is.
pub fn head(head: Head) {
    send(Report::Head(Box::new(head)));
}

/// Waits until everything is told, but not for long.
pub fn finish(patience: Duration) {
    let (done, is_done) = sync_channel(1);
    send(Report::Finish(Box::new(done)));
    // If it is not done by then, it cannot be.
    let _ = is_done.recv_timeout(patience);
}

fn send(report: Report) {
    let Some(queue) = QUEUE.get() else { return };
    if let Err(TrySendError::Full(_)) = queue.reports.try_send(report) {
        queue.left_out.fetch_add(1, Ordering::Relaxed);
    }
}

fn tell_all(queue: &Receiver<Report>) {
    let audit = audit::Log::open();
    let mut number = 0;
    loop {
        let waiting = queue.try_recv();
        if waiting.is_err() && std::mem::take(&mut number) > MANY {
            memory::give_back();
        }
        let Ok(report) = waiting.or_else(|_| queue.recv()) else { return };
        number += 1;
        let left_out = QUEUE.get().map_or(0, |queue| queue.left_out.swap(0, Ordering::Relaxed));
        if left_out > 0 {
            tracing::warn!(
                "{left_out} events were too many at once for the journal: see `lockdownctl events`"
            );
        }
        match report {
            Report::Event(recorded) => {
                journal::event(&recorded);
                if let Some(audit) = &audit {
                    audit.event(&recorded.event);
                }
            }
            Report::Head(head) => journal::head(&head),
            // Whoever waited may have given up.
            Report::Finish(done) => drop(done.try_send(())),
        }
    }
}

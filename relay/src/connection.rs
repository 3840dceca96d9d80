//! One connection of the daemon's: items in, verdicts out.

use std::{
    io::{self, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use lockdown_delivery::{FrameError, Item, Outcome, Verdict, frame};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;

use crate::{log, pool::Pool};

/// The rest of a frame that has begun, and a verdict, go through within this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until the daemon ends it, or until there has been nothing to do for `idle`.
///
/// # Errors
/// Those of the socket, and bytes that are no item: after these nobody knows where the next one begins.
pub(crate) fn serve(stream: &UnixStream, pool: &Arc<Pool>, idle: Duration) -> Result<(), FrameError> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let back = Arc::new(Back::new(stream.try_clone()?));
    let mut reader = stream;
    loop {
        let patience = idle.saturating_sub(back.idle_for());
        if patience.is_zero() {
            return Ok(());
        }
        if !is_readable(stream, patience)? {
            continue;
        }
        let Some(json) = frame::read(&mut reader)? else { return Ok(()) };
        take(&json, pool, &back)?;
    }
}

/// Whether bytes, or the end, have come within `limit`.
fn is_readable(stream: &UnixStream, limit: Duration) -> io::Result<bool> {
    let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
    let mut interest = [PollFd::new(stream, PollFlags::IN)];
    match poll(&mut interest, Some(&limit)) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn take(json: &[u8], pool: &Arc<Pool>, back: &Arc<Back>) -> Result<(), FrameError> {
    let item: Item = match frame::decode(json) {
        Ok(item) => item,
        Err(error) => {
            // Of a newer daemon's perhaps, whose relay will be here in a moment.
            let Name { id } = frame::decode(json)?;
            back.send(&Verdict {
                id,
                outcome: Outcome::retry(format!("this relay cannot read it: {error}")),
            });
            return Ok(());
        }
    };
    if let Err(error) = item.check() {
        back.send(&Verdict { id: item.id, outcome: Outcome::refused(error.to_string()) });
        return Ok(());
    }
    back.count(|unanswered| unanswered + 1);
    let back = Arc::clone(back);
    pool.submit(
        item,
        json.len(),
        Box::new(move |verdict| {
            back.send(&verdict);
            back.count(|unanswered| unanswered.saturating_sub(1));
        }),
    );
    Ok(())
}

/// What every item has.
#[derive(Deserialize)]
struct Name {
    id: String,
}

/// The way back to the daemon.
struct Back {
    stream: Mutex<UnixStream>,
    /// Items without a verdict, and since when there have been so many.
    unanswered: Mutex<(usize, Instant)>,
}

impl Back {
    fn new(stream: UnixStream) -> Self {
        Self { stream: Mutex::new(stream), unanswered: Mutex::new((0, Instant::now())) }
    }

    fn count(&self, change: impl FnOnce(usize) -> usize) {
        let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        *unanswered = (change(unanswered.0), Instant::now());
    }

    /// How long nothing has been due.
    fn idle_for(&self) -> Duration {
        let (unanswered, since) = *self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        if unanswered == 0 { since.elapsed() } else { Duration::ZERO }
    }

    /// A daemon that takes no verdict loses the connection; it sends again what it has no verdict of.
    fn send(&self, verdict: &Verdict) {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = frame::encode(verdict).and_then(|frame| Ok(stream.write_all(&frame)?));
        if let Err(error) = sent {
            log::warning(format_args!("the verdict on {} was not taken: {error}", verdict.id.escape_debug()));
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

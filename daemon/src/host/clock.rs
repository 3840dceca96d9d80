//! The wall clock: reading it, and waking at a moment of it.

use std::{os::fd::OwnedFd, time::Duration};

use rustix::{
    io::{Errno, read},
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};
use tokio::io::unix::AsyncFd;

use super::readiness::watch;
use crate::domain::lock::Time;

/// Unix seconds now, rounded down: what the login path compares with.
#[must_use]
pub fn now() -> Time {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Time::try_from(since_epoch.as_secs()).unwrap_or(Time::MAX)
}

/// The moment `duration` from now, rounded up: a lock never ends before the time that was asked for.
#[must_use]
pub fn after(duration: Duration) -> Time {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let end = since_epoch.saturating_add(duration);
    let seconds = end.as_secs().saturating_add(u64::from(end.subsec_nanos() > 0));
    Time::try_from(seconds).unwrap_or(Time::MAX)
}

/// A timer on the wall clock. Unlike a sleep it keeps its moment when the clock is set or the host was suspended.
#[derive(Debug)]
pub struct Alarm {
    timer: AsyncFd<OwnedFd>,
}

impl Alarm {
    /// A timer that is not set.
    ///
    /// # Errors
    /// Those of timerfd_create(2).
    pub fn new() -> std::io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self { timer: watch(timer)? })
    }

    /// Waits until the moment comes or the clock is set; `None` waits for the latter only.
    ///
    /// # Errors
    /// Those of timerfd_settime(2).
    pub async fn wait_until(&mut self, moment: Option<Time>) -> std::io::Result<()> {
        // A timer far away still notices that the clock is set.
        let moment = moment.unwrap_or(i64::from(u32::MAX)).max(1);
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: moment, tv_nsec: 0 },
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(self.timer.get_ref(), flags, &once)?;
        loop {
            let mut ready = self.timer.readable().await?;
            match read(self.timer.get_ref(), &mut [0; 8]) {
                // The clock was set.
                Ok(_) | Err(Errno::CANCELED) => return Ok(()),
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

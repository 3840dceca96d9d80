//! One attempt after the other: who has given a password waits for the verdict on those given before from the same source,
//! so that as many as are allowed are judged, and not one more that was under way.
//!
//! The turn is a lock on one byte of the account's tally, fcntl_locking(2), whose place follows from name and source: others wait for
//! nobody but themselves, and a process that somebody stops holds up nobody else. The kernel ends it with the process.

#![expect(unsafe_code, reason = "std has no locks on parts of a file")]

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lockdown_enforcement::{AttackProtection, Source, TallyFile};

use crate::core::Account;

/// More than ten passwords take to judge. Who waits longer is refused.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// What a transaction keeps from `preauth` to what ends the attempt.
pub(crate) struct Attempt {
    /// When the password was there.
    pub(crate) began: Instant,
    pub(crate) state: State,
}

/// How far an attempt has come.
pub(crate) enum State {
    /// No further than the question for the password.
    Begun,
    /// It has its turn, as long as the tally is open.
    InTurn {
        /// With the uid whose it is, until a failure is added.
        tally: Cell<Option<(u32, TallyFile)>>,
        /// How many failures counted when the turn began.
        counted: u32,
        /// Not to be found out again.
        known: Known,
    },
    /// `preauth` has refused it. It has its turn all the same, if it got it: that others wait shows no lock.
    Refused {
        /// Kept open.
        _tally: Option<TallyFile>,
    },
}

/// What `preauth` has found out, and what holds for as long as its attempt.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) user: CString,
    pub(crate) account: Option<Account>,
    pub(crate) settings: AttackProtection,
}

/// Waits for the turn of `name` from `source`; it lasts for as long as the tally stays open. Whether it came in time.
///
/// # Errors
/// What the file system says.
pub(crate) fn wait(tally: &TallyFile, name: &CStr, source: &Source) -> io::Result<bool> {
    let start = Instant::now();
    let place = place(name, source);
    loop {
        match lock(tally.as_ref(), place) {
            Ok(()) => return Ok(true),
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::PermissionDenied) => {
                return Err(error);
            }
            Err(_) if start.elapsed() > PATIENCE => return Ok(false),
            Err(_) => sleep(PAUSE),
        }
    }
}

/// FNV-1a, as a place in a file. Two sources on one place wait for each other, and no more comes of it.
fn place(name: &CStr, source: &Source) -> i64 {
    let key = source.key();
    let bytes = name.to_bytes_with_nul().iter().chain(key.as_bytes());
    let hash = bytes
        .copied()
        .chain([u8::from(source.is_local())])
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    // The last byte that a lock can be on is 2^63-2.
    (hash >> 2).cast_signed()
}

fn lock(file: &File, place: i64) -> io::Result<()> {
    // SAFETY: all zero is a valid flock; its pid has to be zero.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    range.l_type = libc::F_WRLCK as _;
    range.l_whence = libc::SEEK_SET as _;
    range.l_start = place;
    range.l_len = 1;
    // SAFETY: a description of a lock, which the kernel reads.
    let code = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &range) };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use lockdown_enforcement::TallyDirectory;

    use super::*;

    #[test]
    fn each_source_has_one_turn_at_a_time() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = TallyDirectory::new(scratch.path());
        let open = || directory.create(1).unwrap();
        let (a, b) = (Source::new(Some("192.0.2.1"), None), Source::new(Some("192.0.2.2"), None));
        let first = open();
        assert!(wait(&first, c"", &a).unwrap());
        assert!(wait(&open(), c"", &b).unwrap(), "another source does not wait");
        assert!(wait(&open(), c"bob", &a).unwrap(), "nor another name");
        let start = Instant::now();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| wait(&open(), c"", &a).unwrap());
            sleep(Duration::from_millis(100));
            drop(first);
            assert!(second.join().unwrap());
        });
        assert!(start.elapsed() >= Duration::from_millis(100) && start.elapsed() < PATIENCE);
    }

    #[test]
    fn places_lie_in_a_file() {
        for key in ["local", "192.0.2.1", "2001:db8::1"] {
            let (remote, local) = (Source::new(Some(key), None), Source::new(None, Some(key)));
            for source in [remote, local] {
                assert!((0..i64::MAX - 1).contains(&place(c"", &source)));
                assert_ne!(place(c"bob", &source), place(c"", &source));
            }
            assert_ne!(place(c"", &remote), place(c"", &local));
        }
    }
}

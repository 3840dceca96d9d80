//! What passes between `lockdownd` and the login path.
//!
//! The daemon decides, the login path only looks up: for every account that has something to enforce there is one
//! [`Record`] in the [`DenyDirectory`], and [`decide`] turns that record and the time into a [`Verdict`]. Beside it
//! goes the login socket, on which the PAM module reports sessions and denials, and on which a process that may not
//! read the records asks about itself ([`Request`], [`Reply`]).
//!
//! The crate is linked into every process that logs somebody in, so it has no dependency but `libc`, starts nothing
//! and keeps nothing.

#![forbid(unsafe_code)]

mod base64;
mod crc32;
pub mod directory;
pub mod escape;
pub mod frame;
mod lines;
pub mod record;
mod sha256;
pub mod ssh;
pub mod verdict;

pub use directory::{DenyDirectory, Listing, Prepared, ReadError, publish_all};
pub use escape::escape;
pub use frame::{DenialReport, FrameError, MAX_FRAME, Phase, Reply, Request, SessionReport, TriggerReport};
pub use record::{DecodeError, LockEntry, Record};
pub use verdict::{Denial, DenialKind, Verdict, decide};

/// Where the deny records lie: a directory of root's, mode 0700.
pub const DENY_DIRECTORY: &str = "/var/lib/lockdown/deny";

/// The daemon's `SOCK_SEQPACKET` socket for the login path, held open by systemd.
pub const LOGIN_SOCKET: &str = "/run/lockdown/login.sock";

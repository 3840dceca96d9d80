//! What passes between `lockdownd` and the login path.
//!
//! The daemon decides, the login path only looks up: for every account that has something to enforce there is one
//! [`Record`] in the [`DenyDirectory`], and [`decide`] turns that record and the time into a [`Verdict`]. Beside it
//! goes the login socket, on which the PAM module reports sessions and denials, and on which a process that may not
//! read the records asks about itself ([`Request`], [`Reply`]).
//!
//! Failed attempts are counted by the login path itself, in a [tally] for each account, by the settings of
//! [`AttackProtection`] that the daemon has written down.
//!
//! The crate is linked into every process that logs somebody in, so it has no dependency but `libc`, starts nothing
//! and keeps nothing.

#![forbid(unsafe_code)]

pub mod attack_protection;
mod base64;
mod crc32;
pub mod directory;
pub mod escape;
pub mod frame;
mod lines;
pub mod record;
mod sha256;
pub mod source;
pub mod ssh;
pub mod tally;
pub mod text;
pub mod verdict;

pub use attack_protection::{AttackProtection, AttackProtectionError};
pub use directory::{DenyDirectory, Listing, Prepared, ReadError, publish_all};
pub use escape::escape;
pub use frame::{
    AttemptOutcome, AttemptReport, DenialReport, FrameError, Login, MAX_FRAME, Phase, Reply, Request,
    SessionReport, TriggerReport,
};
pub use record::{DecodeError, LockEntry, Record};
pub use source::{Network, Source};
pub use tally::{Failure, Table, TallyDirectory, TallyFile, TallyLock};
pub use verdict::{Denial, DenialKind, Verdict, decide};

/// Where the deny records lie: a directory of root's, mode 0700.
pub const DENY_DIRECTORY: &str = "/var/lib/lockdown/deny";

/// Where failed attempts are counted: a directory of root's, mode 0700.
pub const TALLY_DIRECTORY: &str = "/var/lib/lockdown/tally";

/// The settings of attack protection as the daemon has last written them; missing if there is none.
pub const ATTACK_PROTECTION: &str = "/var/lib/lockdown/attack-protection";

/// The daemon's `SOCK_SEQPACKET` socket for the login path, held open by systemd.
pub const LOGIN_SOCKET: &str = "/run/lockdown/login.sock";

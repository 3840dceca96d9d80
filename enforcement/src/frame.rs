//! What passes over the login socket: `SOCK_SEQPACKET`, one frame a packet, at most [`MAX_FRAME`] bytes.
//!
//! ```text
//!   0         1        2
//!  +---------+--------+-----------------+-----------------+
//!  | version |  kind  | field           | field …         |
//!  +---------+--------+-----------------+-----------------+
//!     0x01
//!
//!  field:  0       1              3
//!         +-------+--------------+------------------+
//!         |  tag  | length (LE)  | length bytes     |
//!         +-------+--------------+------------------+
//!
//!  kind  1 session opened    2 session closed    3 denied    4 ask    5 trigger    6 attempt
//!        128 allow           129 deny
//!
//!  tag   1 account           text            kinds 1 2 3 5 6
//!        2 uid               u32             kinds 1 2 3 5 6
//!        3 service           text            kinds 1 2 3 5 6
//!        4 pid               u32             kinds 1 2 3 5 6
//!        5 tty               text, optional  kinds 1 2 3 5 6
//!        6 remote host       text, optional  kinds 1 2 3 5 6
//!        7 remote user       text, optional  kinds 1 2 3 5 6
//!        8 logind session    text, optional  kinds 1 2
//!        9 auth info         text, optional  kinds 1 2 3
//!       10 phase             u8              kinds 3 5      1 account, 2 session, 3 auth
//!       11 denial            u8              kinds 3 129    1 locked, 2 expired, 3 record unreadable
//!       12 lock              i64             kinds 3 129    if locked
//!       13 owner             text            kinds 3 129    if locked
//!       14 authenticator     text, optional  kinds 3 129    if locked
//!       15 valid until       i64             kinds 3 129    if expired; unix seconds
//!       16 expires at        i64, optional   kinds 6 129    unix seconds
//!       17 message           text, optional  kind 129
//!       18 outcome           u8              kind 6         1 failed, 2 refused, 3 succeeded
//!       19 count             u64             kind 6         failed: number of the failure; succeeded: how many it cleared
//!       20 flags             u8              kind 6         if failed: 1 counted; 8, 16, 32 locked as in a tally's slot
//! ```
//!
//! Numbers are little-endian and as wide as their type; text is UTF-8 without a terminator, up to 1 KiB, auth info and
//! message up to 8 KiB. Fields may stand in any order, each at most once. A field that the reader does not know is
//! skipped, so that one end can be upgraded before the other; what would be misread without it takes a new version.
//!
//! Kinds 1 to 3, 5 and 6 get no answer; 4 is answered by 128 or 129 about the uid that the kernel gives for the sender. Nothing
//! in a frame says who sent it: for that the daemon asks the kernel (`SO_PEERCRED`).

mod fields;
mod reports;

use std::fmt;

use crate::tally::TallyLock;
use crate::verdict::{Denial, DenialKind};
use fields::{Fields, VERSION, Writer, kind, tag};

/// The largest frame, in bytes. What [`Request::encode`] and [`Reply::encode`] make is never larger.
pub const MAX_FRAME: usize = 16 * 1024;

/// What a login path sends to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// PAM opened a session.
    SessionOpened(SessionReport),
    /// PAM closed it.
    SessionClosed(SessionReport),
    /// The module denied a login.
    Denied(DenialReport),
    /// A login reached a line that asks for a lockdown.
    Trigger(TriggerReport),
    /// An attempt to sign in was counted, refused, or ended the count.
    Attempt(AttemptReport),
    /// Is the sender's own uid denied anything?
    Ask,
}

/// A login, as its PAM transaction describes it; a part of every report. Text longer than the format carries is cut in
/// encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// `PAM_USER`.
    pub account: String,
    /// Its uid by NSS.
    pub uid: u32,
    /// `PAM_SERVICE`.
    pub service: String,
    /// `PAM_TTY`; sshd says `ssh`, cron `cron`.
    pub tty: Option<String>,
    /// `PAM_RHOST`.
    pub remote_host: Option<String>,
    /// `PAM_RUSER`.
    pub remote_user: Option<String>,
    /// The process that runs the transaction, by its own account.
    pub pid: u32,
}

/// A session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionReport {
    /// Whose it is.
    pub login: Login,
    /// logind's id of the session (`XDG_SESSION_ID` in the PAM environment).
    pub logind_session: Option<String>,
    /// sshd's `SSH_AUTH_INFO_0` in the PAM environment: a line for every method that was passed.
    pub auth_info: Option<String>,
}

/// A denied login. One that is denied in [`Phase::Session`] may go on without a session (sshd does), and has to be ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenialReport {
    /// What was denied.
    pub login: Login,
    /// As in [`SessionReport`].
    pub auth_info: Option<String>,
    /// Where it was denied.
    pub phase: Phase,
    /// What denied it.
    pub kind: DenialKind,
}

/// A login that reached `trigger=lockdown`: its account is to be locked down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerReport {
    /// The login.
    pub login: Login,
    /// Where the line stands; [`Phase::Auth`] or [`Phase::Account`].
    pub phase: Phase,
}

/// An attempt to sign in that attack protection has looked at. What counts is in the tally; a report may be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptReport {
    /// The login that was tried.
    pub login: Login,
    /// What became of it.
    pub outcome: AttemptOutcome,
}

/// What became of an attempt to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// It failed, and is in the tally.
    Failed {
        /// How many there have been on the account up to this one.
        number: u64,
        /// Whether it counts towards a lock.
        counted: bool,
        /// The lock that it brought about.
        lock: Option<TallyLock>,
    },
    /// It was refused without being judged, because a lock of attack protection is in force.
    Refused {
        /// Until when (unix seconds); `None`: until it is lifted.
        until: Option<i64>,
    },
    /// It succeeded, and so many failures count no more.
    Succeeded {
        /// How many.
        cleared: u64,
    },
}

/// A phase of a PAM transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `pam_authenticate(3)`.
    Auth,
    /// `pam_acct_mgmt(3)`.
    Account,
    /// `pam_open_session(3)`.
    Session,
}

/// The daemon's answer to [`Request::Ask`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing is in force.
    Allow,
    /// Something is.
    Deny(Denial),
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Longer than [`MAX_FRAME`].
    TooLarge,
    /// Ends in the middle of something, or is empty.
    Truncated,
    /// A version this reader does not know.
    Version(u8),
    /// A kind this reader does not know, or one that goes the other way.
    Kind(u8),
    /// The field of this tag stands there twice.
    Duplicate(u8),
    /// The field of this tag is missing.
    Missing(u8),
    /// The field of this tag has a value that it cannot have.
    Value(u8),
}

impl fmt::Display for FrameError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(out, "frame larger than {MAX_FRAME} bytes"),
            Self::Truncated => out.write_str("frame cut short"),
            Self::Version(version) => write!(out, "frame of version {version}, {VERSION} expected"),
            Self::Kind(kind) => write!(out, "frame of unexpected kind {kind}"),
            Self::Duplicate(tag) => write!(out, "frame has field {tag} twice"),
            Self::Missing(tag) => write!(out, "frame lacks field {tag}"),
            Self::Value(tag) => write!(out, "frame has an impossible value in field {tag}"),
        }
    }
}

impl std::error::Error for FrameError {}

impl Request {
    /// The request as a frame.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::SessionOpened(session) => session.write(Writer::new(kind::SESSION_OPENED)),
            Self::SessionClosed(session) => session.write(Writer::new(kind::SESSION_CLOSED)),
            Self::Denied(denial) => denial.write(Writer::new(kind::DENIED)),
            Self::Trigger(trigger) => trigger.write(Writer::new(kind::TRIGGER)),
            Self::Attempt(attempt) => attempt.write(Writer::new(kind::ATTEMPT)),
            Self::Ask => Writer::new(kind::ASK).0,
        }
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// See [`FrameError`]; nothing of a bad frame is believed.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let (kind, fields) = Fields::read(bytes)?;
        match kind {
            kind::SESSION_OPENED => SessionReport::from(&fields).map(Self::SessionOpened),
            kind::SESSION_CLOSED => SessionReport::from(&fields).map(Self::SessionClosed),
            kind::DENIED => DenialReport::from(&fields).map(Self::Denied),
            kind::TRIGGER => TriggerReport::from(&fields).map(Self::Trigger),
            kind::ATTEMPT => AttemptReport::from(&fields).map(Self::Attempt),
            kind::ASK => Ok(Self::Ask),
            other => Err(FrameError::Kind(other)),
        }
    }
}

impl Reply {
    /// The reply as a frame.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Allow => Writer::new(kind::ALLOW).0,
            Self::Deny(denial) => {
                let mut frame = Writer::new(kind::DENY);
                frame.denial_kind(&denial.kind);
                frame.optional_time(tag::EXPIRES_AT, denial.expires_at);
                frame.optional_text(tag::MESSAGE, denial.message.as_deref());
                frame.0
            }
        }
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// See [`FrameError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let (kind, fields) = Fields::read(bytes)?;
        match kind {
            kind::ALLOW => Ok(Self::Allow),
            kind::DENY => Ok(Self::Deny(Denial {
                kind: fields.denial_kind()?,
                expires_at: fields.optional_number(tag::EXPIRES_AT, i64::from_le_bytes)?,
                message: fields.optional_text(tag::MESSAGE)?,
            })),
            other => Err(FrameError::Kind(other)),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Auth => "auth",
            Self::Account => "account",
            Self::Session => "session",
        })
    }
}

#[cfg(test)]
mod tests;

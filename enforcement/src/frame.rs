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
//!        7 remote user       text, optional  kinds 1 2 5 6
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

use std::borrow::Cow;
use std::fmt;

use crate::tally::TallyLock;
use crate::verdict::{Denial, DenialKind};

/// The largest frame, in bytes. What [`Request::encode`] and [`Reply::encode`] make is never larger.
pub const MAX_FRAME: usize = 16 * 1024;

const VERSION: u8 = 1;
const MAX_TEXT: usize = 1024;
const MAX_LONG_TEXT: usize = 8 * 1024;
const CUT_MARK: &str = "…";

mod kind {
    pub(super) const SESSION_OPENED: u8 = 1;
    pub(super) const SESSION_CLOSED: u8 = 2;
    pub(super) const DENIED: u8 = 3;
    pub(super) const ASK: u8 = 4;
    pub(super) const TRIGGER: u8 = 5;
    pub(super) const ATTEMPT: u8 = 6;
    pub(super) const ALLOW: u8 = 128;
    pub(super) const DENY: u8 = 129;
}

mod tag {
    pub(super) const ACCOUNT: u8 = 1;
    pub(super) const UID: u8 = 2;
    pub(super) const SERVICE: u8 = 3;
    pub(super) const PID: u8 = 4;
    pub(super) const TTY: u8 = 5;
    pub(super) const REMOTE_HOST: u8 = 6;
    pub(super) const REMOTE_USER: u8 = 7;
    pub(super) const LOGIND_SESSION: u8 = 8;
    pub(super) const AUTH_INFO: u8 = 9;
    pub(super) const PHASE: u8 = 10;
    pub(super) const DENIAL: u8 = 11;
    pub(super) const LOCK: u8 = 12;
    pub(super) const OWNER: u8 = 13;
    pub(super) const AUTHENTICATOR: u8 = 14;
    pub(super) const VALID_UNTIL: u8 = 15;
    pub(super) const EXPIRES_AT: u8 = 16;
    pub(super) const MESSAGE: u8 = 17;
    pub(super) const OUTCOME: u8 = 18;
    pub(super) const COUNT: u8 = 19;
    pub(super) const FLAGS: u8 = 20;
    /// The last one known.
    pub(super) const LAST: u8 = FLAGS;
}

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

/// A session, as its PAM transaction describes it. Text longer than the format carries is cut in encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionReport {
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
    /// logind's id of the session (`XDG_SESSION_ID` in the PAM environment).
    pub logind_session: Option<String>,
    /// sshd's `SSH_AUTH_INFO_0` in the PAM environment: a line for every method that was passed.
    pub auth_info: Option<String>,
    /// The process that runs the transaction, by its own account.
    pub pid: u32,
}

/// A denied login, as its PAM transaction describes it. Text longer than the format carries is cut in encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenialReport {
    /// `PAM_USER`.
    pub account: String,
    /// Its uid by NSS.
    pub uid: u32,
    /// `PAM_SERVICE`.
    pub service: String,
    /// `PAM_TTY`.
    pub tty: Option<String>,
    /// `PAM_RHOST`.
    pub remote_host: Option<String>,
    /// As in [`SessionReport`].
    pub auth_info: Option<String>,
    /// The process that runs the transaction, by its own account. In [`Phase::Session`] it may go on without a session
    /// (sshd does), and has to be ended.
    pub pid: u32,
    /// Where it was denied.
    pub phase: Phase,
    /// What denied it.
    pub kind: DenialKind,
}

/// A login that reached `trigger=lockdown`, as its PAM transaction describes it. Text longer than the format carries is
/// cut in encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerReport {
    /// `PAM_USER`: who is to be locked down.
    pub account: String,
    /// Its uid by NSS.
    pub uid: u32,
    /// `PAM_SERVICE`.
    pub service: String,
    /// `PAM_TTY`.
    pub tty: Option<String>,
    /// `PAM_RHOST`.
    pub remote_host: Option<String>,
    /// `PAM_RUSER`.
    pub remote_user: Option<String>,
    /// The process that runs the transaction, by its own account.
    pub pid: u32,
    /// Where the line stands; [`Phase::Auth`] or [`Phase::Account`].
    pub phase: Phase,
}

/// An attempt to sign in that attack protection has looked at, as its PAM transaction describes it. Text longer than the
/// format carries is cut in encoding. What counts is in the tally; a report may be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptReport {
    /// `PAM_USER`.
    pub account: String,
    /// Its uid by NSS.
    pub uid: u32,
    /// `PAM_SERVICE`.
    pub service: String,
    /// `PAM_TTY`.
    pub tty: Option<String>,
    /// `PAM_RHOST`.
    pub remote_host: Option<String>,
    /// `PAM_RUSER`.
    pub remote_user: Option<String>,
    /// The process that runs the transaction, by its own account.
    pub pid: u32,
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

impl SessionReport {
    fn write(&self, mut frame: Writer) -> Vec<u8> {
        frame.text(tag::ACCOUNT, &self.account);
        frame.field(tag::UID, &self.uid.to_le_bytes());
        frame.text(tag::SERVICE, &self.service);
        frame.field(tag::PID, &self.pid.to_le_bytes());
        frame.optional_text(tag::TTY, self.tty.as_deref());
        frame.optional_text(tag::REMOTE_HOST, self.remote_host.as_deref());
        frame.optional_text(tag::REMOTE_USER, self.remote_user.as_deref());
        frame.optional_text(tag::LOGIND_SESSION, self.logind_session.as_deref());
        frame.optional_text(tag::AUTH_INFO, self.auth_info.as_deref());
        frame.0
    }

    fn from(fields: &Fields<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            account: fields.text(tag::ACCOUNT)?,
            uid: fields.number(tag::UID, u32::from_le_bytes)?,
            service: fields.text(tag::SERVICE)?,
            pid: fields.number(tag::PID, u32::from_le_bytes)?,
            tty: fields.optional_text(tag::TTY)?,
            remote_host: fields.optional_text(tag::REMOTE_HOST)?,
            remote_user: fields.optional_text(tag::REMOTE_USER)?,
            logind_session: fields.optional_text(tag::LOGIND_SESSION)?,
            auth_info: fields.optional_text(tag::AUTH_INFO)?,
        })
    }
}

impl DenialReport {
    fn write(&self, mut frame: Writer) -> Vec<u8> {
        frame.text(tag::ACCOUNT, &self.account);
        frame.field(tag::UID, &self.uid.to_le_bytes());
        frame.text(tag::SERVICE, &self.service);
        frame.field(tag::PID, &self.pid.to_le_bytes());
        frame.optional_text(tag::TTY, self.tty.as_deref());
        frame.optional_text(tag::REMOTE_HOST, self.remote_host.as_deref());
        frame.optional_text(tag::AUTH_INFO, self.auth_info.as_deref());
        frame.field(tag::PHASE, &[self.phase.code()]);
        frame.denial_kind(&self.kind);
        frame.0
    }

    fn from(fields: &Fields<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            account: fields.text(tag::ACCOUNT)?,
            uid: fields.number(tag::UID, u32::from_le_bytes)?,
            service: fields.text(tag::SERVICE)?,
            pid: fields.number(tag::PID, u32::from_le_bytes)?,
            tty: fields.optional_text(tag::TTY)?,
            remote_host: fields.optional_text(tag::REMOTE_HOST)?,
            auth_info: fields.optional_text(tag::AUTH_INFO)?,
            phase: Phase::of(fields.number(tag::PHASE, u8::from_le_bytes)?)?,
            kind: fields.denial_kind()?,
        })
    }
}

impl AttemptReport {
    fn write(&self, mut frame: Writer) -> Vec<u8> {
        frame.text(tag::ACCOUNT, &self.account);
        frame.field(tag::UID, &self.uid.to_le_bytes());
        frame.text(tag::SERVICE, &self.service);
        frame.field(tag::PID, &self.pid.to_le_bytes());
        frame.optional_text(tag::TTY, self.tty.as_deref());
        frame.optional_text(tag::REMOTE_HOST, self.remote_host.as_deref());
        frame.optional_text(tag::REMOTE_USER, self.remote_user.as_deref());
        match self.outcome {
            AttemptOutcome::Failed { number, counted, lock } => {
                frame.field(tag::OUTCOME, &[1]);
                frame.field(tag::COUNT, &number.to_le_bytes());
                frame.field(tag::FLAGS, &[u8::from(counted) | TallyLock::flags(lock)]);
                frame.optional_time(tag::EXPIRES_AT, lock.and_then(|lock| lock.until));
            }
            AttemptOutcome::Refused { until } => {
                frame.field(tag::OUTCOME, &[2]);
                frame.optional_time(tag::EXPIRES_AT, until);
            }
            AttemptOutcome::Succeeded { cleared } => {
                frame.field(tag::OUTCOME, &[3]);
                frame.field(tag::COUNT, &cleared.to_le_bytes());
            }
        }
        frame.0
    }

    fn from(fields: &Fields<'_>) -> Result<Self, FrameError> {
        let until = fields.optional_number(tag::EXPIRES_AT, i64::from_le_bytes)?;
        let outcome = match fields.number(tag::OUTCOME, u8::from_le_bytes)? {
            1 => {
                let flags = fields.number(tag::FLAGS, u8::from_le_bytes)?;
                AttemptOutcome::Failed {
                    number: fields.number(tag::COUNT, u64::from_le_bytes)?,
                    counted: flags & 1 != 0,
                    lock: TallyLock::from_flags(flags, until),
                }
            }
            2 => AttemptOutcome::Refused { until },
            3 => AttemptOutcome::Succeeded { cleared: fields.number(tag::COUNT, u64::from_le_bytes)? },
            _ => return Err(FrameError::Value(tag::OUTCOME)),
        };
        Ok(Self {
            account: fields.text(tag::ACCOUNT)?,
            uid: fields.number(tag::UID, u32::from_le_bytes)?,
            service: fields.text(tag::SERVICE)?,
            pid: fields.number(tag::PID, u32::from_le_bytes)?,
            tty: fields.optional_text(tag::TTY)?,
            remote_host: fields.optional_text(tag::REMOTE_HOST)?,
            remote_user: fields.optional_text(tag::REMOTE_USER)?,
            outcome,
        })
    }
}

impl TriggerReport {
    fn write(&self, mut frame: Writer) -> Vec<u8> {
        frame.text(tag::ACCOUNT, &self.account);
        frame.field(tag::UID, &self.uid.to_le_bytes());
        frame.text(tag::SERVICE, &self.service);
        frame.field(tag::PID, &self.pid.to_le_bytes());
        frame.optional_text(tag::TTY, self.tty.as_deref());
        frame.optional_text(tag::REMOTE_HOST, self.remote_host.as_deref());
        frame.optional_text(tag::REMOTE_USER, self.remote_user.as_deref());
        frame.field(tag::PHASE, &[self.phase.code()]);
        frame.0
    }

    fn from(fields: &Fields<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            account: fields.text(tag::ACCOUNT)?,
            uid: fields.number(tag::UID, u32::from_le_bytes)?,
            service: fields.text(tag::SERVICE)?,
            pid: fields.number(tag::PID, u32::from_le_bytes)?,
            tty: fields.optional_text(tag::TTY)?,
            remote_host: fields.optional_text(tag::REMOTE_HOST)?,
            remote_user: fields.optional_text(tag::REMOTE_USER)?,
            phase: Phase::of(fields.number(tag::PHASE, u8::from_le_bytes)?)?,
        })
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

impl Phase {
    fn code(self) -> u8 {
        match self {
            Self::Account => 1,
            Self::Session => 2,
            Self::Auth => 3,
        }
    }

    fn of(code: u8) -> Result<Self, FrameError> {
        match code {
            1 => Ok(Self::Account),
            2 => Ok(Self::Session),
            3 => Ok(Self::Auth),
            _ => Err(FrameError::Value(tag::PHASE)),
        }
    }
}

/// A frame as it grows.
struct Writer(Vec<u8>);

impl Writer {
    fn new(kind: u8) -> Self {
        let mut frame = Vec::with_capacity(512);
        frame.extend([VERSION, kind]);
        Self(frame)
    }

    /// `value` has at most [`MAX_LONG_TEXT`] bytes.
    fn field(&mut self, tag: u8, value: &[u8]) {
        self.0.push(tag);
        self.0.extend((value.len() as u16).to_le_bytes());
        self.0.extend(value);
    }

    fn text(&mut self, tag: u8, text: &str) {
        self.field(tag, cut(text, max_text(tag), tag == tag::AUTH_INFO).as_bytes());
    }

    fn optional_text(&mut self, tag: u8, text: Option<&str>) {
        if let Some(text) = text {
            self.text(tag, text);
        }
    }

    fn optional_time(&mut self, tag: u8, seconds: Option<i64>) {
        if let Some(seconds) = seconds {
            self.field(tag, &seconds.to_le_bytes());
        }
    }

    fn denial_kind(&mut self, kind: &DenialKind) {
        match kind {
            DenialKind::Locked { lock, owner, authenticator } => {
                self.field(tag::DENIAL, &[1]);
                self.field(tag::LOCK, &lock.to_le_bytes());
                self.text(tag::OWNER, owner);
                self.optional_text(tag::AUTHENTICATOR, authenticator.as_deref());
            }
            DenialKind::Expired { valid_until } => {
                self.field(tag::DENIAL, &[2]);
                self.field(tag::VALID_UNTIL, &valid_until.to_le_bytes());
            }
            DenialKind::RecordUnreadable => self.field(tag::DENIAL, &[3]),
        }
    }
}

fn max_text(tag: u8) -> usize {
    if matches!(tag, tag::AUTH_INFO | tag::MESSAGE) { MAX_LONG_TEXT } else { MAX_TEXT }
}

/// At most `max` bytes of `text`. What is cut shows it by its end, so that it cannot be taken for another name; of
/// `whole_lines` those that fit are kept, because half a key is another key.
fn cut(text: &str, max: usize, whole_lines: bool) -> Cow<'_, str> {
    if text.len() <= max {
        return text.into();
    }
    if whole_lines {
        return text[..text.floor_char_boundary(max)].rsplit_once('\n').map_or("", |(lines, _)| lines).into();
    }
    format!("{}{CUT_MARK}", &text[..text.floor_char_boundary(max - CUT_MARK.len())]).into()
}

/// The fields of a frame, by tag.
struct Fields<'a>([Option<&'a [u8]>; tag::LAST as usize + 1]);

impl<'a> Fields<'a> {
    /// The kind of a frame and its fields.
    fn read(bytes: &'a [u8]) -> Result<(u8, Self), FrameError> {
        if bytes.len() > MAX_FRAME {
            return Err(FrameError::TooLarge);
        }
        let (kind, mut rest) = match bytes {
            [VERSION, kind, rest @ ..] => (*kind, rest),
            [VERSION] | [] => return Err(FrameError::Truncated),
            [version, ..] => return Err(FrameError::Version(*version)),
        };
        let mut fields = Self([None; tag::LAST as usize + 1]);
        while let [tag, low, high, after @ ..] = rest {
            let length = usize::from(u16::from_le_bytes([*low, *high]));
            let (value, after) = after.split_at_checked(length).ok_or(FrameError::Truncated)?;
            if let Some(field) = fields.0.get_mut(usize::from(*tag))
                && field.replace(value).is_some()
            {
                return Err(FrameError::Duplicate(*tag));
            }
            rest = after;
        }
        if rest.is_empty() { Ok((kind, fields)) } else { Err(FrameError::Truncated) }
    }

    fn get(&self, tag: u8) -> Option<&'a [u8]> {
        self.0.get(usize::from(tag)).copied().flatten()
    }

    fn optional_text(&self, tag: u8) -> Result<Option<String>, FrameError> {
        let Some(value) = self.get(tag) else { return Ok(None) };
        if value.len() > max_text(tag) {
            return Err(FrameError::Value(tag));
        }
        String::from_utf8(value.to_vec()).map(Some).map_err(|_| FrameError::Value(tag))
    }

    fn text(&self, tag: u8) -> Result<String, FrameError> {
        self.optional_text(tag)?.ok_or(FrameError::Missing(tag))
    }

    fn optional_number<const WIDTH: usize, T>(
        &self,
        tag: u8,
        from_le_bytes: fn([u8; WIDTH]) -> T,
    ) -> Result<Option<T>, FrameError> {
        let value = self.get(tag).map(<[u8; WIDTH]>::try_from).transpose();
        Ok(value.map_err(|_| FrameError::Value(tag))?.map(from_le_bytes))
    }

    fn number<const WIDTH: usize, T>(
        &self,
        tag: u8,
        from_le_bytes: fn([u8; WIDTH]) -> T,
    ) -> Result<T, FrameError> {
        self.optional_number(tag, from_le_bytes)?.ok_or(FrameError::Missing(tag))
    }

    fn denial_kind(&self) -> Result<DenialKind, FrameError> {
        match self.number(tag::DENIAL, u8::from_le_bytes)? {
            1 => Ok(DenialKind::Locked {
                lock: self.number(tag::LOCK, i64::from_le_bytes)?,
                owner: self.text(tag::OWNER)?,
                authenticator: self.optional_text(tag::AUTHENTICATOR)?,
            }),
            2 => Ok(DenialKind::Expired { valid_until: self.number(tag::VALID_UNTIL, i64::from_le_bytes)? }),
            3 => Ok(DenialKind::RecordUnreadable),
            _ => Err(FrameError::Value(tag::DENIAL)),
        }
    }
}

#[cfg(test)]
mod tests;

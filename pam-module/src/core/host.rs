//! The host as decisions see it: what they ask, and what they do about it.

use std::ffi::{CStr, CString, c_int};
use std::io;
use std::time::Duration;

use lockdown_enforcement::{
    AttackProtection, AttackProtectionError, Failure, ReadError, Record, Reply, Request, Source, Table,
    tally::NOBODYS_UID,
};

/// What the module answers to libpam, from `security/_pam_types.h`.
///
/// `PAM_SESSION_ERR` is not among them: sudo takes it for no error and runs the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// `PAM_SUCCESS`
    Success = 0,
    /// `PAM_SYSTEM_ERR`
    SystemError = 4,
    /// `PAM_PERM_DENIED`
    PermissionDenied = 6,
    /// `PAM_AUTH_ERR`
    AuthError = 7,
    /// `PAM_AUTHINFO_UNAVAIL`
    AuthInfoUnavailable = 9,
    /// `PAM_USER_UNKNOWN`
    UserUnknown = 10,
    /// `PAM_ACCT_EXPIRED`
    AccountExpired = 13,
    /// `PAM_CONV_ERR`
    ConversationError = 19,
    /// `PAM_IGNORE`
    Ignore = 25,
    /// `PAM_INCOMPLETE`
    Incomplete = 31,
}

/// `PAM_SILENT`: the caller wants no text.
pub const SILENT: c_int = 0x8000;

/// How loud a log line is, as in syslog(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// `LOG_ALERT`: somebody was let in whom nobody could check.
    Alert = 1,
    /// `LOG_ERR`: something has to be mended.
    Error = 3,
    /// `LOG_NOTICE`: a denial.
    Notice = 5,
    /// `LOG_DEBUG`: for the argument `debug`.
    Debug = 7,
}

/// What came of asking the user for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is there, or was there already.
    Given,
    /// The service wants to be asked again later (`PAM_CONV_AGAIN`).
    Later,
    /// The conversation failed.
    Failed,
}

impl Asked {
    /// The error is what to answer if it is not there.
    pub(super) fn or_answer(self) -> Result<(), Code> {
        match self {
            Self::Given => Ok(()),
            Self::Later => Err(Code::Incomplete),
            Self::Failed => Err(Code::ConversationError),
        }
    }
}

/// An account by NSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its uid.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
}

impl Account {
    /// Stands for a name that is no account.
    pub(super) const NOBODY: Self = Self { uid: NOBODYS_UID, gid: NOBODYS_UID };
}

/// Who this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its real uid.
    pub uid: u32,
    /// Its effective uid.
    pub effective_uid: u32,
    /// Its pid.
    pub pid: u32,
}

/// What the PAM transaction says about itself; nothing of it is proven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// `PAM_SERVICE`
    pub service: String,
    /// `PAM_TTY`
    pub tty: Option<String>,
    /// `PAM_RHOST`
    pub remote_host: Option<String>,
    /// `PAM_RUSER`
    pub remote_user: Option<String>,
    /// `XDG_SESSION_ID` of the PAM environment.
    pub logind_session: Option<String>,
    /// `SSH_AUTH_INFO_0` of the PAM environment.
    pub auth_info: Option<String>,
    /// Whether the PAM environment has `SSH_CONNECTION`, as sshd puts it there under whatever service name.
    pub is_ssh: bool,
}

/// What came of waiting for the turn of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is, and this is the account's tally.
    Taken(Table),
    /// It did not come in good time.
    Busy,
}

/// What a transaction keeps of an attempt that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The turn, with the number of failures that counted when it began.
    InTurn(u32),
    /// That it was refused.
    Refused,
}

/// What the decision needs to know, and what it does about it.
pub trait Host {
    /// `PAM_USER`.
    fn user(&self) -> Option<CString>;
    /// Who that is by NSS; `None` if NSS is sure that there is no such account.
    fn account(&self, user: &CStr) -> io::Result<Option<Account>>;
    /// Whether the account is a member of the group, in the first place or otherwise; no if that cannot be found out.
    fn is_member(&self, user: &CStr, account: Account, group: &str) -> bool;
    /// The deny record.
    fn record(&self, uid: u32) -> Result<Option<Record>, ReadError>;
    /// Who asks.
    fn process(&self) -> Process;
    /// What the daemon says about this process's own uid.
    fn ask(&self) -> io::Result<Reply>;
    /// Unix seconds.
    fn now(&self) -> i64;
    /// What the transaction says about itself.
    fn circumstances(&self) -> Circumstances;
    /// `PAM_RHOST`.
    fn remote_host(&self) -> Option<String>;
    /// The settings of attack protection; `None` if there is none.
    fn attack_protection(&self) -> Result<Option<AttackProtection>, AttackProtectionError>;
    /// The account's tally; `None` if nothing has ever failed.
    fn tally(&self, uid: u32) -> io::Result<Option<Table>>;
    /// Adds a failed attempt (service and source) to the account's tally, see [`Table::add`].
    fn add_failure(
        &self,
        uid: u32,
        attempt: (&str, &Source),
        counts: bool,
        settings: &AttackProtection,
        now: i64,
    ) -> io::Result<Failure>;
    /// Ends the count of a source, or of all; how many counted.
    fn clear_failures(&self, uid: u32, source: Option<&Source>) -> io::Result<usize>;
    /// Waits until no other attempt in this tally is being judged that has the same name and source.
    fn take_turn(&self, uid: u32, name: &CStr, source: &Source) -> io::Result<Turn>;
    /// Keeps that an attempt begins, until [`end_attempt`](Self::end_attempt).
    fn begin_attempt(&self);
    /// How long ago that was.
    fn since_begin(&self) -> Option<Duration>;
    /// Waits.
    fn wait(&self, time: Duration);
    /// A number that nobody can guess.
    fn random(&self) -> u16;
    /// Keeps this of the attempt until [`end_attempt`](Self::end_attempt), or until the transaction ends.
    fn hold(&self, held: Held);
    /// What was kept.
    fn held(&self) -> Option<Held>;
    /// Keeps nothing any more: the turn is the next one's.
    fn end_attempt(&self);
    /// Sees to it that there is a `PAM_USER`, pam_get_user(3).
    fn ask_user(&self) -> Asked;
    /// Sees to it that there is a `PAM_AUTHTOK`, pam_get_authtok(3).
    fn ask_password(&self) -> Asked;
    /// Has the modules that come later judge a password that nothing matches.
    fn spoil_password(&self);
    /// Has libpam wait before a failure is shown, as long as pam_unix(8) has it wait.
    fn delay_failure(&self);
    /// Shows text to the user.
    fn say(&self, text: &str);
    /// Writes a line to AUTHPRIV.
    fn log(&self, priority: Priority, line: &str);
    /// Tells the daemon, if it listens. A login does not wait for it.
    fn report(&self, request: &Request) -> io::Result<()>;
}

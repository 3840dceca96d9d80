//! One row of the audit trail.

use std::collections::BTreeMap;

use lockdown_dbus_api::tags::Tags;

use super::lock::{Owner, Time};

/// What happened. The names are stable: `lockdownctl events --action` takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A lock was placed or updated.
    Lock,
    /// A lock was lifted.
    Unlock,
    /// A lock was placed on an authenticator, or updated.
    LockAuthenticator,
    /// A lock on an authenticator was lifted.
    UnlockAuthenticator,
    /// A lock has ended by time.
    LockExpired,
    /// `valid_until` was set.
    SetExpiry,
    /// Identifiers or metadata of an account were set.
    SetAccount,
    /// `valid_until` has passed.
    AccountExpired,
    /// An account was locked down.
    Lockdown,
    /// What a lockdown had to do on the host is done, or some of it failed.
    LockdownFinished,
    /// A lockdown was taken back.
    Restore,
    /// A recovery code was used: the user has a new password.
    RecoveryUsed,
    /// A recovery code has ended by time; the lockdown stands again.
    RecoveryExpired,
    /// Somebody asked for sessions to be ended.
    EndSessions,
    /// A session of a locked or expired account was found and ended.
    SessionRefused,
    /// The login path denied a login.
    LoginDenied,
    /// Attempts to sign in have failed or were refused, a burst at a time.
    AttemptsFailed,
    /// Somebody ended the count of failed attempts.
    ResetFailures,
    /// A session was opened.
    SessionStart,
    /// A session has ended.
    SessionEnd,
    /// A deny record disagreed with the store and was put right.
    RecordDrift,
    /// The configuration was read anew.
    ConfigReload,
}

impl Action {
    /// The name in the store, on the bus and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::LockAuthenticator => "lock-authenticator",
            Self::UnlockAuthenticator => "unlock-authenticator",
            Self::LockExpired => "lock-expired",
            Self::SetExpiry => "set-expiry",
            Self::SetAccount => "set-account",
            Self::AccountExpired => "account-expired",
            Self::Lockdown => "lockdown",
            Self::LockdownFinished => "lockdown-finished",
            Self::Restore => "restore",
            Self::RecoveryUsed => "recovery-used",
            Self::RecoveryExpired => "recovery-expired",
            Self::EndSessions => "end-sessions",
            Self::SessionRefused => "session-refused",
            Self::LoginDenied => "login-denied",
            Self::AttemptsFailed => "attempts-failed",
            Self::ResetFailures => "reset-failures",
            Self::SessionStart => "session-start",
            Self::SessionEnd => "session-end",
            Self::RecordDrift => "record-drift",
            Self::ConfigReload => "config-reload",
        }
    }

    /// How much attention it wants when it succeeds.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::SessionStart | Self::SessionEnd | Self::AttemptsFailed => Severity::Info,
            Self::Lockdown => Severity::Critical,
            Self::RecordDrift | Self::SessionRefused | Self::RecoveryExpired => Severity::Warning,
            _ => Severity::Notice,
        }
    }
}

/// How much attention an event wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Ordinary.
    Info,
    /// Somebody changed something.
    Notice,
    /// Somebody should look.
    Warning,
    /// Somebody should look now.
    Critical,
}

impl Severity {
    /// The name in the store and on the bus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Success,
    /// A rule said no; why.
    Refused(String),
    /// The host did not let it happen; why.
    Failed(String),
}

/// Named values, in the order of their names.
pub type Fields = BTreeMap<&'static str, String>;

/// An event before it has a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub time: Time,
    /// What.
    pub action: Action,
    /// About which account; empty if about none.
    pub account: String,
    /// What was acted on beyond the account, such as `lock:17`; may be empty.
    pub target: String,
    /// Owner of the lock concerned; may be empty.
    pub owner: String,
    /// Reason given; may be empty.
    pub reason: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Who asked; empty for what the daemon did by itself.
    pub caller: Fields,
    /// What was asked for.
    pub input: Fields,
    /// What the caller gave with it; see [`lockdown_dbus_api::tags`].
    pub tags: Tags,
}

impl Event {
    /// A success about `account`, by the daemon itself.
    #[must_use]
    pub fn new(time: Time, action: Action, account: &str) -> Self {
        Self {
            time,
            action,
            account: account.to_owned(),
            target: String::new(),
            owner: String::new(),
            reason: String::new(),
            outcome: Outcome::Success,
            caller: Fields::new(),
            input: Fields::new(),
            tags: Tags::new(),
        }
    }

    /// Somebody should look at what did not succeed.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self.outcome {
            // Nobody has asked for it.
            Outcome::Success
                if self.action == Action::Lock && self.owner == Owner::AttackProtection.to_string() =>
            {
                Severity::Warning
            }
            Outcome::Success => self.action.severity(),
            Outcome::Refused(_) | Outcome::Failed(_) => Severity::Warning,
        }
    }
}

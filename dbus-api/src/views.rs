//! The dictionaries that `org.lockdown1.Manager` returns. Field names are the keys on the bus and in the JSON
//! of `lockdownctl`.

use zbus::{DeserializeDict, SerializeDict, Type};

/// An account: what NSS says of it and what the store adds.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Account {
    /// Login name as NSS spells it.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// A lock on the account is in force.
    pub locked: bool,
    /// When the last of the locks in force ends, Unix seconds; 0 = no expiry; absent if unlocked.
    pub locked_until: Option<i64>,
    /// A lockdown has deactivated the account (a lock of owner `lockdown` stands).
    pub deactivated: bool,
    /// `valid_until` has passed.
    pub expired: bool,
    /// When the account expires, Unix seconds; 0 = never.
    pub valid_until: i64,
    /// The account cannot be locked by this caller.
    pub protected: bool,
    /// Why it is protected; absent if it is not.
    pub protected_reason: Option<String>,
    /// The account has a password that can match. For an account that is not in the local shadow file this is
    /// `true`: only its directory knows.
    pub password_usable: bool,
    /// Failed attempts since the last success.
    pub failed_attempts: u32,
    /// Start of the last session seen, Unix seconds; 0 = unknown.
    pub last_sign_in: i64,
    /// The locks in force on the account itself.
    pub locks: Vec<Lock>,
    /// Number of open sessions.
    pub sessions: u32,
    /// Only in the reply of `LockAccount`: sessions that were ended.
    pub sessions_ended: Option<u32>,
    /// Only in the reply of `LockAccount`: processes that were ended.
    pub processes_ended: Option<u32>,
    /// Only in the reply of `LockAccount`, and only if there are any: what could not be ended.
    pub survivors: Option<Vec<String>>,
}

/// A lock that stands on an account.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Lock {
    /// Number of the lock in the store, as in the events about it.
    pub id: i64,
    /// Who may lift it: `operator`, `self`, `lockdown`, `attack-protection`, `config:<file>`, `fleet:<issuer>`.
    pub owner: String,
    /// Why, for the audit trail; may be empty.
    pub reason: String,
    /// What the locked user is told, after proving who they are; may be empty.
    pub message: String,
    /// Unix seconds.
    pub created_at: i64,
    /// Name of the caller, `root` or `uid:1000` where NSS knows no name.
    pub created_by: String,
    /// Unix seconds; 0 = never.
    pub expires_at: i64,
}

/// What the signals tell of a lock. Reason and message are left out: everyone on the bus hears a signal.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct LockNotice {
    /// Number of the lock.
    pub id: i64,
    /// Owner of the lock.
    pub owner: String,
    /// Unix seconds; 0 = never.
    pub expires_at: i64,
    /// Whether a lock on the account is in force after this change.
    pub still_locked: bool,
    /// Only in `AccountUnlocked`: `lifted` or `expired`.
    pub ended: Option<String>,
}

/// What `AccountExpired` tells.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct ExpiryNotice {
    /// The moment that has passed, Unix seconds.
    pub valid_until: i64,
}

/// A session: what PAM opened or logind lists.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Session {
    /// logind's id, or `pam-` and a number for a session that logind does not have (sudo, su).
    pub id: String,
    /// Account it belongs to.
    pub user: String,
    /// PAM service that opened it, or the type logind gives; may be empty.
    pub service: String,
    /// Terminal, without `/dev/`; may be empty.
    pub tty: String,
    /// Where it came from; empty if local.
    pub remote_host: String,
    /// The process that opened it; 0 = unknown.
    pub leader_pid: u32,
    /// Unix seconds.
    pub started: i64,
    /// The authenticator that opened it (`password`, `ssh:SHA256:…`); empty if unknown.
    pub authenticator: String,
    /// Only in the reply of `EndSessions`: whether it is gone.
    pub ended: Option<bool>,
}

/// One row of the audit trail.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Event {
    /// Number of the row; grows.
    pub id: i64,
    /// Unix seconds.
    pub time: i64,
    /// What happened: `lock`, `unlock`, `lock-expired`, `account-expired`, …
    pub action: String,
    /// `info`, `notice`, `warning`, `critical`.
    pub severity: String,
    /// Account concerned; may be empty.
    pub user: String,
    /// What was acted on, beyond the account: a lock, session or setting; may be empty.
    pub target: String,
    /// Owner of the lock concerned; may be empty.
    pub owner: String,
    /// Reason given; may be empty.
    pub reason: String,
    /// `success`, `refused`, `failed`.
    pub outcome: String,
    /// Why it was refused or failed; may be empty.
    pub error: String,
    /// Who asked: keys `uid`, `name`, `loginuid`, `pid`, `executable`, `tty`, `session`, `remote_host`, `bus_name`, where
    /// known. Empty for what the daemon did by itself.
    pub caller: std::collections::HashMap<String, String>,
    /// What was asked for: the call's options.
    pub input: std::collections::HashMap<String, String>,
}

/// A disagreement between the store and a deny record, found by `CheckRecords`.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Drift {
    /// Account concerned; empty if the store knows none with this uid.
    pub user: String,
    /// User id the record is for.
    pub uid: u32,
    /// What is wrong, in words.
    pub problem: String,
}

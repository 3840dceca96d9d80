//! Accounts, and the locks on them.

use std::collections::HashMap;

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
    /// A lockdown has deactivated the account (a lock of owner `lockdown` or `self` stands), or a state document.
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
    /// Failed attempts that count now: within the window of attack protection, and not cleared by a success or a reset.
    pub failed_attempts: u32,
    /// Start of the last session seen, Unix seconds; 0 = unknown.
    pub last_sign_in: i64,
    /// The locks in force on the account itself.
    pub locks: Vec<Lock>,
    /// Number of open sessions.
    pub sessions: u32,
    /// What another system knows the account by; empty if nothing was set, as the next two.
    pub external_id: String,
    /// Its address.
    pub email: String,
    /// Its telephone number.
    pub phone: String,
    /// Identifiers of other kinds, by kind.
    pub identifiers: HashMap<String, String>,
    /// What else was set for it.
    pub metadata: HashMap<String, String>,
    /// When its home directory was made, Unix seconds; 0 = unknown.
    pub created: i64,
    /// When it last did something: in its open sessions, as far as terminals and logind tell, otherwise the end of the last
    /// one; Unix seconds, 0 = unknown.
    pub last_active: i64,
    /// Not in lists: number of its passkeys (`sk-` keys of SSH, enrolments of pam_u2f). Absent if they could not be looked
    /// at, as the next two.
    pub passkeys: Option<u32>,
    /// Not in lists: it has one-time passwords.
    pub totp_enabled: Option<bool>,
    /// Not in lists: number of its unused backup codes (scratch codes of google-authenticator).
    pub backup_codes: Option<u32>,
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
    /// What a lock of attack protection is for: empty = the account, wherever one signs in; `remote` = the account for every
    /// remote host; otherwise for the one source that is called so: a remote host (of IPv6 its network), `user:NAME` or `local`.
    /// Of another owner's: empty.
    pub source: String,
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

/// A failed attempt to sign in.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Failure {
    /// The account.
    pub user: String,
    /// How many there had been on the account up to this one. Begins anew if its tally was removed.
    pub number: u64,
    /// Unix seconds.
    pub time: i64,
    /// PAM service, cut to 32 bytes.
    pub service: String,
    /// Where from, cut to 60 bytes: the remote host, `user:NAME` on this host, or `local`. A remote host that calls itself so
    /// has `host:` before it.
    pub source: String,
    /// It counted towards a lock.
    pub counted: bool,
    /// It does not any more: the source has succeeded since, or somebody has reset the count.
    pub cleared: bool,
    /// It brought about a lock.
    pub locked: bool,
}

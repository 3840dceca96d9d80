//! The means of an account to authenticate.

use zbus::{DeserializeDict, SerializeDict, Type};

use super::Lock;

/// One means of an account to authenticate: what this host has of it, and whether it is locked.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Authenticator {
    /// Stable name: `password`, `ssh:SHA256:…`, `fingerprint:right-index-finger`, …. One that is removed and added again has
    /// the same. Empty in the reply of an `UnlockAuthenticator` by type.
    pub id: String,
    /// `password`, `ssh`, `u2f`, `fingerprint`, `face`, `pin`, `totp`.
    #[zbus(rename = "type")]
    pub kind: String,
    /// What tells it from others, for people: a key's comment; may be empty. Users write these texts.
    pub label: String,
    /// A passkey: a key that lives in a FIDO2 authenticator.
    pub passkey: bool,
    /// This host has it now. One that was removed is listed for as long as it is locked.
    pub present: bool,
    /// A lock on it is in force.
    pub locked: bool,
    /// When the last of the locks in force ends, Unix seconds; 0 = no expiry; absent if unlocked.
    pub locked_until: Option<i64>,
    /// It can be locked by itself.
    pub lockable: bool,
    /// This host heeds a lock on it as it is configured now.
    pub enforced: bool,
    /// Why it does not, and what to change; absent if it does.
    pub unenforced_reason: Option<String>,
    /// When the host got it, or, of what lies in a file with others, when that file was last written; Unix seconds,
    /// 0 = unknown.
    pub added: i64,
    /// Start of the last session that it opened, Unix seconds; 0 = unknown.
    pub last_used: i64,
    /// The locks in force on it.
    pub locks: Vec<Lock>,
    /// Only in the reply of `LockAuthenticator`: sessions that were ended, as it had opened them.
    pub sessions_ended: Option<u32>,
    /// Only in the reply of `LockAuthenticator`, and only if there are any: sessions that it opened and that go on.
    pub survivors: Option<Vec<String>>,
    /// Only in the reply of `UnlockAuthenticator`: the ids of those whose locks were lifted.
    pub unlocked: Option<Vec<String>>,
}

/// What the signals tell of a lock on an authenticator. Reason and message are left out, as in [`LockNotice`](super::LockNotice).
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct AuthenticatorNotice {
    /// The authenticator.
    pub id: String,
    /// Its type.
    #[zbus(rename = "type")]
    pub kind: String,
    /// Number of the lock.
    pub lock: i64,
    /// Owner of the lock.
    pub owner: String,
    /// Unix seconds; 0 = never.
    pub expires_at: i64,
    /// Whether a lock on the authenticator is in force after this change.
    pub still_locked: bool,
    /// Only in `AuthenticatorUnlocked`: `lifted` or `expired`.
    pub ended: Option<String>,
}

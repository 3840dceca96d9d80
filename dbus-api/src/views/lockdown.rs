//! A lockdown: before, while, after it, and its way back.

use std::collections::HashMap;

use zbus::{DeserializeDict, SerializeDict, Type};

/// What one account has that a lockdown would act on, for whoever is about to decide.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct LockdownPreview {
    /// The account as it was named by the caller, or by NSS if it could be resolved.
    pub user: String,
    /// Why it cannot be locked down; absent if it can.
    pub error: Option<String>,
    /// Name of that error, `org.lockdown1.Error.…`; absent with it.
    pub error_name: Option<String>,
    /// Lines of its authorized_keys files that are keys.
    pub keys: u32,
    /// Jobs of cron and at that are pending.
    pub jobs: u32,
    /// Open sessions.
    pub sessions: u32,
    /// Processes.
    pub processes: u32,
    /// Whether a lockdown stands already.
    pub locked_down: bool,
}

/// What `Lockdown` did to one account.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct LockdownResult {
    /// The account as NSS spells it, or as the caller did if it could not be resolved.
    pub user: String,
    /// Every action that was wanted is done, and nothing of the account is left.
    pub success: bool,
    /// What failed, and what to do about it; absent on success.
    pub error: Option<String>,
    /// Name of that error, `org.lockdown1.Error.…`; absent on success.
    pub error_name: Option<String>,
    /// Outcome of each action, `deactivate`, `unusable_password`, `end_sessions` and `revoke_tokens`: `done`, `off`,
    /// `not local`, or `failed: ` and why. Empty if the account was refused.
    pub actions: HashMap<String, String>,
    /// Sessions that were ended.
    pub sessions_ended: u32,
    /// Processes that were ended.
    pub processes_ended: u32,
    /// What could not be ended: pid and command line.
    pub survivors: Vec<String>,
    /// Units that ran or would have run as the account and were stopped.
    pub units_stopped: Vec<String>,
    /// Tokens taken away, by kind: `authorized_keys` (keys), `crontabs`, `at_jobs`, `sudo_tickets`, ….
    pub tokens: HashMap<String, u32>,
    /// Outcome of each hook of `/etc/lockdown/revoke.d`, by its name: `done`, or `failed: ` and why.
    pub hooks: HashMap<String, String>,
    /// Sessions of other accounts that were opened with one of its keys, and were ended.
    pub followed_sessions: Vec<String>,
    /// Its keys in other accounts' authorized_keys.
    pub keys_elsewhere: Vec<KeyElsewhere>,
    /// Units that it may have had systemd start as root.
    pub suspects: Vec<Suspect>,
    /// What an administrator should know: the caller's own terminal that was spared, a file that all accounts share.
    pub notes: Vec<String>,
}

/// A key of the account in the authorized_keys of another one.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct KeyElsewhere {
    /// The other account.
    pub user: String,
    /// Its file.
    pub path: String,
    /// Line of the file, from 1.
    pub line: u32,
    /// `SHA256:…`
    pub fingerprint: String,
    /// Whether it was taken out.
    pub quarantined: bool,
}

/// A unit that runs as root and that the account may have started.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Suspect {
    /// Its name.
    pub unit: String,
    /// Why it is suspected.
    pub evidence: String,
    /// Whether it was stopped.
    pub stopped: bool,
}

/// How far a lockdown is, told to its caller alone.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Progress {
    /// `deactivate`, `unusable_password`, `end_sessions`, `revoke_tokens`, `follow_keys`, or `completion` (self-service: the
    /// text that the user is left with).
    pub step: String,
    /// `begun`, an outcome as in `actions`, or the text of the completion.
    pub outcome: String,
}

/// What `Restore` did.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Restored {
    /// The account.
    pub user: String,
    /// Everything that was wanted is done.
    pub success: bool,
    /// What could not be put back, and what to do about it; absent on success. It says so if the account stays locked down
    /// for that: only what can wait until after is put back once the lock is lifted.
    pub error: Option<String>,
    /// What was put back: `shadow`, `linger`, the path of a file, the name of a unit.
    pub put_back: Vec<String>,
    /// What stays in quarantine: paths.
    pub kept: Vec<String>,
    /// The one-time code; only if asked for, and only here.
    pub recovery_code: Option<String>,
    /// When the code ends, Unix seconds; absent without one.
    pub recovery_code_expires: Option<i64>,
    /// Owners of locks that still deny login.
    pub still_locked_by: Vec<String>,
    /// What the user should look at.
    pub review: Vec<String>,
}

//! The dictionaries that `org.lockdown1.Manager` returns. Field names are the keys on the bus and in the JSON
//! of `lockdownctl`.

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

/// What the signals tell of a lock on an authenticator. Reason and message are left out, as in [`LockNotice`].
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
    pub caller: HashMap<String, String>,
    /// What was asked for: the call's options.
    pub input: HashMap<String, String>,
    /// The caller's tags; see [`crate::tags`].
    pub tags: HashMap<String, String>,
}

/// What `VerifyEvents` found.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Verification {
    /// The trail is whole.
    pub ok: bool,
    /// Number of events that were looked at.
    pub checked: u64,
    /// The first of them; 0 if there is none.
    pub first: i64,
    /// The last event; 0 if there never was one.
    pub last: i64,
    /// Its hash, in hexadecimal.
    pub head: String,
    /// Number of events of which the journal had the hash.
    pub compared: u64,
    /// What is wrong, in the order of the events; at most a hundred.
    pub problems: Vec<EventProblem>,
    /// Number of problems beyond those.
    pub more: u64,
    /// What limits this verification, in words; absent if nothing does.
    pub note: Option<String>,
}

/// Something that somebody has done to the audit trail.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct EventProblem {
    /// The event; 0 if it is about none.
    pub id: i64,
    /// What is wrong, in words, with `event` and its id before them; a sentence of its own if it is about none.
    pub problem: String,
}

/// A message that is on its way to somebody, or could not be delivered.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Notification {
    /// What it is called to its receiver, too: `msg_…`.
    pub id: String,
    /// The rule of the configuration that it is sent by.
    pub rule: String,
    /// `email`, `webhook`, `alertmanager`, `exec`, `wall`.
    pub transport: String,
    /// `info`, `notice`, `warning`, `critical`.
    pub severity: String,
    /// Action of its events.
    pub action: String,
    /// Account that the first of its events is about; may be empty.
    pub user: String,
    /// `queued`, `sending`, or `dead`: it could not be delivered.
    pub state: String,
    /// Unix seconds.
    pub created: i64,
    /// When it is tried next, Unix seconds; 0 = not any more.
    pub next_attempt: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last attempt failed with; may be empty.
    pub error: String,
    /// Events that it stands for.
    pub total: u32,
}

/// What became of the test of one rule.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct NotificationTest {
    /// The rule.
    pub rule: String,
    /// `email`, `webhook`, `alertmanager`, `exec`, `wall`.
    pub transport: String,
    /// It was delivered, as far as that can be told from here.
    pub success: bool,
    /// What failed, and what to do about it; absent on success.
    pub error: Option<String>,
}

/// What `ApplyState` has changed, or would.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct StateApplied {
    /// Nothing is wrong with the documents. If something is, nothing was changed.
    pub success: bool,
    /// Something was changed, or would be.
    pub changed: bool,
    /// What, by document and account.
    pub changes: Vec<StateChange>,
    /// Further changes that are not listed.
    pub changes_left_out: u32,
    /// What is wrong with the documents, by document and place.
    pub errors: Vec<StateProblem>,
    /// What of them does not hold now, and will when it can: accounts that are not here, members of groups that are protected.
    pub warnings: Vec<StateProblem>,
    /// Sessions that were ended.
    pub sessions_ended: u32,
    /// What could not be carried out on the host; it is tried again.
    pub problems: Vec<String>,
}

/// One change of an account by a state document.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct StateChange {
    /// The document.
    pub document: String,
    /// The account.
    pub account: String,
    /// `lock`, `unlock`, `lock-authenticator`, `unlock-authenticator`, `set`, `remove`, `deactivate`, `reactivate`, `declare`, `withdraw`.
    pub what: String,
    /// Id of the authenticator, or what is set: `valid_until`, `identifiers.KIND`, `metadata.KEY`; otherwise empty.
    pub key: String,
    /// What stood before; empty if nothing did.
    pub before: String,
    /// What stands afterwards; empty if nothing does.
    pub after: String,
}

/// Something about a place in a state document.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct StateProblem {
    /// The document; empty if it is about none.
    pub document: String,
    /// Its file, or what stands for it; escaped.
    pub file: String,
    /// Line, from 1; 0 = it is about the whole file.
    pub line: u64,
    /// Column, from 1; 0 likewise.
    pub column: u64,
    /// The key, such as `account.name`; may be empty.
    pub key: String,
    /// What it is, and what to do about it.
    pub message: String,
}

/// A state document that is in force.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct StateDocument {
    /// Its name. Its locks have the owner `config:<name>`.
    pub name: String,
    /// `directory`: a file of `state.d`; `given`: by `ApplyState`.
    pub origin: String,
    /// The file, or what stands for it in messages.
    pub path: String,
    /// SHA-256 of its text, in hexadecimal digits.
    pub sha256: String,
    /// When what it says was last applied, Unix seconds.
    pub applied_at: i64,
    /// Locks of its owner.
    pub locks: u32,
    /// So much of it does not hold now: see `warnings` of `ApplyState`.
    pub pending: u32,
}

/// What the daemon counts and measures. Counts begin with its start.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Metrics {
    /// When the daemon started, Unix seconds.
    pub started: i64,
    /// Accounts that are locked now.
    pub locked_accounts: u32,
    /// Locks in force, by owner; `config` and `fleet` each stand for all of theirs.
    pub locks: HashMap<String, u32>,
    /// Open sessions.
    pub sessions: u32,
    /// Events, by action.
    pub events: HashMap<String, u64>,
    /// Sweeps: how often everything that an account runs was ended.
    pub sweeps: u64,
    /// How long all of them took together, in seconds.
    pub sweep_seconds: f64,
    /// How long the longest took, in seconds.
    pub sweep_seconds_max: f64,
    /// Processes that they ended.
    pub sweep_processes: u64,
    /// Messages in the outbox, by state: `queued`, `sending`, `dead`.
    pub outbox: HashMap<String, u32>,
    /// Attempts to deliver a message, by what became of them: `delivered`, `retried`, `failed`.
    pub deliveries: HashMap<String, u64>,
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

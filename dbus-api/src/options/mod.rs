//! The dictionaries that go into `org.lockdown1.Manager`. A key left out means the configured default; a key
//! that is not listed here is refused with `InvalidArgument`.

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use zbus::{SerializeDict, Type};

use crate::tags::Tags;

/// Longest reason or message, in bytes.
pub const MAX_TEXT: usize = 1024;

/// Most texts in a list.
pub const MAX_TEXTS: usize = 64;

/// Options of `LockAccount`.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Lock {
    /// Why, for the audit trail. At most [`MAX_TEXT`] bytes.
    pub reason: Option<String>,
    /// What the locked user is told. At most [`MAX_TEXT`] bytes.
    pub message: Option<String>,
    /// Seconds; 0 = no expiry; absent = configured default.
    pub duration: Option<u64>,
    /// End the account's running sessions; absent = configured default.
    pub end_sessions: Option<bool>,
    /// Owner of the lock; absent = `operator`. Only root may say `config:<file>` or `fleet:<issuer>`.
    pub owner: Option<String>,
    /// What goes with the call into its event: see [`crate::tags`].
    pub tags: Option<Tags>,
}

/// Options of `UnlockAccount`.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Unlock {
    /// Why, for the audit trail. At most [`MAX_TEXT`] bytes.
    pub reason: Option<String>,
    /// Lift the lock of this owner only; absent = those an operator may lift (`operator`, `attack-protection`).
    pub owner: Option<String>,
    /// What goes with the call into its event: see [`crate::tags`].
    pub tags: Option<Tags>,
}

/// Options of `LockAuthenticator`.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct LockAuthenticator {
    /// Why, for the audit trail. At most [`MAX_TEXT`] bytes.
    pub reason: Option<String>,
    /// What the user is told who is denied for it, where that can be said. At most [`MAX_TEXT`] bytes.
    pub message: Option<String>,
    /// Seconds; 0 = no expiry, also if absent: what got into wrong hands does not come back by itself.
    pub duration: Option<u64>,
    /// Owner of the lock; absent = `operator`. Only root may say `config:<file>` or `fleet:<issuer>`.
    pub owner: Option<String>,
    /// Also where this host would not heed the lock as it is configured now.
    pub unenforced: Option<bool>,
    /// Also the last authenticator with which an administrator can get in.
    pub force: Option<bool>,
    /// What goes with the call into its event: see [`crate::tags`].
    pub tags: Option<Tags>,
}

/// Options of `UnlockAuthenticator`.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct UnlockAuthenticator {
    /// Why, for the audit trail. At most [`MAX_TEXT`] bytes.
    pub reason: Option<String>,
    /// Lift the lock of this owner only; absent = those an operator may lift (`operator`, `attack-protection`).
    pub owner: Option<String>,
    /// With an empty id: every authenticator of this type (`password`, `ssh`, `u2f`, `fingerprint`, `face`, `pin`).
    #[zbus(rename = "type")]
    pub kind: Option<String>,
    /// What goes with the call into its event: see [`crate::tags`].
    pub tags: Option<Tags>,
}

/// Filter of `ListAccounts`. Keys combine: all that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct AccountFilter {
    /// Only accounts that are locked, or only those that are not.
    pub locked: Option<bool>,
    /// Only accounts that have expired, or only those that have not.
    pub expired: Option<bool>,
    /// Only accounts that a lockdown or a state document has deactivated, or only the others.
    pub deactivated: Option<bool>,
    /// With system accounts (uid below UID_MIN of login.defs, and nobody); absent = without.
    pub system: Option<bool>,
}

/// Filter of `ListSessions`.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct SessionFilter {
    /// Only sessions of this account.
    pub user: Option<String>,
}

/// Options of `EndSessions`.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct EndSessions {
    /// Only this session; absent = everything the account runs.
    pub session: Option<String>,
    /// Why, for the audit trail. At most [`MAX_TEXT`] bytes.
    pub reason: Option<String>,
    /// What goes with the call into its event: see [`crate::tags`].
    pub tags: Option<Tags>,
}

/// Options of `Lockdown`.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Lockdown {
    /// Why, for the audit trail; must not be empty. At most [`MAX_TEXT`] bytes.
    pub reason: Option<String>,
    /// What the user is told at a login. At most [`MAX_TEXT`] bytes; absent = configured default.
    pub message: Option<String>,
    /// Lock the account without expiry; absent = configured default, as for the next three.
    pub deactivate: Option<bool>,
    /// Make the password one that nothing matches.
    pub unusable_password: Option<bool>,
    /// End what the account runs.
    pub end_sessions: Option<bool>,
    /// Take keys, tickets and jobs away.
    pub revoke_tokens: Option<bool>,
    /// `continue` (also if absent): every account is attempted. `abort`: those after the first that cannot be locked
    /// down are not.
    pub on_error: Option<String>,
    /// Also the last account that can administer the host; only root may say so.
    pub force: Option<bool>,
    /// What becomes of units that the account may have had systemd start as root: `report` (also if absent) or `stop`.
    pub suspects: Option<String>,
    /// What goes with the call into its event: see [`crate::tags`].
    pub tags: Option<Tags>,
}

/// Options of `LockdownSelf`.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct LockdownSelf {
    /// Why, for the audit trail; must not be empty. At most [`MAX_TEXT`] bytes.
    pub reason: Option<String>,
    /// What goes with the call into its event: see [`crate::tags`].
    pub tags: Option<Tags>,
}

/// Options of `Restore`.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Restore {
    /// Why, for the audit trail. At most [`MAX_TEXT`] bytes.
    pub reason: Option<String>,
    /// A false alarm: put everything back as it was.
    pub undo: Option<bool>,
    /// Make a one-time code with which the user sets a new password at the next login; it is in the reply, once.
    pub recovery_code: Option<bool>,
    /// The new password. At most [`MAX_TEXT`] bytes; never recorded.
    pub password: Option<String>,
    /// Put keys and jobs back, too.
    pub tokens: Option<bool>,
    /// What goes with the call into its event: see [`crate::tags`].
    pub tags: Option<Tags>,
}

/// Options of `SetAccount`. An empty text removes what the store has; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct SetAccount {
    /// Address, with which the account can be named: `email:…`. It is compared without case.
    pub email: Option<String>,
    /// Number, with which the account can be named: `phone:…`. Its digits and a leading `+` are compared.
    pub phone: Option<String>,
    /// What another system knows the account by, and with which it can be named: `id:…`.
    pub id: Option<String>,
    /// Identifiers of one's own kinds (`[a-z][a-z0-9_-]{0,31}`), with which the account can be named: `KIND:…`.
    pub identifiers: Option<BTreeMap<String, String>>,
    /// Anything else that is to be kept with the account; keys are as those of tags. The account's own user sees it.
    pub metadata: Option<BTreeMap<String, String>>,
    /// As `SetExpiry` does: when the account expires, Unix seconds; 0 = never.
    pub valid_until: Option<i64>,
    /// Why, for the audit trail. At most [`MAX_TEXT`] bytes.
    pub reason: Option<String>,
    /// What goes with the call into its event: see [`crate::tags`].
    pub tags: Option<Tags>,
}

/// Options of `ApplyState`.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct ApplyState {
    /// Say what would change, and change nothing.
    pub check: Option<bool>,
    /// Documents by name, as texts: they stay in force until one of the same name is given; an empty text takes it away.
    /// Absent = the files of `state.d` are read anew, and what was given stays in force.
    pub documents: Option<BTreeMap<String, String>>,
    /// Where these documents come from, by name: what stands for them in messages. At most [`MAX_TEXT`] bytes each.
    pub paths: Option<BTreeMap<String, String>>,
    /// What goes with the call into its events: see [`crate::tags`].
    pub tags: Option<Tags>,
}

/// Options of `ExportState`.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct ExportState {
    /// What this document has in the store; absent = what is in the store and no document's doing.
    pub document: Option<String>,
}

/// Filter of `ListFailures`. Rows come oldest first.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct FailureFilter {
    /// Only those from this source: a remote host (of IPv6: its network), `user:NAME` or `local`.
    pub source: Option<String>,
    /// Only those at or after this time, Unix seconds.
    pub since: Option<i64>,
    /// The newest this many of those that match; absent = 1000, at most 10000.
    pub limit: Option<u32>,
}

/// Options of `ResetFailures`.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct ResetFailures {
    /// Only the count of this source, and the locks that its attempts brought about; absent = all.
    pub source: Option<String>,
    /// Why, for the audit trail. At most [`MAX_TEXT`] bytes.
    pub reason: Option<String>,
    /// What goes with the call into its event: see [`crate::tags`].
    pub tags: Option<Tags>,
}

/// Filter of `ListEvents`. Rows come oldest first.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct EventFilter {
    /// Only events about this account (name as in the event; it need not exist any more).
    pub user: Option<String>,
    /// Only events with this action.
    pub action: Option<String>,
    /// Only events with one of these actions.
    pub actions: Option<Vec<String>>,
    /// Only events of at least this severity: `info`, `notice`, `warning`, `critical`.
    pub severity: Option<String>,
    /// Only events about locks of this owner.
    pub owner: Option<String>,
    /// Only what this account has asked for (name as in the event, or `uid:1000`).
    pub caller: Option<String>,
    /// Only events at or after this time, Unix seconds.
    pub since: Option<i64>,
    /// Only events at or before this time, Unix seconds.
    pub until: Option<i64>,
    /// Only events that a listing has before this one: its id, where the last page began.
    pub before: Option<i64>,
    /// Only events with a greater id: where a follower left off. With it, events come in the order of their ids.
    pub after: Option<i64>,
    /// Which of those that match, if they are more than `limit`: the `newest` (also if absent) or the `oldest`.
    pub order: Option<String>,
    /// This many of those that match; absent = 1000, at most 10000.
    pub limit: Option<u32>,
}

/// Options of `VerifyEvents`.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct VerifyEvents {
    /// Only from the first event on that is not older, Unix seconds; absent = from the beginning.
    pub since: Option<i64>,
}

/// Filter of `ListNotifications`. Messages come oldest first.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct NotificationFilter {
    /// Only messages that could not be delivered, or only those that wait or are being sent.
    pub dead: Option<bool>,
    /// Only messages of this rule.
    pub rule: Option<String>,
    /// At most this many; absent = 1000, at most 10000.
    pub limit: Option<u32>,
}

/// Options of `RetryNotifications`.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct RetryNotifications {
    /// The messages to send again; absent = all that could not be delivered.
    pub ids: Option<Vec<String>>,
    /// What goes with the call into its event: see [`crate::tags`].
    pub tags: Option<Tags>,
}

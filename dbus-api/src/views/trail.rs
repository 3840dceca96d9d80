//! The audit trail.

use std::collections::HashMap;

use zbus::{DeserializeDict, SerializeDict, Type};

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

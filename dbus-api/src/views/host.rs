//! The daemon itself.

use std::collections::HashMap;

use zbus::{DeserializeDict, SerializeDict, Type};

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

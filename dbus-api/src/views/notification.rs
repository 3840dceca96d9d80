//! Messages.

use zbus::{DeserializeDict, SerializeDict, Type};

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

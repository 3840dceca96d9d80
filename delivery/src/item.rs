//! One message for one rule.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::Transport;

/// Length of an id, at most.
const MAX_ID: usize = 64;

/// One message for one rule: an event, or several of a burst in one digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The message's id, the same at every attempt: receivers know by it what they have already. ASCII letters, digits,
    /// `_` and `-`, at most 64, such as `msg_2KWPBgLlAfxdpx2AI54pPJ85f4W`.
    pub id: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Name of the rule that matched.
    pub rule: String,
    /// Name of this host.
    pub host: String,
    /// `info`, `notice`, `warning`, `critical`: the highest of its events', or what the rule sets.
    pub severity: String,
    /// What happened: the action of its events.
    pub action: String,
    /// The events, oldest first; of a digest the newest of them, as many as fit.
    pub events: Vec<EventView>,
    /// How many events it stands for, at least as many as `events` has.
    pub total: u64,
    /// Where it goes, and how.
    pub transport: Transport,
    /// The message's text, see [`Template`](crate::Template); `None`: the standard one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// An event, with the keys that `ListEvents` of `org.lockdown1` gives it. Text in it may be a stranger's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventView {
    /// Number of its row.
    pub id: i64,
    /// Unix seconds.
    pub time: i64,
    /// What happened.
    pub action: String,
    /// `info`, `notice`, `warning`, `critical`.
    pub severity: String,
    /// Account concerned; may be empty.
    pub user: String,
    /// What was acted on, beyond the account; may be empty.
    pub target: String,
    /// Owner of the lock concerned; may be empty.
    pub owner: String,
    /// Reason given; may be empty.
    pub reason: String,
    /// `success`, `refused`, `failed`.
    pub outcome: String,
    /// Why it was refused or failed; may be empty.
    pub error: String,
    /// Who asked; empty for what the daemon did by itself.
    pub caller: BTreeMap<String, String>,
    /// What was asked for.
    pub input: BTreeMap<String, String>,
    /// The caller's tags.
    pub tags: BTreeMap<String, String>,
}

/// Why an item cannot be delivered as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemError {
    /// The id is not as [`Item::id`] says.
    Id,
    /// It has no event, or stands for fewer than it has.
    Events,
}

impl fmt::Display for ItemError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Id => "its id is not 1 to 64 ASCII letters, digits, `_` and `-`",
            Self::Events => "it has no event, or stands for fewer than it has",
        })
    }
}

impl std::error::Error for ItemError {}

impl Item {
    /// Whether it can go into headers and file names, and says anything.
    ///
    /// # Errors
    /// See [`ItemError`].
    pub fn check(&self) -> Result<(), ItemError> {
        if !is_id(&self.id) {
            return Err(ItemError::Id);
        }
        let count = self.events.len() as u64;
        if count == 0 || self.total < count { Err(ItemError::Events) } else { Ok(()) }
    }

    /// Whether it stands for more than one event.
    #[must_use]
    pub fn is_digest(&self) -> bool {
        self.total > 1
    }
}

/// Whether this can be the id of an item.
pub(crate) fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, events: usize, total: u64) -> Item {
        Item {
            id: id.into(),
            attempt: 1,
            rule: "security".into(),
            host: "web1".into(),
            severity: "critical".into(),
            action: "lockdown".into(),
            events: vec![EventView::default(); events],
            total,
            transport: Transport::Wall { users: vec![] },
            template: None,
        }
    }

    #[test]
    fn ids_can_stand_in_a_header() {
        for id in ["", "msg 1", "msg\r\nx: y", "msg_é", "<a@b>", &"x".repeat(65)] {
            assert_eq!(item(id, 1, 1).check(), Err(ItemError::Id), "{id:?}");
        }
        assert_eq!(item("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", 1, 1).check(), Ok(()));
    }

    #[test]
    fn says_something() {
        assert_eq!(item("msg_1", 0, 0).check(), Err(ItemError::Events));
        assert_eq!(item("msg_1", 2, 1).check(), Err(ItemError::Events));
        assert_eq!(item("msg_1", 2, 40).check(), Ok(()));
    }

    #[test]
    fn what_an_older_end_does_not_send_or_know_is_no_error() {
        let mut json = serde_json::to_value(item("msg_1", 1, 1)).unwrap();
        json["events"][0] = serde_json::json!({"id": 7, "action": "lock", "news": [1]});
        json["news"] = true.into();
        let read: Item = serde_json::from_value(json).unwrap();
        assert_eq!((read.events[0].id, read.events[0].action.as_str()), (7, "lock"));
    }
}

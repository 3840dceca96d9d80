//! The JSON of a webhook, as Standard Webhooks recommends: type, timestamp, data. Programs (exec) get the same.

use lockdown_delivery::{EventView, Item};
use serde::Serialize;

use crate::{json, text};

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: String,
    /// Of the newest event.
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Event {
        host: &'a str,
        rule: &'a str,
        message: String,
        #[serde(flatten)]
        event: &'a EventView,
    },
    Digest {
        host: &'a str,
        rule: &'a str,
        message: String,
        action: &'a str,
        severity: &'a str,
        total: u64,
        events: &'a [EventView],
    },
}

/// The body; of an item that says something.
pub(crate) fn body(item: &Item) -> Result<Vec<u8>, serde_json::Error> {
    let (host, rule, message) = (item.host.as_str(), item.rule.as_str(), text::short(item));
    let data = match item.events.as_slice() {
        [event] if !item.is_digest() => Data::Event { host, rule, message, event },
        events => {
            let (action, severity) = (item.action.as_str(), item.severity.as_str());
            Data::Digest { host, rule, message, action, severity, total: item.total, events }
        }
    };
    json::to_vec(&Body {
        kind: format!("lockdown.{}", item.action),
        timestamp: text::time(item.events.last().map_or(0, |event| event.time)),
        data,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::samples::{HOSTILE, digest, hostile, item, wall};

    fn parsed(item: &Item) -> Value {
        serde_json::from_slice(&body(item).unwrap()).unwrap()
    }

    #[test]
    fn an_event() {
        assert_eq!(
            parsed(&item(wall())),
            json!({
                "type": "lockdown.lockdown",
                "timestamp": "2026-11-21T10:00:00Z",
                "data": {
                    "host": "web1", "rule": "security", "message": "lockdown alice: phished (by bob from 192.0.2.7)",
                    "id": 7, "time": 1_795_255_200, "action": "lockdown", "severity": "critical", "user": "alice",
                    "target": "lock:17", "owner": "lockdown", "reason": "phished", "outcome": "success", "error": "",
                    "caller": {"name": "bob", "uid": "1001", "tty": "pts/0", "remote_host": "192.0.2.7"},
                    "input": {}, "tags": {"ticket": "INC-1"},
                },
            })
        );
    }

    #[test]
    fn a_digest() {
        let body = parsed(&digest(wall(), 2, 40));
        assert_eq!(body["timestamp"], "2026-11-21T10:00:01Z");
        assert_eq!(
            (&body["data"]["total"], body["data"]["events"].as_array().unwrap().len()),
            (&json!(40), 2)
        );
    }

    #[test]
    fn a_strangers_text_arrives_as_it_is_and_is_only_text() {
        let bytes = body(&hostile(wall(), HOSTILE)).unwrap();
        assert!(bytes.iter().all(|byte| (b' '..=b'~').contains(byte)) && !bytes.contains(&b'<'));
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(body["data"]["reason"], HOSTILE);
        assert_eq!(body["data"].as_object().unwrap().len(), 16);
    }
}

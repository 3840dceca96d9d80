//! The JSON that Prometheus' Alertmanager sends to its receivers, version 4, so that receivers made for it work:
//! prometheus.io/docs/alerting/latest/configuration/#webhook_config.
//!
//! An event is an alert that fires. One that takes another back (a lock that is lifted or has ended, a restore) is the
//! same alert, resolved: alert name, group key and fingerprint are those of what it takes back.

use std::collections::BTreeMap;

use lockdown_delivery::{EventView, Item};
use ring::digest;
use serde::Serialize;

use crate::{json, text};

/// What an end looks like that has not come: Go's zero time, as Alertmanager sends it.
const NO_END: &str = "0001-01-01T00:00:00Z";

type Labels = BTreeMap<&'static str, String>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    version: &'static str,
    group_key: String,
    truncated_alerts: u64,
    status: &'static str,
    receiver: &'a str,
    group_labels: Labels,
    common_labels: Labels,
    common_annotations: Labels,
    #[serde(rename = "externalURL")]
    external_url: &'static str,
    alerts: Vec<Alert>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    status: &'static str,
    labels: Labels,
    annotations: Labels,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'static str,
    fingerprint: String,
}

/// The body.
pub(crate) fn body(item: &Item) -> Result<Vec<u8>, serde_json::Error> {
    let alerts: Vec<_> = item.events.iter().map(|event| alert(item, event)).collect();
    let common = |labels: fn(&Alert) -> &Labels| {
        let mut all = alerts.iter().map(labels);
        let mut common = all.next().cloned().unwrap_or_default();
        for labels in all {
            common.retain(|name, value| labels.get(name) == Some(value));
        }
        common
    };
    let common_labels = common(|alert| &alert.labels);
    let mut group_labels = common_labels.clone();
    group_labels.retain(|name, _| matches!(*name, "alertname" | "instance" | "user"));
    let resolved = alerts.iter().all(|alert| alert.status == RESOLVED);
    json::to_vec(&Body {
        version: "4",
        group_key: group_key(&group_labels),
        truncated_alerts: item.total.saturating_sub(alerts.len() as u64),
        status: if resolved { RESOLVED } else { FIRING },
        receiver: &item.rule,
        group_labels,
        common_labels,
        common_annotations: common(|alert| &alert.annotations),
        external_url: "",
        alerts,
    })
}

const FIRING: &str = "firing";
const RESOLVED: &str = "resolved";

fn alert(item: &Item, event: &EventView) -> Alert {
    let (name, takes_back) = alert_name(event);
    let time = text::time(event.time);
    let description = if item.template.is_some() { text::short(item) } else { text::summary(event) };
    Alert {
        status: if takes_back { RESOLVED } else { FIRING },
        labels: filled([
            ("alertname", name),
            ("action", &event.action),
            ("severity", &event.severity),
            ("instance", &item.host),
            ("user", &event.user),
            ("owner", &event.owner),
        ]),
        annotations: filled([
            ("summary", &text::summary(event)),
            ("description", &description),
            ("target", &event.target),
            ("reason", &event.reason),
            ("outcome", &event.outcome),
            ("error", &event.error),
        ]),
        ends_at: if takes_back { time.clone() } else { NO_END.to_owned() },
        starts_at: time,
        generator_url: "",
        fingerprint: fingerprint([name, &item.host, &event.user, &event.target]),
    }
}

/// The name of what began, and whether this event is the end of it.
fn alert_name(event: &EventView) -> (&str, bool) {
    let began = match event.action.as_str() {
        "unlock" | "lock-expired" => "lock",
        "unlock-authenticator" => "lock-authenticator",
        "restore" => "lockdown",
        other => return (other, false),
    };
    (began, event.outcome == "success")
}

/// An empty label is a missing one.
fn filled<const N: usize>(labels: [(&'static str, &str); N]) -> Labels {
    let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
    labels.map(|(name, value)| (name, value.to_owned())).collect()
}

fn group_key(labels: &Labels) -> String {
    let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{}}:{{{}}}", labels.join(", "))
}

/// The same for the same thing: 64 bits in hexadecimal, as Alertmanager's.
fn fingerprint(of: [&str; 4]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in of {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    context.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
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
    fn a_lockdown_fires() {
        let body = parsed(&item(wall()));
        let labels = json!({
            "alertname": "lockdown", "action": "lockdown", "severity": "critical", "instance": "web1", "user": "alice",
            "owner": "lockdown",
        });
        let summary = "lockdown alice: phished (by bob from 192.0.2.7)";
        let annotations = json!({
            "summary": summary, "description": summary, "target": "lock:17", "reason": "phished", "outcome": "success",
        });
        assert_eq!(
            body,
            json!({
                "version": "4",
                "groupKey": r#"{}:{alertname="lockdown", instance="web1", user="alice"}"#,
                "truncatedAlerts": 0,
                "status": "firing",
                "receiver": "security",
                "groupLabels": {"alertname": "lockdown", "instance": "web1", "user": "alice"},
                "commonLabels": labels,
                "commonAnnotations": annotations,
                "externalURL": "",
                "alerts": [{
                    "status": "firing", "labels": labels, "annotations": annotations,
                    "startsAt": "2026-11-21T10:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "",
                    "fingerprint": body["alerts"][0]["fingerprint"],
                }],
            })
        );
        assert_eq!(body["alerts"][0]["fingerprint"].as_str().unwrap().len(), 16);
    }

    #[test]
    fn what_takes_it_back_resolves_the_same_alert() {
        let body_of = |action: &str, outcome: &str| {
            let mut item = item(wall());
            let event = &mut item.events[0];
            (event.action, event.outcome) = (action.to_owned(), outcome.to_owned());
            parsed(&item)
        };
        for (began, ended) in [
            ("lock", "unlock"),
            ("lock", "lock-expired"),
            ("lock-authenticator", "unlock-authenticator"),
            ("lockdown", "restore"),
        ] {
            let (fired, resolved) = (body_of(began, "success"), body_of(ended, "success"));
            assert_eq!((&fired["status"], &resolved["status"]), (&json!("firing"), &json!("resolved")));
            assert_eq!(resolved["alerts"][0]["endsAt"], "2026-11-21T10:00:00Z");
            for same in ["groupKey", "groupLabels"] {
                assert_eq!(fired[same], resolved[same], "{ended}");
            }
            assert_eq!(fired["alerts"][0]["fingerprint"], resolved["alerts"][0]["fingerprint"], "{ended}");
            assert_eq!(body_of(ended, "refused")["status"], "firing");
        }
        assert_ne!(
            body_of("lock", "success")["alerts"][0]["fingerprint"],
            body_of("lockdown", "success")["alerts"][0]["fingerprint"]
        );
    }

    #[test]
    fn a_digest_says_what_is_left_out() {
        let mut item = digest(wall(), 2, 40);
        item.events[1].user = "bob".into();
        let body = parsed(&item);
        assert_eq!((&body["truncatedAlerts"], body["alerts"].as_array().unwrap().len()), (&json!(38), 2));
        assert_eq!(body["commonLabels"].get("user"), None);
        assert_eq!(body["groupKey"], r#"{}:{alertname="lockdown", instance="web1"}"#);
    }

    #[test]
    fn a_strangers_text_is_only_text() {
        let bytes = body(&hostile(wall(), HOSTILE)).unwrap();
        assert!(!bytes.iter().any(u8::is_ascii_control));
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(body["alerts"][0]["annotations"]["reason"], HOSTILE);
    }
}

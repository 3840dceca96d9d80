//! Metrics as Prometheus reads them: <https://prometheus.io/docs/instrumenting/exposition_formats/>, the text format.

use std::{collections::HashMap, fmt::Display, fmt::Write};

use lockdown_dbus_api::views::Metrics;

/// Owners of locks, and actions that have counters of their own: there from the start, so that a rate can be told of the first.
const OWNERS: [&str; 6] = ["operator", "self", "lockdown", "attack-protection", "config", "fleet"];
const STATES: [&str; 3] = ["queued", "sending", "dead"];
const OUTCOMES: [&str; 3] = ["delivered", "retried", "failed"];

/// The whole text.
#[must_use]
pub fn text(metrics: &Metrics) -> String {
    let mut page = Page(String::new());
    let events = |action: &str| metrics.events.get(action).copied().unwrap_or_default();
    page.one("start_time_seconds", "gauge", "When lockdownd started, Unix time.", metrics.started);
    page.one("locked_accounts", "gauge", "Accounts that are locked.", metrics.locked_accounts);
    page.by("locks", "gauge", "Locks in force, by owner.", "owner", &OWNERS, &metrics.locks);
    page.one("sessions", "gauge", "Open sessions.", metrics.sessions);
    page.by(
        "events_total",
        "counter",
        "Events in the audit trail, by action.",
        "action",
        &[],
        &metrics.events,
    );
    for (name, help, action) in [
        ("denials_total", "Logins that were denied.", "login-denied"),
        ("attempts_failed_total", "Events about failed attempts to log in.", "attempts-failed"),
        ("sessions_ended_total", "Sessions that have ended.", "session-end"),
        ("record_drifts_total", "Deny records that were not what the store wants.", "record-drift"),
    ] {
        page.one(name, "counter", help, events(action));
    }
    page.head("sweep_seconds", "summary", "How long it took to end all that an account or a session runs.");
    page.line("sweep_seconds_sum", "", metrics.sweep_seconds);
    page.line("sweep_seconds_count", "", metrics.sweeps);
    page.one("sweep_seconds_max", "gauge", "The longest that has taken.", metrics.sweep_seconds_max);
    page.one("sweep_processes_total", "counter", "Processes that were ended so.", metrics.sweep_processes);
    page.by(
        "outbox_messages",
        "gauge",
        "Notifications that have not arrived, by state.",
        "state",
        &STATES,
        &metrics.outbox,
    );
    page.by(
        "deliveries_total",
        "counter",
        "Attempts to deliver a notification, by what became of them.",
        "outcome",
        &OUTCOMES,
        &metrics.deliveries,
    );
    page.0
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP lockdown_{name} {help}\n# TYPE lockdown_{name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "lockdown_{name}{labels} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.line(name, "", value);
    }

    /// One line for each value of a label, those of `known` in any case.
    fn by<T: Copy + Default + Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        label: &str,
        known: &[&str],
        values: &HashMap<String, T>,
    ) {
        self.head(name, kind, help);
        let mut keys: Vec<&str> = known.iter().copied().chain(values.keys().map(String::as_str)).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let value = values.get(key).copied().unwrap_or_default();
            self.line(name, &format!("{{{label}=\"{}\"}}", escaped(key)), value);
        }
    }
}

/// As a label's value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_measured() {
        let metrics = Metrics {
            started: 1_795_264_200,
            locked_accounts: 3,
            locks: [("operator".into(), 2), ("odd\"\n\\".into(), 1)].into(),
            sessions: 7,
            events: [("lock".into(), 5), ("login-denied".into(), 40)].into(),
            sweeps: 4,
            sweep_seconds: 1.25,
            sweep_seconds_max: 0.5,
            sweep_processes: 31,
            outbox: [("dead".into(), 1)].into(),
            deliveries: [("delivered".into(), 12)].into(),
        };
        insta::assert_snapshot!("metrics", text(&metrics));
    }
}

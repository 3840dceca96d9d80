//! The daemon's log: the journal, as AUTHPRIV; without a journal, standard error.

use lockdown_enforcement::escape::escape;
use tracing_subscriber::{Layer, layer::SubscriberExt, registry, util::SubscriberInitExt};

use crate::domain::event::{Event, Outcome, Severity};

/// `LOG_AUTHPRIV` as journald's SYSLOG_FACILITY field has it (RFC 5424, table 1: 10).
const AUTHPRIV: &str = "10";

/// Sends what the program logs to the journal.
pub fn start() {
    match tracing_journald::layer() {
        Ok(journal) => {
            let journal = journal
                .with_syslog_identifier("lockdownd".to_owned())
                .with_custom_fields([("SYSLOG_FACILITY", AUTHPRIV)]);
            registry().with(journal.with_filter(OwnMessages)).init();
        }
        Err(_) => registry().with(StandardError).init(),
    }
}

/// Libraries trace every message of the bus; an administrator wants to read what lockdown says.
struct OwnMessages;

fn is_own(metadata: &tracing::Metadata<'_>) -> bool {
    *metadata.level() <= tracing::Level::INFO && metadata.target().starts_with("lockdownd")
}

impl<S> tracing_subscriber::layer::Filter<S> for OwnMessages {
    fn enabled(
        &self,
        metadata: &tracing::Metadata<'_>,
        _: &tracing_subscriber::layer::Context<'_, S>,
    ) -> bool {
        is_own(metadata)
    }

    fn callsite_enabled(
        &self,
        metadata: &'static tracing::Metadata<'static>,
    ) -> tracing::subscriber::Interest {
        if is_own(metadata) {
            tracing::subscriber::Interest::always()
        } else {
            tracing::subscriber::Interest::never()
        }
    }
}

/// One line a message on standard error.
struct StandardError;

impl<S: tracing::Subscriber> Layer<S> for StandardError {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Message(String);
        impl tracing::field::Visit for Message {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        if is_own(event.metadata()) {
            let mut message = Message(String::new());
            event.record(&mut message);
            eprintln!("{}: {}", event.metadata().level(), message.0);
        }
    }
}

/// Writes an event as one line; what users wrote is escaped.
pub fn log_event(event: &Event) {
    let mut line = event.action.name().to_owned();
    let mut add = |label: &str, value: &str| {
        if !value.is_empty() {
            line.push_str(&format!(" {label}={}", quoted(value)));
        }
    };
    add("account", &event.account);
    add("target", &event.target);
    add("owner", &event.owner);
    add("reason", &event.reason);
    for (key, value) in &event.caller {
        add(&format!("caller_{key}"), value);
    }
    for (key, value) in &event.tags {
        add(&format!("tag_{key}"), value);
    }
    match &event.outcome {
        Outcome::Success => {}
        Outcome::Refused(why) => add("refused", why),
        Outcome::Failed(why) => add("failed", why),
    }
    match event.severity() {
        Severity::Info | Severity::Notice => tracing::info!("{line}"),
        Severity::Warning | Severity::Critical => tracing::warn!("{line}"),
    }
}

fn quoted(value: &str) -> String {
    let escaped = escape(value).to_string();
    if escaped.bytes().any(|byte| matches!(byte, b' ' | b'"' | b'=')) {
        format!("\"{escaped}\"")
    } else {
        escaped
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_value_cannot_pretend_to_be_another_field_or_line() {
        assert_eq!(quoted("alice"), "alice");
        assert_eq!(quoted("x account=bob"), "\"x account=bob\"");
        assert_eq!(quoted("x\" account=bob"), "\"x\\\" account=bob\"");
        assert!(!quoted("a\nlock account=bob").contains('\n'));
    }
}

//! The daemon's log: the journal, as AUTHPRIV; without a journal, standard error.

use std::io;

use tracing::Subscriber;
use tracing_subscriber::{Layer, layer::SubscriberExt, registry, util::SubscriberInitExt};

/// `LOG_AUTHPRIV` as journald's SYSLOG_FACILITY field has it (RFC 5424, table 1: 10).
const AUTHPRIV: &str = "10";

/// Sends what the program logs to the journal.
pub fn start() {
    match journal() {
        Ok(journal) => registry().with(journal.with_filter(OwnMessages)).init(),
        Err(_) => registry().with(StandardError).init(),
    }
}

/// Sends to the journal what is logged inside of [`tracing::subscriber::with_default`], with further fields, whose names only
/// show at run time: those of log entries are otherwise fixed in the code. `None` without a journal.
#[must_use]
pub fn with_fields(fields: &[(String, String)]) -> Option<impl Subscriber + Send + Sync + use<>> {
    let fields = fields.iter().map(|(name, value)| (name, value));
    let journal = journal().ok()?.with_custom_fields(fields);
    Some(registry().with(journal.with_filter(OwnMessages)))
}

fn journal() -> io::Result<tracing_journald::Layer> {
    let journal = tracing_journald::layer()?;
    Ok(journal
        .with_syslog_identifier("lockdownd".to_owned())
        // The fields of events have names of their own.
        .with_field_prefix(None)
        .with_custom_fields([("SYSLOG_FACILITY", AUTHPRIV)]))
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

impl<S: Subscriber> Layer<S> for StandardError {
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

//! Events in the journal: a line for people, and fields for programs. What users wrote is escaped in both: `journalctl -x`
//! puts fields into its explanations as they are.

use lockdown_enforcement::escape::escape;

use crate::{
    domain::event::{Event, Fields, Severity},
    logging,
    store::events::{
        Recorded,
        chain::{Head, hex},
    },
};

/// `MESSAGE_ID` of the entry that says where the chain of the audit trail is.
pub const HEAD_MESSAGE_ID: &str = "17d78844cfa649039306fd85e907c960";

/// Longest name of a field, by journald's rules.
const LONGEST_NAME: usize = 64;

/// Writes an event.
pub fn event(recorded: &Recorded) {
    let tags: Vec<_> =
        recorded.event.tags.iter().map(|(key, value)| (tag_field(key), escape(value).to_string())).collect();
    let tagged = if tags.is_empty() { None } else { logging::with_fields(&tags) };
    match tagged {
        Some(subscriber) => tracing::subscriber::with_default(subscriber, || write(recorded)),
        None => write(recorded),
    }
}

/// Name of the field for a tag: `change-id` is `LOCKDOWN_TAG_CHANGE_ID`. Of a very long one the end is left out.
fn tag_field(key: &str) -> String {
    let mut name = format!("LOCKDOWN_TAG_{}", key.to_ascii_uppercase().replace(['-', '.'], "_"));
    name.truncate(LONGEST_NAME);
    name
}

fn write(recorded: &Recorded) {
    let Recorded { id, hash, event } = recorded;
    let text = |text: &str| escape(text).to_string();
    let caller = |key: &str| event.caller.get(key).map(|value| text(value));
    // The level has to be known when this is compiled.
    macro_rules! write_at {
        ($level:ident) => {
            tracing::event!(
                tracing::Level::$level,
                message_id = event.action.message_id(),
                lockdown_event_id = id,
                lockdown_event_hash = hex(hash),
                lockdown_action = event.action.name(),
                lockdown_severity = event.severity().name(),
                lockdown_user = text(&event.account),
                lockdown_target = text(&event.target),
                lockdown_owner = text(&event.owner),
                lockdown_reason = text(&event.reason),
                lockdown_outcome = event.outcome.name(),
                lockdown_error = text(event.outcome.error()),
                lockdown_caller_name = caller("name"),
                lockdown_caller_uid = caller("uid"),
                lockdown_caller_loginuid = caller("loginuid"),
                lockdown_caller_pid = caller("pid"),
                lockdown_caller_executable = caller("executable"),
                lockdown_caller_tty = caller("tty"),
                lockdown_caller_session = caller("session"),
                lockdown_caller_remote_host = caller("remote_host"),
                lockdown_caller_bus_name = caller("bus_name"),
                lockdown_input = given(&event.input),
                "{}",
                line(event)
            )
        };
    }
    match event.severity() {
        Severity::Info | Severity::Notice => write_at!(INFO),
        Severity::Warning => write_at!(WARN),
        Severity::Critical => write_at!(ERROR),
    }
}

/// Writes where the chain is: an end that is cut off later can be told by it.
pub fn head(head: &Head) {
    tracing::info!(
        message_id = HEAD_MESSAGE_ID,
        lockdown_event_id = head.id,
        lockdown_event_hash = hex(&head.hash),
        "the audit trail is at event {} with the hash {}",
        head.id,
        hex(&head.hash)
    );
}

fn line(event: &Event) -> String {
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
    add(event.outcome.name(), event.outcome.error());
    line
}

/// What was asked for, as `key=value key="another value"`.
fn given(input: &Fields) -> String {
    input.iter().map(|(key, value)| format!("{key}={}", quoted(value))).collect::<Vec<_>>().join(" ")
}

fn quoted(value: &str) -> String {
    let escaped = escape(value).to_string();
    if escaped.is_empty() || escaped.bytes().any(|byte| matches!(byte, b' ' | b'"' | b'=')) {
        format!("\"{escaped}\"")
    } else {
        escaped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{Action, Outcome};

    const CATALOG: &str = include_str!("../../../packaging/catalog/lockdown.catalog");

    #[test]
    fn a_value_cannot_pretend_to_be_another_field_or_line() {
        assert_eq!(quoted("alice"), "alice");
        assert_eq!(quoted("x account=bob"), "\"x account=bob\"");
        assert_eq!(quoted("x\" account=bob"), "\"x\\\" account=bob\"");
        assert!(!quoted("a\nlock account=bob").contains('\n'));
        let input = [("message", "a\nb c".to_owned()), ("duration", "60".to_owned())].into();
        assert_eq!(given(&input), r#"duration=60 message="a\nb c""#);
    }

    #[test]
    fn a_tag_has_a_field_that_the_journal_takes() {
        assert_eq!(tag_field("change-id.2"), "LOCKDOWN_TAG_CHANGE_ID_2");
        assert_eq!(tag_field(&"k".repeat(64)).len(), LONGEST_NAME);
    }

    #[test]
    fn the_line_of_an_event() {
        let mut event = Event::new(1, Action::Lock, "alice");
        event.reason = "lost\u{1b}[2J".to_owned();
        event.caller.insert("name", "root".to_owned());
        event.tags.insert("ticket".to_owned(), "INC 4711".to_owned());
        event.outcome = Outcome::Refused("is protected".to_owned());
        assert_eq!(
            line(&event),
            r#"lock account=alice reason=lost\u{1b}[2J caller_name=root tag_ticket="INC 4711" refused="is protected""#
        );
    }

    /// The catalog's entries: id and text, see journalctl(1) and the catalog's format at systemd.io.
    fn entries() -> Vec<(&'static str, &'static str)> {
        let entries = CATALOG.split("\n-- ").skip(1);
        entries.map(|entry| entry.split_once('\n').unwrap()).collect()
    }

    #[test]
    fn the_catalog_explains_every_message_and_no_other() {
        let mut known = vec![HEAD_MESSAGE_ID];
        known.extend(Action::ALL.iter().map(|action| action.message_id()));
        let explained: Vec<&str> = entries().into_iter().map(|(id, _)| id).collect();
        assert_eq!(explained, known, "one entry for each, in the order of the code");
        for (action, (_, text)) in Action::ALL.iter().zip(entries().into_iter().skip(1)) {
            assert!(
                text.starts_with("Subject: ") && text.contains("\nDefined-By: lockdown\n"),
                "{}",
                action.name()
            );
        }
    }

    #[test]
    fn the_catalog_names_only_fields_that_every_event_has() {
        let fields =
            ["USER", "TARGET", "OWNER", "REASON", "OUTCOME", "ERROR", "INPUT", "EVENT_ID", "EVENT_HASH"]
                .map(|field| format!("LOCKDOWN_{field}"));
        for (id, text) in entries() {
            for named in text.split('@').skip(1).step_by(2) {
                assert!(fields.iter().any(|field| field == named), "{id}: {named}");
            }
        }
    }
}

//! What a message says, in words. Everything that is not the relay's or the administrator's own is made [`visible`].

use std::collections::BTreeSet;

use jiff::Timestamp;
use lockdown_delivery::{EventView, Item, Placeholder, Template, visible};

/// Characters of a name that are shown, such as a user's.
const NAME: usize = 128;
/// Characters of a longer text that are shown, such as a reason.
const SENTENCE: usize = 1000;
/// Events of a digest that are listed.
const LISTED: usize = 50;

/// RFC 3339, UTC; a time that no calendar has, as the number.
pub(crate) fn time(unix_seconds: i64) -> String {
    Timestamp::from_second(unix_seconds).map_or_else(|_| unix_seconds.to_string(), |time| time.to_string())
}

/// One line for a mail's subject or a notification's title.
pub(crate) fn subject(item: &Item) -> String {
    format!("[lockdown] {}: {}", visible(&item.host, NAME), headline(item))
}

/// What happened to whom, in a few words: `lockdown alice`, `12 × login-denied`.
pub(crate) fn headline(item: &Item) -> String {
    let [event] = item.events.as_slice() else { return digest_headline(item) };
    if item.is_digest() { digest_headline(item) } else { event_headline(event) }
}

fn digest_headline(item: &Item) -> String {
    let users: BTreeSet<_> = item.events.iter().map(|event| event.user.as_str()).collect();
    let action = visible(&item.action, NAME);
    match users.first() {
        Some(user) if users.len() == 1 && !user.is_empty() => {
            format!("{} × {action} {}", item.total, visible(user, NAME))
        }
        _ => format!("{} × {action}", item.total),
    }
}

fn event_headline(event: &EventView) -> String {
    let mut words = vec![visible(&event.action, NAME)];
    let about = if event.user.is_empty() { &event.target } else { &event.user };
    if !about.is_empty() {
        words.push(visible(about, NAME));
    }
    if !matches!(event.outcome.as_str(), "" | "success") {
        words.push(format!("({})", visible(&event.outcome, NAME)));
    }
    words.join(" ")
}

/// One line on an event: headline, why, and by whom.
pub(crate) fn summary(event: &EventView) -> String {
    let mut line = event_headline(event);
    for text in [&event.reason, &event.error].into_iter().filter(|text| !text.is_empty()) {
        line.push_str(": ");
        line.push_str(&visible(text, SENTENCE));
    }
    let (by, from) = (value(event, "name"), remote_host(event));
    match (by.is_empty(), from.is_empty()) {
        (true, true) => {}
        (false, true) => line.push_str(&format!(" (by {})", visible(by, NAME))),
        (true, false) => line.push_str(&format!(" (from {})", visible(from, NAME))),
        (false, false) => line.push_str(&format!(" (by {} from {})", visible(by, NAME), visible(from, NAME))),
    }
    line
}

/// The message in a line for each event, or as the template says.
pub(crate) fn short(item: &Item) -> String {
    by_template(item).unwrap_or_else(|| lines(item, summary))
}

/// The message with all there is to know, or as the template says.
pub(crate) fn long(item: &Item) -> String {
    if let Some(text) = by_template(item) {
        return text;
    }
    let mut text = match item.events.as_slice() {
        [event] if !item.is_digest() => {
            let rows: Vec<_> =
                rows(event).into_iter().map(|(name, value)| format!("{name:<12}{value}")).collect();
            rows.join("\n")
        }
        _ => format!(
            "{}\n\n{}",
            digest_headline(item),
            lines(item, |event| format!("{}  {}", time(event.time), summary(event)))
        ),
    };
    let (rule, host) = (visible(&item.rule, NAME), visible(&item.host, NAME));
    text.push_str(&format!("\n\nRule \"{rule}\" of lockdown on {host}, message {}.", item.id));
    text
}

fn lines(item: &Item, line: impl FnMut(&EventView) -> String) -> String {
    let listed = &item.events[item.events.len().saturating_sub(LISTED)..];
    let mut lines: Vec<_> = listed.iter().map(line).collect();
    let rest = item.total.saturating_sub(listed.len() as u64);
    if rest > 0 {
        lines.push(format!("… and {rest} more"));
    }
    lines.join("\n")
}

/// A template that cannot be read is the daemon's mistake, which checks it: the standard text says more than nothing.
fn by_template(item: &Item) -> Option<String> {
    let template = Template::parse(item.template.as_deref()?).ok()?;
    Some(lines(item, |event| template.fill(|placeholder| placeholder_value(item, event, placeholder))))
}

fn placeholder_value(item: &Item, event: &EventView, placeholder: Placeholder) -> String {
    match placeholder {
        Placeholder::Action => visible(&event.action, NAME),
        Placeholder::Severity => visible(&event.severity, NAME),
        Placeholder::User => visible(&event.user, NAME),
        Placeholder::Target => visible(&event.target, NAME),
        Placeholder::Owner => visible(&event.owner, NAME),
        Placeholder::Reason => visible(&event.reason, SENTENCE),
        Placeholder::Outcome => visible(&event.outcome, NAME),
        Placeholder::Error => visible(&event.error, SENTENCE),
        Placeholder::Time => time(event.time),
        Placeholder::EventId => event.id.to_string(),
        Placeholder::Host => visible(&item.host, NAME),
        Placeholder::Rule => visible(&item.rule, NAME),
        Placeholder::MessageId => item.id.clone(),
        Placeholder::Total => item.total.to_string(),
        Placeholder::RemoteHost => visible(remote_host(event), NAME),
        Placeholder::Service => visible(event.input.get("service").map_or("", String::as_str), NAME),
        Placeholder::Tags => tags(event),
        Placeholder::Caller(key) => visible(value(event, key), NAME),
    }
}

/// What is known of an event, by name.
fn rows(event: &EventView) -> Vec<(&'static str, String)> {
    let name = |text: &str| visible(text, NAME);
    let caller = ["uid", "loginuid", "pid", "executable", "tty", "session"]
        .into_iter()
        .filter_map(|key| Some(format!("{key} {}", name(event.caller.get(key)?))))
        .collect::<Vec<_>>();
    let by = match (value(event, "name"), caller.as_slice()) {
        ("", []) => String::new(),
        (by, []) => name(by),
        (by, caller) => format!("{} ({})", name(by), caller.join(", ")),
    };
    let rows = [
        ("action", name(&event.action)),
        ("severity", name(&event.severity)),
        ("time", time(event.time)),
        ("user", name(&event.user)),
        ("target", name(&event.target)),
        ("owner", name(&event.owner)),
        ("reason", visible(&event.reason, SENTENCE)),
        ("outcome", name(&event.outcome)),
        ("error", visible(&event.error, SENTENCE)),
        ("by", by),
        ("from", name(remote_host(event))),
        ("service", name(event.input.get("service").map_or("", String::as_str))),
        ("tags", tags(event)),
        ("event", event.id.to_string()),
    ];
    rows.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn tags(event: &EventView) -> String {
    let tags: Vec<_> = event.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    visible(&tags.join(" "), SENTENCE)
}

/// Where the caller came from; of a login, where it came from.
fn remote_host(event: &EventView) -> &str {
    let known = event.caller.get("remote_host").or_else(|| event.input.get("remote_host"));
    known.map_or("", String::as_str)
}

fn value<'a>(event: &'a EventView, key: &str) -> &'a str {
    event.caller.get(key).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::{HOSTILE, digest, hostile, item, wall};

    #[test]
    fn says_what_happened_to_whom_why_and_by_whom() {
        let item = item(wall());
        assert_eq!(subject(&item), "[lockdown] web1: lockdown alice");
        assert_eq!(short(&item), "lockdown alice: phished (by bob from 192.0.2.7)");
        assert_eq!(
            long(&item),
            "action      lockdown\n\
             severity    critical\n\
             time        2026-11-21T10:00:00Z\n\
             user        alice\n\
             target      lock:17\n\
             owner       lockdown\n\
             reason      phished\n\
             outcome     success\n\
             by          bob (uid 1001, tty pts/0)\n\
             from        192.0.2.7\n\
             tags        ticket=INC-1\n\
             event       7\n\
             \n\
             Rule \"security\" of lockdown on web1, message msg_1."
        );
    }

    #[test]
    fn what_did_not_succeed_says_so() {
        let mut item = item(wall());
        item.events[0].outcome = "refused".into();
        item.events[0].error = "root is protected".into();
        assert_eq!(headline(&item), "lockdown alice (refused)");
        assert_eq!(
            short(&item),
            "lockdown alice (refused): phished: root is protected (by bob from 192.0.2.7)"
        );
    }

    #[test]
    fn a_digest_lists_the_newest_and_counts_the_rest() {
        let item = digest(wall(), 60, 1000);
        assert_eq!(headline(&item), "1000 × lockdown alice");
        let text = short(&item);
        assert_eq!(text.lines().count(), LISTED + 1);
        assert!(text.ends_with("… and 950 more"), "{text}");
        assert!(long(&item).starts_with("1000 × lockdown alice\n\n2026-11-21T10:00:10Z  lockdown alice: "));
    }

    #[test]
    fn a_template_says_it_in_its_own_words() {
        let mut item = digest(wall(), 2, 3);
        item.template = Some("{time} {user} {caller_name} {remote_host} {tags} {{{total}}}".into());
        let expected = "2026-11-21T10:00:00Z alice bob 192.0.2.7 ticket=INC-1 {3}\n\
                        2026-11-21T10:00:01Z alice bob 192.0.2.7 ticket=INC-1 {3}\n\
                        … and 1 more";
        assert_eq!((short(&item).as_str(), long(&item).as_str()), (expected, expected));
    }

    #[test]
    fn nothing_of_a_stranger_makes_a_line_of_its_own() {
        let mut item = hostile(wall(), HOSTILE);
        let lines = long(&item).lines().count();
        assert_eq!(lines, long(&hostile(wall(), "x")).lines().count());
        assert_eq!(short(&item).lines().count(), 1);
        item.template = Some("{user} {reason} {host} {rule} {tags} {caller_name} {service}".into());
        assert_eq!(long(&item).lines().count(), 1);
        assert!(!long(&item).contains('\u{1b}') && !subject(&item).contains('\u{202e}'));
    }

    #[test]
    fn times_that_no_calendar_has_are_no_panic() {
        assert_eq!((time(0).as_str(), time(i64::MIN)), ("1970-01-01T00:00:00Z", i64::MIN.to_string()));
    }

    proptest! {
        #[test]
        fn no_text_panics_or_makes_lines(text: Vec<char>) {
            let text = String::from_iter(text);
            let item = hostile(wall(), &text);
            prop_assert!(!short(&item).contains('\n'));
            prop_assert!(!subject(&item).chars().any(char::is_control));
        }
    }
}

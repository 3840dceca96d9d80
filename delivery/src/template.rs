//! Texts of messages that an administrator writes: words with placeholders, `{user} was locked: {reason}`.

use std::fmt;

/// A text with placeholders in braces; `{{` and `}}` stand for braces themselves. What is put in is never looked at for
/// placeholders again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(Placeholder),
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// No such placeholder.
    Unknown(String),
    /// `{` without `}`, or the other way round.
    Brace(char),
}

impl fmt::Display for TemplateError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                let known: Vec<_> = NAMES.iter().map(|(name, _)| format!("{{{name}}}")).collect();
                write!(
                    out,
                    "unknown placeholder {{{}}}; known are {}",
                    crate::visible(name, 64),
                    known.join(" ")
                )
            }
            Self::Brace(brace) => {
                write!(out, "a single `{brace}`; write `{brace}{brace}` for a brace itself")
            }
        }
    }
}

impl std::error::Error for TemplateError {}

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// `{action}`, of the event.
    Action,
    /// `{severity}`, of the event.
    Severity,
    /// `{user}`: the account concerned.
    User,
    /// `{target}`
    Target,
    /// `{owner}`, of the lock.
    Owner,
    /// `{reason}`
    Reason,
    /// `{outcome}`: `success`, `refused`, `failed`.
    Outcome,
    /// `{error}`
    Error,
    /// `{time}`, of the event: RFC 3339, UTC.
    Time,
    /// `{event_id}`: number of its row.
    EventId,
    /// `{host}`: name of this host.
    Host,
    /// `{rule}`: name of the rule.
    Rule,
    /// `{message_id}`
    MessageId,
    /// `{total}`: how many events the message stands for.
    Total,
    /// `{remote_host}`: where the caller, or the login in question, came from.
    RemoteHost,
    /// `{service}` of the login in question.
    Service,
    /// `{tags}`: `key=value`, with blanks between them.
    Tags,
    /// `{caller_name}`, `{caller_uid}`, …: a key of the event's `caller`.
    Caller(&'static str),
}

/// Placeholders by their names.
const NAMES: &[(&str, Placeholder)] = &[
    ("action", Placeholder::Action),
    ("severity", Placeholder::Severity),
    ("user", Placeholder::User),
    ("target", Placeholder::Target),
    ("owner", Placeholder::Owner),
    ("reason", Placeholder::Reason),
    ("outcome", Placeholder::Outcome),
    ("error", Placeholder::Error),
    ("time", Placeholder::Time),
    ("event_id", Placeholder::EventId),
    ("host", Placeholder::Host),
    ("rule", Placeholder::Rule),
    ("message_id", Placeholder::MessageId),
    ("total", Placeholder::Total),
    ("remote_host", Placeholder::RemoteHost),
    ("service", Placeholder::Service),
    ("tags", Placeholder::Tags),
    ("caller_name", Placeholder::Caller("name")),
    ("caller_uid", Placeholder::Caller("uid")),
    ("caller_loginuid", Placeholder::Caller("loginuid")),
    ("caller_pid", Placeholder::Caller("pid")),
    ("caller_executable", Placeholder::Caller("executable")),
    ("caller_tty", Placeholder::Caller("tty")),
    ("caller_session", Placeholder::Caller("session")),
    ("caller_bus_name", Placeholder::Caller("bus_name")),
];

impl Template {
    /// Reads a template. What it accepts can be filled in without an error.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            text.push_str(before);
            rest = if let Some(after) = from.strip_prefix("{{") {
                text.push('{');
                after
            } else if let Some(after) = from.strip_prefix("}}") {
                text.push('}');
                after
            } else if let Some(after) = from.strip_prefix('{') {
                let (name, after) = after.split_once('}').ok_or(TemplateError::Brace('{'))?;
                let known = NAMES.iter().find(|(known, _)| *known == name);
                let (_, placeholder) = known.ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
                parts.extend([Part::Text(std::mem::take(&mut text)), Part::Value(*placeholder)]);
                after
            } else {
                return Err(TemplateError::Brace('}'));
            };
        }
        text.push_str(rest);
        parts.push(Part::Text(text));
        Ok(Self(parts))
    }

    /// The text with its placeholders filled in.
    #[must_use]
    pub fn fill(&self, mut value: impl FnMut(Placeholder) -> String) -> String {
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Value(placeholder) => value(*placeholder),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fill(source: &str) -> String {
        Template::parse(source).unwrap().fill(|placeholder| match placeholder {
            Placeholder::User => "alice".to_owned(),
            Placeholder::Reason => "{user} {{".to_owned(),
            Placeholder::Caller(key) => format!("<{key}>"),
            _ => String::new(),
        })
    }

    #[test]
    fn placeholders_are_filled_in_once() {
        assert_eq!(fill("{user}: {reason}\nby {caller_name}"), "alice: {user} {{\nby <name>");
        assert_eq!(fill("{{user}} }}{{ é"), "{user} }{ é");
        assert_eq!(fill(""), "");
    }

    #[test]
    fn mistakes_are_found_before_they_are_sent() {
        assert_eq!(Template::parse("{usr}"), Err(TemplateError::Unknown("usr".into())));
        assert_eq!(Template::parse("{}"), Err(TemplateError::Unknown(String::new())));
        assert_eq!(Template::parse("a {user"), Err(TemplateError::Brace('{')));
        assert_eq!(Template::parse("a } b"), Err(TemplateError::Brace('}')));
        let said = TemplateError::Unknown("usr\n".into()).to_string();
        assert!(said.starts_with(r"unknown placeholder {usr\n}; known are {action} "), "{said}");
    }

    #[test]
    fn every_name_is_known_once() {
        for (at, (name, placeholder)) in NAMES.iter().enumerate() {
            assert_eq!(NAMES.iter().position(|(other, _)| other == name), Some(at));
            assert_eq!(NAMES.iter().position(|(_, other)| other == placeholder), Some(at));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(source in "[{}a-z\\PC]{0,20}") {
            if let Ok(template) = Template::parse(&source) {
                let _ = template.fill(|_| String::new());
            }
        }

        #[test]
        fn doubled_braces_are_the_text_itself(text: String) {
            prop_assert_eq!(fill(&text.replace('{', "{{").replace('}', "}}")), text);
        }
    }
}

//! Every key of a document: how it is read and written, what it allows and what it is for, in one place.
//!
//! The explanations go into lockdown-state(5) and the JSON schema, so they are written in the administrator's words. The
//! last line of each says what the key allows.

use super::document::{AccountEntry, AuthenticatorEntry, Document, Pairs, Placed, State, Subject};
use super::kinds::{Texts, TimeOrNever, Users, Version, Word};
use super::parts::Part;
use super::words;
use crate::error::Position;
use crate::time::Time;
use crate::value::{Fault, Flag, Given, Kind, OneOf, Text, Value};

/// A key that says something about a `T`.
pub(super) struct Key<T: 'static> {
    pub(super) name: &'static str,
    /// `table.key`
    pub(super) path: &'static str,
    doc: &'static [&'static str],
    example: &'static str,
    schema: &'static str,
    #[cfg(test)]
    allowed: fn() -> String,
    /// Checks a value and puts it in its place.
    pub(super) set: fn(&mut T, &Given<'_>, &Part<'_>) -> Result<(), Fault>,
    /// None if a document need not say it.
    pub(super) get: fn(&T) -> Option<Value>,
}

/// A table of documents, for those who explain its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableReference {
    /// The name of the table, of which there can be several; empty: above all tables.
    pub name: &'static str,
    /// What it is for, a line each.
    pub doc: &'static [&'static str],
    /// Its keys, in the order in which they are written.
    pub keys: Vec<KeyReference>,
    /// What they have to say together, as a JSON schema.
    pub schema: &'static str,
}

/// A key of documents, for those who explain it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyReference {
    /// As in a document.
    pub name: &'static str,
    /// What it is for, a line each; the last begins with `Allowed: `.
    pub doc: &'static [&'static str],
    /// A value, as in a document.
    pub example: &'static str,
    /// What its value can be, as a JSON schema (draft 7); times are texts to editors.
    pub schema: &'static str,
}

/// All tables with their keys.
#[must_use]
pub fn reference() -> Vec<TableReference> {
    vec![
        TableReference { name: "", doc: &[], keys: refer(DOCUMENT), schema: r#"{"required": ["version"]}"# },
        TableReference {
            name: "account",
            doc: &[
                "What is to hold for an account, or for each member of a group. An account, or a group, has one of these in a",
                "document. It needs name or group, and something that is to hold.",
            ],
            keys: refer(ACCOUNT),
            schema: r#"{"allOf": [
                {"oneOf": [{"required": ["name"]}, {"required": ["group"]}]},
                {"anyOf": [
                    {"required": ["state"]}, {"required": ["valid_until"]},
                    {"required": ["identifiers"]}, {"required": ["metadata"]}
                ]},
                {"if": {"required": ["group"]}, "then": {"properties": {"identifiers": {"maxProperties": 0}}}},
                {
                    "if": {"required": ["message"]},
                    "then": {"required": ["state"], "properties": {"state": {"enum": ["locked", "deactivated"]}}}
                },
                {
                    "if": {"required": ["expires"]},
                    "then": {"required": ["state"], "properties": {"state": {"const": "locked"}}}
                }
            ]}"#,
        },
        TableReference {
            name: "authenticator",
            doc: &["An authenticator of an account that is locked."],
            keys: refer(AUTHENTICATOR),
            schema: r#"{"required": ["account", "id"]}"#,
        },
    ]
}

fn refer<T>(keys: &[Key<T>]) -> Vec<KeyReference> {
    let refer = |key: &Key<T>| KeyReference {
        name: key.name,
        doc: key.doc,
        example: key.example,
        schema: key.schema,
    };
    keys.iter().map(refer).collect()
}

const NAME: Word = Word {
    allowed: "a login name, \"uid:\" and a user id, or an identifier such as \"email:alice@example.org\"",
    check: words::account,
};
const GROUP: Word = Word { allowed: "the name of a group", check: words::group };
const AUTHENTICATOR_ID: Word = Word {
    allowed: "the id of an authenticator, such as \"ssh:SHA256:…\", or one of the types \"password\", \"ssh\", \"u2f\", \
              \"fingerprint\", \"face\", \"pin\"",
    check: words::authenticator,
};
const STATES: OneOf<State> =
    OneOf(&[("locked", State::Locked), ("unlocked", State::Unlocked), ("deactivated", State::Deactivated)]);
/// A reason or a message.
const TEXT: Text = Text { max_bytes: 1024 };
const IDENTIFIERS: Texts = Texts {
    allowed: "a table of up to 64 identifiers, such as { email = \"alice@example.org\", badge = \"17\" }",
    check: words::identifier,
};
const METADATA: Texts = Texts {
    allowed: "a table of up to 64 texts of at most 1024 bytes without control characters, such as { team = \"blue\" }",
    check: words::metadata,
};

/// Reads `type, "table."`, then for each key `"key" = kind of value, example, schema, how it is put, how it is got;`.
macro_rules! keys {
    (
        $Entry:ty, $table:literal
        $( $(#[doc = $doc:literal])* $name:literal = $kind:expr, $example:literal, $schema:literal, $put:expr, $get:expr; )*
    ) => {
        &[$(
            Key {
                name: $name,
                path: concat!($table, $name),
                doc: &[$($doc),*],
                example: $example,
                schema: $schema,
                #[cfg(test)]
                allowed: || $kind.allowed(),
                set: |on, given, part| {
                    let value = $kind.read(given)?;
                    let put: fn(&mut $Entry, _, At<'_, '_>) = $put;
                    put(on, value, At { given, part });
                    Ok(())
                },
                get: $get,
            },
        )*]
    };
}

/// Where a value stands.
struct At<'a, 'b> {
    given: &'a Given<'b>,
    part: &'a Part<'b>,
}

impl At<'_, '_> {
    fn position(&self) -> Position {
        self.part.position(self.given.span().start)
    }

    fn place<T>(&self, value: T) -> Placed<T> {
        Placed { value, place: self.position() }
    }

    /// What stands in the value, each at its byte.
    fn place_inner<T>(&self, (start, value): (usize, T)) -> Placed<T> {
        Placed { value, place: self.part.position(start) }
    }

    fn place_list(&self, list: Vec<(usize, String)>) -> Vec<Placed<String>> {
        list.into_iter().map(|value| self.place_inner(value)).collect()
    }

    fn place_pairs(&self, pairs: Vec<(String, (usize, String))>) -> Pairs {
        pairs.into_iter().map(|(key, value)| (key, self.place_inner(value))).collect()
    }
}

fn text(text: &Option<String>) -> Option<Value> {
    text.clone().map(Value::Text)
}

fn pairs(pairs: &Pairs) -> Option<Value> {
    let texts = pairs.iter().map(|(key, text)| (key.clone(), text.value.clone()));
    (!pairs.is_empty()).then(|| Value::Table(texts.collect()))
}

/// The keys above all tables.
pub(super) static DOCUMENT: &[Key<Document>] = keys! { Document, ""
    /// The version of the format. Needed.
    /// Allowed: the integer 1.
    "version" = Version, "1", r#"{"const": 1}"#,
        |_, (), _| {},
        |_| Some(Version.write(&()));

    /// Accounts that are protected: nobody locks them, and neither does a document. They are added to those of
    /// [protected] in lockdown.toml(5).
    /// Allowed: a list of user names, such as ["a", "b"].
    "protected" = Users, "[\"breakglass\"]",
        r#"{"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 255}}"#,
        |document, names, at| document.protected = at.place_list(names),
        |document| {
            let names = document.protected.iter().map(|name| name.value.clone());
            (!document.protected.is_empty()).then(|| Value::List(names.collect()))
        };
};

/// The keys of an `[[account]]`.
pub(super) static ACCOUNT: &[Key<AccountEntry>] = keys! { AccountEntry, "account."
    /// The account.
    /// Allowed: a login name, "uid:" and a user id, or an identifier such as "email:alice@example.org".
    "name" = NAME, "\"alice\"", r#"{"type": "string", "minLength": 1, "maxLength": 287}"#,
        |entry, name, at| (entry.subject, entry.place) = (Subject::Name(name), at.position()),
        |entry| match &entry.subject {
            Subject::Name(name) => Some(Value::Text(name.clone())),
            Subject::Group(_) => None,
        };

    /// Instead of name: each member of this group, as primary or further one. Who is a member is looked up when the document
    /// is applied, when group(5) or passwd(5) has changed, and every so often, see [state] in lockdown.toml(5).
    /// Allowed: the name of a group.
    "group" = GROUP, "\"contractors\"", r#"{"type": "string", "minLength": 1, "maxLength": 255}"#,
        |entry, name, at| (entry.subject, entry.place) = (Subject::Group(name), at.position()),
        |entry| match &entry.subject {
            Subject::Group(name) => Some(Value::Text(name.clone())),
            Subject::Name(_) => None,
        };

    /// "locked": the account has a lock of the document, and what it runs is ended when it gets it. "deactivated": the same
    /// without end, and the account of this host has expired in shadow(5) for what does not ask PAM. "unlocked": it has no
    /// lock of the document; locks of others stay. Without this, the document says nothing of locks.
    /// Allowed: one of "locked", "unlocked", "deactivated".
    "state" = STATES, "\"locked\"", r#"{"enum": ["locked", "unlocked", "deactivated"]}"#,
        |entry, state, _| entry.state = Some(state),
        |entry| entry.state.map(|state| STATES.write(&state));

    /// Why, for the audit trail.
    /// Allowed: text of at most 1024 bytes without control characters except line breaks.
    "reason" = TEXT, "\"contract ended\"", r#"{"type": "string", "maxLength": 1024}"#,
        |entry, reason, _| entry.reason = reason,
        |entry| text(&entry.reason);

    /// What the user is told who is refused; only with the state "locked" or "deactivated". Without this, the message of
    /// [lock] in lockdown.toml(5).
    /// Allowed: text of at most 1024 bytes without control characters except line breaks.
    "message" = TEXT, "\"Call the help desk: 555 0100\"", r#"{"type": "string", "maxLength": 1024}"#,
        |entry, message, _| entry.message = message,
        |entry| text(&entry.message);

    /// When the lock ends; only with the state "locked". A date is the beginning of the day, UTC. Without this, it stands
    /// until the document no longer says so.
    /// Allowed: a date or a time from 1970 to 9999, such as 2026-12-31 or 2026-12-31T18:00:00+01:00.
    "expires" = Time, "2026-12-31T18:00:00Z",
        r#"{"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}"#,
        |entry, time, _| entry.expires = Some(time),
        |entry| entry.expires.map(Value::Time);

    /// When the account expires; a date is the beginning of the day, UTC.
    /// Allowed: a date or a time from 1970 to 9999, such as 2026-12-31 or 2026-12-31T18:00:00+01:00, or "never".
    "valid_until" = TimeOrNever, "2027-06-30",
        r#"{"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}, {"const": "never"}]}"#,
        |entry, time, at| entry.valid_until = Some(at.place(time)),
        |entry| entry.valid_until.as_ref().map(|time| TimeOrNever.write(&time.value));

    /// What the account can be named by besides its login name; not with group. Kinds are email, phone, id, and those of
    /// one's own. No two accounts have the same.
    /// Allowed: a table of up to 64 identifiers, such as { email = "alice@example.org", badge = "17" }.
    "identifiers" = IDENTIFIERS, "{ email = \"alice@example.org\", badge = \"17\" }",
        r#"{
            "type": "object", "maxProperties": 64,
            "propertyNames": {"pattern": "^[a-z][a-z0-9_-]{0,31}$", "not": {"const": "uid"}},
            "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 254}
        }"#,
        |entry, given, at| entry.identifiers = at.place_pairs(given),
        |entry| pairs(&entry.identifiers);

    /// What else is kept with the account.
    /// Allowed: a table of up to 64 texts of at most 1024 bytes without control characters, such as { team = "blue" }.
    "metadata" = METADATA, "{ team = \"blue\" }",
        r#"{
            "type": "object", "maxProperties": 64,
            "propertyNames": {"pattern": "^[A-Za-z0-9_.-]{1,64}$"},
            "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 1024}
        }"#,
        |entry, given, at| entry.metadata = at.place_pairs(given),
        |entry| pairs(&entry.metadata);
};

/// The keys of an `[[authenticator]]`.
pub(super) static AUTHENTICATOR: &[Key<AuthenticatorEntry>] = keys! { AuthenticatorEntry, "authenticator."
    /// Whose it is. Needed.
    /// Allowed: a login name, "uid:" and a user id, or an identifier such as "email:alice@example.org".
    "account" = NAME, "\"alice\"", r#"{"type": "string", "minLength": 1, "maxLength": 287}"#,
        |entry, name, at| entry.account = at.place(name),
        |entry| Some(NAME.write(&entry.account.value));

    /// Which one; a type stands for all of that type, those to come included. lockdownctl authenticators shows what an
    /// account has. Needed.
    /// Allowed: the id of an authenticator, such as "ssh:SHA256:…", or one of the types "password", "ssh", "u2f", "fingerprint", "face", "pin".
    "id" = AUTHENTICATOR_ID, "\"ssh:SHA256:9L2TOqTnLIPpVMmPjNrqoCnbXGWMnwnYkTgRyrLtZrA\"",
        r#"{
            "type": "string", "maxLength": 512,
            "pattern": "^(password|ssh|u2f|fingerprint|face|pin)$|^(ssh|ssh-ca|u2f|fingerprint|face|pin):."
        }"#,
        |entry, id, at| entry.id = at.place(id),
        |entry| Some(AUTHENTICATOR_ID.write(&entry.id.value));

    /// Why, for the audit trail.
    /// Allowed: text of at most 1024 bytes without control characters except line breaks.
    "reason" = TEXT, "\"key on a lost laptop\"", r#"{"type": "string", "maxLength": 1024}"#,
        |entry, reason, _| entry.reason = reason,
        |entry| text(&entry.reason);

    /// What the user is told who is denied for it, where that can be said.
    /// Allowed: text of at most 1024 bytes without control characters except line breaks.
    "message" = TEXT, "\"This key is locked.\"", r#"{"type": "string", "maxLength": 1024}"#,
        |entry, message, _| entry.message = message,
        |entry| text(&entry.message);

    /// When the lock ends; a date is the beginning of the day, UTC. Without this, it stands until the document no longer
    /// says so.
    /// Allowed: a date or a time from 1970 to 9999, such as 2026-12-31 or 2026-12-31T18:00:00+01:00.
    "expires" = Time, "2026-12-31",
        r#"{"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}"#,
        |entry, time, _| entry.expires = Some(time),
        |entry| entry.expires.map(Value::Time);

    /// Whether it is locked also where this host would not heed that as it is configured now; otherwise such a lock is
    /// refused.
    /// Allowed: true or false.
    "unenforced" = Flag, "true", r#"{"type": "boolean"}"#,
        |entry, unenforced, _| entry.unenforced = unenforced,
        |entry| entry.unenforced.then_some(Value::Flag(true));
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_end_in_what_is_allowed() {
        fn check<T>(keys: &[Key<T>]) {
            for key in keys {
                let allowed = format!(" Allowed: {}.", (key.allowed)());
                assert_eq!(key.doc.last().copied(), Some(allowed.as_str()), "{}", key.path);
            }
        }
        check(DOCUMENT);
        check(ACCOUNT);
        check(AUTHENTICATOR);
    }
}

//! From a document to a text.

use std::fmt::Write;

use super::document::Document;
use super::keys::{ACCOUNT, AUTHENTICATOR, DOCUMENT, Key};

impl Document {
    /// The document as a text that [`parse`](super::parse) reads as the same, places and comments aside.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        write_keys(&mut text, DOCUMENT, self);
        for entry in &self.entries {
            text.push_str("\n[[account]]\n");
            write_keys(&mut text, ACCOUNT, entry);
        }
        for entry in &self.authenticators {
            text.push_str("\n[[authenticator]]\n");
            write_keys(&mut text, AUTHENTICATOR, entry);
        }
        text
    }
}

fn write_keys<T>(text: &mut String, keys: &[Key<T>], of: &T) {
    for key in keys {
        if let Some(value) = (key.get)(of) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} = {value}", key.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::error::Position;
    use crate::state::document::{
        AccountEntry, AuthenticatorEntry, Pairs, Placed, State, Subject, ValidUntil,
    };
    use crate::state::parse;

    #[test]
    fn is_written_as_one_would_write_it() {
        let text = "\
version = 1
protected = [\"breakglass\"]

[[account]]
name = \"alice\"
state = \"locked\"
reason = \"left\\nfor \\\"good\\\"\"
expires = 2026-12-31T00:00:00Z
valid_until = \"never\"
identifiers = { badge = \"17\", email = \"a@b.example\" }
metadata = { \"a.b\" = \"c\" }

[[account]]
group = \"contractors\"
state = \"unlocked\"

[[authenticator]]
account = \"alice\"
id = \"ssh\"
unenforced = true
";
        assert_eq!(parse("web", Path::new("f"), text).unwrap().to_toml(), text);
    }

    fn placed<T>(value: T) -> Placed<T> {
        Placed { value, place: Position::default() }
    }

    fn pairs(key: &'static str, value: &'static str) -> impl Strategy<Value = Pairs> {
        let table = proptest::collection::btree_map(key, value, 0..4);
        table.prop_map(|table| table.into_iter().map(|(key, value)| (key, placed(value))).collect())
    }

    fn text() -> impl Strategy<Value = Option<String>> {
        option::of("[^\\p{Cc}\\s]([^\\p{Cc}]|\n|\"|\\\\){0,40}[^\\p{Cc}\\s]")
    }

    fn time() -> impl Strategy<Value = i64> {
        1..=253_402_300_799_i64
    }

    fn account() -> impl Strategy<Value = AccountEntry> {
        let state =
            option::of(prop_oneof![Just(State::Locked), Just(State::Unlocked), Just(State::Deactivated)]);
        let valid_until = option::of(prop_oneof![Just(ValidUntil::Never), time().prop_map(ValidUntil::Time)]);
        let terms = (state, text(), text(), option::of(time()), valid_until);
        let tables =
            (pairs("[a-z][a-z0-9_-]{3,9}", "[!-~]{1,9}"), pairs("[a-zA-Z0-9._-]{1,9}", "[^\\p{Cc}]{1,20}"));
        (any::<bool>(), "[^\\p{Cc}:/]{1,20}", terms, tables).prop_map(|(group, name, terms, tables)| {
            let (state, reason, message, expires, valid_until) = terms;
            let (identifiers, mut metadata) = tables;
            metadata.push(("zzzzzzzzzz".to_owned(), placed("so that something is to hold".to_owned())));
            AccountEntry {
                place: Position::default(),
                subject: if group { Subject::Group(name) } else { Subject::Name(name) },
                state,
                reason,
                message: message.filter(|_| matches!(state, Some(State::Locked | State::Deactivated))),
                expires: expires.filter(|_| state == Some(State::Locked)),
                valid_until: valid_until.map(placed),
                identifiers: if group { Vec::new() } else { identifiers },
                metadata,
            }
        })
    }

    fn authenticator() -> impl Strategy<Value = AuthenticatorEntry> {
        let id = "ssh|password|ssh:[^\\p{Cc}]{1,20}|fingerprint:[a-z-]{1,9}";
        let terms = (text(), text(), option::of(time()), any::<bool>());
        ("[^\\p{Cc}:/]{1,20}", id, terms).prop_map(|(account, id, (reason, message, expires, unenforced))| {
            AuthenticatorEntry {
                account: placed(account),
                id: placed(id),
                reason,
                message,
                expires,
                unenforced,
            }
        })
    }

    /// The document with all places taken away.
    fn nowhere(mut document: Document) -> Document {
        let pairs =
            |pairs: &mut Pairs| pairs.iter_mut().for_each(|(_, pair)| pair.place = Position::default());
        document.protected.iter_mut().for_each(|name| name.place = Position::default());
        for entry in &mut document.entries {
            entry.place = Position::default();
            entry.valid_until.iter_mut().for_each(|time| time.place = Position::default());
            pairs(&mut entry.identifiers);
            pairs(&mut entry.metadata);
        }
        for entry in &mut document.authenticators {
            entry.account.place = Position::default();
            entry.id.place = Position::default();
        }
        document
    }

    proptest! {
        #[test]
        fn is_read_as_it_is_written(
            protected in proptest::collection::vec("[a-z][ -9a-z]{0,8}[a-z]", 0..3),
            mut entries in proptest::collection::vec(account(), 0..4),
            mut authenticators in proptest::collection::vec(authenticator(), 0..4),
        ) {
            entries.sort_by(|one, other| one.subject.cmp(&other.subject));
            entries.dedup_by(|one, other| one.subject == other.subject);
            authenticators.dedup_by(|one, other| one.account == other.account);
            let document = Document {
                protected: protected.into_iter().map(placed).collect(),
                entries,
                authenticators,
                ..Document::new("web", Path::new("f")).unwrap()
            };
            let text = document.to_toml();
            let read = parse("web", Path::new("f"), &text);
            prop_assert_eq!(read.map(nowhere), Ok(document), "{}", text);
        }
    }
}

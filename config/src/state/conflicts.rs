//! What a document must not say twice, and documents must not say together.

use std::collections::HashMap;
use std::hash::Hash;

use super::document::{AccountEntry, Document, Subject};
use crate::error::{Position, Problem, quote};
use crate::report::cut;

/// What one document says twice.
pub(super) fn within(document: &Document) -> Vec<Problem> {
    let mut problems = Vec::new();
    let accounts = document.entries.iter().map(|entry| (&entry.subject, entry.place));
    for (subject, place, first) in repeated(accounts) {
        let key = match subject {
            Subject::Name(_) => "account.name",
            Subject::Group(_) => "account.group",
        };
        let message = format!(
            "{} has a table at {} already; write one for it",
            quote(subject.text()),
            document.show_place(first)
        );
        problems.push(document.problem(place, key, message));
    }
    let authenticators = document.authenticators.iter();
    let authenticators =
        authenticators.map(|entry| ((&entry.account.value, &entry.id.value), entry.id.place));
    for ((account, id), place, first) in repeated(authenticators) {
        let message = format!(
            "{} of {} has a table at {} already; write one for it",
            quote(id),
            quote(account),
            document.show_place(first)
        );
        problems.push(document.problem(place, "authenticator.id", message));
    }
    problems.sort_by_key(|problem| problem.position);
    cut(&document.origin, problems)
}

/// What comes again, with its place and that of the first.
fn repeated<K: Copy + Eq + Hash>(
    keys: impl ExactSizeIterator<Item = (K, Position)>,
) -> Vec<(K, Position, Position)> {
    let mut known = HashMap::with_capacity(keys.len());
    keys.filter_map(|(key, place)| match *known.entry(key).or_insert(place) {
        first if first == place => None,
        first => Some((key, place, first)),
    })
    .collect()
}

/// What documents say together that cannot hold.
pub(super) fn between(documents: &[Document]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut named: HashMap<&str, &Document> = HashMap::new();
    let mut set: HashMap<(&Subject, Value<'_>), (&Document, Position)> = HashMap::new();
    // A single document says nothing twice.
    for document in documents.iter().filter(|_| documents.len() > 1) {
        if let Some(first) = named.insert(&document.name, document) {
            let message = format!(
                "has the name {}, as {} has; rename one of them",
                quote(&document.name),
                first.origin.display().to_string().escape_debug()
            );
            problems.push(Problem::whole(&document.origin, message));
        }
        let mut wrong = Vec::new();
        for (entry, value, place) in document.entries.iter().flat_map(values) {
            if let Some((first, at)) = set.insert((&entry.subject, value), (document, place)) {
                let message = format!(
                    "that of {} is set at {}, too; keep one of them",
                    quote(entry.subject.text()),
                    first.show_place(at)
                );
                wrong.push(document.problem(place, &value.key(), message));
            }
        }
        problems.extend(cut(&document.origin, wrong));
    }
    problems
}

/// What only one document can set for an account.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Value<'a> {
    ValidUntil,
    Identifier(&'a str),
    Metadata(&'a str),
}

impl Value<'_> {
    fn key(self) -> String {
        match self {
            Self::ValidUntil => "account.valid_until".to_owned(),
            Self::Identifier(kind) => format!("account.identifiers.{kind}"),
            Self::Metadata(key) => format!("account.metadata.{key}"),
        }
    }
}

fn values(entry: &AccountEntry) -> impl Iterator<Item = (&AccountEntry, Value<'_>, Position)> {
    let valid_until = entry.valid_until.iter().map(|time| (Value::ValidUntil, time.place));
    let identifiers = entry.identifiers.iter().map(|(kind, one)| (Value::Identifier(kind), one.place));
    let metadata = entry.metadata.iter().map(|(key, one)| (Value::Metadata(key), one.place));
    valid_until.chain(identifiers).chain(metadata).map(move |(value, place)| (entry, value, place))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::state::{Documents, parse};

    fn document(name: &str, text: &str) -> Document {
        let path = format!("{name}.toml");
        parse(name, Path::new(&path), &format!("version = 1\n{text}")).unwrap()
    }

    /// What is wrong with these, called a, b and so on.
    fn problems(texts: &[&str]) -> Vec<String> {
        let documents = texts.iter().zip(["a", "b", "c"]).map(|(text, name)| document(name, text));
        match Documents::new(documents.collect()) {
            Ok(documents) => {
                assert_eq!(documents.iter().count(), texts.len());
                Vec::new()
            }
            Err(error) => error.problems().iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn locks_of_several_documents_stand_side_by_side() {
        let lock = "[[account]]\nname = 'x'\nstate = 'locked'\n[[authenticator]]\naccount = 'x'\nid = 'ssh'";
        let unlock = "[[account]]\nname = 'x'\nstate = 'unlocked'";
        assert_eq!(problems(&[lock, lock, unlock]), [""; 0]);
    }

    #[test]
    fn what_two_documents_set_is_named_at_both_places() {
        let one = "[[account]]\nname = 'x'\nvalid_until = 'never'\nidentifiers.id = '1'\nmetadata = { a = 'b', c = 'd' }";
        let other = "[[account]]\nname = 'y'\nvalid_until = 'never'\n\n[[account]]\nname = 'x'\nvalid_until = 'never'\n\
                     identifiers = { id = '2', email = 'x@y' }\nmetadata.c = 'd'";
        assert_eq!(
            problems(&[one, "", other]),
            [
                "c.toml:8:15: account.valid_until: that of \"x\" is set at a.toml:4:15, too; keep one of them",
                "c.toml:9:22: account.identifiers.id: that of \"x\" is set at a.toml:5:18, too; keep one of them",
                "c.toml:10:14: account.metadata.c: that of \"x\" is set at a.toml:6:27, too; keep one of them",
            ]
        );
        let group = "[[account]]\ngroup = 'x'\nvalid_until = 'never'";
        assert_eq!(problems(&[one, group]), [""; 0]);
    }

    #[test]
    fn one_name_is_that_of_one_document() {
        let error = Documents::new(vec![document("a", ""), document("a", "")]).unwrap_err().to_string();
        assert_eq!(error, "a.toml: has the name \"a\", as a.toml has; rename one of them");
    }

    #[test]
    fn an_account_has_one_table_in_a_document() {
        let twice = |first: &str, second: &str| {
            let text = format!("version = 1\n{first}\n{second}");
            parse("a", Path::new("f"), &text).map_err(|error| error.problems().len())
        };
        let account = |key: &str| format!("[[account]]\n{key} = 'x'\nstate = 'locked'");
        assert_eq!(twice(&account("name"), &account("name")).unwrap_err(), 1);
        assert_eq!(twice(&account("group"), &account("group")).unwrap_err(), 1);
        assert!(twice(&account("name"), &account("group")).is_ok());
        let key = |account: &str| format!("[[authenticator]]\naccount = '{account}'\nid = 'ssh'");
        assert_eq!(twice(&key("x"), &key("x")).unwrap_err(), 1);
        assert!(twice(&key("x"), &key("y")).is_ok());
    }
}

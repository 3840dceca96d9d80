//! One table of a list: its keys are checked one by one, then what they say together.

use toml::de::DeTable;

use super::document::{AccountEntry, AuthenticatorEntry, State, Subject};
use super::keys::Key;
use super::parts::Part;
use crate::error::escape;
use crate::report::{Wrong, unknown};

/// What no key can tell by itself.
pub(super) type Check<T> = fn(&T, &Places) -> Vec<Wrong>;

/// At which byte each key is that stands in a table.
pub(super) struct Places {
    /// That of the table.
    start: usize,
    keys: Vec<(&'static str, usize)>,
}

impl Places {
    fn of(&self, key: &str) -> Option<usize> {
        self.keys.iter().find(|(name, _)| *name == key).map(|(_, place)| *place)
    }

    /// A problem at a key, or with its absence.
    fn wrong(&self, table: &str, key: &str, message: &str) -> Wrong {
        (self.of(key).unwrap_or(self.start), Some(format!("{table}.{key}")), message.to_owned())
    }
}

/// Reads one table of `list`. Places are bytes of the part.
pub(super) fn read<T: Default>(
    list: &str,
    keys: &'static [Key<T>],
    table: &DeTable<'_>,
    start: usize,
    part: &Part<'_>,
    check: Check<T>,
) -> Result<T, Vec<Wrong>> {
    let mut entry = T::default();
    let mut places = Places { start, keys: Vec::with_capacity(table.len()) };
    let mut wrong = Vec::new();
    for (name, given) in table {
        let Some(key) = keys.iter().find(|key| key.name == name.get_ref()) else {
            let message = unknown("key", name.get_ref(), keys.iter().map(|key| key.name));
            wrong.push((name.span().start, Some(format!("{list}.{}", escape(name.get_ref()))), message));
            continue;
        };
        match (key.set)(&mut entry, given, part) {
            Ok(()) => places.keys.push((key.name, name.span().start)),
            Err(fault) => wrong.push((fault.span.start, Some(key.path.to_owned()), fault.message)),
        }
    }
    if wrong.is_empty() {
        wrong = check(&entry, &places);
    }
    if wrong.is_empty() { Ok(entry) } else { Err(wrong) }
}

/// What the keys of an `[[account]]` say together.
pub(super) fn check_account(entry: &AccountEntry, places: &Places) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut add = |key: &str, message: &str| wrong.push(places.wrong("account", key, message));
    match (places.of("name"), places.of("group")) {
        (None, None) => add("name", "is needed, or group"),
        (Some(_), Some(_)) => add("group", "stands beside name; write a table for each of them"),
        _ => {}
    }
    if matches!(entry.subject, Subject::Group(_)) && !entry.identifiers.is_empty() {
        add("identifiers", "cannot be those of a whole group; write a table for each account");
    }
    for (key, states) in
        [("message", &[State::Locked, State::Deactivated][..]), ("expires", &[State::Locked])]
    {
        if places.of(key).is_some() && !entry.state.is_some_and(|state| states.contains(&state)) {
            let names: Vec<_> = states.iter().map(|state| format!("\"{}\"", state.name())).collect();
            add(key, &format!("does nothing without the state {}", names.join(" or ")));
        }
    }
    let says_nothing = entry.state.is_none()
        && entry.valid_until.is_none()
        && entry.identifiers.is_empty()
        && entry.metadata.is_empty();
    if says_nothing {
        add("state", "is needed, or valid_until, identifiers or metadata: nothing is to hold");
    }
    wrong
}

/// What the keys of an `[[authenticator]]` say together.
pub(super) fn check_authenticator(_: &AuthenticatorEntry, places: &Places) -> Vec<Wrong> {
    let missing = ["account", "id"].into_iter().filter(|key| places.of(key).is_none());
    missing.map(|key| places.wrong("authenticator", key, "is needed")).collect()
}

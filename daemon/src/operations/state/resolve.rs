//! From what documents say to what they want of which account. No I/O.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use lockdown_config::{
    Position, Problem,
    state::{AccountEntry, AuthenticatorEntry, Document, Placed, State, Subject, ValidUntil},
};
use lockdown_enforcement::escape::escape;

use super::people::{Answer, Members, People};
use crate::{
    domain::{
        authenticator::Kind,
        identifier::Identifier,
        state::{AccountWants, AuthenticatorWants, Key, Terms, Value, Wanted, Wants},
    },
    operations::set_account::check_metadata,
};

/// What is wrong, or to be known, of a document, by its name.
pub type Faults = Vec<(String, Problem)>;

/// What documents come to.
#[derive(Debug, Default)]
pub struct Resolved {
    /// What they want.
    pub wanted: Wanted,
    /// Why they cannot be applied.
    pub problems: Faults,
    /// What of them cannot be applied as things are, and will be when it can.
    pub pending: Faults,
}

/// That an account is waited for.
#[must_use]
pub fn nobody(text: &str) -> String {
    format!("no account is called {} here; it is looked for again", escape(text))
}

/// Puts accounts in the places of names and groups. What a document says of an account by name goes before what it says of its
/// groups, and of those the first that says something counts. `message`: what a locked user is told otherwise.
///
/// Takes the tables out of the documents: there may be a hundred thousand of them, and what they want is as large.
#[must_use]
pub fn resolve(documents: &mut [Document], people: &People, message: &str) -> Resolved {
    let mut resolved = Resolved::default();
    for document in &mut *documents {
        let wants = of_document(document, people, message, &mut resolved);
        resolved.wanted.insert(document.name.clone(), wants);
    }
    refuse_contradictions(documents, &mut resolved);
    resolved
}

fn of_document(document: &mut Document, people: &People, message: &str, resolved: &mut Resolved) -> Wants {
    let (entries, authenticators) =
        (std::mem::take(&mut document.entries), std::mem::take(&mut document.authenticators));
    let protected = document.protected.iter().map(|name| name.value.clone()).collect();
    let mut resolving = Resolving {
        document,
        people,
        message,
        has_groups: entries.iter().any(|entry| matches!(entry.subject, Subject::Group(_))),
        wants: Wants { protected, ..Wants::default() },
        says: BTreeSet::new(),
        problems: Vec::new(),
        pending: Vec::new(),
    };
    let mut of_groups = Vec::new();
    for mut entry in entries {
        match std::mem::take(&mut entry.subject) {
            Subject::Name(name) => resolving.name(&name, entry),
            Subject::Group(group) => of_groups.push((group, entry)),
        }
    }
    for (group, entry) in of_groups {
        resolving.group(&group, entry);
    }
    for entry in authenticators {
        resolving.authenticator(entry);
    }
    let Resolving { mut wants, problems, pending, .. } = resolving;
    // Filled one by one it is half empty, and there may be a hundred thousand of them.
    wants.accounts = std::mem::take(&mut wants.accounts).into_iter().collect();
    let of_document = |problem| (document.name.clone(), problem);
    resolved.problems.extend(problems.into_iter().map(of_document));
    resolved.pending.extend(pending.into_iter().map(of_document));
    wants
}

/// One document, while it is resolved.
struct Resolving<'a> {
    document: &'a Document,
    people: &'a People,
    message: &'a str,
    has_groups: bool,
    wants: Wants,
    /// Accounts of which something says whether they are locked; kept only where groups could say so, too.
    says: BTreeSet<String>,
    problems: Vec<Problem>,
    pending: Vec<Problem>,
}

impl Resolving<'_> {
    fn problem(&mut self, place: Position, key: &str, why: String) {
        self.problems.push(self.document.problem(place, key, why));
    }

    fn wait(&mut self, place: Position, key: &str, why: String) {
        self.pending.push(self.document.problem(place, key, why));
    }

    /// The account that is meant; `None` if there is none to be had, which is noted.
    fn account(&mut self, text: &str, place: Position, key: &str) -> Option<String> {
        match self.people.who(text) {
            Answer::Account(name) => return Some(name),
            Answer::Nobody => {
                self.wait(place, key, nobody(text));
            }
            Answer::Unknown(why) => {
                self.wait(place, key, format!("{} is looked for again: {why}", escape(text)));
                self.wants.is_incomplete = true;
            }
            Answer::Bad(why) => self.problem(place, key, why),
        }
        None
    }

    fn values(&mut self, entry: &mut AccountEntry, is_of_group: bool) -> BTreeMap<Key, Value> {
        let (values, faults) = values(entry, is_of_group);
        faults.into_iter().for_each(|(place, key, why)| self.problem(place, &key, why));
        values
    }

    fn name(&mut self, text: &str, mut entry: AccountEntry) {
        let Some(name) = self.account(text, entry.place, "account.name") else { return };
        let values = self.values(&mut entry, false);
        match self.wants.accounts.entry(name) {
            Entry::Occupied(other) => {
                let first = self.document.show_place(other.get().place);
                let why = format!("is {}, as the one at {first}", escape(other.key()));
                self.problem(entry.place, "account.name", why);
            }
            Entry::Vacant(vacant) => {
                if self.has_groups && entry.state.is_some() {
                    self.says.insert(vacant.key().clone());
                }
                let empty = AccountWants { place: entry.place, values, ..AccountWants::default() };
                vacant.insert(with_state(empty, entry, self.message));
            }
        }
    }

    fn group(&mut self, group: &str, mut entry: AccountEntry) {
        let members = match self.people.in_group(group) {
            Members::Are(members) => members,
            Members::Unknown(why) => {
                self.wait(entry.place, "account.group", format!("{why}; it is asked again"));
                self.wants.is_incomplete = true;
                return;
            }
        };
        let values = self.values(&mut entry, true);
        for name in members {
            let account = self.wants.accounts.entry(name.clone()).or_insert_with(|| AccountWants {
                place: entry.place,
                group: Some(group.to_owned()),
                ..AccountWants::default()
            });
            for (key, value) in &values {
                account.values.entry(key.clone()).or_insert_with(|| value.clone());
            }
            if entry.state.is_some() && self.says.insert(name) {
                // Where it says so is where the lock comes from.
                let with =
                    AccountWants { place: entry.place, group: Some(group.to_owned()), ..account.clone() };
                *account = with_state(with, entry.clone(), self.message);
            }
        }
    }

    fn authenticator(&mut self, entry: AuthenticatorEntry) {
        const ID: &str = "authenticator.id";
        let (account, id) = (entry.account, entry.id);
        match Kind::of_id(&id.value) {
            Some(kind) if kind.is_lockable() => {}
            Some(kind) => {
                let why = format!("no {kind} can be locked by itself: lock another authenticator");
                return self.problem(id.place, ID, why);
            }
            None => {
                let why = format!("no authenticator can have the id {}", escape(&id.value));
                return self.problem(id.place, ID, why);
            }
        }
        let Some(name) = self.account(&account.value, account.place, "authenticator.account") else { return };
        let wanted = AuthenticatorWants {
            place: id.place,
            terms: terms(entry.reason, entry.message.unwrap_or_default(), entry.expires),
            is_unenforced: entry.unenforced,
        };
        if let Some(other) = self.wants.authenticators.insert((name, id.value), wanted) {
            let why = format!("is locked at {}, too", self.document.show_place(other.place));
            self.problem(id.place, ID, why);
        }
    }
}

fn with_state(wants: AccountWants, entry: AccountEntry, message: &str) -> AccountWants {
    let AccountEntry { state, reason, message: own, expires, .. } = entry;
    let message = || own.unwrap_or_else(|| message.to_owned());
    let lock = match state {
        None | Some(State::Unlocked) => None,
        Some(State::Locked) => Some(terms(reason, message(), expires)),
        Some(State::Deactivated) => Some(terms(reason, message(), None)),
    };
    let (is_deactivated, is_unlocked) = (state == Some(State::Deactivated), state == Some(State::Unlocked));
    AccountWants { lock, is_deactivated, is_unlocked, ..wants }
}

fn terms(reason: Option<String>, message: String, expires_at: Option<i64>) -> Terms {
    Terms { reason: reason.unwrap_or_default(), message, expires_at }
}

/// What cannot be kept: where it stands, its key, why.
type Unfit = Vec<(Position, String, String)>;

/// The values of an entry, taken out of it, and what of them cannot be kept.
fn values(entry: &mut AccountEntry, is_of_group: bool) -> (BTreeMap<Key, Value>, Unfit) {
    let mut values = BTreeMap::new();
    let mut faults = Vec::new();
    let mut put = |key: Key, Placed { value, place }: Placed<String>| {
        values.insert(key, Value { value, place, is_of_group });
    };
    if let Some(Placed { value, place }) = entry.valid_until {
        let value = match value {
            ValidUntil::Never => "0".to_owned(),
            ValidUntil::Time(time) => time.to_string(),
        };
        put(Key::ValidUntil, Placed { value, place });
    }
    for (kind, value) in std::mem::take(&mut entry.identifiers) {
        match Identifier::new(&kind, &value.value) {
            Ok(_) => put(Key::Identifier(kind), value),
            Err(why) => {
                faults.push((value.place, format!("account.identifiers.{}", escape(&kind)), why.to_string()));
            }
        }
    }
    for (key, value) in std::mem::take(&mut entry.metadata) {
        match check_metadata(&key, &value.value) {
            Ok(()) => put(Key::Metadata(key), value),
            Err(why) => faults.push((value.place, format!("account.metadata.{}", escape(&key)), why)),
        }
    }
    (values, faults)
}

/// Of each value of an account one document says what it is, and each identifier is one account's. Where a group says otherwise,
/// whose members change by themselves, the other goes before it.
fn refuse_contradictions(documents: &[Document], resolved: &mut Resolved) {
    let shown = |document: &str, place: Position| {
        let document = documents.iter().find(|known| known.name == document);
        document.map(|document| document.show_place(place)).unwrap_or_default()
    };
    let mut said: BTreeMap<(String, Key), (String, Position, bool)> = BTreeMap::new();
    let mut held: BTreeMap<(String, String), (String, String, Position)> = BTreeMap::new();
    let (mut problems, mut passed_over) = (Vec::new(), Vec::new());
    for (name, wants) in &resolved.wanted {
        for (account, wants) in &wants.accounts {
            for (key, Value { value, place, is_of_group }) in &wants.values {
                let own = (name.clone(), *place, *is_of_group);
                match said.entry((account.clone(), key.clone())) {
                    Entry::Vacant(vacant) => drop(vacant.insert(own)),
                    Entry::Occupied(mut other) if *is_of_group || other.get().2 => {
                        let drops = if *is_of_group { own } else { other.insert(own) };
                        passed_over.push((drops, account.clone(), key.clone()));
                    }
                    Entry::Occupied(other) => {
                        let (document, other, _) = other.get();
                        let why = format!(
                            "{} has it at {} already: only one document can set it",
                            escape(account),
                            shown(document, *other)
                        );
                        problems.push((name.clone(), *place, format!("account.{key}"), why));
                    }
                }
                let Key::Identifier(kind) = key else { continue };
                let Ok(identifier) = Identifier::new(kind, value) else { continue };
                match held.entry((kind.clone(), identifier.compared())) {
                    Entry::Vacant(vacant) => drop(vacant.insert((account.clone(), name.clone(), *place))),
                    Entry::Occupied(other) if other.get().0 == *account => {}
                    Entry::Occupied(other) => {
                        let (holder, document, other) = other.get();
                        let why = format!(
                            "is that of {} at {}: it is one account's alone",
                            escape(holder),
                            shown(document, *other)
                        );
                        problems.push((name.clone(), *place, format!("account.{key}"), why));
                    }
                }
            }
        }
    }
    let problem = |document: &str, place: Position, key: &str, why: String| {
        let known = documents.iter().find(|known| known.name == document)?;
        Some((document.to_owned(), known.problem(place, key, why)))
    };
    for (name, place, key, why) in problems {
        resolved.problems.extend(problem(&name, place, &key, why));
    }
    for ((name, place, _), account, key) in passed_over {
        if let Some(wants) = resolved.wanted.get_mut(&name).and_then(|wants| wants.accounts.get_mut(&account))
        {
            wants.values.remove(&key);
        }
        let why = format!("another document says it of {}, which goes before a group", escape(&account));
        resolved.pending.extend(problem(&name, place, &format!("account.{key}"), why));
    }
}

#[cfg(test)]
mod tests;

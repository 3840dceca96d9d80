//! What is to change so that what stands is what is wanted.

use std::collections::{BTreeMap, BTreeSet};

use super::{Key, Terms, Wanted, Wants};
use crate::domain::lock::Time;

/// A lock of a document, as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldLock {
    /// Row of the store.
    pub id: i64,
    /// Its terms.
    pub terms: Terms,
}

/// What a document has in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Its locks, by account and authenticator; '' = the account itself.
    pub locks: BTreeMap<(String, String), HeldLock>,
    /// What it has set, by account and key.
    pub values: BTreeMap<(String, Key), String>,
    /// Accounts that it deactivates.
    pub deactivated: BTreeSet<String>,
    /// Accounts that it says are not locked.
    pub unlocked: BTreeSet<String>,
    /// Names that it protects.
    pub protected: BTreeSet<String>,
}

/// What stands of all documents, and what is kept for accounts by whomever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Of each document that was applied, by name.
    pub documents: BTreeMap<String, Held>,
    /// Values, by account and key.
    pub present: BTreeMap<(String, Key), String>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Whose doing it is.
    pub document: String,
    /// Which account it is about.
    pub account: String,
    /// The change.
    pub what: What,
}

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A lock of the document is placed, or given other terms.
    Lock {
        /// Authenticator that it is on; '' = the account itself.
        authenticator: String,
        /// Its terms up to now; `None` if there is none.
        before: Option<Terms>,
        /// Its terms.
        after: Terms,
    },
    /// A lock of the document is lifted.
    Lift {
        /// Authenticator that it is on; '' = the account itself.
        authenticator: String,
        /// Row of the store.
        id: i64,
        /// Its terms.
        before: Terms,
    },
    /// A value is set.
    Set {
        /// Which.
        key: Key,
        /// What stands; `None` if nothing does.
        before: Option<String>,
        /// The value.
        after: String,
    },
    /// A value that the document has set is taken away.
    Remove {
        /// Which.
        key: Key,
        /// What stands.
        before: String,
    },
    /// What stands is from now on the document's. Nobody sees a difference.
    Claim {
        /// Which.
        key: Key,
        /// The value.
        value: String,
    },
    /// What the document has set stands no more, or is another one's now. Nobody sees a difference.
    Forget {
        /// Which.
        key: Key,
    },
    /// The account's expiry in shadow(5) follows the lock from now on.
    Deactivate,
    /// It does not any more.
    Reactivate,
    /// The document says so from now on. Of the account itself nothing changes.
    Declare(Intent),
    /// It does not any more.
    Withdraw(Intent),
}

/// What a document can say of an account without doing anything to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// It is not locked by this document.
    Unlocked,
    /// Nobody may lock it.
    Protected,
}

impl Intent {
    /// As documents and results have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unlocked => "unlocked",
            Self::Protected => "protected",
        }
    }
}

impl What {
    /// Whether there is anything to tell of.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        !matches!(self, Self::Claim { .. } | Self::Forget { .. })
    }

    /// Where it stands among the steps of a document: what is put in force comes first, then what is taken away.
    fn order(&self) -> u8 {
        match self {
            Self::Lock { .. } => 0,
            Self::Set { .. } | Self::Claim { .. } | Self::Deactivate | Self::Declare(Intent::Unlocked) => 1,
            Self::Declare(Intent::Protected) => 2,
            Self::Withdraw(Intent::Protected) => 3,
            Self::Lift { .. } => 4,
            Self::Remove { .. } | Self::Forget { .. } => 5,
            Self::Reactivate => 6,
            Self::Withdraw(Intent::Unlocked) => 7,
        }
    }

    /// Whether it takes something away from the account's user.
    #[must_use]
    pub fn is_against(&self) -> bool {
        match self {
            Self::Lock { .. } | Self::Deactivate => true,
            Self::Set { key, after, .. } => *key == Key::ValidUntil && !key.is_nothing(after),
            _ => false,
        }
    }
}

/// The steps from what stands to what is wanted, by document: what is put in force, then what is taken away, each by account.
/// Locks of others are none of its business: they are not in `standing`.
#[must_use]
pub fn plan(wanted: &Wanted, standing: &Standing, now: Time) -> Vec<Step> {
    let names: BTreeSet<&String> = wanted.keys().chain(standing.documents.keys()).collect();
    let (nothing_wanted, nothing_held) = Default::default();
    let owned = wanted_values(wanted);
    let mut steps = Vec::new();
    for name in names {
        let wants = wanted.get(name).unwrap_or(&nothing_wanted);
        let held = standing.documents.get(name).unwrap_or(&nothing_held);
        let mut add = |account: &str, what: What| {
            steps.push(Step { document: name.clone(), account: account.to_owned(), what });
        };
        // Of what stands nothing is taken away while somebody who would know does not answer.
        let takes_away = !wants.is_incomplete;
        let held_locks =
            held.locks.iter().map(|((account, id), lock)| ((account.as_str(), id.as_str()), lock));
        for ((account, authenticator), wanted, held) in joined(wants.locks(now), held_locks) {
            match (wanted, held) {
                (Some(after), held) => {
                    let before = held.map(|lock| &lock.terms);
                    if before != Some(after) {
                        let (before, after) = (before.cloned(), after.clone());
                        add(account, What::Lock { authenticator: authenticator.to_owned(), before, after });
                    }
                }
                // One that has ended is settled with its own event.
                (None, Some(HeldLock { id, terms })) if takes_away && terms.in_force(now) => {
                    let (authenticator, before) = (authenticator.to_owned(), terms.clone());
                    add(account, What::Lift { authenticator, id: *id, before });
                }
                _ => {}
            }
        }
        let held_values = held.values.iter().map(|((account, key), value)| ((account.as_str(), key), value));
        for ((account, key), wanted, held) in joined(wants.values(), held_values) {
            let place = (account.to_owned(), key.clone());
            let present = standing.present.get(&place).filter(|value| !key.is_nothing(value));
            let (_, key) = place;
            match (wanted, held) {
                (Some(after), held) => {
                    let stands = present.map_or(key.is_nothing(after), |present| present == after);
                    if !stands {
                        add(account, What::Set { key, before: present.cloned(), after: after.clone() });
                    } else if held != Some(after) {
                        add(account, What::Claim { key, value: after.clone() });
                    }
                }
                // Wanted by another document, its claim takes the place of this one's.
                (None, Some(value)) if takes_away && !owned.contains(&(account, &key)) => {
                    if present == Some(value) {
                        add(account, What::Remove { key, before: value.clone() });
                    } else {
                        add(account, What::Forget { key });
                    }
                }
                _ => {}
            }
        }
        for (account, wants) in &wants.accounts {
            if wants.is_deactivated && !held.deactivated.contains(account) {
                add(account, What::Deactivate);
            }
            if wants.is_unlocked && !held.unlocked.contains(account) {
                add(account, What::Declare(Intent::Unlocked));
            }
        }
        for name in wants.protected.difference(&held.protected) {
            add(name, What::Declare(Intent::Protected));
        }
        for name in held.protected.difference(&wants.protected) {
            add(name, What::Withdraw(Intent::Protected));
        }
        for account in held.deactivated.iter().filter(|_| takes_away) {
            if !wants.accounts.get(account).is_some_and(|wants| wants.is_deactivated) {
                add(account, What::Reactivate);
            }
        }
        for account in held.unlocked.iter().filter(|_| takes_away) {
            if !wants.accounts.get(account).is_some_and(|wants| wants.is_unlocked) {
                add(account, What::Withdraw(Intent::Unlocked));
            }
        }
    }
    let order = |step: &Step| step.what.order();
    steps.sort_by(|one, other| {
        (&one.document, order(one), &one.account).cmp(&(&other.document, order(other), &other.account))
    });
    steps
}

/// Every value that a document wants.
fn wanted_values(wanted: &Wanted) -> BTreeSet<(&str, &Key)> {
    wanted.values().flat_map(Wants::values).map(|(place, _)| place).collect()
}

/// Both by key: each key once, with what either of them has of it. Ascending, as both have to be.
fn joined<K: Ord + Copy, A, B>(
    left: impl IntoIterator<Item = (K, A)>,
    right: impl IntoIterator<Item = (K, B)>,
) -> impl Iterator<Item = (K, Option<A>, Option<B>)> {
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    std::iter::from_fn(move || {
        let next = [left.peek().map(|(key, _)| *key), right.peek().map(|(key, _)| *key)];
        let key = next.into_iter().flatten().min()?;
        let ours = left.next_if(|(next, _)| *next == key).map(|(_, value)| value);
        let theirs = right.next_if(|(next, _)| *next == key).map(|(_, value)| value);
        Some((key, ours, theirs))
    })
}

#[cfg(test)]
mod tests;

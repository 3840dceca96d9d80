//! What documents want, account by account.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use lockdown_config::Position;

use crate::domain::lock::Time;

/// What is kept for an account besides its locks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// When it expires: Unix seconds, 0 = never.
    ValidUntil,
    /// An identifier, by its kind.
    Identifier(String),
    /// A key of metadata.
    Metadata(String),
}

impl Key {
    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('.') {
            None => (text == "valid_until").then_some(Self::ValidUntil),
            Some(("identifiers", kind)) => Some(Self::Identifier(kind.to_owned())),
            Some(("metadata", key)) => Some(Self::Metadata(key.to_owned())),
            Some(_) => None,
        }
    }

    /// The value that is the same as none, as it is set.
    #[must_use]
    pub fn nothing(&self) -> &'static str {
        if *self == Self::ValidUntil { "0" } else { "" }
    }

    /// Whether this value is the same as none.
    #[must_use]
    pub fn is_nothing(&self, value: &str) -> bool {
        value.is_empty() || *self == Self::ValidUntil && value == "0"
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ValidUntil => out.write_str("valid_until"),
            Self::Identifier(kind) => write!(out, "identifiers.{kind}"),
            Self::Metadata(key) => write!(out, "metadata.{key}"),
        }
    }
}

/// What a document says of a lock of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Why, for the audit trail; may be empty.
    pub reason: String,
    /// What the locked user is told; may be empty.
    pub message: String,
    /// When it ends; `None` = never.
    pub expires_at: Option<Time>,
}

impl Terms {
    /// Whether a lock of these terms denies anything now.
    #[must_use]
    pub fn in_force(&self, now: Time) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// A value, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The value as the store has it.
    pub value: String,
    /// Where the document says it.
    pub place: Position,
    /// It says so of a group that the account is in.
    pub is_of_group: bool,
}

/// What one document wants of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountWants {
    /// Where the document names it.
    pub place: Position,
    /// The group of which the document says so, if it does not name the account.
    pub group: Option<String>,
    /// A lock.
    pub lock: Option<Terms>,
    /// Its expiry in shadow(5), too.
    pub is_deactivated: bool,
    /// It says that the account is not locked.
    pub is_unlocked: bool,
    /// What is to be kept for it.
    pub values: BTreeMap<Key, Value>,
}

/// What one document wants of one authenticator of an account: a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthenticatorWants {
    /// Where the document names it.
    pub place: Position,
    /// Of the lock.
    pub terms: Terms,
    /// Also where this host would not heed it.
    pub is_unenforced: bool,
}

/// What one document wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// By account.
    pub accounts: BTreeMap<String, AccountWants>,
    /// By account and id of the authenticator.
    pub authenticators: BTreeMap<(String, String), AuthenticatorWants>,
    /// Names that nobody may lock.
    pub protected: BTreeSet<String>,
    /// Somebody who would know did not answer: of what stands nothing is taken away.
    pub is_incomplete: bool,
}

impl Wants {
    /// The locks that are to be in force, by account and authenticator; '' = the account itself. One that has ended by itself is
    /// wanted no more.
    #[must_use]
    pub fn locks(&self, now: Time) -> Vec<((&str, &str), &Terms)> {
        let accounts = self.accounts.iter().filter_map(|(account, wants)| {
            let terms = wants.lock.as_ref()?;
            Some(((account.as_str(), ""), terms))
        });
        let authenticators = self
            .authenticators
            .iter()
            .map(|((account, id), wants)| ((account.as_str(), id.as_str()), &wants.terms));
        let mut locks: Vec<_> =
            accounts.chain(authenticators).filter(|(_, terms)| terms.in_force(now)).collect();
        // Two that are sorted: one pass.
        locks.sort_by_key(|(place, _)| *place);
        locks
    }

    /// The values that are to stand, by account and key.
    pub fn values(&self) -> impl Iterator<Item = ((&str, &Key), &String)> {
        self.accounts.iter().flat_map(|(account, wants)| {
            wants.values.iter().map(move |(key, value)| ((account.as_str(), key), &value.value))
        })
    }
}

/// What all documents want, by name.
pub type Wanted = BTreeMap<String, Wants>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let keys = [
            Key::ValidUntil,
            Key::Identifier("email".into()),
            Key::Metadata("a.b".into()),
            Key::Metadata(String::new()),
        ];
        for key in keys {
            assert_eq!(Key::parse(&key.to_string()), Some(key));
        }
        for text in ["", "valid_until.x", "identifiers", "other.x"] {
            assert_eq!(Key::parse(text), None, "{text}");
        }
    }
}

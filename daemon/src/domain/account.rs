//! An account, and how a caller names one.

use lockdown_enforcement::escape::escape;

use super::{
    identifier::{BadIdentifier, Identifier, MAX_KIND, MAX_VALUE},
    lock::Time,
};

/// Longest name of an account, in bytes (LOGIN_NAME_MAX of limits.h, with its NUL).
pub const MAX_NAME: usize = 255;

/// An account as NSS has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Login name as NSS spells it.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory.
    pub home: std::path::PathBuf,
}

/// Whose locks are to be lifted: they outlive an account that is removed from the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// Whose they are.
    pub account: Account,
    /// It is gone from the host: what is left of it is in the store alone.
    pub is_gone: bool,
}

impl Account {
    /// An account of which only name and uid are known, for what needs neither its group nor its home.
    #[must_use]
    pub fn without_nss(name: String, uid: u32) -> Self {
        // (gid_t)-1 is no group to the kernel.
        Self { name, uid, gid: u32::MAX, home: "/nonexistent".into() }
    }

    /// An account that is gone from the host, and of whose uid nothing may be known: it may be another's by now.
    #[must_use]
    pub fn gone(name: String, uid: Option<u32>) -> Self {
        // (uid_t)-1 is no user to the kernel.
        Self::without_nss(name, uid.unwrap_or(u32::MAX))
    }
}

/// What the store adds to an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// When the account expires; `None` = never.
    pub valid_until: Option<Time>,
    /// Start of the last session seen.
    pub last_sign_in: Option<Time>,
    /// End of the last session seen.
    pub last_session_end: Option<Time>,
}

impl Stored {
    /// The account has expired: the moment itself counts as passed.
    #[must_use]
    pub fn expired(&self, now: Time) -> bool {
        self.valid_until.is_some_and(|end| end <= now)
    }
}

/// How a caller names an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// Login name, as NSS knows it.
    Name(String),
    /// `uid:1000`
    Uid(u32),
    /// `email:…`, `phone:…`, `id:…`, `KIND:…`: an identifier that the store has for the account.
    Identifier(Identifier),
}

/// A reference that cannot name any account.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    /// Nothing there.
    #[error("the account's name is empty: give a login name, uid:1000, email:…, phone:… or id:…")]
    Empty,
    /// Over [`MAX_NAME`], or what an identifier can have.
    #[error("the account's name has {0} bytes: it can have at most {1}")]
    TooLong(usize, usize),
    /// Characters that no account can have, and that would forge lines in files and logs.
    #[error("`{0}` cannot name an account: control characters and `/` are not allowed")]
    BadCharacter(String),
    /// `uid:` and no number.
    #[error("`{0}` is no user id: write uid: and a number from 0 to 4294967294")]
    BadUid(String),
    /// A colon, and not an identifier.
    #[error(transparent)]
    BadIdentifier(#[from] BadIdentifier),
}

impl Reference {
    /// Reads what a caller wrote.
    ///
    /// # Errors
    /// [`BadReference`], its text escaped and fit for a caller.
    pub fn parse(text: &str) -> Result<Self, BadReference> {
        if text.is_empty() {
            return Err(BadReference::Empty);
        }
        // No identifier is longer than its kind, the colon and its value.
        let longest = if text.contains(':') { MAX_KIND + 1 + MAX_VALUE } else { MAX_NAME };
        if text.len() > longest {
            return Err(BadReference::TooLong(text.len(), longest));
        }
        let bad = || BadReference::BadCharacter(escape(text).to_string());
        if text.chars().any(char::is_control) {
            return Err(bad());
        }
        match text.split_once(':') {
            Some(("uid", number)) => match number.parse() {
                // (uid_t)-1 means "no user" to the kernel.
                Ok(uid) if uid != u32::MAX => Ok(Self::Uid(uid)),
                _ => Err(BadReference::BadUid(escape(text).to_string())),
            },
            Some((kind, value)) => Ok(Self::Identifier(Identifier::new(kind, value)?)),
            None if text.contains('/') => Err(bad()),
            None => Ok(Self::Name(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ways_to_name_an_account() {
        assert_eq!(Reference::parse("alice"), Ok(Reference::Name("alice".into())));
        assert_eq!(Reference::parse("CORP\\alice"), Ok(Reference::Name("CORP\\alice".into())));
        assert_eq!(Reference::parse("uid:1000"), Ok(Reference::Uid(1000)));
        for (text, kind, value) in [
            ("email:a@b.example", "email", "a@b.example"),
            ("phone:+1 555 0100", "phone", "+1 555 0100"),
            ("id:urn:x/17", "id", "urn:x/17"),
            ("badge:B-17", "badge", "B-17"),
        ] {
            let identifier = Identifier::new(kind, value).unwrap();
            assert_eq!(Reference::parse(text), Ok(Reference::Identifier(identifier)));
        }
    }

    #[test]
    fn what_cannot_be_an_account_is_refused_with_its_text_escaped() {
        assert_eq!(Reference::parse(""), Err(BadReference::Empty));
        assert_eq!(Reference::parse(&"a".repeat(10_000)), Err(BadReference::TooLong(10_000, MAX_NAME)));
        assert!(Reference::parse(&format!("id:{}", "a".repeat(10_000))).is_err());
        for text in [
            "a\nb",
            "a\u{1b}[2Jb",
            "../etc",
            "A:b",
            ":b",
            "a:",
            "email:",
            "email:alice",
            "phone:x",
            "uid:-1",
            "uid:4294967295",
            "uid:x",
            "uid:",
            "badge: 7",
            "x:\u{7f}",
        ] {
            let error = Reference::parse(text).unwrap_err().to_string();
            assert!(!error.contains(char::is_control), "{error}");
        }
    }

    #[test]
    fn an_account_expires_at_the_moment_given() {
        let stored = Stored { valid_until: Some(100), ..Stored::default() };
        assert!(!stored.expired(99));
        assert!(stored.expired(100));
        assert!(!Stored::default().expired(i64::MAX));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic_or_pass_a_control_character(text in any::<String>()) {
            if let Ok(Reference::Name(name)) = Reference::parse(&text) {
                prop_assert!(!name.chars().any(char::is_control));
            }
        }

        #[test]
        fn an_identifier_is_read_as_it_is_written(kind in "[a-z][a-z0-9_-]{0,31}", value in "[!-~]{1,254}") {
            if let Ok(identifier) = Identifier::new(&kind, &value) {
                prop_assert_eq!(Reference::parse(&format!("{kind}:{value}")), Ok(Reference::Identifier(identifier)));
            }
        }
    }
}

//! What a document says, typed.

use std::path::{Path, PathBuf};

use crate::error::{Position, Problem, escape_path};

/// One document: how accounts of a host should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// 1 to 64 letters, digits, `.`, `_` and `-`, the first neither `.` nor `-`. Its locks have the owner `config:<name>`.
    pub name: String,
    /// The file that it comes from, or what stands for it in messages.
    pub origin: PathBuf,
    /// Names of accounts that are protected, besides those that `lockdown.toml` names.
    pub protected: Vec<Placed<String>>,
    /// What is to hold for accounts, in the order of the text. No two have the same subject.
    pub entries: Vec<AccountEntry>,
    /// Which authenticators are locked, in the order of the text. No two are for the same one of the same account.
    pub authenticators: Vec<AuthenticatorEntry>,
}

/// Something with where it stands in its document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placed<T> {
    /// What stands there.
    pub value: T,
    /// Where.
    pub place: Position,
}

/// One `[[account]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountEntry {
    /// Where it says which account it is for.
    pub place: Position,
    /// For whom it is.
    pub subject: Subject,
    /// Whether the account is locked; `None`: the document does not say.
    pub state: Option<State>,
    /// Why, for the audit trail. At most 1024 bytes.
    pub reason: Option<String>,
    /// What the locked user is told; only with a lock. At most 1024 bytes.
    pub message: Option<String>,
    /// When the lock ends, Unix seconds; it may have passed. Only with [`State::Locked`]; `None`: never.
    pub expires: Option<i64>,
    /// When the account expires; `None`: the document does not say.
    pub valid_until: Option<Placed<ValidUntil>>,
    /// Kind, which is `email`, `phone`, `id` or one's own, and value. Empty for a group.
    pub identifiers: Pairs,
    /// What is kept with the account. No value is empty.
    pub metadata: Pairs,
}

/// A table of texts: at most 64, in the order of their keys, none of which comes twice.
pub type Pairs = Vec<(String, Placed<String>)>;

/// For whom an `[[account]]` is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The account of this login name, or `uid:1000`, or the one with this identifier (`email:…`, `id:…`, `KIND:…`).
    Name(String),
    /// Each member of this group.
    Group(String),
}

/// What is to hold for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A lock of the document.
    Locked,
    /// No lock of the document.
    Unlocked,
    /// A lock of the document without end, and the account expired in shadow(5).
    Deactivated,
}

/// When an account expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValidUntil {
    /// It does not.
    #[default]
    Never,
    /// At this time, Unix seconds, from 1 to the end of the year 9999.
    Time(i64),
}

/// One `[[authenticator]]`: it is locked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthenticatorEntry {
    /// Whose it is, as in [`Subject::Name`].
    pub account: Placed<String>,
    /// Its id, such as `ssh:SHA256:…`, or a type, such as `ssh`: all of that type.
    pub id: Placed<String>,
    /// Why, for the audit trail. At most 1024 bytes.
    pub reason: Option<String>,
    /// What the user is told who is denied for it, where that can be said. At most 1024 bytes.
    pub message: Option<String>,
    /// When the lock ends, Unix seconds; it may have passed. `None`: never.
    pub expires: Option<i64>,
    /// Also where this host would not heed the lock as it is configured now.
    pub unenforced: bool,
}

impl Default for Subject {
    fn default() -> Self {
        Self::Name(String::new())
    }
}

impl Subject {
    /// As it stands in the document.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Group(text) => text,
        }
    }
}

impl State {
    /// As it is called in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Unlocked => "unlocked",
            Self::Deactivated => "deactivated",
        }
    }
}

impl Document {
    /// A document that says nothing.
    ///
    /// # Errors
    ///
    /// What is wrong with the name.
    pub fn new(name: &str, origin: &Path) -> Result<Self, Problem> {
        super::files::check_name(name).map_err(|message| Problem::whole(origin, message))?;
        let (name, origin) = (name.to_owned(), origin.to_owned());
        Ok(Self { name, origin, protected: Vec::new(), entries: Vec::new(), authenticators: Vec::new() })
    }

    /// A problem at a place of this document. `key` is `table.key`, such as `account.name`; what comes from outside has to
    /// be escaped in `message`.
    #[must_use]
    pub fn problem(&self, place: Position, key: &str, message: String) -> Problem {
        Problem { file: self.origin.clone(), position: Some(place), key: Some(key.to_owned()), message }
    }

    /// A place of this document as a text: `FILE:LINE:COLUMN`, escaped.
    #[must_use]
    pub fn show_place(&self, Position { line, column }: Position) -> String {
        format!("{}:{line}:{column}", escape_path(&self.origin))
    }
}

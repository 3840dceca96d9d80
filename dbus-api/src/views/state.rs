//! State documents.

use zbus::{DeserializeDict, SerializeDict, Type};

/// What `ApplyState` has changed, or would.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct StateApplied {
    /// Nothing is wrong with the documents. If something is, nothing was changed.
    pub success: bool,
    /// Something was changed, or would be.
    pub changed: bool,
    /// What, by document and account.
    pub changes: Vec<StateChange>,
    /// Further changes that are not listed.
    pub changes_left_out: u32,
    /// What is wrong with the documents, by document and place.
    pub errors: Vec<StateProblem>,
    /// What of them does not hold now, and will when it can: accounts that are not here, members of groups that are protected.
    pub warnings: Vec<StateProblem>,
    /// Sessions that were ended.
    pub sessions_ended: u32,
    /// What could not be carried out on the host; it is tried again.
    pub problems: Vec<String>,
}

/// One change of an account by a state document.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct StateChange {
    /// The document.
    pub document: String,
    /// The account.
    pub account: String,
    /// `lock`, `unlock`, `lock-authenticator`, `unlock-authenticator`, `set`, `remove`, `deactivate`, `reactivate`, `declare`, `withdraw`.
    pub what: String,
    /// Id of the authenticator, or what is set: `valid_until`, `identifiers.KIND`, `metadata.KEY`; otherwise empty.
    pub key: String,
    /// What stood before; empty if nothing did.
    pub before: String,
    /// What stands afterwards; empty if nothing does.
    pub after: String,
}

/// Something about a place in a state document.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct StateProblem {
    /// The document; empty if it is about none.
    pub document: String,
    /// Its file, or what stands for it; escaped.
    pub file: String,
    /// Line, from 1; 0 = it is about the whole file.
    pub line: u64,
    /// Column, from 1; 0 likewise.
    pub column: u64,
    /// The key, such as `account.name`; may be empty.
    pub key: String,
    /// What it is, and what to do about it.
    pub message: String,
}

/// A state document that is in force.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct StateDocument {
    /// Its name. Its locks have the owner `config:<name>`.
    pub name: String,
    /// `directory`: a file of `state.d`; `given`: by `ApplyState`.
    pub origin: String,
    /// The file, or what stands for it in messages.
    pub path: String,
    /// SHA-256 of its text, in hexadecimal digits.
    pub sha256: String,
    /// When what it says was last applied, Unix seconds.
    pub applied_at: i64,
    /// Locks of its owner.
    pub locks: u32,
    /// So much of it does not hold now: see `warnings` of `ApplyState`.
    pub pending: u32,
}

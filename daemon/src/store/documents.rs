//! State documents, and what of the store is their doing.

use std::collections::{BTreeMap, BTreeSet};

use lockdown_config::state::State;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use sha2::{Digest, Sha256};

use super::{
    Change, StoreError,
    accounts::{self, AccountId},
    recoveries,
};
use crate::domain::{
    lock::{Owner, Time},
    state::{Key, Terms},
};

/// A SHA-256.
pub type Hash = Vec<u8>;

/// Where a document comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file of `state.d`.
    Directory,
    /// A call of `ApplyState`.
    Given,
}

impl Origin {
    /// The name in the store and on the bus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Given => "given",
        }
    }
}

/// A document that was applied, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The file, or what stands for it in messages.
    pub path: String,
    /// SHA-256 of its text.
    pub hash: Hash,
    /// [`standing`] after it was applied.
    pub standing: Hash,
    /// It names groups.
    pub has_groups: bool,
    /// Of what it names, so many could not be found.
    pub pending: u32,
    /// Names of accounts that it protects.
    pub protected: Vec<String>,
    /// When.
    pub applied_at: Time,
}

fn applied(row: &Row<'_>) -> Result<Applied> {
    let origin: String = row.get(1)?;
    let protected: String = row.get(7)?;
    Ok(Applied {
        name: row.get(0)?,
        origin: if origin == Origin::Given.name() { Origin::Given } else { Origin::Directory },
        path: row.get(2)?,
        hash: row.get(3)?,
        standing: row.get(4)?,
        has_groups: row.get(5)?,
        pending: row.get(6)?,
        protected: serde_json::from_str(&protected).unwrap_or_default(),
        applied_at: row.get(8)?,
    })
}

/// Every document that was applied, by name.
///
/// # Errors
/// Those of SQLite.
pub fn all(connection: &Connection) -> Result<Vec<Applied>> {
    connection
        .prepare_cached(
            "SELECT name, origin, path, hash, standing, has_groups, pending, protected, applied_at
             FROM documents ORDER BY name",
        )?
        .query_map([], applied)?
        .collect()
}

/// The text of a document that was applied.
///
/// # Errors
/// Those of SQLite; that there is none of this name.
pub fn text(connection: &Connection, name: &str) -> Result<String> {
    connection.query_row("SELECT text FROM documents WHERE name = ?1", [name], |row| row.get(0))
}

/// Notes that a document was applied; its text only if there is one: otherwise it is as it was.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn put(change: &Change<'_>, document: &Applied, text: Option<&str>) -> Result<(), StoreError> {
    let protected = serde_json::to_string(&document.protected).unwrap_or_default();
    let connection = change.connection();
    if let Some(text) = text {
        connection.execute(
            "INSERT OR REPLACE INTO documents
                 (name, origin, path, hash, standing, has_groups, pending, protected, applied_at, text)
             VALUES (?1, ?2, ?3, ?4, x'', 0, 0, '', 0, ?5)",
            params![document.name, document.origin.name(), document.path, document.hash, text],
        )?;
    }
    connection.execute(
        "UPDATE documents SET standing = ?2, has_groups = ?3, pending = ?4, protected = ?5, applied_at = ?6
         WHERE name = ?1",
        params![
            document.name,
            document.standing,
            document.has_groups,
            document.pending,
            protected,
            document.applied_at
        ],
    )?;
    Ok(())
}

/// Forgets a document that is no more.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn remove(change: &Change<'_>, name: &str) -> Result<(), StoreError> {
    change.connection().execute("DELETE FROM documents WHERE name = ?1", [name])?;
    Ok(())
}

/// A lock of a document, with what a document can say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockOf {
    /// Its account.
    pub account: String,
    /// The authenticator that it is on; '' = the account itself.
    pub authenticator: String,
    /// Its row.
    pub id: i64,
    /// Its terms.
    pub terms: Terms,
}

/// Tells each lock of a document.
///
/// # Errors
/// Those of SQLite.
pub fn each_lock(connection: &Connection, document: &str, mut tell: impl FnMut(LockOf)) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT name, authenticator, locks.id, reason, message, expires_at
         FROM locks JOIN accounts ON accounts.id = account_id WHERE owner = ?1",
    )?;
    let mut rows = statement.query([Owner::Config(document.to_owned()).to_string()])?;
    while let Some(row) = rows.next()? {
        tell(LockOf {
            account: row.get(0)?,
            authenticator: row.get(1)?,
            id: row.get(2)?,
            terms: Terms { reason: row.get(3)?, message: row.get(4)?, expires_at: row.get(5)? },
        });
    }
    Ok(())
}

/// How many locks a document has.
///
/// # Errors
/// Those of SQLite.
pub fn count_locks(connection: &Connection, document: &str) -> Result<u32> {
    let owner = Owner::Config(document.to_owned()).to_string();
    connection
        .prepare_cached("SELECT count(*) FROM locks WHERE owner = ?1")?
        .query_row([owner], |row| row.get(0))
}

/// What a document has set: account, key, value.
///
/// # Errors
/// Those of SQLite.
pub fn values(connection: &Connection, document: &str) -> Result<Vec<(String, Key, String)>> {
    let rows: Vec<(String, String, String)> = connection
        .prepare_cached(
            "SELECT name, key, value FROM document_values JOIN accounts ON accounts.id = account_id WHERE document = ?1",
        )?
        .query_map([document], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_>>()?;
    Ok(rows.into_iter().filter_map(|(name, key, value)| Some((name, Key::parse(&key)?, value))).collect())
}

/// The accounts of which a document declares this state; of [`State::Locked`] its [locks](each_lock) tell.
///
/// # Errors
/// Those of SQLite.
pub fn declared(connection: &Connection, document: &str, state: State) -> Result<Vec<String>> {
    connection
        .prepare_cached(
            "SELECT name FROM document_states JOIN accounts ON accounts.id = account_id
             WHERE document = ?1 AND state = ?2",
        )?
        .query_map([document, state.name()], |row| row.get(0))?
        .collect()
}

/// Whether a document deactivates the account.
///
/// # Errors
/// Those of SQLite.
pub fn is_deactivated(connection: &Connection, account: &str) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM document_states
             WHERE account_id = (SELECT id FROM accounts WHERE name = ?1) AND state = 'deactivated'",
        )?
        .exists([account])
}

/// The names that a document protects.
///
/// # Errors
/// Those of SQLite.
pub fn protected(connection: &Connection, document: &str) -> Result<BTreeSet<String>> {
    let mut statement = connection.prepare_cached("SELECT protected FROM documents WHERE name = ?1")?;
    let protected: Option<String> = statement.query_row([document], |row| row.get(0)).optional()?;
    Ok(protected.and_then(|names| serde_json::from_str(&names).ok()).unwrap_or_default())
}

/// Every value that stands, of whichever account and whoever has set it. An account that waits for its recovery code to be used
/// has its own expiry, not that of the code.
///
/// # Errors
/// Those of SQLite.
pub fn present(connection: &Connection) -> Result<BTreeMap<(String, Key), String>> {
    let mut present = BTreeMap::new();
    let mut take = |sql: &str, key: fn(String) -> Key| -> Result<()> {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            present.insert((row.get(0)?, key(row.get(1)?)), row.get(2)?);
        }
        Ok(())
    };
    take(
        "SELECT name, '', CAST(iif(recoveries.account_id IS NULL, accounts.valid_until, recoveries.valid_until) AS TEXT) AS value
         FROM accounts LEFT JOIN recoveries ON recoveries.account_id = accounts.id WHERE value IS NOT NULL",
        |_| Key::ValidUntil,
    )?;
    take(
        "SELECT name, kind, value FROM identifiers JOIN accounts ON accounts.id = account_id",
        Key::Identifier,
    )?;
    take("SELECT name, key, value FROM metadata JOIN accounts ON accounts.id = account_id", Key::Metadata)?;
    Ok(present)
}

/// Notes that a value is a document's doing.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn claim(
    change: &Change<'_>,
    account: AccountId,
    key: &Key,
    document: &str,
    value: &str,
) -> Result<(), StoreError> {
    change
        .connection()
        .prepare_cached(
            "INSERT OR REPLACE INTO document_values (account_id, key, document, value) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![account, key.to_string(), document, value])?;
    Ok(())
}

/// Takes that note back.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn forget(change: &Change<'_>, account: AccountId, key: &Key, document: &str) -> Result<(), StoreError> {
    change
        .connection()
        .prepare_cached("DELETE FROM document_values WHERE account_id = ?1 AND key = ?2 AND document = ?3")?
        .execute(params![account, key.to_string(), document])?;
    Ok(())
}

/// Notes that a document declares a state of an account other than [`State::Locked`], or does not any more.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn declare(
    change: &Change<'_>,
    account: AccountId,
    document: &str,
    state: State,
    is_declared: bool,
) -> Result<(), StoreError> {
    let sql = if is_declared {
        "INSERT OR IGNORE INTO document_states (account_id, document, state) VALUES (?1, ?2, ?3)"
    } else {
        "DELETE FROM document_states WHERE account_id = ?1 AND document = ?2 AND state = ?3"
    };
    change.connection().prepare_cached(sql)?.execute(params![account, document, state.name()])?;
    Ok(())
}

/// Sets when the account expires; `None` = never. One whose recovery code was not used yet keeps the code's until then.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn set_valid_until(
    change: &mut Change<'_>,
    (id, name, uid): (AccountId, &str, u32),
    valid_until: Option<Time>,
) -> Result<(), StoreError> {
    let waiting = recoveries::of_account(change.connection(), name)?;
    let effective = match &waiting {
        None => valid_until,
        Some(recovery) => {
            recoveries::set_own_expiry(change, id, valid_until)?;
            Some(valid_until.map_or(recovery.expires_at, |own| own.min(recovery.expires_at)))
        }
    };
    accounts::set_valid_until(change, id, uid, effective)
}

/// A hash over all that a document has in the store now. `around`: what it was applied under.
///
/// # Errors
/// Those of SQLite.
pub fn standing(connection: &Connection, document: &str, around: &str) -> Result<Hash> {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(bytes);
    };
    field(around.as_bytes());
    let mut rows_of = |sql: &str, of: &str| -> Result<()> {
        let mut statement = connection.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query([of])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                match row.get_ref(column)? {
                    rusqlite::types::ValueRef::Integer(number) => field(&number.to_le_bytes()),
                    rusqlite::types::ValueRef::Text(text) => field(text),
                    _ => field(b""),
                }
            }
        }
        field(b"end");
        Ok(())
    };
    rows_of(
        "SELECT account_id, authenticator, reason, message, expires_at FROM locks WHERE owner = ?1
         ORDER BY account_id, authenticator",
        &Owner::Config(document.to_owned()).to_string(),
    )?;
    rows_of(
        "SELECT document_values.account_id, document_values.key, document_values.value,
             CASE WHEN document_values.key = 'valid_until'
                 THEN (SELECT CAST(ifnull(iif(recoveries.account_id IS NULL, accounts.valid_until, recoveries.valid_until), 0) AS TEXT)
                     FROM accounts LEFT JOIN recoveries ON recoveries.account_id = accounts.id
                     WHERE accounts.id = document_values.account_id)
                 WHEN document_values.key LIKE 'identifiers.%'
                 THEN (SELECT identifiers.value FROM identifiers WHERE identifiers.account_id = document_values.account_id
                     AND 'identifiers.' || kind = document_values.key)
                 ELSE (SELECT metadata.value FROM metadata WHERE metadata.account_id = document_values.account_id
                     AND 'metadata.' || metadata.key = document_values.key) END
         FROM document_values WHERE document = ?1 ORDER BY 1, 2",
        document,
    )?;
    rows_of("SELECT account_id, state FROM document_states WHERE document = ?1 ORDER BY 1, 2", document)?;
    Ok(hash.finalize().to_vec())
}

/// An account whose line of shadow(5) is a document's affair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrored {
    /// Row of the account.
    pub account_id: AccountId,
    /// Its name.
    pub account: String,
    /// Its uid.
    pub uid: u32,
    /// A document deactivates it.
    pub is_deactivated: bool,
    /// Its own expiry from before, if that was kept; empty = none.
    pub own: Option<String>,
}

/// The accounts that documents deactivate, and those that they did and whose own expiry is still to be put back.
///
/// # Errors
/// Those of SQLite.
pub fn mirrored(connection: &Connection) -> Result<Vec<Mirrored>> {
    connection
        .prepare_cached(
            "SELECT id, name, uid, id IN (SELECT account_id FROM document_states WHERE state = 'deactivated') AS shut, expires
             FROM accounts LEFT JOIN shadow_expiries ON account_id = id
             WHERE expires IS NOT NULL OR shut ORDER BY name",
        )?
        .query_map([], |row| {
            Ok(Mirrored {
                account_id: row.get(0)?,
                account: row.get(1)?,
                uid: row.get(2)?,
                is_deactivated: row.get(3)?,
                own: row.get(4)?,
            })
        })?
        .collect()
}

/// Keeps the account's own expiry in shadow(5); what was kept before stays.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn keep_expiry(change: &Change<'_>, account: AccountId, expires: &str) -> Result<(), StoreError> {
    change.connection().execute(
        "INSERT OR IGNORE INTO shadow_expiries (account_id, expires) VALUES (?1, ?2)",
        params![account, expires],
    )?;
    Ok(())
}

/// It is put back, or not to be any more.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn forget_expiry(change: &Change<'_>, account: AccountId) -> Result<(), StoreError> {
    change.connection().execute("DELETE FROM shadow_expiries WHERE account_id = ?1", [account])?;
    Ok(())
}

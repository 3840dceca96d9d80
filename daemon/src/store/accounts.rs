//! Accounts: what the store adds to what NSS says.

use rusqlite::{
    Connection, OptionalExtension, Result, params,
    types::{FromSql, FromSqlError, FromSqlResult, ValueRef},
};

use super::{Change, StoreError};
use crate::domain::{account::Stored, lock::Time};

/// Row of an account.
pub type AccountId = i64;

/// The row of this account, which has this uid, made if there is none. An account whose uid NSS has changed keeps what it
/// has, and both uids' deny records follow.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn ensure(change: &mut Change<'_>, name: &str, uid: u32, now: Time) -> Result<AccountId, StoreError> {
    let known = change
        .connection()
        .prepare_cached("SELECT id, uid, uid_holder = 'itself' FROM accounts WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get::<_, AccountId>(0)?, row.get::<_, u32>(1)?, row.get(2)?)))
        .optional()?;
    match known {
        Some((id, known_uid, true)) if known_uid == uid => Ok(id),
        Some((id, former_uid, _)) => {
            change.connection().execute(
                "UPDATE accounts SET uid = ?2, uid_holder = 'itself' WHERE id = ?1",
                params![id, uid],
            )?;
            change.touch(former_uid);
            change.touch(uid);
            Ok(id)
        }
        None => {
            change
                .connection()
                .prepare_cached("INSERT INTO accounts (name, uid, created_at) VALUES (?1, ?2, ?3)")?
                .execute(params![name, uid, now])?;
            Ok(change.connection().last_insert_rowid())
        }
    }
}

/// Notes who has the uid of an account that is gone from the host, if it is still this uid. If it is another's, nothing that is
/// kept of the account is meant for that one.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn set_uid_holder(
    change: &mut Change<'_>,
    name: &str,
    uid: u32,
    holder: UidHolder,
) -> Result<(), StoreError> {
    change
        .connection()
        .prepare_cached("UPDATE accounts SET uid_holder = ?3 WHERE name = ?1 AND uid = ?2")?
        .execute(params![name, uid, holder.name()])?;
    change.touch(uid);
    Ok(())
}

/// Of an account with something to enforce, its uid if it is still its own.
///
/// # Errors
/// Those of SQLite.
pub fn left_behind(connection: &Connection, name: &str) -> Result<Option<Option<u32>>> {
    let account = enforced(connection)?.into_iter().find(|account| account.name == name);
    Ok(account.map(|account| Some(account.uid).filter(|_| account.holder != UidHolder::Another)))
}

/// The row of this account, if there is one.
///
/// # Errors
/// Those of SQLite.
pub fn row_of(connection: &Connection, name: &str) -> Result<Option<AccountId>> {
    connection
        .prepare_cached("SELECT id FROM accounts WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// What the store has about the account of this name.
///
/// # Errors
/// Those of SQLite.
pub fn stored(connection: &Connection, name: &str) -> Result<Stored> {
    connection
        .prepare_cached("SELECT valid_until, last_sign_in, last_session_end FROM accounts WHERE name = ?1")?
        .query_row([name], |row| {
            Ok(Stored { valid_until: row.get(0)?, last_sign_in: row.get(1)?, last_session_end: row.get(2)? })
        })
        .optional()
        .map(Option::unwrap_or_default)
}

/// Name and uid of every account that the store knows.
///
/// # Errors
/// Those of SQLite.
pub fn known(connection: &Connection) -> Result<Vec<(String, u32)>> {
    let mut known = Vec::new();
    each_known(connection, |name, uid| known.push((name.to_owned(), uid)))?;
    Ok(known)
}

/// Tells name and uid of every account that the store knows.
///
/// # Errors
/// Those of SQLite.
pub fn each_known(connection: &Connection, mut tell: impl FnMut(&str, u32)) -> Result<()> {
    let mut statement = connection.prepare("SELECT name, uid FROM accounts")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        tell(row.get_ref(0)?.as_str()?, row.get(1)?);
    }
    Ok(())
}

/// Who has the uid that the store has for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UidHolder {
    /// The account.
    Itself,
    /// The account is gone, and nobody was found to have it.
    Nobody,
    /// The account is gone, and after that another one got it.
    Another,
}

impl UidHolder {
    fn name(self) -> &'static str {
        match self {
            Self::Itself => "itself",
            Self::Nobody => "nobody",
            Self::Another => "another",
        }
    }
}

impl FromSql for UidHolder {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let name = value.as_str()?;
        let known = [Self::Itself, Self::Nobody, Self::Another];
        known.into_iter().find(|holder| holder.name() == name).ok_or(FromSqlError::InvalidType)
    }
}

/// An account with something to enforce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforced {
    /// Its name.
    pub name: String,
    /// The uid that the store has for it.
    pub uid: u32,
    /// Who has that.
    pub holder: UidHolder,
}

/// Every account with something to enforce.
///
/// # Errors
/// Those of SQLite.
pub fn enforced(connection: &Connection) -> Result<Vec<Enforced>> {
    connection
        .prepare(
            "SELECT name, uid, uid_holder FROM accounts
             WHERE valid_until IS NOT NULL
                 OR id IN (SELECT account_id FROM locks WHERE owner <> 'attack-protection') ORDER BY uid",
        )?
        .query_map([], |row| Ok(Enforced { name: row.get(0)?, uid: row.get(1)?, holder: row.get(2)? }))?
        .collect()
}

/// Name and uid of every account whose deny record denies it now: locked or expired.
///
/// # Errors
/// Those of SQLite.
pub fn denied(connection: &Connection, now: Time) -> Result<Vec<(String, u32)>> {
    connection
        .prepare_cached(
            "SELECT name, uid FROM accounts WHERE uid_holder <> 'another' AND (valid_until <= ?1 OR id IN (
                 SELECT account_id FROM locks
                 WHERE authenticator = '' AND owner <> 'attack-protection' AND (expires_at IS NULL OR expires_at > ?1)))",
        )?
        .query_map([now], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// The uid that the store has for this name, for when NSS does not answer.
///
/// # Errors
/// Those of SQLite.
pub fn uid_of(connection: &Connection, name: &str) -> Result<Option<u32>> {
    connection
        .query_row("SELECT uid FROM accounts WHERE name = ?1 AND uid_holder <> 'another'", [name], |row| {
            row.get(0)
        })
        .optional()
}

/// The names that the store has for this uid, the first seen first.
///
/// # Errors
/// Those of SQLite.
pub fn names_of(connection: &Connection, uid: u32) -> Result<Vec<String>> {
    connection
        .prepare_cached("SELECT name FROM accounts WHERE uid = ?1 AND uid_holder <> 'another' ORDER BY id")?
        .query_map([uid], |row| row.get(0))?
        .collect()
}

/// Sets when the account expires; `None` = never.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn set_valid_until(
    change: &mut Change<'_>,
    id: AccountId,
    uid: u32,
    valid_until: Option<Time>,
) -> Result<(), StoreError> {
    change.connection().execute(
        "UPDATE accounts SET valid_until = ?2, expiry_reported = 0 WHERE id = ?1",
        params![id, valid_until],
    )?;
    change.touch(uid);
    Ok(())
}

/// Takes the accounts whose `valid_until` has passed unreported, and marks them reported: name, uid if it is still theirs,
/// `valid_until`.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn take_newly_expired(
    change: &Change<'_>,
    now: Time,
) -> Result<Vec<(String, Option<u32>, Time)>, StoreError> {
    let expired = change
        .connection()
        .prepare(
            "SELECT name, iif(uid_holder = 'another', NULL, uid), valid_until FROM accounts
             WHERE valid_until <= ?1 AND expiry_reported = 0",
        )?
        .query_map([now], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_>>()?;
    change.connection().execute("UPDATE accounts SET expiry_reported = 1 WHERE valid_until <= ?1", [now])?;
    Ok(expired)
}

/// Notes the start of a session.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn set_last_sign_in(change: &Change<'_>, id: AccountId, at: Time) -> Result<(), StoreError> {
    change.connection().execute(
        "UPDATE accounts SET last_sign_in = max(?2, ifnull(last_sign_in, 0)) WHERE id = ?1",
        params![id, at],
    )?;
    Ok(())
}

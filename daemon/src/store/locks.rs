//! Locks: any one in force denies; one per target and owner, of attack protection one per source.

use rusqlite::{Connection, OptionalExtension, Result, Row, params, types::Type};

use super::{Change, StoreError, accounts::AccountId};
use crate::domain::lock::{Lock, NewLock, Owner, REMOTE, Time};

const COLUMNS: &str =
    "locks.id, authenticator, owner, reason, message, created_by, expires_at, locks.created_at, source";

fn lock(row: &Row<'_>) -> Result<Lock> {
    let owner: String = row.get(2)?;
    let owner: Owner = owner
        .parse()
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(2, Type::Text, Box::new(error)))?;
    Ok(Lock {
        id: row.get(0)?,
        authenticator: Some(row.get::<_, String>(1)?).filter(|id| !id.is_empty()),
        terms: NewLock {
            owner,
            reason: row.get(3)?,
            message: row.get(4)?,
            created_by: row.get(5)?,
            expires_at: row.get(6)?,
        },
        created_at: row.get(7)?,
        source: row.get(8)?,
    })
}

/// Places a lock on the account, or updates the one that this owner already has there.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn put(
    change: &mut Change<'_>,
    account: AccountId,
    uid: u32,
    terms: &NewLock,
    now: Time,
) -> Result<Lock, StoreError> {
    put_on(change, account, uid, None, terms, now)
}

/// The same on one authenticator of the account; `None` = the account itself.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn put_on(
    change: &mut Change<'_>,
    account: AccountId,
    uid: u32,
    authenticator: Option<&str>,
    terms: &NewLock,
    now: Time,
) -> Result<Lock, StoreError> {
    let placed = insert(change, account, (authenticator.unwrap_or_default(), ""), terms, now)?;
    change.touch(uid);
    Ok(placed)
}

/// Places a lock that a tally has, or updates it; see [`Lock::source`]. No deny record has to follow.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn put_of_tally(
    change: &Change<'_>,
    account: AccountId,
    source: &str,
    terms: &NewLock,
    since: Time,
) -> Result<Lock, StoreError> {
    Ok(insert(change, account, ("", source), terms, since)?)
}

fn insert(
    change: &Change<'_>,
    account: AccountId,
    (authenticator, source): (&str, &str),
    terms: &NewLock,
    created_at: Time,
) -> Result<Lock> {
    let sql = format!(
        "INSERT INTO locks
             (account_id, owner, reason, message, created_by, expires_at, created_at, authenticator, source)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (account_id, authenticator, owner, source) DO UPDATE SET reason = excluded.reason,
             message = excluded.message, created_by = excluded.created_by,
             expires_at = excluded.expires_at, created_at = excluded.created_at
         RETURNING {}",
        COLUMNS.replace("locks.", "")
    );
    change.connection().prepare_cached(&sql)?.query_row(
        params![
            account,
            terms.owner.to_string(),
            terms.reason,
            terms.message,
            terms.created_by,
            terms.expires_at,
            created_at,
            authenticator,
            source
        ],
        lock,
    )
}

/// Removes a lock that a tally had. No deny record has to follow.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn remove_of_tally(change: &Change<'_>, lock: i64) -> Result<(), StoreError> {
    change.connection().prepare_cached("DELETE FROM locks WHERE id = ?1")?.execute([lock])?;
    Ok(())
}

/// Removes a lock.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn remove(change: &mut Change<'_>, lock: i64, uid: u32) -> Result<(), StoreError> {
    remove_of_tally(change, lock)?;
    change.touch(uid);
    Ok(())
}

/// Every lock on the account of this name and its authenticators, oldest first, in force or not.
///
/// # Errors
/// Those of SQLite.
pub fn of_account(connection: &Connection, name: &str) -> Result<Vec<Lock>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM locks JOIN accounts ON accounts.id = account_id WHERE name = ?1 ORDER BY locks.id"
        ))?
        .query_map([name], lock)?
        .collect()
}

/// Names of the accounts on which attack protection has a lock.
///
/// # Errors
/// Those of SQLite.
pub fn with_lock_of_tally(connection: &Connection) -> Result<Vec<String>> {
    connection
        .prepare(
            "SELECT DISTINCT name FROM locks JOIN accounts ON accounts.id = account_id
             WHERE owner = 'attack-protection' ORDER BY name",
        )?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Takes the locks that have ended by time out of the store: account, uid, lock.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn take_expired(change: &mut Change<'_>, now: Time) -> Result<Vec<(String, u32, Lock)>, StoreError> {
    let expired: Vec<(String, u32, Lock)> = change
        .connection()
        .prepare(&format!(
            "SELECT {COLUMNS}, name, uid FROM locks JOIN accounts ON accounts.id = account_id WHERE expires_at <= ?1"
        ))?
        .query_map([now], |row| Ok((row.get(9)?, row.get(10)?, lock(row)?)))?
        .collect::<Result<_>>()?;
    for (_, uid, lock) in &expired {
        if lock.is_in_record() {
            remove(change, lock.id, *uid)?;
        } else {
            remove_of_tally(change, lock.id)?;
        }
    }
    Ok(expired)
}

/// The next moment at which a lock ends or an account expires.
///
/// # Errors
/// Those of SQLite.
pub fn next_deadline(connection: &Connection) -> Result<Option<Time>> {
    connection
        .query_row(
            "SELECT min(deadline) FROM (
                 SELECT min(expires_at) AS deadline FROM locks WHERE expires_at IS NOT NULL
                 UNION ALL
                 SELECT min(valid_until) FROM accounts WHERE valid_until IS NOT NULL AND expiry_reported = 0)",
            [],
            |row| row.get(0),
        )
        .optional()
        .map(Option::flatten)
}

/// Locks in force by owner, those on authenticators included.
///
/// # Errors
/// Those of SQLite.
pub fn count_by_owner(connection: &Connection, now: Time) -> Result<Vec<(String, u32)>> {
    connection
        .prepare_cached(
            "SELECT owner, count(*) FROM locks WHERE expires_at IS NULL OR expires_at > ?1 GROUP BY owner",
        )?
        .query_map([now], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Number of accounts with a lock in force.
///
/// # Errors
/// Those of SQLite.
pub fn count_locked_accounts(connection: &Connection, now: Time) -> Result<u32> {
    connection.query_row(
        "SELECT count(DISTINCT account_id) FROM locks
         WHERE authenticator = '' AND source IN ('', ?2) AND (expires_at IS NULL OR expires_at > ?1)",
        params![now, REMOTE],
        |row| row.get(0),
    )
}

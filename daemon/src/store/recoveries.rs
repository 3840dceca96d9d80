//! Recovery codes that have been made and not been used.

use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::{Change, StoreError, accounts::AccountId, lockdowns::LockdownId};
use crate::domain::lock::Time;

/// A recovery code's place; the code itself is only in shadow(5), hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Row of the account.
    pub account_id: AccountId,
    /// Its name.
    pub account: String,
    /// Its uid when it was last seen.
    pub uid: u32,
    /// The lockdown that it takes back.
    pub lockdown: LockdownId,
    /// When the code ends.
    pub expires_at: Time,
    /// The account's own expiry, which the code's stands in for meanwhile.
    pub valid_until: Option<Time>,
}

const COLUMNS: &str = "account_id, name, uid, lockdown_id, expires_at, recoveries.valid_until \
                       FROM recoveries JOIN accounts ON accounts.id = account_id";

fn recovery(row: &Row<'_>) -> Result<Recovery> {
    Ok(Recovery {
        account_id: row.get(0)?,
        account: row.get(1)?,
        uid: row.get(2)?,
        lockdown: row.get(3)?,
        expires_at: row.get(4)?,
        valid_until: row.get(5)?,
    })
}

/// Notes a code. It takes the place of one that was not used, whose note of the account's own expiry stays.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn put(
    change: &mut Change<'_>,
    account: AccountId,
    lockdown: LockdownId,
    expires_at: Time,
    valid_until: Option<Time>,
) -> Result<(), StoreError> {
    change.connection().execute(
        "INSERT INTO recoveries (account_id, lockdown_id, expires_at, valid_until) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (account_id) DO UPDATE SET lockdown_id = excluded.lockdown_id, expires_at = excluded.expires_at",
        params![account, lockdown, expires_at, valid_until],
    )?;
    Ok(())
}

/// Notes another expiry of the account's own, which it is to have again when the code is used.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn set_own_expiry(
    change: &mut Change<'_>,
    account: AccountId,
    valid_until: Option<Time>,
) -> Result<(), StoreError> {
    change.connection().execute(
        "UPDATE recoveries SET valid_until = ?2 WHERE account_id = ?1",
        params![account, valid_until],
    )?;
    Ok(())
}

/// The code of the account of this name that has not been used.
///
/// # Errors
/// Those of SQLite.
pub fn of_account(connection: &Connection, name: &str) -> Result<Option<Recovery>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} WHERE name = ?1"))?
        .query_row([name], recovery)
        .optional()
}

/// Every code that ends at or before `now`.
///
/// # Errors
/// Those of SQLite.
pub fn due(connection: &Connection, now: Time) -> Result<Vec<Recovery>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} WHERE expires_at <= ?1"))?
        .query_map([now], recovery)?
        .collect()
}

/// The next moment at which a code ends.
///
/// # Errors
/// Those of SQLite.
pub fn next_deadline(connection: &Connection) -> Result<Option<Time>> {
    connection.query_row("SELECT min(expires_at) FROM recoveries", [], |row| row.get(0))
}

/// Forgets a code.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn remove(change: &mut Change<'_>, account: AccountId) -> Result<(), StoreError> {
    change.connection().execute("DELETE FROM recoveries WHERE account_id = ?1", [account])?;
    Ok(())
}

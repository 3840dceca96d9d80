//! Identifiers: one of each kind for an account, and each one account's alone.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::{Change, StoreError, accounts::AccountId};
use crate::domain::identifier::Identifier;

/// Name of the account that has it.
///
/// # Errors
/// Those of SQLite.
pub fn holder(connection: &Connection, identifier: &Identifier) -> Result<Option<String>> {
    connection
        .prepare_cached(
            "SELECT name FROM identifiers JOIN accounts ON accounts.id = account_id
             WHERE kind = ?1 AND compared = ?2",
        )?
        .query_row([identifier.kind(), &identifier.compared()], |row| row.get(0))
        .optional()
}

/// Those of an account as they were written, by kind.
///
/// # Errors
/// Those of SQLite.
pub fn of_account(connection: &Connection, name: &str) -> Result<BTreeMap<String, String>> {
    connection
        .prepare_cached(
            "SELECT kind, value FROM identifiers JOIN accounts ON accounts.id = account_id WHERE name = ?1",
        )?
        .query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Gives it to the account instead of what that has of this kind. No other account may have it.
///
/// # Errors
/// [`StoreError::Sqlite`], also if another account has it.
pub fn put(change: &Change<'_>, account: AccountId, identifier: &Identifier) -> Result<(), StoreError> {
    remove(change, account, identifier.kind())?;
    change.connection().execute(
        "INSERT INTO identifiers (kind, compared, value, account_id) VALUES (?1, ?2, ?3, ?4)",
        params![identifier.kind(), identifier.compared(), identifier.value(), account],
    )?;
    Ok(())
}

/// Takes the one of this kind from the account.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn remove(change: &Change<'_>, account: AccountId, kind: &str) -> Result<(), StoreError> {
    change
        .connection()
        .execute("DELETE FROM identifiers WHERE account_id = ?1 AND kind = ?2", params![account, kind])?;
    Ok(())
}

/// Takes it from whichever account has it.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn release(change: &Change<'_>, identifier: &Identifier) -> Result<(), StoreError> {
    change.connection().execute(
        "DELETE FROM identifiers WHERE kind = ?1 AND compared = ?2",
        params![identifier.kind(), identifier.compared()],
    )?;
    Ok(())
}

//! Metadata: what is kept with an account and means nothing to lockdown.

use std::collections::BTreeMap;

use rusqlite::{Connection, Result, params};

use super::{Change, StoreError, accounts::AccountId};

/// That of an account.
///
/// # Errors
/// Those of SQLite.
pub fn of_account(connection: &Connection, name: &str) -> Result<BTreeMap<String, String>> {
    connection
        .prepare_cached(
            "SELECT key, value FROM metadata JOIN accounts ON accounts.id = account_id WHERE name = ?1",
        )?
        .query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Sets a value; an empty one removes the key.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn set(change: &Change<'_>, account: AccountId, key: &str, value: &str) -> Result<(), StoreError> {
    let connection = change.connection();
    if value.is_empty() {
        connection
            .execute("DELETE FROM metadata WHERE account_id = ?1 AND key = ?2", params![account, key])?;
    } else {
        connection.execute(
            "INSERT INTO metadata (account_id, key, value) VALUES (?1, ?2, ?3)
             ON CONFLICT (account_id, key) DO UPDATE SET value = excluded.value",
            params![account, key, value],
        )?;
    }
    Ok(())
}

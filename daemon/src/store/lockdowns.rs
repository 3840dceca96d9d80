//! Lockdowns, and what they took away.

use rusqlite::{Connection, OptionalExtension, Result, Row, params, types::Type};

use super::{Change, StoreError, accounts::AccountId};
use crate::domain::{lock::Time, lockdown::Wanted};

/// Row of a lockdown.
pub type LockdownId = i64;

/// A lockdown as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockdown {
    /// Row of the store.
    pub id: LockdownId,
    /// Name of the account.
    pub account: String,
    /// Its uid when it was last seen.
    pub uid: u32,
    /// Why.
    pub reason: String,
    /// How often it was ordered.
    pub orders: u32,
    /// What was asked for, by all of them together.
    pub wanted: Wanted,
    /// When it was triggered.
    pub started_at: Time,
    /// Nothing is left to do.
    pub finished: bool,
    /// It was taken back.
    pub restored: bool,
    /// Until then what it took away is kept.
    pub undo_until: Time,
}

const COLUMNS: &str = "lockdowns.id, name, uid, reason, wanted, started_at, restored_at IS NOT NULL, undo_until, \
                       orders, finished_at IS NOT NULL FROM lockdowns JOIN accounts ON accounts.id = account_id";

fn lockdown(row: &Row<'_>) -> Result<Lockdown> {
    let wanted: String = row.get(4)?;
    let wanted = serde_json::from_str(&wanted)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(4, Type::Text, Box::new(error)))?;
    Ok(Lockdown {
        id: row.get(0)?,
        account: row.get(1)?,
        uid: row.get(2)?,
        reason: row.get(3)?,
        wanted,
        started_at: row.get(5)?,
        restored: row.get(6)?,
        undo_until: row.get(7)?,
        orders: row.get(8)?,
        finished: row.get(9)?,
    })
}

/// Opens a lockdown of the account, or goes on with the one that is open: it wants what both want.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn open(
    change: &mut Change<'_>,
    account: AccountId,
    reason: &str,
    wanted: Wanted,
    now: Time,
    undo_until: Time,
) -> Result<Lockdown, StoreError> {
    let connection = change.connection();
    let standing = connection
        .query_row(
            &format!("SELECT {COLUMNS} WHERE account_id = ?1 AND restored_at IS NULL"),
            [account],
            lockdown,
        )
        .optional()?;
    let id = match standing {
        None => {
            connection.execute(
                "INSERT INTO lockdowns (account_id, reason, wanted, started_at, undo_until) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![account, reason, json(wanted), now, undo_until],
            )?;
            connection.last_insert_rowid()
        }
        Some(standing) => {
            connection.execute(
                "UPDATE lockdowns SET reason = ?2, wanted = ?3, finished_at = NULL, orders = orders + 1,
                     undo_until = max(undo_until, ?4) WHERE id = ?1",
                params![standing.id, reason, json(standing.wanted.and(wanted)), undo_until],
            )?;
            standing.id
        }
    };
    Ok(connection.query_row(&format!("SELECT {COLUMNS} WHERE lockdowns.id = ?1"), [id], lockdown)?)
}

fn json(wanted: Wanted) -> String {
    // A struct of flags always has a JSON form.
    serde_json::to_string(&wanted).unwrap_or_default()
}

/// The lockdown in this row.
///
/// # Errors
/// Those of SQLite.
pub fn get(connection: &Connection, id: LockdownId) -> Result<Lockdown> {
    connection.prepare_cached(&format!("SELECT {COLUMNS} WHERE lockdowns.id = ?1"))?.query_row([id], lockdown)
}

/// The lockdown of the account of this name that stands, or else the last one that was taken back.
///
/// # Errors
/// Those of SQLite.
pub fn last_of(connection: &Connection, name: &str) -> Result<Option<Lockdown>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} WHERE name = ?1 ORDER BY restored_at IS NULL DESC, lockdowns.id DESC LIMIT 1"
        ))?
        .query_row([name], lockdown)
        .optional()
}

/// Lockdowns that have something left to do.
///
/// # Errors
/// Those of SQLite.
pub fn unfinished(connection: &Connection) -> Result<Vec<Lockdown>> {
    connection
        .prepare(&format!("SELECT {COLUMNS} WHERE finished_at IS NULL AND restored_at IS NULL"))?
        .query_map([], lockdown)?
        .collect()
}

/// Notes that nothing is left to do, or with `None` that something is. One that was ordered again meanwhile is left as it is.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn set_finished(
    change: &mut Change<'_>,
    lockdown: &Lockdown,
    at: Option<Time>,
) -> Result<(), StoreError> {
    change.connection().execute(
        "UPDATE lockdowns SET finished_at = ?3 WHERE id = ?1 AND orders = ?2",
        params![lockdown.id, lockdown.orders, at],
    )?;
    Ok(())
}

/// Notes that it was taken back. `false`: it was not, because it was ordered again meanwhile.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn set_restored(change: &mut Change<'_>, lockdown: &Lockdown, now: Time) -> Result<bool, StoreError> {
    let restored = change.connection().execute(
        "UPDATE lockdowns SET restored_at = ?3 WHERE id = ?1 AND orders = ?2 AND restored_at IS NULL",
        params![lockdown.id, lockdown.orders, now],
    )?;
    Ok(restored > 0)
}

/// Notes that a lockdown that was taken back stands again, unless a later one of the same account does.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn stand_again(change: &mut Change<'_>, id: LockdownId) -> Result<(), StoreError> {
    change.connection().execute(
        "UPDATE lockdowns SET restored_at = NULL, finished_at = NULL WHERE id = ?1 AND NOT EXISTS (
             SELECT 1 FROM lockdowns AS other
             WHERE other.account_id = lockdowns.account_id AND other.restored_at IS NULL)",
        [id],
    )?;
    Ok(())
}

/// The line of shadow(5) as it was.
pub const SHADOW: &str = "shadow";
/// What is left of it when its hash is forgotten: the account's own expiry.
pub const EXPIRY: &str = "expiry";

/// Something as it was before a lockdown changed it.
#[derive(Clone, PartialEq, Eq)]
pub struct PriorState {
    /// [`SHADOW`], [`EXPIRY`], `linger`, `unit`, or a kind of file.
    pub kind: String,
    /// Path of the file, name of the unit; empty where there is one of its kind.
    pub name: Vec<u8>,
    /// What was in it, or the hash; secret.
    pub content: Vec<u8>,
    /// The rest, as JSON.
    pub details: String,
}

impl std::fmt::Debug for PriorState {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "PriorState {{ {} {} }}", self.kind, String::from_utf8_lossy(&self.name))
    }
}

/// Keeps prior states of a lockdown. What is already kept in just this form is not kept twice.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn keep(change: &mut Change<'_>, id: LockdownId, states: &[PriorState]) -> Result<(), StoreError> {
    let mut insert = change.connection().prepare_cached(
        "INSERT INTO prior_states (lockdown_id, kind, name, content, details)
         SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (
             SELECT 1 FROM prior_states
             WHERE lockdown_id = ?1 AND kind = ?2 AND name = ?3 AND content = ?4 AND details = ?5)",
    )?;
    for state in states {
        insert.execute(params![id, state.kind, state.name, state.content, state.details])?;
    }
    Ok(())
}

/// The prior states that a lockdown has kept, with their rows, first kept first.
///
/// # Errors
/// Those of SQLite.
pub fn prior_states(connection: &Connection, id: LockdownId) -> Result<Vec<(i64, PriorState)>> {
    connection
        .prepare_cached(
            "SELECT id, kind, name, content, details FROM prior_states WHERE lockdown_id = ?1 ORDER BY id",
        )?
        .query_map([id], |row| {
            Ok((
                row.get(0)?,
                PriorState {
                    kind: row.get(1)?,
                    name: row.get(2)?,
                    content: row.get(3)?,
                    details: row.get(4)?,
                },
            ))
        })?
        .collect()
}

/// Forgets prior states, by their rows.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn forget(change: &mut Change<'_>, rows: &[i64]) -> Result<(), StoreError> {
    let mut delete = change.connection().prepare_cached("DELETE FROM prior_states WHERE id = ?1")?;
    for row in rows {
        delete.execute([row])?;
    }
    Ok(())
}

/// Forgets the prior states whose time has come. Where the lockdown stands, or can stand again because a recovery code waits, the
/// account's own expiry stays: it is what a restore puts in the place of the lockdown's, and that it was kept tells the
/// lockdown's own work from what was there before.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn forget_old(change: &mut Change<'_>, now: Time) -> Result<(), StoreError> {
    change.connection().execute(
        "UPDATE prior_states SET kind = ?2, content = x'' WHERE kind = ?3 AND lockdown_id IN (
             SELECT id FROM lockdowns WHERE undo_until <= ?1 AND (restored_at IS NULL OR EXISTS (
                 SELECT 1 FROM recoveries WHERE lockdown_id = lockdowns.id)))",
        params![now, EXPIRY, SHADOW],
    )?;
    change.connection().execute(
        "DELETE FROM prior_states WHERE lockdown_id IN (
             SELECT id FROM lockdowns WHERE undo_until <= ?1 AND (kind <> ?2 OR (restored_at IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM recoveries WHERE lockdown_id = lockdowns.id))))",
        params![now, EXPIRY],
    )?;
    Ok(())
}

/// The next moment at which prior states are to be forgotten.
///
/// # Errors
/// Those of SQLite.
pub fn next_deadline(connection: &Connection) -> Result<Option<Time>> {
    connection.query_row(
        "SELECT min(undo_until) FROM lockdowns WHERE EXISTS (
             SELECT 1 FROM prior_states WHERE lockdown_id = lockdowns.id AND kind <> ?1)",
        [EXPIRY],
        |row| row.get(0),
    )
}

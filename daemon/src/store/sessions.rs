//! Sessions: one row for what logind lists and PAM reported.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::{Change, StoreError, accounts::AccountId};
use crate::domain::lock::Time;

/// How long the row of an ended session is kept, in seconds: 30 days.
const KEPT: Time = 30 * 24 * 3600;

/// A session as the store has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Row of the store.
    pub row: i64,
    /// Account it belongs to.
    pub account: String,
    /// uid of that account.
    pub uid: u32,
    /// logind's id, if logind has it.
    pub logind_id: Option<String>,
    /// PAM service; may be empty.
    pub service: String,
    /// Terminal without `/dev/`; may be empty.
    pub tty: String,
    /// Where it came from; empty if local.
    pub remote_host: String,
    /// The process that opened it.
    pub leader_pid: u32,
    /// The authenticator that opened it; empty if unknown.
    pub authenticator: String,
    /// Every id by which that can be locked: for a certificate its key, its authority and its key id as well.
    pub authenticators: BTreeSet<String>,
    /// When it was opened.
    pub started_at: Time,
}

impl Session {
    /// The id that callers see: logind's, or `pam-` and the row.
    #[must_use]
    pub fn id(&self) -> String {
        self.logind_id.clone().unwrap_or_else(|| format!("pam-{}", self.row))
    }
}

const COLUMNS: &str =
    "sessions.id, name, uid, logind_id, service, tty, remote_host, leader_pid, authenticator, started_at,
     authenticators";

fn session(row: &Row<'_>) -> Result<Session> {
    Ok(Session {
        row: row.get(0)?,
        account: row.get(1)?,
        uid: row.get(2)?,
        logind_id: row.get(3)?,
        service: row.get(4)?,
        tty: row.get(5)?,
        remote_host: row.get(6)?,
        leader_pid: row.get(7)?,
        authenticator: row.get(8)?,
        started_at: row.get(9)?,
        authenticators: ids(&row.get::<_, String>(10)?),
    })
}

fn ids(json: &str) -> BTreeSet<String> {
    serde_json::from_str(json).unwrap_or_default()
}

/// Open sessions, oldest first; of one account or of all.
///
/// # Errors
/// Those of SQLite.
pub fn open(connection: &Connection, account: Option<&str>) -> Result<Vec<Session>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM sessions JOIN accounts ON accounts.id = account_id
             WHERE ended_at IS NULL AND (?1 IS NULL OR name = ?1) ORDER BY started_at, sessions.id"
        ))?
        .query_map([account], session)?
        .collect()
}

/// Number of all open sessions.
///
/// # Errors
/// Those of SQLite.
pub fn count_all_open(connection: &Connection) -> Result<u32> {
    connection
        .prepare_cached("SELECT count(*) FROM sessions WHERE ended_at IS NULL")?
        .query_row([], |row| row.get(0))
}

/// Number of open sessions of an account.
///
/// # Errors
/// Those of SQLite.
pub fn count_open(connection: &Connection, account: &str) -> Result<u32> {
    connection
        .prepare_cached(
            "SELECT count(*) FROM sessions JOIN accounts ON accounts.id = account_id
             WHERE ended_at IS NULL AND name = ?1",
        )?
        .query_row([account], |row| row.get(0))
}

/// Adds a session, or completes the row that the other source (logind or PAM) has made of it. Returns the row, and
/// whether it is new.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn put(
    change: &Change<'_>,
    account: AccountId,
    boot_id: &str,
    new: &Session,
) -> Result<(Session, bool), StoreError> {
    let known: Option<i64> = match &new.logind_id {
        Some(logind_id) => change
            .connection()
            .query_row(
                "SELECT id FROM sessions WHERE boot_id = ?1 AND logind_id = ?2",
                [boot_id, logind_id],
                |row| row.get(0),
            )
            .optional()?,
        None => None,
    };
    let authenticators = serde_json::Value::from_iter(new.authenticators.iter().cloned()).to_string();
    let row = match known {
        Some(row) => {
            // What one source knows and the other does not is kept.
            change.connection().execute(
                "UPDATE sessions SET service = iif(?2 = '', service, ?2), tty = iif(?3 = '', tty, ?3),
                     remote_host = iif(?4 = '', remote_host, ?4),
                     authenticator = iif(?5 = '', authenticator, ?5),
                     authenticators = iif(?6 = '[]', authenticators, ?6) WHERE id = ?1",
                params![row, new.service, new.tty, new.remote_host, new.authenticator, authenticators],
            )?;
            row
        }
        None => {
            change.connection().execute(
                "INSERT INTO sessions (account_id, boot_id, logind_id, service, tty, remote_host, leader_pid,
                     authenticator, started_at, authenticators) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    account,
                    boot_id,
                    new.logind_id,
                    new.service,
                    new.tty,
                    new.remote_host,
                    new.leader_pid,
                    new.authenticator,
                    new.started_at,
                    authenticators
                ],
            )?;
            change.connection().last_insert_rowid()
        }
    };
    let joined = change.connection().query_row(
        &format!(
            "SELECT {COLUMNS} FROM sessions JOIN accounts ON accounts.id = account_id WHERE sessions.id = ?1"
        ),
        [row],
        session,
    )?;
    Ok((joined, known.is_none()))
}

/// Marks a session ended; returns whether it was open. Rows of sessions that ended long ago go.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn end(change: &Change<'_>, row: i64, now: Time) -> Result<bool, StoreError> {
    let ended = change
        .connection()
        .execute("UPDATE sessions SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL", [row, now])?;
    if ended > 0 {
        change.connection().execute(
            "UPDATE accounts SET last_session_end = max(?2, ifnull(last_session_end, 0))
             WHERE id = (SELECT account_id FROM sessions WHERE id = ?1)",
            [row, now],
        )?;
    }
    change.connection().execute("DELETE FROM sessions WHERE ended_at < ?1", [now - KEPT])?;
    Ok(ended > 0)
}

/// Open sessions of earlier boots: a power cut ended them.
///
/// # Errors
/// Those of SQLite.
pub fn open_before_boot(connection: &Connection, boot_id: &str) -> Result<Vec<Session>> {
    connection
        .prepare(&format!(
            "SELECT {COLUMNS} FROM sessions JOIN accounts ON accounts.id = account_id
             WHERE ended_at IS NULL AND boot_id <> ?1"
        ))?
        .query_map([boot_id], session)?
        .collect()
}

/// The authenticators that have opened sessions of an account.
///
/// # Errors
/// Those of SQLite.
pub fn authenticators_of(connection: &Connection, account: &str) -> Result<Vec<String>> {
    connection
        .prepare_cached(
            "SELECT DISTINCT authenticator FROM sessions JOIN accounts ON accounts.id = account_id
             WHERE name = ?1 AND authenticator <> ''",
        )?
        .query_map([account], |row| row.get(0))?
        .collect()
}

/// When each authenticator has last opened a session of an account, by every id that it has.
///
/// # Errors
/// Those of SQLite.
pub fn last_used(connection: &Connection, account: &str) -> Result<BTreeMap<String, Time>> {
    let mut used = BTreeMap::new();
    let mut statement = connection.prepare_cached(
        "SELECT authenticator, authenticators, max(started_at) FROM sessions
         JOIN accounts ON accounts.id = account_id WHERE name = ?1 AND authenticator <> '' GROUP BY 1, 2",
    )?;
    let rows = statement.query_map([account], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Time>(2)?))
    })?;
    for row in rows {
        let (id, all, at) = row?;
        for id in ids(&all).into_iter().chain([id]) {
            let last = used.entry(id).or_insert(at);
            *last = at.max(*last);
        }
    }
    Ok(used)
}

/// When the first session of an account in this boot began.
///
/// # Errors
/// Those of SQLite.
pub fn first_of_boot(connection: &Connection, account: &str, boot_id: &str) -> Result<Option<Time>> {
    connection
        .prepare_cached(
            "SELECT min(started_at) FROM sessions JOIN accounts ON accounts.id = account_id
             WHERE name = ?1 AND boot_id = ?2",
        )?
        .query_row([account, boot_id], |row| row.get(0))
}

//! What has not arrived, for people.

use std::collections::BTreeMap;

use lockdown_dbus_api::{options::NotificationFilter, views};
use rusqlite::{Connection, Result, params};

use super::{queue::last_attempt, severity};
use crate::{
    domain::lock::Time,
    store::{Change, StoreError},
};

/// Rows that are listed if no limit is given, and at most.
const DEFAULT_LIMIT: u32 = 1_000;
const MAX_LIMIT: u32 = 10_000;

/// How many messages are in which state.
pub type Waiting = BTreeMap<String, u32>;

/// Messages by state: `queued`, `sending` and `dead`, also if there are none.
///
/// # Errors
/// Those of SQLite.
pub fn counts(connection: &Connection) -> Result<Waiting> {
    let mut counts: Waiting = ["queued", "sending", "dead"].map(|state| (state.to_owned(), 0)).into();
    let mut select = connection.prepare_cached("SELECT state, count(*) FROM outbox GROUP BY state")?;
    for row in select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        counts.extend([row?]);
    }
    Ok(counts)
}

/// Messages that match, oldest first.
///
/// # Errors
/// Those of SQLite.
pub fn list(connection: &Connection, filter: &NotificationFilter) -> Result<Vec<views::Notification>> {
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    connection
        .prepare_cached(
            "SELECT id, rule, transport, severity, action, account, state, created_at, next_attempt_at, attempts,
                    last_error, total
             FROM outbox WHERE (?1 IS NULL OR (state = 'dead') = ?1) AND (?2 IS NULL OR rule = ?2)
             ORDER BY number LIMIT ?3",
        )?
        .query_map(params![filter.dead, filter.rule, limit], |row| {
            let state: String = row.get(6)?;
            Ok(views::Notification {
                id: row.get(0)?,
                rule: row.get(1)?,
                transport: row.get(2)?,
                severity: severity(row)?.name().to_owned(),
                action: row.get(4)?,
                user: row.get(5)?,
                created: row.get(7)?,
                next_attempt: if state == "dead" { 0 } else { row.get(8)? },
                attempts: row.get(9)?,
                error: row.get(10)?,
                total: row.get(11)?,
                state,
            })
        })?
        .collect()
}

/// Has messages tried again at once, for another day: those with these ids, or without any all that could not be delivered;
/// how many that are.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn retry(change: &Change<'_>, ids: Option<&[String]>, now: Time) -> Result<u32, StoreError> {
    const AGAIN: &str = "UPDATE outbox SET state = 'queued', is_open = 0, attempts = 0, next_attempt_at = ?1,
                                           give_up_at = ?2 WHERE";
    let (connection, last) = (change.connection(), last_attempt(now));
    let count = match ids {
        None => connection.execute(&format!("{AGAIN} state = 'dead'"), [now, last])?,
        Some(ids) => {
            let mut again = connection.prepare(&format!("{AGAIN} state <> 'sending' AND id = ?3"))?;
            let counts = ids.iter().map(|id| again.execute(params![now, last, id]));
            counts.sum::<Result<usize>>()?
        }
    };
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

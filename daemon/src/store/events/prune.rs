//! What is too old leaves the trail: first a checkpoint, and an event that says so, in one transaction; then the rows, a few at
//! a time, so that no lock waits for them.

use rusqlite::{Connection, Result, params};

use super::{
    EventId,
    chain::{self, Head, hex},
};
use crate::{
    domain::{
        event::{Action, Event},
        lock::Time,
    },
    store::{Change, StoreError},
};

/// Rows looked at in one go, and removed in one.
const LOOKED_AT: i64 = 50_000;
const REMOVED: u16 = 500;

/// How far the trail can be cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Up to this event, by number.
    pub up_to: EventId,
    /// So many of them.
    pub count: i64,
    /// Nothing after it is old enough.
    pub is_whole: bool,
}

impl Cut {
    /// Begins at the newest checkpoint.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn begin(connection: &Connection) -> Result<Self> {
        Ok(Self { up_to: chain::checkpoint(connection)?.id, count: 0, is_whole: false })
    }

    /// Looks a bit further. Ends at the first event that is not older than `limit`: of what the clock had in the wrong order
    /// more is kept, not less.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn extend(mut self, connection: &Connection, limit: Time) -> Result<Self> {
        let mut select =
            connection.prepare_cached("SELECT id, time FROM events WHERE id > ?1 ORDER BY id LIMIT ?2")?;
        let mut rows = select.query(params![self.up_to, LOOKED_AT])?;
        let mut seen = 0;
        while let Some(row) = rows.next()? {
            if row.get::<_, Time>(1)? >= limit {
                self.is_whole = true;
                return Ok(self);
            }
            seen += 1;
            self.up_to = row.get(0)?;
            self.count += 1;
        }
        self.is_whole = seen < LOOKED_AT;
        Ok(self)
    }
}

/// Signs off what is cut off: from now on the trail begins after it.
///
/// # Errors
/// [`StoreError`]
pub fn sign_off(change: &mut Change<'_>, cut: &Cut, now: Time) -> Result<(), StoreError> {
    let hash: Vec<u8> =
        change
            .connection()
            .query_row("SELECT hash FROM events WHERE id = ?1", [cut.up_to], |row| row.get(0))?;
    let mut event = Event::new(now, Action::EventsPruned, "");
    event.target = format!("events:{}", cut.up_to);
    event.input.insert("up_to", cut.up_to.to_string());
    event.input.insert("hash", hex(&hash));
    event.input.insert("count", cut.count.to_string());
    change.record(event)?;
    change.connection().execute(
        "INSERT INTO event_checkpoints (up_to, hash, count, time) VALUES (?1, ?2, ?3, ?4)",
        params![cut.up_to, hash, cut.count, now],
    )?;
    Ok(())
}

/// When the newest checkpoint was made.
///
/// # Errors
/// Those of SQLite.
pub fn last_time(connection: &Connection) -> Result<Option<Time>> {
    connection.query_row("SELECT max(time) FROM event_checkpoints", [], |row| row.get(0))
}

/// Whether an event has left the trail and is still there.
///
/// # Errors
/// Those of SQLite.
pub fn is_unfinished(connection: &Connection) -> Result<bool> {
    let Head { id, .. } = chain::checkpoint(connection)?;
    connection.query_row("SELECT EXISTS (SELECT 1 FROM events WHERE id <= ?1)", [id], |row| row.get(0))
}

/// Removes some of what has left the trail; whether there is more.
///
/// # Errors
/// [`StoreError`]
pub fn remove_some(change: &mut Change<'_>) -> Result<bool, StoreError> {
    let Head { id, .. } = chain::checkpoint(change.connection())?;
    let removed = change.connection().execute(
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id <= ?1 ORDER BY id LIMIT ?2)",
        params![id, REMOVED],
    )?;
    Ok(removed == usize::from(REMOVED))
}

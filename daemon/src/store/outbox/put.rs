//! Messages come into the outbox with their event, and the least severe leave it when it is full.

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::MessageId;
use crate::{
    domain::{
        event::{Action, Event, Severity},
        lock::Time,
        notify::{self, GATHERING, PATIENCE, Rules},
    },
    store::{Change, StoreError, events::EventId},
};

/// Events of a burst that its message names: the last of them.
pub const GATHERED: u32 = 32;
/// Rows that leave a full queue in one transaction: when the limit was lowered, the rest goes with the next.
const MOST_DROPPED: u32 = 1_000;
/// Drops are told of this often, in seconds.
pub(super) const REPORT_EVERY: Time = 60;

/// Puts a message in for every rule that the event matches; whether others had to go.
pub(in crate::store) fn put(
    connection: &Connection,
    rules: &Rules,
    id: EventId,
    event: &Event,
) -> Result<bool> {
    let mut is_matched = false;
    for rule in rules.matching(event) {
        is_matched = true;
        let new = New {
            rule: &rule.name,
            transport: rule.transport.name(),
            severity: rule.severity.unwrap_or(event.severity()),
            is_unsure: rule.groups.is_some(),
        };
        let is_gathered = notify::is_gathered(event.action);
        let joined = if is_gathered { join(connection, &new, event)? } else { None };
        let message = match joined {
            Some(message) => message,
            None => insert(connection, &new, is_gathered, event)?,
        };
        connection
            .prepare_cached("INSERT INTO outbox_events (message, event_id, account) VALUES (?1, ?2, ?3)")?
            .execute(params![message, id, event.account])?;
        if is_gathered {
            connection
                .prepare_cached(
                    "DELETE FROM outbox_events WHERE message = ?1 AND event_id NOT IN
                         (SELECT event_id FROM outbox_events WHERE message = ?1 ORDER BY event_id DESC LIMIT ?2)",
                )?
                .execute(params![message, GATHERED])?;
        }
        if new.is_unsure {
            connection
                .prepare_cached(
                    "INSERT INTO outbox_accounts (message, account, total) VALUES (?1, ?2, 1)
                     ON CONFLICT (message, account) DO UPDATE SET total = total + 1",
                )?
                .execute(params![message, event.account])?;
        }
    }
    if is_matched { make_room(connection, rules.queue_max) } else { Ok(false) }
}

struct New<'a> {
    rule: &'a str,
    transport: &'a str,
    severity: Severity,
    is_unsure: bool,
}

/// The message that gathers events of this kind, if there is one. One from before the clock was set back is none.
fn join(connection: &Connection, new: &New<'_>, event: &Event) -> Result<Option<MessageId>> {
    connection
        .prepare_cached(
            "UPDATE outbox SET total = total + 1, severity = max(severity, ?3)
             WHERE rule = ?1 AND action = ?2 AND is_open = 1 AND next_attempt_at > ?4 AND next_attempt_at <= ?4 + ?5
             RETURNING number",
        )?
        .query_row(
            params![new.rule, event.action.name(), new.severity as u8, event.time, GATHERING],
            |row| row.get(0),
        )
        .optional()
}

fn insert(connection: &Connection, new: &New<'_>, is_open: bool, event: &Event) -> Result<MessageId> {
    if is_open {
        connection
            .prepare_cached("UPDATE outbox SET is_open = 0 WHERE rule = ?1 AND action = ?2 AND is_open = 1")?
            .execute([new.rule, event.action.name()])?;
    }
    let first_attempt = event.time.saturating_add(if is_open { GATHERING } else { 0 });
    connection
        .prepare_cached(
            "INSERT INTO outbox (id, rule, transport, severity, action, account, created_at, next_attempt_at, give_up_at,
                                 is_open, is_unsure)
             VALUES ('msg_' || lower(hex(randomblob(16))), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            new.rule,
            new.transport,
            new.severity as u8,
            event.action.name(),
            event.account,
            event.time,
            first_attempt,
            first_attempt.saturating_add(PATIENCE),
            is_open,
            new.is_unsure,
        ])?;
    Ok(connection.last_insert_rowid())
}

/// Drops what is too much: first of those that could not be delivered, then of those that wait, the oldest of the least severe.
fn make_room(connection: &Connection, queue_max: u32) -> Result<bool> {
    let count: u32 =
        connection.prepare_cached("SELECT count(*) FROM outbox")?.query_row([], |row| row.get(0))?;
    let too_many = count.saturating_sub(queue_max).min(MOST_DROPPED);
    let mut dropped = 0;
    for state in ["dead", "queued"] {
        if dropped < too_many {
            dropped += connection
                .prepare_cached(
                    "DELETE FROM outbox WHERE number IN
                         (SELECT number FROM outbox WHERE state = ?1 ORDER BY severity, number LIMIT ?2)",
                )?
                .execute(params![state, too_many - dropped])? as u32;
        }
    }
    if dropped > 0 {
        connection.prepare_cached("UPDATE outbox_drops SET count = count + ?1")?.execute([dropped])?;
    }
    Ok(dropped > 0)
}

/// How many messages were dropped since that was last told, if it is time to tell.
fn take_drops(connection: &Connection, now: Time) -> Result<Option<u32>> {
    let count = connection
        .prepare_cached(
            "SELECT count FROM outbox_drops WHERE count > 0 AND (reported_at <= ?1 - ?2 OR reported_at > ?1)",
        )?
        .query_row(params![now, REPORT_EVERY], |row| row.get(0))
        .optional()?;
    if count.is_some() {
        connection.execute("UPDATE outbox_drops SET count = 0, reported_at = ?1", [now])?;
    }
    Ok(count)
}

/// When drops are to be told of, if there are any.
pub(super) fn next_report(connection: &Connection) -> Result<Option<Time>> {
    connection
        .prepare_cached("SELECT reported_at + ?1 FROM outbox_drops WHERE count > 0")?
        .query_row([REPORT_EVERY], |row| row.get(0))
        .optional()
}

/// Tells of messages that were dropped, if that is due.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn report_drops(change: &mut Change<'_>, now: Time) -> Result<(), StoreError> {
    let Some(count) = take_drops(change.connection(), now)? else { return Ok(()) };
    let mut event = Event::new(now, Action::NotificationsDropped, "");
    event.input.insert("count", count.to_string());
    "the queue is full: see [notifications] queue_max".clone_into(&mut event.reason);
    change.record(event)
}

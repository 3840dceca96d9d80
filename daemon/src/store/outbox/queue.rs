//! Messages on their way: taken up for an attempt, and what becomes of them after it.

use std::collections::BTreeSet;

use lockdown_dbus_api::views;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::{
    MessageId,
    put::{REPORT_EVERY, next_report},
    severity,
};
use crate::{
    domain::{
        event::Severity,
        lock::Time,
        notify::{Next, PATIENCE, next},
    },
    store::{Change, StoreError, events},
};

/// What could not be delivered is kept for so long, in seconds.
const KEPT: Time = 30 * 24 * 60 * 60;
/// Rows that change in one transaction: a lock need not wait for more.
const AT_ONCE: u32 = 500;
/// Accounts of a message whose groups are looked up; of the others it counts as the rule's.
const LOOKED_UP: u32 = 256;

/// A message that is taken up for an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its row.
    pub number: MessageId,
    /// What it is called to its receiver.
    pub id: String,
    /// The rule that it is sent by.
    pub rule: String,
    /// How urgent it is.
    pub severity: Severity,
    /// Action of its events.
    pub action: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Events that it stands for.
    pub total: u32,
}

fn message(row: &Row<'_>) -> Result<Message> {
    Ok(Message {
        number: row.get("number")?,
        id: row.get("id")?,
        rule: row.get("rule")?,
        severity: severity(row)?,
        action: row.get("action")?,
        attempt: row.get("attempts")?,
        total: row.get("total")?,
    })
}

/// Puts back what was being sent when the daemon ended: nobody knows whether it arrived.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn recover(change: &Change<'_>, now: Time) -> Result<usize, StoreError> {
    Ok(change
        .connection()
        .execute("UPDATE outbox SET state = 'queued', next_attempt_at = ?1 WHERE state = 'sending'", [now])?)
}

/// Takes up to `limit` messages of a rule that are due, the oldest first.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn claim(change: &Change<'_>, rule: &str, limit: u32, now: Time) -> Result<Vec<Message>, StoreError> {
    let mut messages: Vec<_> = change
        .connection()
        .prepare_cached(
            "UPDATE outbox SET state = 'sending', is_open = 0, attempts = attempts + 1
             WHERE number IN (SELECT number FROM outbox
                              WHERE rule = ?1 AND state = 'queued' AND next_attempt_at <= ?2 AND is_unsure = 0
                              ORDER BY next_attempt_at, number LIMIT ?3)
             RETURNING *",
        )?
        .query_map(params![rule, now, limit], message)?
        .collect::<Result<_>>()?;
    messages.sort_by_key(|message| message.number);
    Ok(messages)
}

/// The events that a message names, oldest first. Those that the trail has forgotten are missing.
///
/// # Errors
/// Those of SQLite.
pub fn events_of(connection: &Connection, message: MessageId) -> Result<Vec<views::Event>> {
    let ids: Vec<events::EventId> = connection
        .prepare_cached("SELECT event_id FROM outbox_events WHERE message = ?1 ORDER BY event_id")?
        .query_map([message], |row| row.get(0))?
        .collect::<Result<_>>()?;
    events::numbered(connection, &ids)
}

/// Removes a message that has arrived.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn delivered(change: &Change<'_>, message: MessageId) -> Result<(), StoreError> {
    change.connection().prepare_cached("DELETE FROM outbox WHERE number = ?1")?.execute([message])?;
    Ok(())
}

/// Notes an attempt that failed. `wish` is when the receiver wants the next one, in seconds, `random` from 0 to 1.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn failed(
    change: &Change<'_>,
    message: MessageId,
    error: &str,
    wish: Option<u64>,
    random: f64,
    now: Time,
) -> Result<Next, StoreError> {
    let known: Option<(u32, Time)> = change
        .connection()
        .query_row("SELECT attempts, give_up_at FROM outbox WHERE number = ?1", [message], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((attempts, give_up_at)) = known else { return Ok(Next::GivenUp) };
    let next = next(now, attempts, give_up_at, wish, random);
    match next {
        Next::GivenUp => refused(change, message, error)?,
        Next::At(at) => {
            change
                .connection()
                .prepare_cached(
                    "UPDATE outbox SET state = 'queued', next_attempt_at = ?2, last_error = ?3 WHERE number = ?1",
                )?
                .execute(params![message, at, error])?;
        }
    }
    Ok(next)
}

/// Notes that a message will not be delivered.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn refused(change: &Change<'_>, message: MessageId, error: &str) -> Result<(), StoreError> {
    change
        .connection()
        .prepare_cached("UPDATE outbox SET state = 'dead', is_open = 0, last_error = ?2 WHERE number = ?1")?
        .execute(params![message, error])?;
    Ok(())
}

/// The same of everything that waits for a rule; how many that were.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn refuse_all(change: &Change<'_>, rule: &str, error: &str) -> Result<usize, StoreError> {
    Ok(change.connection().execute(
        "UPDATE outbox SET state = 'dead', is_open = 0, is_unsure = 0, last_error = ?2
         WHERE rule = ?1 AND state = 'queued'",
        [rule, error],
    )?)
}

/// Gives up some of what has waited for long enough without an attempt that says so; rule and last error of each.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn give_up(
    change: &Change<'_>,
    now: Time,
    error: &str,
) -> Result<Vec<(String, String, String)>, StoreError> {
    let given_up = change
        .connection()
        .prepare_cached(
            "UPDATE outbox SET state = 'dead', is_open = 0, is_unsure = 0,
                               last_error = iif(last_error = '', ?3, last_error)
             WHERE number IN (SELECT number FROM outbox WHERE state = 'queued' AND give_up_at <= ?1 LIMIT ?2)
             RETURNING rule, action, last_error",
        )?
        .query_map(params![now, AT_ONCE, error], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_>>()?;
    Ok(given_up)
}

/// Removes some of what was given up long ago.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn forget_old(change: &Change<'_>, now: Time) -> Result<usize, StoreError> {
    Ok(change
        .connection()
        .prepare_cached(
            "DELETE FROM outbox WHERE number IN
                 (SELECT number FROM outbox WHERE state = 'dead' AND give_up_at <= ?1 LIMIT ?2)",
        )?
        .execute(params![now.saturating_sub(KEPT), AT_ONCE])?)
}

/// Removes what waits for rules other than these; how many of which.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn drop_rules_but(
    change: &Change<'_>,
    rules: &BTreeSet<String>,
) -> Result<Vec<(String, usize)>, StoreError> {
    let known: Vec<String> = change
        .connection()
        .prepare("SELECT DISTINCT rule FROM outbox")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_>>()?;
    let mut dropped = Vec::new();
    for rule in known.into_iter().filter(|rule| !rules.contains(rule)) {
        let count = change
            .connection()
            .execute("DELETE FROM outbox WHERE rule = ?1 AND state <> 'sending'", [&rule])?;
        dropped.push((rule, count));
    }
    Ok(dropped.into_iter().filter(|(_, count)| *count > 0).collect())
}

/// A message of a rule for groups, of which nobody has looked up yet whether it is about their members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsure {
    /// Its row.
    pub number: MessageId,
    /// Its rule.
    pub rule: String,
    /// The accounts that its events are about.
    pub accounts: Vec<String>,
}

/// Takes up to `limit` messages to look the groups of their accounts up. Nothing joins them any more.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn take_unsure(change: &Change<'_>, limit: u32, now: Time) -> Result<Vec<Unsure>, StoreError> {
    let connection = change.connection();
    let rows: Vec<(MessageId, String)> = connection
        .prepare_cached(
            "UPDATE outbox SET is_open = 0 WHERE number IN (
                 SELECT number FROM outbox WHERE is_unsure = 1 AND state = 'queued' AND (is_open = 0 OR next_attempt_at <= ?1)
                 ORDER BY number LIMIT ?2)
             RETURNING number, rule",
        )?
        .query_map(params![now, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_>>()?;
    let mut accounts = connection.prepare_cached(
        "SELECT account FROM outbox_accounts WHERE message = ?1 ORDER BY total DESC LIMIT ?2",
    )?;
    rows.into_iter()
        .map(|(number, rule)| {
            let names = accounts.query_map(params![number, LOOKED_UP], |row| row.get(0))?;
            Ok(Unsure { number, rule, accounts: names.collect::<Result<_>>()? })
        })
        .collect()
}

/// Takes the events about these accounts out of a message, as its rule is not for them. It is now known what it is about; with
/// nothing left, it is gone.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn sort_out(change: &Change<'_>, message: MessageId, accounts: &[String]) -> Result<(), StoreError> {
    let connection = change.connection();
    for account in accounts {
        connection
            .prepare_cached("DELETE FROM outbox_events WHERE message = ?1 AND account = ?2")?
            .execute(params![message, account])?;
        connection
            .prepare_cached("DELETE FROM outbox_accounts WHERE message = ?1 AND account = ?2")?
            .execute(params![message, account])?;
    }
    let left: u32 = connection
        .prepare_cached("SELECT ifnull(sum(total), 0) FROM outbox_accounts WHERE message = ?1")?
        .query_row([message], |row| row.get(0))?;
    if left == 0 {
        return delivered(change, message);
    }
    connection
        .prepare_cached(
            "UPDATE outbox SET is_unsure = 0, total = ?2, account = ifnull(
                 (SELECT account FROM outbox_events WHERE message = ?1 ORDER BY event_id LIMIT 1), account)
             WHERE number = ?1",
        )?
        .execute(params![message, left])?;
    connection.prepare_cached("DELETE FROM outbox_accounts WHERE message = ?1")?.execute([message])?;
    Ok(())
}

/// What there is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Rules with messages that are due, the one that waits the longest first.
    pub rules: Vec<String>,
    /// There are groups to look up.
    pub unsure: bool,
    /// There is something to give up.
    pub hopeless: bool,
    /// There is something to forget.
    pub old: bool,
    /// A full queue has dropped something, and that is to be told.
    pub dropped: bool,
    /// When there is something to do next, after now.
    pub next: Option<Time>,
}

/// What there is to do at this time.
///
/// # Errors
/// Those of SQLite.
pub fn due(connection: &Connection, now: Time) -> Result<Due> {
    let rules = connection
        .prepare_cached(
            "SELECT rule FROM outbox WHERE state = 'queued' AND next_attempt_at <= ?1 AND is_unsure = 0
             GROUP BY rule ORDER BY min(next_attempt_at), min(number)",
        )?
        .query_map([now], |row| row.get(0))?
        .collect::<Result<_>>()?;
    let unsure = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM outbox WHERE is_unsure = 1 AND state = 'queued'
                                                       AND (is_open = 0 OR next_attempt_at <= ?1))",
        )?
        .query_row([now], |row| row.get(0))?;
    let next_attempt = connection
        .prepare_cached(
            "SELECT min(next_attempt_at) FROM outbox WHERE state = 'queued' AND next_attempt_at > ?1",
        )?
        .query_row([now], |row| row.get(0))?;
    let mut end = connection.prepare_cached("SELECT min(give_up_at) + ?2 FROM outbox WHERE state = ?1")?;
    let end_of_queued: Option<Time> = end.query_row(params!["queued", 0], |row| row.get(0))?;
    let end_of_dead: Option<Time> = end.query_row(params!["dead", KEPT], |row| row.get(0))?;
    let report: Option<Time> = next_report(connection)?;
    let is_over = |time: Option<Time>| time.is_some_and(|time| time <= now);
    let times = [next_attempt, end_of_queued, end_of_dead, report];
    Ok(Due {
        rules,
        unsure,
        hopeless: is_over(end_of_queued),
        old: is_over(end_of_dead),
        // A report from the future is from before the clock was set back.
        dropped: report.is_some_and(|report| report <= now || report > now + REPORT_EVERY),
        next: times.into_iter().flatten().filter(|time| *time > now).min(),
    })
}

/// The last moment at which a message that is queued now is tried.
#[must_use]
pub fn last_attempt(now: Time) -> Time {
    now.saturating_add(PATIENCE)
}

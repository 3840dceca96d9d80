//! Failed attempts, as they were found in the tallies.

use rusqlite::{Connection, Result, Row, params};

use lockdown_dbus_api::views;
use lockdown_enforcement::{Failure, Table, tally::Standing};

use super::{Change, StoreError, accounts::AccountId};
use crate::domain::{attempts::name_of, lock::Time};

/// Failed attempts that are kept of one account, beside those that its tally has; the oldest go first.
pub const KEPT: u32 = 10_000;

/// Rows that `ListFailures` returns if no limit is given, and at most.
const DEFAULT_LIMIT: u32 = 1_000;
const MAX_LIMIT: u32 = 10_000;

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Counted => "counted",
        Standing::Cleared => "cleared",
        Standing::NotCounted => "not-counted",
    }
}

/// Those of the tally that the account of this name does not have so, in their order.
///
/// # Errors
/// Those of SQLite.
pub fn differing(connection: &Connection, name: &str, tally: &Table) -> Result<Vec<Failure>> {
    let mut known = connection.prepare_cached(
        "SELECT 1 FROM failures JOIN accounts ON accounts.id = account_id
         WHERE name = ?1 AND number = ?2 AND at = ?3 AND standing = ?4",
    )?;
    let mut differing = Vec::new();
    for failure in tally.failures() {
        let key = params![name, failure.number.cast_signed(), failure.at, standing(failure.standing)];
        if !known.exists(key)? {
            differing.push(*failure);
        }
    }
    differing.sort_by_key(|failure| failure.number);
    Ok(differing)
}

/// Adds failures, or notes what has become of them, and forgets the oldest that the tally has forgotten, too.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn put(
    change: &Change<'_>,
    account: AccountId,
    failures: &[Failure],
    tally: &Table,
) -> Result<(), StoreError> {
    let connection = change.connection();
    let mut insert = connection.prepare_cached(
        "INSERT INTO failures (account_id, number, at, service, source, standing, locked)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (account_id, number, at) DO UPDATE SET standing = excluded.standing",
    )?;
    for failure in failures {
        insert.execute(params![
            account,
            failure.number.cast_signed(),
            failure.at,
            failure.service.as_str(),
            name_of(&failure.source),
            standing(failure.standing),
            failure.lock.is_some(),
        ])?;
    }
    forget_oldest(connection, account, tally)?;
    Ok(())
}

/// What the tally still has would come back as if it were new.
fn forget_oldest(connection: &Connection, account: AccountId, tally: &Table) -> Result<()> {
    let mut oldest = connection.prepare_cached(
        "SELECT id, number, at FROM failures WHERE account_id = ?1 AND id <= (
             SELECT id FROM failures WHERE account_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?;
    let oldest: Vec<(i64, i64, Time)> = oldest
        .query_map(params![account, KEPT], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_>>()?;
    for (row, number, at) in oldest {
        let is_it = |failure: &Failure| failure.number.cast_signed() == number && failure.at == at;
        if !tally.failures().any(is_it) {
            connection.prepare_cached("DELETE FROM failures WHERE id = ?1")?.execute([row])?;
        }
    }
    Ok(())
}

/// How many failures of the account of this name count that were later than `since`.
///
/// # Errors
/// Those of SQLite.
pub fn count_counting(connection: &Connection, name: &str, since: Time) -> Result<u32> {
    connection
        .prepare_cached(
            "SELECT count(*) FROM failures JOIN accounts ON accounts.id = account_id
             WHERE name = ?1 AND at > ?2 AND standing = 'counted'",
        )?
        .query_row(params![name, since], |row| row.get(0))
}

/// Source and service of the failures of this account that no event has told of, by their number; from now on one has.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn take_untold(change: &Change<'_>, account: AccountId) -> Result<Vec<(String, String)>, StoreError> {
    let untold = change
        .connection()
        .prepare_cached(
            "SELECT source, service FROM failures WHERE account_id = ?1 AND told = 0 ORDER BY id",
        )?
        .query_map([account], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_>>()?;
    change
        .connection()
        .prepare_cached("UPDATE failures SET told = 1 WHERE account_id = ?1 AND told = 0")?
        .execute([account])?;
    Ok(untold)
}

/// Whether there are failures of the account of this name that no event has told of.
///
/// # Errors
/// Those of SQLite.
pub fn has_untold(connection: &Connection, name: &str) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM failures JOIN accounts ON accounts.id = account_id WHERE name = ?1 AND told = 0",
        )?
        .exists([name])
}

/// Which failures are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Of the account of this name only.
    pub account: Option<String>,
    /// At this time or later.
    pub since: Option<Time>,
    /// The newest so many.
    pub limit: Option<u32>,
}

/// Those of the wanted failures whose source, by its name, passes; the newest of them, oldest first.
///
/// # Errors
/// Those of SQLite.
pub fn list(
    connection: &Connection,
    wanted: &Wanted,
    passes: impl Fn(&str) -> bool,
) -> Result<Vec<views::Failure>> {
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT) as usize;
    // SQLite takes the index of the one or of the other only if it is told so.
    let of_account = if wanted.account.is_some() { "name = ?1" } else { "?1 IS NULL" };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT name, number, at, service, source, standing, locked
         FROM failures JOIN accounts ON accounts.id = account_id
         WHERE {of_account} AND at >= ?2 ORDER BY at DESC, failures.id DESC"
    ))?;
    let mut rows = statement.query(params![wanted.account, wanted.since.unwrap_or(Time::MIN)])?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        found.extend(Some(view(row)?).filter(|failure| passes(&failure.source)));
    }
    found.reverse();
    Ok(found)
}

fn view(row: &Row<'_>) -> Result<views::Failure> {
    let standing: String = row.get(5)?;
    Ok(views::Failure {
        user: row.get(0)?,
        number: row.get::<_, i64>(1)?.cast_unsigned(),
        time: row.get(2)?,
        service: row.get(3)?,
        source: row.get(4)?,
        counted: standing != "not-counted",
        cleared: standing == "cleared",
        locked: row.get(6)?,
    })
}

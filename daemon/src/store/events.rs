//! The audit trail: append and query.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, Result, params, params_from_iter, types::Value};

use lockdown_dbus_api::{options::EventFilter, views};

use crate::domain::event::{Event, Outcome};

/// Rows that `ListEvents` returns if no limit is given, and at most.
const DEFAULT_LIMIT: u32 = 1_000;
const MAX_LIMIT: u32 = 10_000;

pub(super) fn append(connection: &Connection, event: &Event) -> Result<()> {
    let (outcome, error) = match &event.outcome {
        Outcome::Success => ("success", ""),
        Outcome::Refused(why) => ("refused", why.as_str()),
        Outcome::Failed(why) => ("failed", why.as_str()),
    };
    connection
        .prepare_cached(
            "INSERT INTO events (time, action, severity, account, target, owner, reason, outcome, error, caller, input,
                 tags)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            event.time,
            event.action.name(),
            event.severity().name(),
            event.account,
            event.target,
            event.owner,
            event.reason,
            outcome,
            error,
            json(&event.caller),
            json(&event.input),
            json(&event.tags),
        ])?;
    Ok(())
}

fn json<K: AsRef<str>>(fields: &BTreeMap<K, String>) -> String {
    let object = fields.iter().map(|(key, value)| (key.as_ref().to_owned(), value.as_str().into())).collect();
    serde_json::Value::Object(object).to_string()
}

/// The newest rows that match, oldest first.
///
/// # Errors
/// Those of SQLite.
pub fn list(connection: &Connection, filter: &EventFilter) -> Result<Vec<views::Event>> {
    let mut conditions = vec!["1".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    let mut require = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            values.push(value);
            conditions.push(format!("{condition} ?{}", values.len()));
        }
    };
    require("account =", filter.user.clone().map(Value::Text));
    require("action =", filter.action.clone().map(Value::Text));
    require("time >=", filter.since.map(Value::Integer));
    require("id >", filter.after.map(Value::Integer));
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let mut rows = connection
        .prepare(&format!(
            "SELECT id, time, action, severity, account, target, owner, reason, outcome, error, caller, input, tags
             FROM events WHERE {} ORDER BY id DESC LIMIT {limit}",
            conditions.join(" AND ")
        ))?
        .query_map(params_from_iter(values), |row| {
            Ok(views::Event {
                id: row.get(0)?,
                time: row.get(1)?,
                action: row.get(2)?,
                severity: row.get(3)?,
                user: row.get(4)?,
                target: row.get(5)?,
                owner: row.get(6)?,
                reason: row.get(7)?,
                outcome: row.get(8)?,
                error: row.get(9)?,
                caller: map(&row.get::<_, String>(10)?),
                input: map(&row.get::<_, String>(11)?),
                tags: map(&row.get::<_, String>(12)?),
            })
        })?
        .collect::<Result<Vec<_>>>()?;
    rows.reverse();
    Ok(rows)
}

/// A row that somebody damaged is still listed, without the part that cannot be read.
fn map(json: &str) -> HashMap<String, String> {
    serde_json::from_str(json).unwrap_or_default()
}

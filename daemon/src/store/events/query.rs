//! Listings of the audit trail, at a cost that does not grow with it.
//!
//! A listing goes by time, as every index does, from its end: it reads no more than what it shows, if the index that is chosen
//! answers the whole of the filter, and otherwise what the most selective of them leaves. What comes `after` an event goes by
//! number instead: a follower misses nothing, whatever becomes of the clock.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Result, Row, params_from_iter, types::Value};

use lockdown_dbus_api::{options::EventFilter, views};

use super::{EventId, chain};
use crate::domain::{event::Severity, lock::Time};

/// Rows that are returned if no limit is given, and at most.
const DEFAULT_LIMIT: u32 = 1_000;
const MAX_LIMIT: u32 = 10_000;
/// So many rows of each index are counted to find out which leaves the fewest: more only if all of them have as many.
const COUNTED: [u32; 2] = [2_000, 20_000];

/// An index, and the values of its first column that are wanted.
struct Index {
    name: &'static str,
    column: &'static str,
    /// What an index of part of the rows is of.
    part: &'static str,
    wanted: Vec<String>,
}

/// A condition and what its places stand for.
#[derive(Clone, Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// `sql` has a `?` for each value.
    fn add(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push(sql.to_owned());
        self.values.extend(values);
    }
}

/// The rows that match, oldest first: of those the newest, or with `order` `oldest` the oldest.
///
/// # Errors
/// Those of SQLite.
pub fn list(connection: &Connection, filter: &EventFilter) -> Result<Vec<views::Event>> {
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let mut rows = Vec::new();
    for (statement, values) in statements(connection, filter, limit)? {
        let mut statement = connection.prepare(&statement)?;
        for row in statement.query_map(params_from_iter(values), event)? {
            rows.push(row?);
        }
    }
    if filter.after.is_some() {
        rows.sort_by_key(|event| event.id);
    } else {
        rows.sort_by_key(|event| (event.time, event.id));
    }
    let surplus = rows.len().saturating_sub(limit as usize);
    match is_from_the_oldest(filter) {
        true => rows.truncate(limit as usize),
        false => drop(rows.drain(..surplus)),
    }
    Ok(rows)
}

fn is_from_the_oldest(filter: &EventFilter) -> bool {
    filter.order.as_deref() == Some("oldest")
}

/// What gives the rows, and more where it is several: one for each wanted value of the index that is used.
fn statements(
    connection: &Connection,
    filter: &EventFilter,
    limit: u32,
) -> Result<Vec<(String, Vec<Value>)>> {
    let direction = if is_from_the_oldest(filter) { "ASC" } else { "DESC" };
    let mut conditions = window(connection, filter)?;
    let mut indices = indices(filter);
    for index in &indices {
        let places = vec!["?"; index.wanted.len()].join(", ");
        // The plus keeps SQLite from choosing an index by itself.
        let column = index.column;
        conditions.add(&format!("+({column}) IN ({places})"), index.wanted.iter().cloned().map(Value::Text));
    }
    let statement = |by: &str, conditions: Conditions, order: &str| {
        let (names, wanted) = (&*chain::NAMES, conditions.sql.join(" AND "));
        let sql = format!("SELECT {names} FROM events {by} WHERE {wanted} ORDER BY {order} LIMIT {limit}");
        (sql, conditions.values)
    };
    if filter.after.is_some() {
        return Ok(vec![statement("NOT INDEXED", conditions, &format!("id {direction}"))]);
    }
    let order = format!("time {direction}, id {direction}");
    let Some(index) = cheapest(connection, &mut indices, filter)? else {
        return Ok(vec![statement("INDEXED BY events_by_time", conditions, &order)]);
    };
    let by = format!("INDEXED BY {}", index.name);
    let of = |value: String| {
        let mut conditions = conditions.clone();
        conditions.add(index.part, []);
        conditions.add(&format!("{} = ?", index.column), [Value::Text(value)]);
        statement(&by, conditions, &order)
    };
    Ok(index.wanted.into_iter().map(of).collect())
}

/// What bounds the listing. What is at or before the newest checkpoint is no part of the trail any more.
fn window(connection: &Connection, filter: &EventFilter) -> Result<Conditions> {
    let mut window = Conditions::default();
    let first = chain::checkpoint(connection)?.id.max(filter.after.unwrap_or_default());
    window.add("id > ?", [Value::Integer(first)]);
    if let Some(since) = filter.since {
        window.add("time >= ?", [Value::Integer(since)]);
    }
    if let Some(until) = filter.until {
        window.add("time <= ?", [Value::Integer(until)]);
    }
    if let Some(before) = filter.before {
        let time: Option<Time> = connection
            .query_row("SELECT time FROM events WHERE id = ?1", [before], |row| row.get(0))
            .optional()?;
        match time.filter(|_| filter.after.is_none()) {
            Some(time) => {
                let (time, id) = (Value::Integer(time), Value::Integer(before));
                window.add("time <= ? AND (time < ? OR id < ?)", [time.clone(), time, id]);
            }
            None => window.add("id < ?", [Value::Integer(before)]),
        }
    }
    Ok(window)
}

/// The indices that the filter can use; the first of them if all have many rows.
fn indices(filter: &EventFilter) -> Vec<Index> {
    const ALL: &str = "1";
    let mut indices = Vec::new();
    let mut add = |name, column, part, wanted: Vec<String>| {
        if !wanted.is_empty() {
            indices.push(Index { name, column, part, wanted });
        }
    };
    let one = |value: &Option<String>| value.iter().cloned().collect::<Vec<_>>();
    // Everything is at least `info`.
    let least = filter.severity.as_deref().and_then(Severity::by_name).unwrap_or(Severity::Info);
    let severe = Severity::ALL.into_iter().filter(|severity| least > Severity::Info && *severity >= least);
    let severe = severe.map(|severity| severity.name().to_owned()).collect();
    let mut actions = filter.actions.clone().unwrap_or_default();
    actions.extend(filter.action.clone());
    actions.sort_unstable();
    actions.dedup();
    add("events_by_severity", "severity", "severity <> 'info'", severe);
    add("events_by_caller", "caller ->> '$.name'", "caller <> '{}'", one(&filter.caller));
    add("events_by_owner", "owner", "owner <> ''", one(&filter.owner));
    add("events_by_action", "action", ALL, actions);
    add("events_by_account", "account", ALL, one(&filter.user));
    indices
}

/// The index that leaves the fewest rows in the time that is asked for.
fn cheapest(
    connection: &Connection,
    indices: &mut Vec<Index>,
    filter: &EventFilter,
) -> Result<Option<Index>> {
    if indices.len() < 2 {
        return Ok(indices.pop());
    }
    let (since, until) = (filter.since.unwrap_or(Time::MIN), filter.until.unwrap_or(Time::MAX));
    let mut chosen = 0;
    for most in COUNTED {
        let mut fewest = most;
        for (place, index) in indices.iter().enumerate() {
            let rows = count(connection, index, since, until, fewest)?;
            if rows < fewest {
                (chosen, fewest) = (place, rows);
            }
        }
        if fewest < most {
            break;
        }
    }
    Ok(Some(indices.swap_remove(chosen)))
}

/// How many rows the index has of what is wanted, up to `most`.
fn count(connection: &Connection, index: &Index, since: Time, until: Time, most: u32) -> Result<u32> {
    let Index { name, column, part, .. } = index;
    let mut count = connection.prepare_cached(&format!(
        "SELECT count(*) FROM (SELECT 1 FROM events INDEXED BY {name} WHERE {part} AND {column} = ?1
         AND time BETWEEN ?2 AND ?3 LIMIT ?4)"
    ))?;
    let mut rows: u32 = 0;
    for value in &index.wanted {
        let left = most.saturating_sub(rows);
        rows = rows.saturating_add(count.query_row((value, since, until, left), |row| row.get(0))?);
    }
    Ok(rows)
}

/// The events with these numbers, in this order. Those that have left the trail are missing.
///
/// # Errors
/// Those of SQLite.
pub fn numbered(connection: &Connection, ids: &[EventId]) -> Result<Vec<views::Event>> {
    let mut select =
        connection.prepare_cached(&format!("SELECT {} FROM events WHERE id = ?1", *chain::NAMES))?;
    ids.iter().filter_map(|id| select.query_row([id], event).optional().transpose()).collect()
}

fn event(row: &Row<'_>) -> Result<views::Event> {
    Ok(views::Event {
        id: row.get("id")?,
        time: row.get("time")?,
        action: row.get("action")?,
        severity: row.get("severity")?,
        user: row.get("account")?,
        target: row.get("target")?,
        owner: row.get("owner")?,
        reason: row.get("reason")?,
        outcome: row.get("outcome")?,
        error: row.get("error")?,
        caller: map(&row.get::<_, String>("caller")?),
        input: map(&row.get::<_, String>("input")?),
        tags: map(&row.get::<_, String>("tags")?),
    })
}

/// A row that somebody damaged is still listed, without the part that cannot be read.
fn map(json: &str) -> HashMap<String, String> {
    serde_json::from_str(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use lockdown_enforcement::DenyDirectory;

    use super::*;
    use crate::{
        domain::event::{Action, Event, Outcome},
        store::{
            events::{append, chain::Head},
            open::open,
        },
    };

    /// Events 1 to 60, one a minute, but for the last: the clock was set back before it.
    fn trail(root: &tempfile::TempDir) -> Connection {
        let directory =
            DenyDirectory::new(root.path().join("deny")).owned_by(nix::unistd::geteuid().as_raw());
        let connection = open(&root.path().join("lockdown.db"), &directory).unwrap();
        let mut head = Head::of_nothing();
        for number in 1..=60 {
            let (account, action) = match number % 3 {
                0 => ("alice", Action::SessionStart),
                1 => ("alice", Action::Lock),
                _ => ("bob", Action::Unlock),
            };
            let mut event = Event::new(if number == 60 { 90 } else { number * 60 }, action, account);
            if action != Action::SessionStart {
                event.owner = if number % 2 == 0 { "operator" } else { "lockdown" }.to_owned();
                event.caller.insert("name", if number % 5 == 0 { "carol" } else { "root" }.to_owned());
            }
            if number % 10 == 1 {
                event.outcome = Outcome::Refused("no".to_owned());
            }
            append(&connection, &mut head, event).unwrap();
        }
        connection
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn ids(connection: &Connection, filter: EventFilter) -> Vec<i64> {
        list(connection, &filter).unwrap().into_iter().map(|event| event.id).collect()
    }

    /// What every key by itself asks for, and whether an event answers it.
    type Key = (EventFilter, fn(&views::Event) -> bool);

    fn keys() -> Vec<Key> {
        let none = EventFilter::default;
        vec![
            (EventFilter { user: text("alice"), ..none() }, |event| event.user == "alice"),
            (EventFilter { action: text("lock"), ..none() }, |event| event.action == "lock"),
            (EventFilter { actions: Some(vec!["lock".into(), "unlock".into()]), ..none() }, |event| {
                event.action == "lock" || event.action == "unlock"
            }),
            (EventFilter { severity: text("notice"), ..none() }, |event| event.severity != "info"),
            (EventFilter { severity: text("warning"), ..none() }, |event| event.severity == "warning"),
            (EventFilter { severity: text("info"), ..none() }, |_| true),
            (EventFilter { owner: text("operator"), ..none() }, |event| event.owner == "operator"),
            (EventFilter { caller: text("carol"), ..none() }, |event| {
                event.caller.get("name").is_some_and(|name| name == "carol")
            }),
            (EventFilter { since: Some(600), ..none() }, |event| event.time >= 600),
            (EventFilter { until: Some(600), ..none() }, |event| event.time <= 600),
            (EventFilter { after: Some(20), ..none() }, |event| event.id > 20),
            (EventFilter { before: Some(31), ..none() }, |event| (event.time, event.id) < (31 * 60, 31)),
        ]
    }

    fn both(one: &EventFilter, other: &EventFilter) -> EventFilter {
        EventFilter {
            user: one.user.clone().or_else(|| other.user.clone()),
            action: one.action.clone().or_else(|| other.action.clone()),
            actions: one.actions.clone().or_else(|| other.actions.clone()),
            severity: one.severity.clone().or_else(|| other.severity.clone()),
            owner: one.owner.clone().or_else(|| other.owner.clone()),
            caller: one.caller.clone().or_else(|| other.caller.clone()),
            since: one.since.or(other.since),
            until: one.until.or(other.until),
            before: one.before.or(other.before),
            after: one.after.or(other.after),
            order: one.order.clone().or_else(|| other.order.clone()),
            limit: one.limit.or(other.limit),
        }
    }

    #[test]
    fn keys_combine_and_no_plan_goes_through_the_whole_trail() {
        let root = tempfile::tempdir().unwrap();
        let connection = trail(&root);
        let all = list(&connection, &EventFilter::default()).unwrap();
        let keys = keys();
        for (one, holds) in &keys {
            for (other, holds_too) in &keys {
                let filter = both(one, other);
                if filter != both(other, one) || filter.action.is_some() && filter.actions.is_some() {
                    // They ask for the same in two ways.
                    continue;
                }
                let is_wanted = |event: &&views::Event| match (filter.after, filter.before) {
                    // Then all of it goes by number.
                    (Some(after), Some(before)) => event.id > after && event.id < before,
                    _ => holds(event) && holds_too(event),
                };
                let mut wanted: Vec<i64> = all.iter().filter(is_wanted).map(|event| event.id).collect();
                if filter.after.is_some() {
                    wanted.sort_unstable();
                }
                assert_eq!(ids(&connection, filter.clone()), wanted, "{filter:?}");
                for order in ["newest", "oldest"] {
                    let few = EventFilter { order: text(order), limit: Some(4), ..filter.clone() };
                    let at = if order == "oldest" { 0 } else { wanted.len().saturating_sub(4) };
                    let wanted = &wanted[at..(at + 4).min(wanted.len())];
                    assert_eq!(ids(&connection, few.clone()), wanted, "{few:?}");
                    for (statement, values) in statements(&connection, &few, 4).unwrap() {
                        let plan = plan(&connection, &statement, values);
                        let is_flat = plan.starts_with("SEARCH ")
                            || plan == "SCAN events USING INDEX events_by_time"
                            || plan.starts_with("SEARCH events USING INTEGER PRIMARY KEY");
                        assert!(is_flat && !plan.contains("TEMP B-TREE"), "{statement}: {plan}");
                    }
                }
            }
        }
    }

    fn plan(connection: &Connection, statement: &str, values: Vec<Value>) -> String {
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let steps = explain.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
        steps.collect::<Result<Vec<_>>>().unwrap().join("; ")
    }

    #[test]
    fn pages_meet_and_miss_nothing() {
        let root = tempfile::tempdir().unwrap();
        let connection = trail(&root);
        let (mut pages, mut before) = (Vec::new(), None);
        loop {
            let page = ids(&connection, EventFilter { before, limit: Some(7), ..EventFilter::default() });
            let Some(first) = page.first() else { break };
            before = Some(*first);
            pages.splice(0..0, page);
        }
        assert_eq!(pages, ids(&connection, EventFilter::default()));
        assert_eq!(pages[..3], [1, 60, 2], "by time");
    }

    #[test]
    fn the_index_that_leaves_the_fewest_is_used() {
        let root = tempfile::tempdir().unwrap();
        let connection = trail(&root);
        for (filter, index) in [
            (
                EventFilter { user: text("alice"), severity: text("warning"), ..EventFilter::default() },
                "severity",
            ),
            (
                EventFilter { user: text("nobody"), severity: text("warning"), ..EventFilter::default() },
                "account",
            ),
            (
                EventFilter { action: text("restore"), owner: text("operator"), ..EventFilter::default() },
                "action",
            ),
            (EventFilter { user: text("alice"), caller: text("carol"), ..EventFilter::default() }, "caller"),
        ] {
            let (statement, _) = statements(&connection, &filter, 5).unwrap().remove(0);
            assert!(statement.contains(&format!("INDEXED BY events_by_{index} ")), "{statement}");
        }
    }
}

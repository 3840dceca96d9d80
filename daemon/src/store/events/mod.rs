//! The audit trail: [appended to](append), [chained](chain), [queried](query), [verified](verify) and
//! [cut off at its old end](prune).

pub mod chain;
pub mod prune;
mod query;
pub mod verify;

use std::collections::BTreeMap;

use rusqlite::{
    Connection, Result, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};

use self::chain::{Hash, Head};
use crate::domain::event::Event;

pub use query::{list, numbered};

/// Number of an event. Grows, without gaps.
pub type EventId = i64;

/// An event that has its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its number.
    pub id: EventId,
    /// Its hash.
    pub hash: Hash,
    /// The event.
    pub event: Event,
}

/// Writes the row of an event that comes after `head`, and moves that on.
pub(super) fn append(connection: &Connection, head: &mut Head, event: Event) -> Result<Recorded> {
    // Where rows were cut off, the gap stays to be seen.
    let id = head.id.max(chain::highest_id(connection)?).saturating_add(1);
    let (caller, input, tags) = (json(&event.caller), json(&event.input), json(&event.tags));
    let text = |text| ValueRef::Text(str::as_bytes(text));
    let values = [
        ValueRef::Integer(id),
        ValueRef::Integer(event.time),
        text(event.action.name()),
        text(event.severity().name()),
        text(&event.account),
        text(&event.target),
        text(&event.owner),
        text(&event.reason),
        text(event.outcome.name()),
        text(event.outcome.error()),
        text(&caller),
        text(&input),
        text(&tags),
    ];
    let hash = chain::hash(&head.hash, &values);
    let places = (1..=values.len() + 1).map(|place| format!("?{place}")).collect::<Vec<_>>().join(", ");
    connection
        .prepare_cached(&format!("INSERT INTO events ({}, hash) VALUES ({places})", *chain::NAMES))?
        .execute(params_from_iter(
            values.into_iter().chain([ValueRef::Blob(&hash)]).map(ToSqlOutput::Borrowed),
        ))?;
    *head = Head { id, hash: hash.to_vec() };
    Ok(Recorded { id, hash, event })
}

fn json<K: AsRef<str>>(fields: &BTreeMap<K, String>) -> String {
    let object = fields.iter().map(|(key, value)| (key.as_ref().to_owned(), value.as_str().into())).collect();
    serde_json::Value::Object(object).to_string()
}

//! What the audit trail has last said of the configuration.

use std::collections::BTreeMap;

use rusqlite::{Result, params};

use super::{Change, StoreError};

/// A setting that differs from what was last said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `section.key`
    pub key: String,
    /// Its value; `None` if it is not set any more.
    pub now: Option<String>,
    /// What it was; `None` if nothing was known of it.
    pub before: Option<String>,
}

/// Compares `current`, by `section.key`, with what was last said, and keeps it. The first time there is nothing to compare.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn take_note(
    change: &Change<'_>,
    current: &BTreeMap<String, String>,
) -> Result<Vec<Difference>, StoreError> {
    let known: BTreeMap<String, String> = change
        .connection()
        .prepare("SELECT key, value FROM settings")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_>>()?;
    let is_first = known.is_empty();
    let keys: std::collections::BTreeSet<&String> = known.keys().chain(current.keys()).collect();
    let mut differences = Vec::new();
    for key in keys.into_iter().filter(|key| known.get(*key) != current.get(*key)) {
        let (now, before) = (current.get(key).cloned(), known.get(key).cloned());
        match &now {
            Some(value) => change.connection().execute(
                "INSERT INTO settings (key, value) VALUES (?1, ?2)
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                params![key, value],
            )?,
            None => change.connection().execute("DELETE FROM settings WHERE key = ?1", [key])?,
        };
        differences.push(Difference { key: key.clone(), now, before });
    }
    Ok(if is_first { Vec::new() } else { differences })
}

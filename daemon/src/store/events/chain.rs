//! The chain of the audit trail: every event carries a hash over what it says and over the hash of the event before it, so
//! that none can be changed, taken out or moved without the ones after it telling.
//!
//! The hash is SHA-256 over this, numbers in little endian:
//!
//! ```text
//! "lockdown event\0"
//! hash of the event before                     32 bytes
//! of every column that is not at its default:
//!   length of its name                         u64
//!   its name
//!   its type: 'i', 't', …                      1 byte
//!   length of its value                        u64
//!   its value                                  an integer as i64, text as it is stored
//! ```
//!
//! A column that is added later changes no hash of the events from before it: in them it is at its default.

use std::sync::LazyLock;

use rusqlite::{Connection, OptionalExtension, Result, Row, params, types::ValueRef};
use sha2::{Digest, Sha256};

use super::EventId;

const DOMAIN: &[u8] = b"lockdown event\0";

/// The columns of an event, in the order in which they are hashed, each with its default.
const COLUMNS: [(&str, &str); 13] = [
    ("id", ""),
    ("time", ""),
    ("action", ""),
    ("severity", ""),
    ("account", ""),
    ("target", ""),
    ("owner", ""),
    ("reason", ""),
    ("outcome", ""),
    ("error", ""),
    ("caller", "{}"),
    ("input", "{}"),
    ("tags", "{}"),
];

/// The columns, for SQL; the hash comes after them.
pub(super) static NAMES: LazyLock<String> = LazyLock::new(|| COLUMNS.map(|(name, _)| name).join(", "));

/// Where the hash stands after [`NAMES`].
pub(super) const HASH: usize = COLUMNS.len();

/// The values of an event, in the order of the columns.
pub(super) type Values<'v> = [ValueRef<'v>; COLUMNS.len()];

/// The hash of an event.
pub type Hash = [u8; 32];

/// Where the chain goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last event; 0 if there was none.
    pub id: EventId,
    /// Its hash, as it is stored: one that somebody put there may have any length.
    pub hash: Vec<u8>,
}

impl Head {
    /// Before the first event.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self { id: 0, hash: vec![0; size_of::<Hash>()] }
    }
}

/// The hash in hexadecimal.
#[must_use]
pub fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The values of a row that was selected by [`NAMES`].
pub(super) fn values<'r>(row: &'r Row<'_>) -> Result<Values<'r>> {
    let mut values = [ValueRef::Null; COLUMNS.len()];
    for (index, value) in values.iter_mut().enumerate() {
        *value = row.get_ref(index)?;
    }
    Ok(values)
}

/// The hash of an event with these values that comes after `previous`.
pub(super) fn hash(previous: &[u8], values: &Values<'_>) -> Hash {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(previous);
    for ((name, default), value) in COLUMNS.iter().zip(values) {
        let number;
        let (kind, bytes): (u8, &[u8]) = match value {
            ValueRef::Text(text) if *text == default.as_bytes() => continue,
            ValueRef::Text(text) => (b't', text),
            ValueRef::Integer(integer) => {
                number = integer.to_le_bytes();
                (b'i', &number)
            }
            // No column has these types, unless somebody has put them there.
            ValueRef::Real(real) => {
                number = real.to_le_bytes();
                (b'r', &number)
            }
            ValueRef::Blob(blob) => (b'b', blob),
            ValueRef::Null => (b'n', &[]),
        };
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        hash.update([kind]);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    hash.finalize().into()
}

/// The newest checkpoint: up to there, events were removed. Of nothing if there is none.
///
/// # Errors
/// Those of SQLite.
pub fn checkpoint(connection: &Connection) -> Result<Head> {
    connection
        .prepare_cached("SELECT up_to, hash FROM event_checkpoints ORDER BY up_to DESC LIMIT 1")?
        .query_row([], |row| Ok(Head { id: row.get(0)?, hash: row.get(1)? }))
        .optional()
        .map(|found| found.unwrap_or_else(Head::of_nothing))
}

/// The end of the chain.
///
/// # Errors
/// Those of SQLite.
pub fn head(connection: &Connection) -> Result<Head> {
    let last = connection
        .prepare_cached("SELECT id, hash FROM events ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| Ok(Head { id: row.get(0)?, hash: row.get(1)? }))
        .optional()?;
    let checkpoint = checkpoint(connection)?;
    Ok(last.filter(|last| last.id > checkpoint.id).unwrap_or(checkpoint))
}

/// The highest number that an event has had. No number comes twice, so an end that was cut off leaves a gap.
///
/// # Errors
/// Those of SQLite.
pub(super) fn highest_id(connection: &Connection) -> Result<EventId> {
    connection
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'events'")?
        .query_row([], |row| row.get(0))
        .optional()
        .map(Option::unwrap_or_default)
}

/// Gives the events from before there was a chain their hashes.
///
/// # Errors
/// Those of SQLite.
pub(in crate::store) fn link_all(connection: &Connection) -> Result<()> {
    const AT_ONCE: usize = 1000;
    let mut select = connection
        .prepare(&format!("SELECT {} FROM events WHERE id > ?1 ORDER BY id LIMIT {AT_ONCE}", *NAMES))?;
    let mut update = connection.prepare("UPDATE events SET hash = ?2 WHERE id = ?1")?;
    let (mut last, mut previous) = (EventId::MIN, Head::of_nothing().hash);
    loop {
        // Not while they are being read.
        let mut linked = Vec::with_capacity(AT_ONCE);
        let mut rows = select.query([last])?;
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            previous = hash(&previous, &values(row)?).to_vec();
            linked.push((last, previous.clone()));
        }
        if linked.is_empty() {
            return Ok(());
        }
        for (id, hash) in linked {
            update.execute(params![id, hash])?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'v>(id: i64, reason: &'v str, caller: &'v str) -> Values<'v> {
        let mut values = [ValueRef::Text(b""); COLUMNS.len()];
        values[0] = ValueRef::Integer(id);
        values[1] = ValueRef::Integer(1_795_264_200);
        values[7] = ValueRef::Text(reason.as_bytes());
        values[10] = ValueRef::Text(caller.as_bytes());
        values[11] = ValueRef::Text(b"{}");
        values[12] = ValueRef::Text(b"{}");
        values
    }

    /// Every trail that is out there has been hashed in this way: what changes it breaks them all.
    #[test]
    fn the_hash_stays_what_it_is() {
        let first = hash(&[0; 32], &row(1, "stolen", "{}"));
        assert_eq!(hex(&first), "a53d238395313208df2f5eb5b4f3e2180a15f0bbce1ae03a976cdfa3095d7ff9");
        let second = hash(&first, &row(2, "", r#"{"uid":"0"}"#));
        assert_eq!(hex(&second), "44cf8f7cdfacda60fd6035b33edab3ed19dfe8d40dd31d75039a89d1c07c81cf");
    }

    #[test]
    fn what_differs_has_another_hash() {
        let base = hash(&[0; 32], &row(1, "ab", "{}"));
        let mut moved = row(1, "", "{}");
        moved[6] = ValueRef::Text(b"ab");
        let mut typed = row(1, "ab", "{}");
        typed[7] = ValueRef::Blob(b"ab");
        let mut tagged = row(1, "ab", "{}");
        tagged[12] = ValueRef::Text(br#"{"ticket":"1"}"#);
        for other in [
            hash(&[1; 32], &row(1, "ab", "{}")),
            hash(&[0; 32], &row(2, "ab", "{}")),
            hash(&[0; 32], &row(1, "a", "{}")),
            hash(&[0; 32], &row(1, "ab", "")),
            hash(&[0; 32], &moved),
            hash(&[0; 32], &typed),
            hash(&[0; 32], &tagged),
        ] {
            assert_ne!(other, base);
        }
    }
}

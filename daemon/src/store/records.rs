//! Deny records, as the store wants them.

use rusqlite::Connection;

use lockdown_enforcement::{LockEntry, Record};

use super::{accounts, locks};
use crate::domain::lock::Lock;

/// The deny record that the store wants for this uid. Accounts that share a uid share its locks: the kernel cannot
/// tell them apart. One that is gone, and whose uid another has by now, shares nothing.
///
/// # Errors
/// Those of SQLite.
pub fn record_of(connection: &Connection, uid: u32) -> rusqlite::Result<Record> {
    let names: Vec<String> = connection
        .prepare_cached("SELECT name FROM accounts WHERE uid = ?1 AND uid_holder <> 'another' ORDER BY id")?
        .query_map([uid], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut record = Record {
        uid,
        account: names.first().cloned().unwrap_or_default(),
        valid_until: None,
        locks: Vec::new(),
    };
    for name in &names {
        let valid_until = accounts::stored(connection, name)?.valid_until;
        record.valid_until = record.valid_until.into_iter().chain(valid_until).min();
        let locks = locks::of_account(connection, name)?.into_iter().filter(Lock::is_in_record);
        record.locks.extend(locks.map(entry));
    }
    Ok(record)
}

fn entry(lock: Lock) -> LockEntry {
    LockEntry {
        id: lock.id,
        owner: lock.terms.owner.to_string(),
        authenticator: lock.authenticator,
        expires_at: lock.terms.expires_at,
        message: Some(lock.terms.message).filter(|message| !message.is_empty()),
    }
}

//! Keeps the deny records equal to the store.
//!
//! Every change brings its records along (`store::Change`). What is here computes a record, and finds and mends
//! what drifted all the same: a crash between commit and rename, a record that somebody damaged or removed.

use rusqlite::Connection;

use lockdown_enforcement::{DenyDirectory, LockEntry, ReadError, Record};

use crate::{
    domain::{
        event::{Action, Event},
        lock::{Lock, Time},
    },
    store::{Change, StoreError, accounts, locks},
};

/// The deny record that the store wants for this uid. Accounts that share a uid share its locks: the kernel cannot
/// tell them apart.
///
/// # Errors
/// Those of SQLite.
pub fn record_of(connection: &Connection, uid: u32) -> rusqlite::Result<Record> {
    let names: Vec<String> = connection
        .prepare_cached("SELECT name FROM accounts WHERE uid = ?1 ORDER BY id")?
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
        record.locks.extend(locks::of_account(connection, name)?.into_iter().map(entry));
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

/// A deny record that is not what the store wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// Uid that the record is for.
    pub uid: u32,
    /// Account of the store with this uid; empty if there is none.
    pub account: String,
    /// What is wrong, in words.
    pub problem: String,
}

/// Compares every record with the store; changes nothing.
///
/// # Errors
/// Those of SQLite and of listing the directory.
pub fn compare(connection: &Connection, directory: &DenyDirectory) -> Result<Vec<Drift>, StoreError> {
    let listing = directory.list().map_err(|error| StoreError::Record { uid: 0, error })?;
    let mut uids = listing.uids;
    uids.extend(accounts::enforced(connection)?.into_iter().map(|(_, uid)| uid));
    let mut drifts = Vec::new();
    for uid in uids {
        let wanted = record_of(connection, uid)?;
        if let Some(problem) = problem(&wanted, directory.read(uid)) {
            drifts.push(Drift { uid, account: wanted.account, problem });
        }
    }
    Ok(drifts)
}

fn problem(wanted: &Record, found: Result<Option<Record>, ReadError>) -> Option<String> {
    match found {
        Err(error) => Some(format!("the deny record cannot be used: {error}")),
        Ok(None) if wanted.is_empty() => None,
        Ok(None) => Some("the deny record is missing".to_owned()),
        Ok(Some(found)) if found == *wanted => None,
        Ok(Some(_)) if wanted.is_empty() => {
            Some("the store has nothing that this deny record enforces".to_owned())
        }
        Ok(Some(_)) => Some("the deny record differs from the store".to_owned()),
    }
}

/// Rewrites the records of these uids that still disagree with the store, one event each. The comparison is made
/// again, inside the writer: between it and the first one a lock may have come.
///
/// # Errors
/// [`StoreError`]
pub fn mend(change: &mut Change<'_>, suspects: &[Drift], now: Time) -> Result<Vec<Drift>, StoreError> {
    let mut mended = Vec::new();
    for suspect in suspects {
        let wanted = record_of(change.connection(), suspect.uid)?;
        let Some(problem) = problem(&wanted, change.directory().read(suspect.uid)) else { continue };
        change.touch(suspect.uid);
        let mut event = Event::new(now, Action::RecordDrift, &suspect.account);
        event.target = format!("uid:{}", suspect.uid);
        event.reason.clone_from(&problem);
        change.record(event)?;
        mended.push(Drift { problem, ..suspect.clone() });
    }
    Ok(mended)
}

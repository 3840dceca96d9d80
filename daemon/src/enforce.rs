//! Keeps the deny records equal to the store.
//!
//! Every change brings its records along (`store::Change`). What is here finds and mends what drifted all the same: a
//! crash between commit and rename, a record that somebody damaged or removed.

use rusqlite::Connection;

use lockdown_enforcement::{DenyDirectory, ReadError, Record};

use crate::{
    domain::{
        event::{Action, Event},
        lock::Time,
    },
    store::{Change, StoreError, accounts, records::record_of},
};

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
    let listing = directory.list().map_err(StoreError::Listing)?;
    let mut uids = listing.uids;
    uids.extend(accounts::enforced(connection)?.into_iter().map(|account| account.uid));
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

//! Makes the deny records equal to the store again, and the store's uids equal to NSS's.

use std::{collections::HashMap, io, path::Path, time::Duration};

use lockdown_dbus_api::Error;
use lockdown_enforcement::escape::escape;

use crate::{
    core::Core,
    domain::account::Account,
    enforce,
    host::{account_files::AccountFiles, clock, nss::Nss},
    store::{
        Change, StoreError,
        accounts::{self, Enforced},
    },
};

/// More accounts than these are looked up in a list of all first.
const FEW: usize = 256;
/// Where passwd(5) and group(5) lie.
const DIRECTORY: &str = "/etc";
/// Changes of the files that follow one another faster than this are followed together.
const PAUSE: Duration = Duration::from_millis(200);

/// One reconciliation. Cheap when all is well: nothing is written.
///
/// # Errors
/// [`StoreError`]
pub async fn reconcile(core: &Core) -> Result<(), StoreError> {
    follow_uids(core).await?;
    let directory = core.directory.clone();
    // A hundred thousand records are read for a while, in which others are to be answered.
    let suspects = core.store.read_apart(move |connection| enforce::compare(connection, &directory)).await?;
    if suspects.is_empty() {
        return Ok(());
    }
    core.store.write(move |change| enforce::mend(change, &suspects, clock::now())).await?;
    Ok(())
}

/// Follows what happens to accounts in passwd(5), for as long as the daemon runs. Of accounts elsewhere, and if the file cannot
/// be watched, the next [`reconcile`] finds out.
pub async fn follow_account_files(core: &Core) {
    if let Err(error) = follow_files(core).await {
        tracing::error!("{DIRECTORY}: {error}: changes of passwd(5) and group(5) are noticed later");
    }
    std::future::pending().await
}

async fn follow_files(core: &Core) -> io::Result<()> {
    let files = AccountFiles::watch(Path::new(DIRECTORY))?;
    // First for what has changed while nobody watched.
    loop {
        if let Err(error) = follow_uids(core).await {
            tracing::error!("uids cannot be compared with NSS: {error}");
        }
        core.accounts_changed.notify_one();
        tokio::time::sleep(PAUSE).await;
        files.changed().await?;
    }
}

/// An account with a lock that was given another uid stays locked: its record moves along. If it is gone, and its uid is
/// another's, that one is not locked.
async fn follow_uids(core: &Core) -> Result<(), StoreError> {
    let enforced =
        core.store.read(|connection| accounts::enforced(connection).map_err(StoreError::from)).await?;
    let nss = core.nss();
    let listed = if enforced.len() > FEW { nss.enumerate().await.unwrap_or_default() } else { Vec::new() };
    let listed: HashMap<String, Account> =
        listed.into_iter().map(|account| (account.name.clone(), account)).collect();
    for account in enforced {
        let has_uid = |found: &Account| found.uid == account.uid && !account.uid_is_anothers;
        if listed.get(&account.name).is_some_and(has_uid) {
            continue;
        }
        if let Err(error) = follow_uid(core, &nss, account).await {
            // The others would hang alike.
            tracing::warn!("uids cannot be compared with NSS: {}", error.message());
            return Ok(());
        }
    }
    Ok(())
}

async fn follow_uid(core: &Core, nss: &Nss, account: Enforced) -> Result<(), Error> {
    let Enforced { name, uid, uid_is_anothers } = account;
    match nss.by_name(&name).await? {
        Some(found) if found.uid != uid || uid_is_anothers => {
            let moved = move |change: &mut Change<'_>| {
                accounts::ensure(change, &name, found.uid, clock::now()).map(drop)
            };
            core.store.write(moved).await?;
        }
        None if !uid_is_anothers && nss.is_anothers(uid, &name).await? => {
            tracing::warn!(
                "{} is gone, and its uid {uid} another account's: its locks are not for that one",
                escape(&name)
            );
            core.store.write(move |change| accounts::give_uid_away(change, &name, uid)).await?;
        }
        _ => {}
    }
    Ok(())
}

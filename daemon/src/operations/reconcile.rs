//! Makes the deny records equal to the store again, and the store's uids equal to NSS's.

use std::collections::HashMap;

use crate::{
    core::Core,
    domain::account::Account,
    enforce,
    host::clock,
    store::{StoreError, accounts},
};

/// More accounts than these are looked up in a list of all first.
const FEW: usize = 256;

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

/// An account with a lock that was given another uid stays locked: its record moves along.
async fn follow_uids(core: &Core) -> Result<(), StoreError> {
    let enforced =
        core.store.read(|connection| accounts::enforced(connection).map_err(StoreError::from)).await?;
    let nss = core.nss();
    let listed = if enforced.len() > FEW { nss.enumerate().await.unwrap_or_default() } else { Vec::new() };
    let listed: HashMap<String, Account> =
        listed.into_iter().map(|account| (account.name.clone(), account)).collect();
    for (name, uid) in enforced {
        let found = match listed.get(&name) {
            Some(account) => Ok(Some(account.clone())),
            None => nss.by_name(&name).await,
        };
        match found {
            Ok(Some(account)) if account.uid != uid => {
                core.store
                    .write(move |change| accounts::ensure(change, &name, account.uid, clock::now()).map(drop))
                    .await?;
            }
            Ok(_) => {}
            Err(error) => {
                // The others would hang alike.
                tracing::warn!("uids cannot be compared with NSS: {error}");
                return Ok(());
            }
        }
    }
    Ok(())
}

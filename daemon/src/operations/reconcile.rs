//! Makes the deny records equal to the store again, and the store's uids equal to NSS's.

use crate::{
    core::Core,
    enforce,
    host::clock,
    store::{StoreError, accounts},
};

/// One reconciliation. Cheap when all is well: nothing is written.
///
/// # Errors
/// [`StoreError`]
pub async fn reconcile(core: &Core) -> Result<(), StoreError> {
    follow_uids(core).await?;
    let directory = core.directory.clone();
    let suspects = core.store.read(move |connection| enforce::compare(connection, &directory)).await?;
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
    for (name, uid) in enforced {
        match nss.by_name(&name).await {
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

//! The documents in force.

use lockdown_dbus_api::{Error, views};

use crate::{
    core::Core,
    store::{StoreError, documents, events::chain::hex},
};

/// The documents in force, by name.
///
/// # Errors
/// `Failed`
pub async fn list(core: &Core) -> Result<Vec<views::StateDocument>, Error> {
    let listed = core.store.read(|connection| {
        let documents = documents::all(connection)?.into_iter().map(|document| {
            let locks = documents::count_locks(connection, &document.name)?;
            Ok(views::StateDocument {
                origin: document.origin.name().to_owned(),
                path: document.path,
                sha256: hex(&document.hash),
                applied_at: document.applied_at,
                locks,
                pending: document.pending,
                name: document.name,
            })
        });
        documents.collect::<rusqlite::Result<Vec<_>>>().map_err(StoreError::from)
    });
    Ok(listed.await?)
}

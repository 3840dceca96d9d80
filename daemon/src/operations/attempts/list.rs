//! Failed attempts, for who asks.

use lockdown_dbus_api::{Error, options::FailureFilter, views};

use super::{fold::fold, follow::fold_all};
use crate::{
    core::Core,
    domain::{account::Account, attempts::source_called},
    store::{
        StoreError,
        failures::{self, Wanted},
    },
};

/// The failed attempts on the account, or on all, oldest first.
///
/// # Errors
/// `Failed`
pub async fn list(
    core: &Core,
    account: Option<&Account>,
    filter: FailureFilter,
) -> Result<Vec<views::Failure>, Error> {
    match account {
        Some(account) => look(core, account).await,
        None => fold_all(core).await?,
    }
    let wanted = Wanted {
        account: account.map(|account| account.name.clone()),
        since: filter.since,
        limit: filter.limit,
    };
    let source = filter.source.map(|name| source_called(&name));
    Ok(core
        .store
        .read(move |connection| {
            let passes = |name: &str| source.is_none_or(|source| source.is_same(&source_called(name)));
            failures::list(connection, &wanted, passes).map_err(StoreError::from)
        })
        .await?)
}

/// Folds the tally of the account before somebody looks at it. Who looks is shown what there is, even if that fails.
pub async fn look(core: &Core, account: &Account) {
    if let Err(error) = fold(core, account).await {
        tracing::error!("{error}");
    }
}

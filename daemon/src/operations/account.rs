//! Listings about accounts: the accounts themselves, their deny records.

use std::collections::BTreeMap;

use lockdown_dbus_api::{Error, options::AccountFilter, views};

use super::{protect::Rule, view};
use crate::{
    bus::caller::Caller,
    core::Core,
    domain::{account::Account, protection::NOBODY},
    enforce,
    host::clock,
    store::{StoreError, accounts, locks},
};

/// The accounts that NSS enumerates and those the store has something about, by name.
///
/// # Errors
/// `Failed`
pub async fn list(
    core: &Core,
    caller: &Caller,
    filter: &AccountFilter,
) -> Result<Vec<views::Account>, Error> {
    let known = core.store.read(|connection| accounts::known(connection).map_err(StoreError::from)).await?;
    let mut all: BTreeMap<String, Account> =
        known.into_iter().map(|(name, uid)| (name.clone(), Account::without_nss(name, uid))).collect();
    match core.nss().enumerate().await {
        Ok(enumerated) => all.extend(enumerated.into_iter().map(|account| (account.name.clone(), account))),
        Err(error) => tracing::warn!("only accounts of the store are listed: {error}"),
    }
    let uid_min = core.uid_min();
    let is_system = |account: &Account| account.uid < uid_min || account.uid == NOBODY;
    let wanted =
        all.into_values().filter(|account| filter.system == Some(true) || !is_system(account)).collect();
    let mut views = view::accounts(core, &Rule::for_many(core, caller).await, wanted).await?;
    views.retain(|view| {
        filter.locked.is_none_or(|wanted| wanted == view.locked)
            && filter.expired.is_none_or(|wanted| wanted == view.expired)
            && filter.deactivated.is_none_or(|wanted| wanted == view.deactivated)
    });
    Ok(views)
}

/// Number of accounts that are locked now.
///
/// # Errors
/// `Failed`
pub async fn count_locked(core: &Core) -> Result<u32, Error> {
    let now = clock::now();
    Ok(core
        .store
        .read(move |connection| locks::count_locked_accounts(connection, now).map_err(StoreError::from))
        .await?)
}

/// Deny records that disagree with the store.
///
/// # Errors
/// `Failed`
pub async fn drifts(core: &Core) -> Result<Vec<views::Drift>, Error> {
    let directory = core.directory.clone();
    let drifts = core.store.read(move |connection| enforce::compare(connection, &directory)).await?;
    Ok(drifts
        .into_iter()
        .map(|drift| views::Drift { user: drift.account, uid: drift.uid, problem: drift.problem })
        .collect())
}

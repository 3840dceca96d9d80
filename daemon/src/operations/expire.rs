//! Setting when an account expires.

use lockdown_dbus_api::Error;

use super::protect::refuse_if_protected;
use crate::{
    bus::caller::Caller,
    core::Core,
    domain::{
        account::Account,
        event::{Action, Event},
    },
    host::clock,
    store::{Change, StoreError, accounts},
};

/// 9999-12-31, the last day that the usual tools can write.
const MAX_TIME: i64 = 253_402_300_799;

/// Sets `valid_until`, Unix seconds; 0 = never. A moment that has passed expires the account now.
///
/// # Errors
/// `Protected`, `InvalidArgument`, `Failed`
pub async fn set_expiry(
    core: &Core,
    caller: &Caller,
    account: &Account,
    unix_seconds: i64,
) -> Result<(), Error> {
    let _deciding = core.deciding().await;
    refuse(core, caller, account, unix_seconds).await?;
    let (account, caller) = (account.clone(), caller.clone());
    let put = move |change: &mut Change<'_>| put(change, &caller, &account, unix_seconds, "");
    core.store.write(put).await.map_err(|error: StoreError| error.into())
}

/// Refuses what is no moment, and the expiry of a protected account.
///
/// # Errors
/// `Protected`, `InvalidArgument`
pub(super) async fn refuse(
    core: &Core,
    caller: &Caller,
    account: &Account,
    unix_seconds: i64,
) -> Result<(), Error> {
    match unix_seconds {
        0 => Ok(()),
        1..=MAX_TIME => refuse_if_protected(core, caller, account, Action::SetExpiry).await,
        _ => Err(Error::InvalidArgument(format!(
            "{unix_seconds} is no expiry: give Unix seconds up to {MAX_TIME}, or 0 for never"
        ))),
    }
}

/// The part of the transaction, with its event.
///
/// # Errors
/// [`StoreError`]
pub(super) fn put(
    change: &mut Change<'_>,
    caller: &Caller,
    account: &Account,
    unix_seconds: i64,
    reason: &str,
) -> Result<(), StoreError> {
    let now = clock::now();
    let id = accounts::ensure(change, &account.name, account.uid, now)?;
    accounts::set_valid_until(change, id, account.uid, Some(unix_seconds).filter(|seconds| *seconds > 0))?;
    let mut event = Event::new(now, Action::SetExpiry, &account.name);
    event.reason = reason.to_owned();
    caller.sign(&mut event);
    event.input.insert("valid_until", unix_seconds.to_string());
    change.record(event)
}

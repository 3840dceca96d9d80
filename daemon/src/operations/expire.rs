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
    store::{StoreError, accounts},
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
    if !(0..=MAX_TIME).contains(&unix_seconds) {
        return Err(Error::InvalidArgument(format!(
            "{unix_seconds} is no expiry: give Unix seconds up to {MAX_TIME}, or 0 for never"
        )));
    }
    let valid_until = Some(unix_seconds).filter(|seconds| *seconds > 0);
    let _deciding = core.deciding().await;
    if valid_until.is_some() {
        refuse_if_protected(core, caller, account, Action::SetExpiry).await?;
    }
    let (name, uid, fields) = (account.name.clone(), account.uid, caller.fields());
    core.store
        .write(move |change| {
            let now = clock::now();
            let id = accounts::ensure(change, &name, uid, now)?;
            accounts::set_valid_until(change, id, uid, valid_until)?;
            let mut event = Event::new(now, Action::SetExpiry, &name);
            event.caller = fields;
            event.input.insert("valid_until", unix_seconds.to_string());
            change.record(event)
        })
        .await
        .map_err(|error: StoreError| error.into())
}

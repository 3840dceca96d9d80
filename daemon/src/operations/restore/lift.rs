//! The transaction that takes a lockdown back.

use lockdown_dbus_api::{Error, options};
use lockdown_enforcement::escape::escape;

use super::event;
use crate::{
    bus::caller::Caller,
    core::Core,
    domain::{
        account::Account,
        lock::{Lock, Time},
    },
    host::clock,
    operations::recovery,
    store::{
        StoreError, accounts,
        lockdowns::{self, Lockdown},
        locks, recoveries,
    },
};

/// What was lifted.
pub(super) struct Lifted {
    /// Locks that were part of the lockdown.
    pub(super) locks: Vec<Lock>,
    /// Owners of the others.
    pub(super) still_locked_by: Vec<String>,
}

/// The transaction: the lock is lifted. With a recovery code the account expires when the code does, unless it was used: that
/// needs no daemon.
pub(super) async fn lift(
    core: &Core,
    caller: &Caller,
    account: &Account,
    lockdown: &Lockdown,
    options: &options::Restore,
    code_expires: Option<Time>,
    done: Vec<i64>,
) -> Result<Lifted, Error> {
    let mut event = event(caller, account);
    event.reason = options.reason.clone().unwrap_or_default();
    for (key, on) in
        [("undo", options.undo), ("recovery_code", options.recovery_code), ("tokens", options.tokens)]
    {
        event.input.extend(on.map(|on| (key, on.to_string())));
    }
    if options.password.is_some() {
        event.input.insert("password", "set".to_owned());
    }
    let (name, uid, lockdown) = (account.name.clone(), account.uid, lockdown.clone());
    let has_new_password = options.password.is_some() || code_expires.is_some();
    core.store
        .write(move |change| {
            let now = clock::now();
            let row = accounts::ensure(change, &name, uid, now)?;
            let standing = locks::of_account(change.connection(), &name).map_err(StoreError::from)?;
            let standing =
                standing.into_iter().filter(|lock| lock.authenticator.is_none() && lock.in_force(now));
            let (ours, others): (Vec<Lock>, Vec<Lock>) =
                standing.partition(|lock| lock.terms.owner.is_of_lockdown());
            for lock in &ours {
                locks::remove(change, lock.id, uid)?;
                event.target = format!("lock:{}", lock.id);
                event.owner = lock.terms.owner.to_string();
            }
            if !lockdowns::set_restored(change, &lockdown, now)? {
                return Err(Error::Failed(format!(
                    "{} was locked down again meanwhile, and stays locked down",
                    escape(&name)
                )));
            }
            lockdowns::forget(change, &done)?;
            if has_new_password {
                // An earlier code is worth nothing any more.
                recovery::end(change, &name)?;
            }
            if let Some(expires) = code_expires {
                let own = accounts::stored(change.connection(), &name).map_err(StoreError::from)?.valid_until;
                recoveries::put(change, row, lockdown.id, expires, own)?;
                let until = own.map_or(expires, |own| own.min(expires));
                accounts::set_valid_until(change, row, uid, Some(until))?;
            }
            change.record(event)?;
            let still_locked_by = others.iter().map(|lock| lock.terms.owner.to_string()).collect();
            Ok(Lifted { locks: ours, still_locked_by })
        })
        .await
}

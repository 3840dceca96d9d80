//! Unlocking an account.

use lockdown_dbus_api::{Error, options, views};
use lockdown_enforcement::escape::escape;

use super::{attempts, lock::owner_for, view};
use crate::{
    announcement::Announcement,
    bus::caller::Caller,
    core::Core,
    domain::{
        account::LockHolder,
        event::{Action, Event},
        lock::{Lock, Owner, Time, locked_until},
    },
    host::clock,
    store::{Change, StoreError, lockdowns, locks},
};

/// Lifts the locks that an operator may lift, or those of the owner in `options`; others stay. Of an account that is gone those of
/// a lockdown can be lifted, too: there is nothing to give back.
///
/// # Errors
/// `NotLocked` if there is none to lift, naming those that stand; `InvalidArgument`, `NotAuthorized`, `Failed`.
pub async fn unlock(
    core: &Core,
    caller: &Caller,
    holder: &LockHolder,
    options: options::Unlock,
) -> Result<views::Account, Error> {
    let LockHolder { account, is_gone } = holder;
    let is_gone = *is_gone;
    let owner = options.owner.as_deref().map(|asked| owner_to_lift(caller, asked, is_gone)).transpose()?;
    let reason = options.reason.unwrap_or_default();
    let from_tally = match owner {
        None | Some(Owner::AttackProtection) => attempts::lift(core, caller, account, &reason).await,
        Some(_) => Ok(Vec::new()),
    };
    // A tally that cannot be used keeps no other lock in place.
    let is_all = from_tally.as_ref().is_ok_and(Vec::is_empty);
    let (name, uid, caller_of) = (account.name.clone(), account.uid, caller.clone());
    let (lifted, still_locked) = core
        .store
        .write(move |change| {
            let now = clock::now();
            let standing = locks::of_account(change.connection(), &name).map_err(StoreError::from)?;
            let standing =
                standing.into_iter().filter(|lock| lock.authenticator.is_none() && lock.in_force(now));
            let (lifted, left): (Vec<Lock>, Vec<Lock>) = standing.partition(|lock| match &owner {
                _ if !lock.is_in_record() => false,
                Some(owner) => lock.terms.owner == *owner,
                None => lock.terms.owner.yields_to_operator(),
            });
            if lifted.is_empty() && is_all {
                return Err(nothing_to_lift(&name, &left, is_gone));
            }
            if lifted.iter().any(|lock| lock.terms.owner.is_of_lockdown()) {
                end_lockdown(change, &name, now)?;
            }
            for lock in &lifted {
                locks::remove(change, lock.id, uid)?;
                let mut event = Event::new(now, Action::Unlock, &name);
                event.target = format!("lock:{}", lock.id);
                event.owner = lock.terms.owner.to_string();
                event.reason.clone_from(&reason);
                caller_of.sign(&mut event);
                change.record(event)?;
            }
            Ok((lifted, locked_until(&left, now).is_some()))
        })
        .await?;
    for lock in &lifted {
        let notice =
            views::LockNotice { ended: Some("lifted".to_owned()), ..view::lock_notice(lock, still_locked) };
        core.announce(Announcement::AccountUnlocked(account.name.clone(), notice));
    }
    from_tally?;
    view::account(core, caller, account).await
}

/// An operator lifts also what attack protection has locked, and what a lockdown has of somebody who is gone.
fn owner_to_lift(caller: &Caller, asked: &str, is_gone: bool) -> Result<Owner, Error> {
    match asked.parse() {
        Ok(owner @ Owner::AttackProtection) => Ok(owner),
        Ok(owner) if is_gone && owner.is_of_lockdown() => Ok(owner),
        _ => owner_for(caller, Some(asked)),
    }
}

/// Nothing is left to be done for the lockdown of somebody who is gone.
fn end_lockdown(change: &mut Change<'_>, name: &str, now: Time) -> Result<(), StoreError> {
    match lockdowns::last_of(change.connection(), name)? {
        Some(lockdown) if !lockdown.restored => lockdowns::set_restored(change, &lockdown, now).map(drop),
        _ => Ok(()),
    }
}

fn nothing_to_lift(name: &str, left: &[Lock], is_gone: bool) -> Error {
    let name = escape(name);
    if left.is_empty() {
        return Error::NotLocked(format!("{name} is not locked"));
    }
    let owners: Vec<String> = left.iter().map(|lock| lock.terms.owner.to_string()).collect();
    let of_lockdown = left.iter().map(|lock| &lock.terms.owner).find(|owner| owner.is_of_lockdown());
    let remedy = if let Some(owner) = of_lockdown.filter(|_| is_gone) {
        format!(
            "the account is gone; `lockdownctl unlock {name} --owner {owner}` lifts what its lockdown has left"
        )
    } else if of_lockdown.is_some() {
        format!("`lockdownctl restore {name}` takes a lockdown back")
    } else if left.iter().all(|lock| lock.terms.owner.yields_to_operator()) {
        format!("`lockdownctl unlock {name}` without an owner lifts it")
    } else {
        "lift it where it was placed".to_owned()
    };
    Error::NotLocked(format!("{name} has no lock that this lifts; locked by {}: {remedy}", owners.join(", ")))
}

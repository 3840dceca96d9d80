//! Dictionaries for callers, from what store and host have.

use std::path::Path;

use lockdown_dbus_api::{Error, views};

use super::{protect, sessions};
use crate::{
    bus::caller::Caller,
    core::Core,
    domain::{
        account::{Account, Stored},
        lock::{Lock, Owner, Time, locked_until},
        protection::Protection,
    },
    host::{clock, shadow},
    store::{StoreError, accounts, locks},
};

const SHADOW: &str = "/etc/shadow";

/// An account as this caller sees it.
///
/// # Errors
/// `Failed`
pub async fn account(core: &Core, caller: &Caller, account: &Account) -> Result<views::Account, Error> {
    let name = account.name.clone();
    let (stored, locks) = core
        .store
        .read(move |connection| {
            Ok::<_, StoreError>((accounts::stored(connection, &name)?, locks::of_account(connection, &name)?))
        })
        .await?;
    let sessions = sessions::list(core, Some(account.name.clone())).await?.len();
    let protection = protect::check(core, caller, account).await;
    let password_usable =
        shadow::entry(Path::new(SHADOW), &account.name).is_none_or(|entry| entry.password_usable);
    let mut view = assemble(account, &stored, &locks, clock::now());
    view.protected_reason = protection.as_ref().map(Protection::to_string);
    view.protected = protection.is_some();
    view.password_usable = password_usable;
    view.sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
    Ok(view)
}

fn assemble(account: &Account, stored: &Stored, locks: &[Lock], now: Time) -> views::Account {
    let in_force: Vec<&Lock> =
        locks.iter().filter(|lock| lock.authenticator.is_none() && lock.in_force(now)).collect();
    views::Account {
        name: account.name.clone(),
        uid: account.uid,
        locked: !in_force.is_empty(),
        locked_until: locked_until(locks, now).map(Option::unwrap_or_default),
        deactivated: in_force.iter().any(|lock| lock.terms.owner == Owner::Lockdown),
        expired: stored.expired(now),
        valid_until: stored.valid_until.unwrap_or_default(),
        failed_attempts: stored.failed_attempts,
        last_sign_in: stored.last_sign_in.unwrap_or_default(),
        locks: in_force.into_iter().map(lock).collect(),
        ..views::Account::default()
    }
}

fn lock(lock: &Lock) -> views::Lock {
    views::Lock {
        id: lock.id,
        owner: lock.terms.owner.to_string(),
        reason: lock.terms.reason.clone(),
        message: lock.terms.message.clone(),
        created_at: lock.created_at,
        created_by: lock.terms.created_by.clone(),
        expires_at: lock.terms.expires_at.unwrap_or_default(),
    }
}

/// What a signal tells of a lock.
#[must_use]
pub fn lock_notice(lock: &Lock, still_locked: bool) -> views::LockNotice {
    views::LockNotice {
        id: lock.id,
        owner: lock.terms.owner.to_string(),
        expires_at: lock.terms.expires_at.unwrap_or_default(),
        still_locked,
        ended: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::lock::NewLock;

    fn standing(owner: Owner, expires_at: Option<Time>) -> Lock {
        let terms =
            NewLock { owner, reason: "r".into(), message: "m".into(), created_by: "root".into(), expires_at };
        Lock { id: 7, authenticator: None, terms, created_at: 50 }
    }

    fn alice() -> Account {
        Account { name: "alice".into(), uid: 1000, gid: 1000, home: "/home/alice".into() }
    }

    #[test]
    fn a_lock_that_has_ended_is_not_shown() {
        let view = assemble(&alice(), &Stored::default(), &[standing(Owner::Operator, Some(100))], 100);
        assert!(!view.locked);
        assert_eq!(view.locked_until, None);
        assert!(view.locks.is_empty());
    }

    #[test]
    fn no_expiry_is_zero() {
        let view = assemble(&alice(), &Stored::default(), &[standing(Owner::Lockdown, None)], 100);
        assert!(view.locked && view.deactivated);
        assert_eq!(view.locked_until, Some(0));
        assert_eq!(view.locks[0].expires_at, 0);
    }
}

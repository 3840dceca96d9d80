//! Dictionaries for callers, from what store and host have.

use rusqlite::Connection;

use lockdown_dbus_api::{Error, views};

use super::protect::Rule;
use crate::{
    bus::caller::Caller,
    core::Core,
    domain::{
        account::{Account, Stored},
        lock::{Lock, Time, locked_until},
        protection::Protection,
    },
    host::{clock, shadow::Shadow},
    store::{StoreError, accounts, locks, sessions},
};

/// What the store has about an account.
struct Known {
    account: Account,
    stored: Stored,
    locks: Vec<Lock>,
    sessions: u32,
}

impl Known {
    fn read(connection: &Connection, account: Account) -> rusqlite::Result<Self> {
        let stored = accounts::stored(connection, &account.name)?;
        let locks = locks::of_account(connection, &account.name)?;
        let sessions = sessions::count_open(connection, &account.name)?;
        Ok(Self { account, stored, locks, sessions })
    }
}

/// An account as this caller sees it.
///
/// # Errors
/// `Failed`
pub async fn account(core: &Core, caller: &Caller, account: &Account) -> Result<views::Account, Error> {
    let rule = Rule::for_one(core, caller);
    let mut views = accounts(core, &rule, vec![account.clone()]).await?;
    views.pop().ok_or_else(|| Error::Failed("the store forgot an account".to_owned()))
}

/// Accounts as the caller sees whom `rule` is for.
///
/// # Errors
/// `Failed`
pub async fn accounts(
    core: &Core,
    rule: &Rule<'_>,
    accounts: Vec<Account>,
) -> Result<Vec<views::Account>, Error> {
    let known = core
        .store
        .read(move |connection| {
            let known = accounts.into_iter().map(|account| Known::read(connection, account));
            known.collect::<rusqlite::Result<Vec<_>>>().map_err(StoreError::from)
        })
        .await?;
    let shadow = Shadow::read();
    let now = clock::now();
    let mut views = Vec::with_capacity(known.len());
    for known in known {
        let mut view = assemble(&known.account, &known.stored, &known.locks, now);
        let protection = rule.check(&known.account).await;
        view.protected_reason = protection.as_ref().map(Protection::to_string);
        view.protected = protection.is_some();
        view.password_usable = shadow.entry(&known.account.name).is_none_or(|entry| entry.password_usable);
        view.sessions = known.sessions;
        views.push(view);
    }
    Ok(views)
}

fn assemble(account: &Account, stored: &Stored, locks: &[Lock], now: Time) -> views::Account {
    let in_force: Vec<&Lock> =
        locks.iter().filter(|lock| lock.authenticator.is_none() && lock.in_force(now)).collect();
    views::Account {
        name: account.name.clone(),
        uid: account.uid,
        locked: !in_force.is_empty(),
        locked_until: locked_until(locks, now).map(Option::unwrap_or_default),
        deactivated: in_force.iter().any(|lock| lock.terms.owner.is_of_lockdown()),
        expired: stored.expired(now),
        valid_until: stored.valid_until.unwrap_or_default(),
        failed_attempts: stored.failed_attempts,
        last_sign_in: stored.last_sign_in.unwrap_or_default(),
        locks: in_force.into_iter().map(lock).collect(),
        ..views::Account::default()
    }
}

/// A lock as callers see it.
#[must_use]
pub fn lock(lock: &Lock) -> views::Lock {
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
    use crate::domain::lock::{NewLock, Owner};

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

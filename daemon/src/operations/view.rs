//! Dictionaries for callers, from what store and host have.

use std::collections::BTreeMap;

use rusqlite::Connection;

use lockdown_dbus_api::{Error, views};

use super::protect::Rule;
use crate::{
    bus::caller::Caller,
    core::Core,
    domain::{
        account::{Account, Stored},
        identifier::{EMAIL, EXTERNAL_ID, PHONE},
        lock::{Lock, Time, locked_until},
        protection::Protection,
    },
    host::{activity, authenticators::count, clock, home, shadow::Shadow},
    store::{
        StoreError, accounts, documents, failures, identifiers, locks, metadata,
        sessions::{self, Session},
    },
};

/// What the store has about an account.
struct Known {
    account: Account,
    stored: Stored,
    failed_attempts: u32,
    locks: Vec<Lock>,
    sessions: Vec<Session>,
    identifiers: BTreeMap<String, String>,
    metadata: BTreeMap<String, String>,
    is_deactivated: bool,
}

impl Known {
    /// `since`: how far back failed attempts count; `None` if they do not.
    fn read(connection: &Connection, account: Account, since: Option<Time>) -> rusqlite::Result<Self> {
        let stored = accounts::stored(connection, &account.name)?;
        let locks = locks::of_account(connection, &account.name)?;
        let sessions = sessions::open(connection, Some(&account.name))?;
        let identifiers = identifiers::of_account(connection, &account.name)?;
        let metadata = metadata::of_account(connection, &account.name)?;
        let is_deactivated = documents::is_deactivated(connection, &account.name)?;
        let count = |since| failures::count_counting(connection, &account.name, since);
        let failed_attempts = since.map_or(Ok(0), count)?;
        Ok(Self { account, stored, failed_attempts, locks, sessions, identifiers, metadata, is_deactivated })
    }
}

/// An account as this caller sees it.
///
/// # Errors
/// `Failed`
pub async fn account(core: &Core, caller: &Caller, account: &Account) -> Result<views::Account, Error> {
    let rule = Rule::for_one(core, caller);
    let (views, counts) = tokio::join!(accounts(core, &rule, vec![account.clone()]), count(account));
    let view = views?.pop().ok_or_else(|| Error::Failed("the store forgot an account".to_owned()))?;
    Ok(views::Account {
        passkeys: counts.passkeys,
        totp_enabled: counts.totp,
        backup_codes: counts.backup_codes,
        ..view
    })
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
    let now = clock::now();
    let attempts = &core.settings().attack_protection;
    let since = attempts.enabled.then(|| now - Time::try_from(attempts.window.as_secs()).unwrap_or(now));
    let known = core
        .store
        .read(move |connection| {
            let known = accounts.into_iter().map(|account| Known::read(connection, account, since));
            known.collect::<rusqlite::Result<Vec<_>>>().map_err(StoreError::from)
        })
        .await?;
    let shadow = Shadow::read();
    let created = home::created(known.iter().map(|known| known.account.clone()).collect()).await;
    let open = known.iter().flat_map(|known| known.sessions.clone()).collect();
    let mut used = activity::last_used(&core.bus, open, now).await.into_iter();
    let mut views = Vec::with_capacity(known.len());
    for (known, created) in known.into_iter().zip(created) {
        let mut view = assemble(&known.account, &known.stored, &known.locks, now);
        view.deactivated |= known.is_deactivated;
        let protection = rule.check(&known.account).await;
        view.protected_reason = protection.as_ref().map(Protection::to_string);
        view.protected = protection.is_some();
        view.password_usable = shadow.entry(&known.account.name).is_none_or(|entry| entry.password_usable);
        view.failed_attempts = known.failed_attempts;
        view.sessions = u32::try_from(known.sessions.len()).unwrap_or(u32::MAX);
        view.created = created.unwrap_or_default();
        let used = used.by_ref().take(known.sessions.len()).max();
        view.last_active = used.max(known.stored.last_session_end).unwrap_or_default();
        identify(&mut view, known.identifiers);
        view.metadata = known.metadata.into_iter().collect();
        views.push(view);
    }
    Ok(views)
}

fn identify(view: &mut views::Account, mut identifiers: BTreeMap<String, String>) {
    let mut take = |kind: &str| identifiers.remove(kind).unwrap_or_default();
    (view.email, view.phone, view.external_id) = (take(EMAIL), take(PHONE), take(EXTERNAL_ID));
    view.identifiers = identifiers.into_iter().collect();
}

fn assemble(account: &Account, stored: &Stored, locks: &[Lock], now: Time) -> views::Account {
    let in_force: Vec<&Lock> =
        locks.iter().filter(|lock| lock.authenticator.is_none() && lock.in_force(now)).collect();
    let locked_until = locked_until(locks, now);
    views::Account {
        name: account.name.clone(),
        uid: account.uid,
        locked: locked_until.is_some(),
        locked_until: locked_until.map(Option::unwrap_or_default),
        deactivated: in_force.iter().any(|lock| lock.terms.owner.is_of_lockdown()),
        expired: stored.expired(now),
        valid_until: stored.valid_until.unwrap_or_default(),
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
        source: lock.source.clone(),
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
        Lock { id: 7, authenticator: None, source: String::new(), terms, created_at: 50 }
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
    fn identifiers_of_known_kinds_have_keys_of_their_own() {
        let pairs = [("email", "a@b.example"), ("id", "17"), ("badge", "B-17")];
        let mut view = views::Account::default();
        identify(&mut view, pairs.map(|(kind, value)| (kind.to_owned(), value.to_owned())).into());
        assert_eq!(
            (view.email.as_str(), view.external_id.as_str(), view.phone.as_str()),
            ("a@b.example", "17", "")
        );
        assert_eq!(view.identifiers, [("badge".to_owned(), "B-17".to_owned())].into());
    }

    #[test]
    fn no_expiry_is_zero() {
        let view = assemble(&alice(), &Stored::default(), &[standing(Owner::Lockdown, None)], 100);
        assert!(view.locked && view.deactivated);
        assert_eq!(view.locked_until, Some(0));
        assert_eq!(view.locks[0].expires_at, 0);
    }
}

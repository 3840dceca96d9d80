//! Makes what the store has of an account's failed attempts equal to its tally.

use std::{collections::BTreeMap, io};

use rusqlite::Connection;

use lockdown_dbus_api::{Error, views};
use lockdown_enforcement::{Failure, Table, escape::escape};

use super::digest::Digest;
use crate::{
    announcement::Announcement,
    bus::caller::Caller,
    core::Core,
    domain::{
        account::Account,
        attempts::{TallyLock, locks_in_force},
        event::{Action, Event},
        lock::{Lock, NewLock, Owner, Time, locked_until},
    },
    host::clock,
    operations::view,
    store::{Change, StoreError, accounts, failures, locks},
};

/// Why an account could not be folded. The login path goes by the tally all the same.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The tally cannot be read, or not be changed.
    #[error("the tally of {account} cannot be used ({error}): see `lockdownctl doctor`")]
    Tally {
        /// The account, escaped.
        account: String,
        /// What the file system said.
        error: io::Error,
    },
    /// The store says no.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl FoldError {
    pub(super) fn of_tally(account: &str, error: io::Error) -> Self {
        Self::Tally { account: escape(account).to_string(), error }
    }
}

impl From<FoldError> for Error {
    fn from(error: FoldError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Who lifts the locks that the tally has no more, if it is somebody.
#[derive(Clone, Debug)]
pub(super) struct By {
    pub(super) caller: Caller,
    pub(super) reason: String,
}

/// Folds the tally of the account. Cheap where nothing has changed: nothing is written.
///
/// # Errors
/// [`FoldError`]
pub async fn fold(core: &Core, account: &Account) -> Result<(), FoldError> {
    let _alone = core.attempts.alone_with(account.uid).await;
    bring_along(core, account, None).await.map(drop)
}

/// The same while the uid's tally is held. Returns the locks that were lifted.
pub(super) async fn bring_along(
    core: &Core,
    account: &Account,
    by: Option<By>,
) -> Result<Vec<Lock>, FoldError> {
    let fold = Fold::read(core, account.uid).map_err(|error| FoldError::of_tally(&account.name, error))?;
    Ok(fold.apply(core, account, None, by).await?.lifted)
}

/// A tally that has been read.
#[derive(Clone)]
pub(super) struct Fold {
    tally: Table,
    wanted: BTreeMap<String, TallyLock>,
}

/// What the store lacks.
struct Difference {
    failures: Vec<Failure>,
    to_put: Vec<(String, TallyLock)>,
    to_lift: Vec<Lock>,
}

impl Difference {
    fn is_empty(&self) -> bool {
        self.failures.is_empty() && self.to_put.is_empty() && self.to_lift.is_empty()
    }
}

/// What was done.
#[derive(Default)]
pub(super) struct Folded {
    put: Vec<Lock>,
    lifted: Vec<Lock>,
    still_locked: bool,
    pub(super) has_told: bool,
}

impl Fold {
    /// Reads the tally of the uid, and which of its locks the login path heeds now: without attack protection, none.
    pub(super) fn read(core: &Core, uid: u32) -> io::Result<Self> {
        let tally = core.attempts.read(uid)?;
        let settings = &core.settings().attack_protection;
        let is_heeded = settings.enabled && (uid != 0 || settings.even_deny_root);
        let wanted = if is_heeded { locks_in_force(&tally, clock::now()) } else { BTreeMap::new() };
        Ok(Self { tally, wanted })
    }

    /// Whether the store lacks anything of it for the account of this name; `told`: what there is to tell beside the failures
    /// that no event has told of, `None` if no event may tell of anything now.
    pub(super) async fn is_needed(
        &self,
        core: &Core,
        name: &str,
        told: Option<&Digest>,
    ) -> Result<bool, StoreError> {
        if told.is_some_and(|told| !told.is_empty()) {
            return Ok(true);
        }
        let (fold, name, may_tell) = (self.clone(), name.to_owned(), told.is_some());
        core.store
            .read(move |connection| {
                Ok(!fold.difference(connection, &name)?.is_empty()
                    || may_tell && failures::has_untold(connection, &name)?)
            })
            .await
    }

    /// Brings the store along.
    pub(super) async fn apply(
        self,
        core: &Core,
        account: &Account,
        told: Option<Digest>,
        by: Option<By>,
    ) -> Result<Folded, StoreError> {
        if !self.is_needed(core, &account.name, told.as_ref()).await? {
            return Ok(Folded::default());
        }
        let (name, uid) = (account.name.clone(), account.uid);
        let write = move |change: &mut Change<'_>| self.write(change, (&name, uid), told, by, clock::now());
        let folded = core.store.write(write).await?;
        folded.announce(core, account);
        Ok(folded)
    }

    fn difference(&self, connection: &Connection, name: &str) -> rusqlite::Result<Difference> {
        let mut standing = locks::of_account(connection, name)?;
        standing.retain(|lock| lock.terms.owner == Owner::AttackProtection && lock.authenticator.is_none());
        let stands = |source: &str, wanted: &TallyLock| {
            let same = |lock: &Lock| lock.source == source && lock.terms.expires_at == wanted.until;
            standing.iter().any(same)
        };
        let to_put = self.wanted.iter().filter(|(source, wanted)| !stands(source, wanted));
        let to_put = to_put.map(|(source, wanted)| (source.clone(), wanted.clone())).collect();
        standing.retain(|lock| !self.wanted.contains_key(&lock.source));
        Ok(Difference {
            failures: failures::differing(connection, name, &self.tally)?,
            to_put,
            to_lift: standing,
        })
    }

    fn write(
        self,
        change: &mut Change<'_>,
        (name, uid): (&str, u32),
        told: Option<Digest>,
        by: Option<By>,
        now: Time,
    ) -> Result<Folded, StoreError> {
        let difference = self.difference(change.connection(), name)?;
        let id = accounts::ensure(change, name, uid, now)?;
        failures::put(change, id, &difference.failures, &self.tally)?;
        // What has ended by itself is told of as such, where the deadline brings it.
        let to_lift: Vec<Lock> = difference.to_lift.into_iter().filter(|lock| lock.in_force(now)).collect();
        for lock in &to_lift {
            locks::remove_of_tally(change, lock.id)?;
            change.record(lifted(name, lock, by.as_ref(), now))?;
        }
        let mut put = Vec::new();
        let is_in_force = |wanted: &TallyLock| wanted.until.is_none_or(|until| now < until);
        for (source, wanted) in difference.to_put.into_iter().filter(|(_, wanted)| is_in_force(wanted)) {
            let lock = locks::put_of_tally(change, id, &source, &terms(&wanted), wanted.since)?;
            change.record(placed(name, &lock, now))?;
            put.push(lock);
        }
        let has_told = told.map_or(Ok(false), |told| tell(change, (name, id), told, now))?;
        let still_locked = locked_until(&locks::of_account(change.connection(), name)?, now).is_some();
        Ok(Folded { put, lifted: to_lift, still_locked, has_told })
    }
}

fn terms(wanted: &TallyLock) -> NewLock {
    NewLock {
        owner: Owner::AttackProtection,
        reason: format!("too many attempts have failed, the last one by {}", wanted.service),
        message: String::new(),
        created_by: "pam_lockdown".to_owned(),
        expires_at: wanted.until,
    }
}

fn placed(name: &str, lock: &Lock, now: Time) -> Event {
    let mut event = about(Action::Lock, name, lock, now);
    event.reason.clone_from(&lock.terms.reason);
    event
}

fn lifted(name: &str, lock: &Lock, by: Option<&By>, now: Time) -> Event {
    let mut event = about(Action::Unlock, name, lock, now);
    match by {
        Some(by) => {
            by.caller.sign(&mut event);
            event.reason.clone_from(&by.reason);
        }
        None => "the tally has it no more, or attack protection is off".clone_into(&mut event.reason),
    }
    event
}

fn about(action: Action, name: &str, lock: &Lock, now: Time) -> Event {
    let mut event = Event::new(now, action, name);
    event.target = format!("lock:{}", lock.id);
    event.owner = lock.terms.owner.to_string();
    event.input.insert("source", lock.source.clone());
    event
}

fn tell(
    change: &mut Change<'_>,
    (name, id): (&str, accounts::AccountId),
    mut told: Digest,
    now: Time,
) -> Result<bool, StoreError> {
    for (source, service) in failures::take_untold(change, id)? {
        told.add_failed(source, service);
    }
    if told.is_empty() {
        return Ok(false);
    }
    change.record(told.event(now, name))?;
    Ok(true)
}

impl Folded {
    fn announce(&self, core: &Core, account: &Account) {
        for lock in &self.put {
            let notice = view::lock_notice(lock, self.still_locked);
            core.announce(Announcement::AccountLocked(account.name.clone(), notice));
        }
        for lock in &self.lifted {
            let notice = views::LockNotice {
                ended: Some("lifted".to_owned()),
                ..view::lock_notice(lock, self.still_locked)
            };
            core.announce(Announcement::AccountUnlocked(account.name.clone(), notice));
        }
    }
}

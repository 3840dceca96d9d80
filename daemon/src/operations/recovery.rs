//! What becomes of a recovery code: it is used, or it ends.
//!
//! The code is the account's password in shadow(5), marked as one that has to be changed at the next login. While it has not been
//! used, the account expires when the code does, also with the daemon dead.

use std::sync::Arc;

use lockdown_enforcement::escape::escape;

use super::{lockdown::finish, prior, view::lock_notice};
use crate::{
    announcement::Announcement,
    core::Core,
    domain::{
        event::{Action, Event},
        lock::{NewLock, Owner, Time},
        lockdown::{Actions, Suspects, Wanted},
    },
    host::{clock, shadow_utils},
    store::{
        Change, StoreError, accounts, lockdowns, locks,
        recoveries::{self, Recovery},
    },
};

const NOT_USED: &str = "the recovery code was not used in time";
/// Whatever the lockdown was ordered to do: the code must not open the account any more.
const SHUT: Wanted = Wanted {
    actions: Actions { deactivate: true, unusable_password: true, end_sessions: false, revoke_tokens: false },
    suspects: Suspects::Report,
};

/// Looks whether the code of this account was used, and gives the account its own expiry back then.
///
/// # Errors
/// [`StoreError`]
pub async fn look(core: &Core, account: &str) -> Result<(), StoreError> {
    let name = account.to_owned();
    let waiting = core
        .store
        .read(move |connection| recoveries::of_account(connection, &name).map_err(StoreError::from))
        .await?;
    match waiting {
        Some(recovery) if was_used(&recovery.account) => used(core, recovery).await,
        _ => Ok(()),
    }
}

/// Settles the codes that end now: those that were used unnoticed, and those that were not: there the lockdown stands again.
///
/// # Errors
/// [`StoreError`]
pub async fn settle(core: &Arc<Core>, now: Time) -> Result<(), StoreError> {
    let due =
        core.store.read(move |connection| recoveries::due(connection, now).map_err(StoreError::from)).await?;
    for recovery in due {
        if was_used(&recovery.account) {
            used(core, recovery).await?;
        } else {
            lapse(core, recovery).await?;
        }
    }
    Ok(())
}

/// The user has set a new password, or an administrator has: the code is gone from shadow(5).
fn was_used(account: &str) -> bool {
    match shadow_utils::state_of(account) {
        Ok(state) => state.is_none_or(|state| !state.must_change()),
        Err(error) => {
            tracing::error!("whether {} has used its code is unknown: {error}", escape(account));
            false
        }
    }
}

async fn used(core: &Core, recovery: Recovery) -> Result<(), StoreError> {
    core.store
        .write(move |change| {
            end(change, &recovery.account)?;
            change.record(Event::new(clock::now(), Action::RecoveryUsed, &recovery.account))
        })
        .await
}

/// The lockdown stands again, or goes on in one that was ordered meanwhile.
async fn lapse(core: &Arc<Core>, recovery: Recovery) -> Result<(), StoreError> {
    let account = recovery.account.clone();
    let state = shadow_utils::state_of(&account).ok().flatten();
    let message = core.settings().lock.message.clone().unwrap_or_default();
    let (lock, lockdown) = core
        .store
        .write(move |change| {
            let now = clock::now();
            end(change, &recovery.account)?;
            let terms = NewLock {
                owner: Owner::Lockdown,
                reason: NOT_USED.to_owned(),
                message,
                created_by: "lockdownd".to_owned(),
                expires_at: None,
            };
            let lock = locks::put(change, recovery.account_id, recovery.uid, &terms, now)?;
            lockdowns::stand_again(change, recovery.lockdown)?;
            let lockdown = lockdowns::open(change, recovery.account_id, NOT_USED, SHUT, now, now)?;
            if let Some(state) = state {
                prior::keep_expiry(change, lockdown.id, &state)?;
            }
            let mut event = Event::new(now, Action::RecoveryExpired, &recovery.account);
            event.target = format!("lock:{}", lock.id);
            event.owner = terms.owner.to_string();
            change.record(event)?;
            Ok::<_, StoreError>((lock, lockdown))
        })
        .await?;
    core.announce(Announcement::LockdownTriggered(account, lock_notice(&lock, true)));
    // The lock holds already; this takes the code out of shadow(5), and closes what goes past PAM.
    finish::again(core, lockdown);
    Ok(())
}

/// Takes a code out of the books, and gives the account its own expiry back. `false` if there is none.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn end(change: &mut Change<'_>, account: &str) -> Result<bool, StoreError> {
    let Some(recovery) = recoveries::of_account(change.connection(), account)? else { return Ok(false) };
    let now = accounts::stored(change.connection(), account)?.valid_until;
    // Unless somebody has set another meanwhile.
    if now == Some(recovery.valid_until.map_or(recovery.expires_at, |own| own.min(recovery.expires_at))) {
        accounts::set_valid_until(change, recovery.account_id, recovery.uid, recovery.valid_until)?;
    }
    recoveries::remove(change, recovery.account_id)?;
    Ok(true)
}

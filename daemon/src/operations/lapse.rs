//! Recovery codes that end by time: where one was not used, the lockdown stands again.

use std::sync::Arc;

use super::{lockdown::finish, prior, recovery, view::lock_notice};
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
        StoreError, lockdowns, locks,
        recoveries::{self, Recovery},
    },
};

const NOT_USED: &str = "the recovery code was not used in time";
/// Whatever the lockdown was ordered to do: the code must not open the account any more.
const SHUT: Wanted = Wanted {
    actions: Actions { deactivate: true, unusable_password: true, end_sessions: false, revoke_tokens: false },
    suspects: Suspects::Report,
};

/// Settles the codes that end now: those that were used unnoticed, and those that were not.
///
/// # Errors
/// [`StoreError`]
pub async fn settle(core: &Arc<Core>, now: Time) -> Result<(), StoreError> {
    let due =
        core.store.read(move |connection| recoveries::due(connection, now).map_err(StoreError::from)).await?;
    for recovery in due {
        if !recovery::note_use(core, recovery.clone()).await? {
            lapse(core, recovery).await?;
        }
    }
    Ok(())
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
            recovery::end(change, &recovery.account)?;
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

//! What time does: locks end, accounts expire, recovery codes and prior states lapse. The login path needs nobody for that; this tells the world.

use std::sync::Arc;

use lockdown_dbus_api::views::{AuthenticatorNotice, ExpiryNotice, LockNotice};

use super::{authenticator, lapse, sessions, view};
use crate::{
    announcement::Announcement,
    core::Core,
    domain::{
        account::Account,
        event::{Action, Event},
        lock::{Lock, Time, locked_until},
    },
    host::clock::{self, Alarm},
    store::{StoreError, accounts, lockdowns, locks, recoveries},
};

struct Settled {
    unlocked: Vec<(String, Lock, bool)>,
    expired: Vec<(String, Option<u32>, Time)>,
}

/// Takes expired locks out of the store, reports them and expired accounts, and ends what the latter run.
///
/// # Errors
/// [`StoreError`]; tried again at the next change or deadline.
pub async fn settle(core: &Arc<Core>) -> Result<(), StoreError> {
    // Before accounts expire: one whose code was used has its own expiry again.
    lapse::settle(core, clock::now()).await?;
    let settled = core
        .store
        .write(|change| {
            let now = clock::now();
            lockdowns::forget_old(change, now)?;
            let mut unlocked = Vec::new();
            for (account, _, lock) in locks::take_expired(change, now)? {
                let mut event = Event::new(now, Action::LockExpired, &account);
                event.target = format!("lock:{}", lock.id);
                event.owner = lock.terms.owner.to_string();
                event.input.extend(lock.authenticator.clone().map(|id| ("authenticator", id)));
                event.input.extend(Some(("source", lock.source.clone())).filter(|_| !lock.is_in_record()));
                change.record(event)?;
                let left = locks::of_account(change.connection(), &account)?;
                let still_locked = match &lock.authenticator {
                    None => locked_until(&left, now).is_some(),
                    Some(id) => authenticator::is_locked(id, &left, now),
                };
                unlocked.push((account, lock, still_locked));
            }
            let expired = accounts::take_newly_expired(change, now)?;
            for (account, _, valid_until) in &expired {
                let mut event = Event::new(now, Action::AccountExpired, account);
                event.input.insert("valid_until", valid_until.to_string());
                change.record(event)?;
            }
            Ok::<_, StoreError>(Settled { unlocked, expired })
        })
        .await?;
    for (account, lock, still_locked) in settled.unlocked {
        if let Some(id) = &lock.authenticator {
            let notice = authenticator::notice(id, &lock, still_locked);
            let notice = AuthenticatorNotice { ended: Some("expired".to_owned()), ..notice };
            core.announce(Announcement::AuthenticatorUnlocked(account, notice));
            continue;
        }
        let notice =
            LockNotice { ended: Some("expired".to_owned()), ..view::lock_notice(&lock, still_locked) };
        core.announce(Announcement::AccountUnlocked(account, notice));
    }
    for (name, uid, valid_until) in settled.expired {
        core.announce(Announcement::AccountExpired(name.clone(), ExpiryNotice { valid_until }));
        let Some(uid) = uid else { continue };
        let account = Account::without_nss(name, uid);
        // A sweep takes its time; the next deadline does not wait for it.
        let core = Arc::clone(core);
        tokio::spawn(async move {
            sessions::end_everything(&core, &account, "account-expired", Vec::new()).await
        });
    }
    Ok(())
}

/// How long to wait after a failure, in seconds: a full disk must not turn this into a busy loop.
const RETRY: Time = 10;

/// Settles at every deadline in the store, for as long as the daemon runs.
pub async fn settle_forever(core: &Arc<Core>, mut alarm: Alarm) {
    let mut changes = core.store.changes();
    loop {
        // Before the deadline is read: a change that comes in between wakes the wait below.
        changes.mark_unchanged();
        let wake_at = match next_deadline(core).await {
            Ok(Some(deadline)) if deadline <= clock::now() => match settle(core).await {
                Ok(()) => continue,
                Err(error) => {
                    tracing::error!("locks and accounts that have expired cannot be settled: {error}");
                    Some(clock::now() + RETRY)
                }
            },
            Ok(deadline) => deadline,
            Err(error) => {
                tracing::error!("the next deadline cannot be read: {error}");
                Some(clock::now() + RETRY)
            }
        };
        tokio::select! {
            woken = alarm.wait_until(wake_at) => {
                if let Err(error) = woken {
                    tracing::error!("the timer failed: {error}");
                    return;
                }
            }
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

async fn next_deadline(core: &Core) -> Result<Option<Time>, StoreError> {
    core.store
        .read(|connection| {
            let deadlines = [
                locks::next_deadline(connection)?,
                lockdowns::next_deadline(connection)?,
                recoveries::next_deadline(connection)?,
            ];
            Ok(deadlines.into_iter().flatten().min())
        })
        .await
}

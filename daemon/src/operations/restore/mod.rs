//! Takes a lockdown back: as if it had not been (`undo`), or with a new password and the tokens still in quarantine.
//!
//! What goes past PAM is put right first, then the lock is lifted, then comes what could not start before. If something fails
//! before the lock is lifted, the account stays locked down.

mod lift;
mod open;
mod put_back;
mod way;

use std::sync::Arc;

use lockdown_dbus_api::{Error, options, views};
use lockdown_enforcement::escape::escape;

use super::{
    attempts,
    lockdown::finish,
    prior::{self, Prior},
    review, state, view,
};
use crate::{
    announcement::Announcement,
    bus::caller::Caller,
    core::Core,
    domain::{
        account::Account,
        event::{Action, Event, Outcome},
        lock::Time,
    },
    host::{
        clock,
        shadow_utils::{self, ShadowError},
    },
    store::{
        StoreError,
        lockdowns::{self, Lockdown},
    },
};
use lift::lift;
use open::{Opened, open, refuse_if_impossible};
use put_back::{put_files_back, start_again};
use way::Way;

/// Takes the lockdown of an account back.
///
/// # Errors
/// `NotLocked` if there is none; `InvalidArgument` if a local account would get its old password, or a password that the host's
/// rules refuse; `Failed` if an undo comes too late or the host does not let it happen.
pub async fn restore(
    core: &Arc<Core>,
    caller: &Caller,
    account: &Account,
    options: options::Restore,
) -> Result<views::Restored, Error> {
    let way = Way::of(&options)?;
    let _alone = core.alone_with(account.uid).await;
    let lockdown = last_lockdown(core, account).await?;
    let kept = prior::all(core, lockdown.id, account).await?;
    let with_tokens = way == Way::Undo || options.tokens == Some(true);
    if lockdown.restored {
        return match way {
            Way::Undo | Way::AsItIs if with_tokens => {
                put_back_later(core, caller, account, &lockdown, kept).await
            }
            _ => Err(not_locked_down(account)),
        };
    }
    refuse_if_impossible(&way, account, &lockdown, &kept)?;
    // From here on the lockdown has something left to do: to shut again what is opened now, however this ends.
    set_finished(core, &lockdown, None).await?;
    let opened = match open(&way, account, &lockdown, &kept, with_tokens).await {
        Ok(opened) => opened,
        Err(error) => {
            let nothing_opened = matches!(error, Error::InvalidArgument(_));
            if nothing_opened && lockdown.finished {
                set_finished(core, &lockdown, Some(clock::now())).await?;
            } else {
                shut_again(core, account, &lockdown).await;
            }
            record_failure(core, caller, account, &[error.message()]).await?;
            return Err(error);
        }
    };
    let Opened { mut restored, code, done, mut problems } = opened;
    if !problems.is_empty() {
        shut_again(core, account, &lockdown).await;
        restored.error =
            Some(format!("{}; {} stays locked down", problems.join("; "), escape(&account.name)));
        record_failure(core, caller, account, &problems).await?;
        return Ok(restored);
    }
    // Whoever could not sign in meanwhile has tried to.
    let reason = options.reason.as_deref().unwrap_or("the lockdown was taken back");
    if let Err(error) = attempts::lift(core, caller, account, reason).await {
        problems.push(error.to_string());
    }
    let expires = code.is_some().then(|| clock::after(core.settings().lockdown.recovery_code_lifetime));
    let lifted = match lift(core, caller, account, &lockdown, &options, expires, done).await {
        Ok(lifted) => lifted,
        Err(error) => {
            shut_again(core, account, &lockdown).await;
            return Err(error);
        }
    };
    for lock in &lifted.locks {
        let notice = views::LockNotice {
            ended: Some("lifted".to_owned()),
            ..view::lock_notice(lock, !lifted.still_locked_by.is_empty())
        };
        core.announce(Announcement::AccountRestored(account.name.clone(), notice));
    }
    restored.still_locked_by = lifted.still_locked_by;
    restored.recovery_code = code;
    restored.recovery_code_expires = expires;
    let mut started = Vec::new();
    if way == Way::Undo {
        start_again(core, account, &kept, &mut restored, &mut started, &mut problems).await;
    }
    forget(core, started).await?;
    state::follow_restore(core);
    finish(core, account, &lockdown, restored, problems, way == Way::Undo).await
}

/// The lockdown stands, so nothing that a restore has opened stays open: shadow(5) at once, the rest in the background.
async fn shut_again(core: &Arc<Core>, account: &Account, lockdown: &Lockdown) {
    let id = lockdown.id;
    let read = core.store.read(move |connection| lockdowns::get(connection, id).map_err(StoreError::from));
    if read.await.is_ok_and(|now| now.restored) {
        // Its deny record alone could not be put right.
        return;
    }
    let actions = lockdown.wanted.actions;
    match shadow_utils::shut(&account.name, actions.deactivate, actions.unusable_password).await {
        Ok(()) | Err(ShadowError::NotLocal(_)) => {}
        Err(error) => tracing::error!("{error}; it is tried again"),
    }
    finish::again(core, lockdown.clone());
}

async fn set_finished(core: &Core, lockdown: &Lockdown, at: Option<Time>) -> Result<(), StoreError> {
    let lockdown = lockdown.clone();
    core.store.write(move |change| lockdowns::set_finished(change, &lockdown, at)).await
}

/// The lockdown was taken back before; what it left in quarantine may be wanted now.
async fn put_back_later(
    core: &Core,
    caller: &Caller,
    account: &Account,
    lockdown: &Lockdown,
    kept: Vec<(i64, Prior)>,
) -> Result<views::Restored, Error> {
    let left = kept.iter().any(|(_, prior)| !matches!(prior, Prior::Shadow(_) | Prior::Expiry(_)));
    if !left {
        return Err(not_locked_down(account));
    }
    let mut restored = views::Restored { user: account.name.clone(), ..views::Restored::default() };
    let (mut done, mut problems) = (Vec::new(), Vec::new());
    put_files_back(&kept, &mut restored, &mut done, &mut problems).await;
    start_again(core, account, &kept, &mut restored, &mut done, &mut problems).await;
    let mut event = event(caller, account);
    event.input.insert("tokens", "true".to_owned());
    event.input.insert("put_back", restored.put_back.join("; "));
    if !problems.is_empty() {
        event.outcome = Outcome::Failed(problems.join("; "));
    }
    core.store
        .write(move |change| {
            lockdowns::forget(change, &done)?;
            change.record(event)
        })
        .await?;
    finish(core, account, lockdown, restored, problems, false).await
}

async fn finish(
    core: &Core,
    account: &Account,
    lockdown: &Lockdown,
    mut restored: views::Restored,
    problems: Vec<String>,
    was_false_alarm: bool,
) -> Result<views::Restored, Error> {
    restored.success = problems.is_empty();
    restored.error = (!problems.is_empty()).then(|| problems.join("; "));
    let left = prior::all(core, lockdown.id, account).await?;
    restored.kept = left
        .iter()
        .filter_map(|(_, prior)| match prior {
            Prior::File(file) => Some(file.path.to_string_lossy().into_owned()),
            Prior::Linger => Some("linger".to_owned()),
            Prior::Unit(unit) => Some(unit.clone()),
            Prior::Shadow(_) | Prior::Expiry(_) => None,
        })
        .collect();
    if !was_false_alarm {
        restored.review.extend(review::review(core, account, lockdown).await);
    }
    Ok(restored)
}

async fn last_lockdown(core: &Core, account: &Account) -> Result<Lockdown, Error> {
    let name = account.name.clone();
    core.store
        .read(move |connection| lockdowns::last_of(connection, &name).map_err(StoreError::from))
        .await?
        .ok_or_else(|| not_locked_down(account))
}

fn not_locked_down(account: &Account) -> Error {
    Error::NotLocked(format!(
        "{0} is not locked down: see `lockdownctl status {0}`; a lock is lifted by `lockdownctl unlock`",
        escape(&account.name)
    ))
}

async fn record_failure(
    core: &Core,
    caller: &Caller,
    account: &Account,
    problems: &[String],
) -> Result<(), StoreError> {
    let mut event = event(caller, account);
    event.outcome = Outcome::Failed(problems.join("; "));
    core.store.write(move |change| change.record(event)).await
}

async fn forget(core: &Core, rows: Vec<i64>) -> Result<(), StoreError> {
    core.store.write(move |change| lockdowns::forget(change, &rows)).await
}

fn event(caller: &Caller, account: &Account) -> Event {
    let mut event = Event::new(clock::now(), Action::Restore, &account.name);
    caller.sign(&mut event);
    event
}

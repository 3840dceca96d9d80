//! Takes a lockdown back: as if it had not been (`undo`), or with a new password and the tokens still in quarantine.
//!
//! What goes past PAM is put right first, then the lock is lifted, then comes what could not start before. If something fails
//! before the lock is lifted, the account stays locked down.

use std::{os::unix::ffi::OsStrExt, path::Path, sync::Arc, time::Duration};

use lockdown_dbus_api::{Error, options, views};
use lockdown_enforcement::escape::escape;

use super::{
    lockdown::finish,
    prior::{self, Prior},
    recovery, review, view,
};
use crate::{
    announcement::Announcement,
    bus::caller::Caller,
    core::Core,
    domain::{
        account::Account,
        event::{Action, Event, Outcome},
        lock::{Lock, Time},
    },
    host::{
        clock, logind,
        quarantine::Kept,
        shadow_utils::{self, ShadowError, ShadowState},
        tokens, units,
    },
    store::{
        StoreError, accounts,
        lockdowns::{self, Lockdown},
        locks, recoveries,
    },
};

/// Longest time to put a file back: a home directory may be on a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// How the account is given back.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// As if it had not been locked down.
    Undo,
    /// With this password.
    Password(String),
    /// With a code for a new password.
    RecoveryCode,
    /// As it is: its password is in a directory, or only tokens are wanted.
    AsItIs,
}

impl Way {
    fn of(options: &options::Restore) -> Result<Self, Error> {
        let undo = options.undo == Some(true);
        let code = options.recovery_code == Some(true);
        match (undo, code, &options.password) {
            (true, false, None) => Ok(Self::Undo),
            (false, true, None) => Ok(Self::RecoveryCode),
            (false, false, Some(password)) => Ok(Self::Password(password.clone())),
            (false, false, None) => Ok(Self::AsItIs),
            _ => Err(Error::InvalidArgument(
                "options undo, recovery_code and password exclude each other: give one".to_owned(),
            )),
        }
    }
}

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
    finish(core, account, &lockdown, restored, problems, way == Way::Undo).await
}

/// What is done before the lock is lifted.
#[derive(Default)]
struct Opened {
    restored: views::Restored,
    code: Option<String>,
    done: Vec<i64>,
    problems: Vec<String>,
}

/// Puts right what goes past PAM, and the files. What fails after the password is among the problems.
async fn open(
    way: &Way,
    account: &Account,
    lockdown: &Lockdown,
    kept: &[(i64, Prior)],
    with_tokens: bool,
) -> Result<Opened, Error> {
    let mut opened = Opened::default();
    opened.restored.user.clone_from(&account.name);
    opened.code = set_password(way, account, lockdown, kept).await?;
    if *way == Way::Undo
        && let Some((row, state)) = shadow_of(kept)
    {
        let actions = lockdown.wanted.actions;
        match shadow_utils::put_back(&account.name, state, actions.deactivate, actions.unusable_password)
            .await
        {
            Ok(()) => {
                opened.restored.put_back.push("shadow".to_owned());
                opened.done.push(row);
            }
            Err(error) => opened.problems.push(error.to_string()),
        }
    }
    if with_tokens {
        put_files_back(kept, &mut opened.restored, &mut opened.done, &mut opened.problems).await;
    }
    Ok(opened)
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

fn shadow_of(kept: &[(i64, Prior)]) -> Option<(i64, &ShadowState)> {
    kept.iter().find_map(|(row, prior)| match prior {
        Prior::Shadow(state) => Some((*row, state)),
        _ => None,
    })
}

/// Says what cannot be, before anything is changed.
fn refuse_if_impossible(
    way: &Way,
    account: &Account,
    lockdown: &Lockdown,
    kept: &[(i64, Prior)],
) -> Result<(), Error> {
    let name = escape(&account.name);
    let is_local =
        shadow_utils::state_of(&account.name).map_err(|error| Error::Failed(error.to_string()))?.is_some();
    let is_forgotten = lockdown.undo_until <= clock::now()
        || kept.iter().any(|(_, prior)| matches!(prior, Prior::Expiry(_)));
    match way {
        Way::Undo if is_forgotten => Err(Error::Failed(format!(
            "what {name} had is not kept any more, the time for an undo is over: restore it with a new password"
        ))),
        Way::AsItIs if is_local => Err(Error::InvalidArgument(format!(
            "{name} needs a new password: give one, or ask for a recovery code; for a false alarm there is undo"
        ))),
        Way::Password(_) | Way::RecoveryCode if !is_local => Err(Error::InvalidArgument(format!(
            "{name} has its password in a directory: set a new one there, and restore it without"
        ))),
        _ => Ok(()),
    }
}

/// Sets the password that the way asks for, and takes the expiry of the lockdown back. The recovery code, if one is made.
async fn set_password(
    way: &Way,
    account: &Account,
    lockdown: &Lockdown,
    kept: &[(i64, Prior)],
) -> Result<Option<String>, Error> {
    let name = &account.name;
    let failed = |error: ShadowError| match error {
        ShadowError::Refused(_) | ShadowError::BadPassword(_) => Error::InvalidArgument(error.to_string()),
        other => Error::Failed(other.to_string()),
    };
    let code = match way {
        Way::Undo | Way::AsItIs => return Ok(None),
        Way::Password(password) => {
            shadow_utils::set_password(name, password).await.map_err(failed)?;
            None
        }
        Way::RecoveryCode => Some(shadow_utils::set_recovery_code(name).await.map_err(failed)?),
    };
    if lockdown.wanted.actions.deactivate {
        let own = kept.iter().find_map(|(_, prior)| match prior {
            Prior::Shadow(state) | Prior::Expiry(state) => Some(state),
            _ => None,
        });
        shadow_utils::lift_expiry(name, own).await.map_err(failed)?;
    }
    Ok(code)
}

async fn put_files_back(
    kept: &[(i64, Prior)],
    restored: &mut views::Restored,
    done: &mut Vec<i64>,
    problems: &mut Vec<String>,
) {
    for (row, prior) in kept {
        let Prior::File(file) = prior else { continue };
        // Of what took the place of a file that was taken away, the first is what was there before.
        let first = kept.iter().find_map(|(first, prior)| match prior {
            Prior::File(other) if other.path == file.path => Some(*first),
            _ => None,
        });
        if first != Some(*row) {
            continue;
        }
        match put_file_back(file).await {
            Ok(()) => {
                restored.put_back.push(file.path.to_string_lossy().into_owned());
                done.extend(rows_of(kept, &file.path));
            }
            Err(problem) => problems.push(problem),
        }
    }
}

fn rows_of(kept: &[(i64, Prior)], path: &Path) -> Vec<i64> {
    kept.iter()
        .filter(|(_, prior)| matches!(prior, Prior::File(file) if file.path == path))
        .map(|(row, _)| *row)
        .collect()
}

async fn put_file_back(file: &Kept) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, tokens::put_back(file.clone())).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err(format!(
            "{} is not put back: its file system does not answer",
            escape(file.path.as_os_str().as_bytes())
        )),
    }
}

async fn start_again(
    core: &Core,
    account: &Account,
    kept: &[(i64, Prior)],
    restored: &mut views::Restored,
    done: &mut Vec<i64>,
    problems: &mut Vec<String>,
) {
    for (row, prior) in kept {
        let (what, outcome) = match prior {
            Prior::Linger => ("linger", logind::set_linger(&core.bus, account.uid, true).await),
            // A transient unit is gone for good when it stops.
            Prior::Unit(unit) if !units::exists(&core.bus, unit).await => {
                restored.review.push(format!(
                    "{} was transient, and is gone: start it anew if it is wanted",
                    escape(unit)
                ));
                done.push(*row);
                continue;
            }
            Prior::Unit(unit) => (unit.as_str(), units::start(&core.bus, unit).await),
            Prior::Shadow(_) | Prior::Expiry(_) | Prior::File(_) => continue,
        };
        match outcome {
            Ok(()) => {
                restored.put_back.push(what.to_owned());
                done.push(*row);
            }
            Err(error) => problems.push(format!("{}: {error}", escape(what))),
        }
    }
}

struct Lifted {
    locks: Vec<Lock>,
    still_locked_by: Vec<String>,
}

/// The transaction: the lock is lifted. With a recovery code the account expires when the code does, unless it was used: that
/// needs no daemon.
async fn lift(
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
    event.caller = caller.fields();
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_exclude_each_other() {
        let options = |undo: bool, code: bool, password: Option<&str>| options::Restore {
            undo: Some(undo),
            recovery_code: Some(code),
            password: password.map(str::to_owned),
            ..options::Restore::default()
        };
        assert_eq!(Way::of(&options(true, false, None)).unwrap(), Way::Undo);
        assert_eq!(Way::of(&options(false, true, None)).unwrap(), Way::RecoveryCode);
        assert_eq!(Way::of(&options(false, false, Some("x"))).unwrap(), Way::Password("x".into()));
        assert_eq!(Way::of(&options(false, false, None)).unwrap(), Way::AsItIs);
        for wrong in
            [options(true, true, None), options(true, false, Some("x")), options(false, true, Some("x"))]
        {
            assert!(matches!(Way::of(&wrong), Err(Error::InvalidArgument(_))));
        }
    }
}

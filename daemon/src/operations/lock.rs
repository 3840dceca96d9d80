//! Locking an account.

use std::time::Duration;

use lockdown_dbus_api::{Error, options, views};

use super::{protect::refuse_if_protected, sessions, view};
use crate::{
    announcement::Announcement,
    bus::caller::Caller,
    core::Core,
    domain::{
        account::Account,
        event::{Action, Event, Fields},
        lock::{Lock, NewLock, Owner},
    },
    host::clock,
    store::{StoreError, accounts, locks},
};

/// Longest duration of a lock, in seconds: 100 years. Longer is a slip of the keyboard, or `indefinite`.
const MAX_DURATION: u64 = 100 * 366 * 24 * 3600;

/// Places a lock of the owner in `options` on the account, or updates the one that stands, then ends what the account
/// runs. When this returns the lock is durable.
///
/// # Errors
/// `Protected`, `InvalidArgument`, `NotAuthorized` (an owner that is not the caller's to use), `Failed`.
pub async fn lock(
    core: &Core,
    caller: &Caller,
    account: &Account,
    options: options::Lock,
) -> Result<views::Account, Error> {
    let settings = core.settings();
    let owner = owner_for(caller, options.owner.as_deref())?;
    let duration = match options.duration {
        None => settings.lock.duration,
        Some(seconds) => checked_duration(seconds)?,
    };
    let deciding = core.deciding().await;
    refuse_if_protected(core, caller, account, Action::Lock).await?;

    let terms = NewLock {
        owner,
        reason: options.reason.clone().unwrap_or_default(),
        message: options.message.clone().or_else(|| settings.lock.message.clone()).unwrap_or_default(),
        created_by: caller.name.clone(),
        expires_at: duration.map(clock::after),
    };
    let lock = put(core, caller, account, terms, input(&options)).await?;
    drop(deciding);
    core.announce(Announcement::AccountLocked(account.name.clone(), view::lock_notice(&lock, true)));

    let ended = if options.end_sessions.unwrap_or(settings.lock.end_sessions) {
        Some(sessions::end_everything(core, account, "lock", caller.lineage()).await)
    } else {
        None
    };
    let mut result = view::account(core, caller, account).await?;
    if let Some(ended) = ended {
        result.sessions_ended = Some(ended.sessions);
        result.processes_ended = Some(ended.outcome.processes);
        let left = [ended.outcome.survivors, ended.outcome.spared].concat();
        result.survivors = Some(left).filter(|left| !left.is_empty());
    }
    Ok(result)
}

async fn put(
    core: &Core,
    caller: &Caller,
    account: &Account,
    terms: NewLock,
    input: Fields,
) -> Result<Lock, StoreError> {
    let (name, uid, caller) = (account.name.clone(), account.uid, caller.clone());
    core.store
        .write(move |change| {
            let now = clock::now();
            let id = accounts::ensure(change, &name, uid, now)?;
            let lock = locks::put(change, id, uid, &terms, now)?;
            let mut event = Event::new(now, Action::Lock, &name);
            event.target = format!("lock:{}", lock.id);
            event.owner = terms.owner.to_string();
            event.reason = terms.reason;
            caller.sign(&mut event);
            event.input = input;
            change.record(event)?;
            Ok(lock)
        })
        .await
}

/// How long a lock of so many seconds stands; `None` = without expiry, which 0 stands for.
///
/// # Errors
/// `InvalidArgument` over the limit.
pub fn checked_duration(seconds: u64) -> Result<Option<Duration>, Error> {
    match seconds {
        0 => Ok(None),
        1..=MAX_DURATION => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(Error::InvalidArgument(format!(
            "a lock of {seconds} seconds is over the limit of {MAX_DURATION}: use 0 for one without expiry"
        ))),
    }
}

/// The owner that a caller may act as: `operator`, and for root the ones of configuration management.
///
/// # Errors
/// `InvalidArgument`, `NotAuthorized`
pub fn owner_for(caller: &Caller, asked: Option<&str>) -> Result<Owner, Error> {
    let owner: Owner = asked
        .unwrap_or("operator")
        .parse()
        .map_err(|error: crate::domain::lock::UnknownOwner| Error::InvalidArgument(error.to_string()))?;
    match owner {
        Owner::Operator => Ok(owner),
        Owner::Config(_) | Owner::Fleet(_) if caller.uid == 0 => Ok(owner),
        Owner::Config(_) | Owner::Fleet(_) => {
            Err(Error::NotAuthorized(format!("only root may act as owner {owner}: leave the option out")))
        }
        Owner::SelfService | Owner::Lockdown | Owner::AttackProtection => {
            Err(Error::InvalidArgument(format!(
                "owner {owner} belongs to the daemon itself: leave the option out, or use config:<file> or fleet:<issuer>"
            )))
        }
    }
}

fn input(options: &options::Lock) -> Fields {
    let given = [
        ("duration", options.duration.map(|seconds| seconds.to_string())),
        ("message", options.message.clone()),
        ("end_sessions", options.end_sessions.map(|end| end.to_string())),
    ];
    given.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(uid: u32) -> Caller {
        Caller { uid, ..Caller::default() }
    }

    #[test]
    fn everybody_acts_as_operator_and_only_root_for_configuration_management() {
        assert_eq!(owner_for(&caller(1000), None).unwrap(), Owner::Operator);
        assert_eq!(owner_for(&caller(0), Some("config:web")).unwrap(), Owner::Config("web".into()));
        assert!(matches!(owner_for(&caller(1000), Some("config:web")), Err(Error::NotAuthorized(_))));
    }

    #[test]
    fn a_duration_is_bounded() {
        assert_eq!(checked_duration(0).unwrap(), None);
        assert_eq!(checked_duration(MAX_DURATION).unwrap(), Some(Duration::from_secs(MAX_DURATION)));
        assert!(matches!(checked_duration(MAX_DURATION + 1), Err(Error::InvalidArgument(_))));
    }

    #[test]
    fn nobody_acts_as_the_daemon() {
        for owner in ["self", "lockdown", "attack-protection", "nonsense"] {
            assert!(matches!(owner_for(&caller(0), Some(owner)), Err(Error::InvalidArgument(_))), "{owner}");
        }
    }
}

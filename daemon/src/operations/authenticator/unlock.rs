//! Unlocking one authenticator of an account, or all of a type.

use lockdown_dbus_api::{Error, options, views};
use lockdown_enforcement::escape::escape;

use super::{Known, is_locked, no_such, notice};
use crate::{
    announcement::Announcement,
    bus::caller::Caller,
    core::Core,
    domain::{
        account::Account,
        authenticator::Kind,
        event::{Action, Event},
        lock::{Lock, Owner},
    },
    host::clock,
    operations::lock::owner_for,
    store::{StoreError, locks},
};

/// What is to be unlocked.
enum Which {
    One(String),
    All(Kind),
}

impl Which {
    fn read(account: &Account, id: &str, kind: Option<&str>) -> Result<Self, Error> {
        match (id, kind) {
            ("", None) => Err(Error::InvalidArgument(
                "no authenticator is named: give an id, or the option type".to_owned(),
            )),
            ("", Some(kind)) => {
                kind.parse().map(Self::All).map_err(|error: crate::domain::authenticator::UnknownKind| {
                    Error::InvalidArgument(error.to_string())
                })
            }
            (_, Some(_)) => Err(Error::InvalidArgument("give an id or the option type, not both".to_owned())),
            (id, None) if Kind::of_id(id).is_some() => Ok(Self::One(id.to_owned())),
            (id, None) => Err(no_such(account, id, &[])),
        }
    }

    fn is_meant(&self, lock: &Lock) -> bool {
        lock.authenticator.as_deref().is_some_and(|id| match self {
            Self::One(meant) => id == meant,
            Self::All(kind) => Kind::of_id(id) == Some(*kind),
        })
    }

    /// Whether a lock on `locked` keeps it locked.
    fn is_covered_by(&self, locked: &str) -> bool {
        match self {
            Self::One(id) => Kind::covers(locked, id),
            Self::All(kind) => Kind::of_id(locked) == Some(*kind),
        }
    }
}

/// Lifts the locks that an operator may lift, or those of the owner in `options`; others stay, also one on the whole type
/// when one of it is named.
///
/// # Errors
/// `NotLocked` if there is none to lift, naming those that stand; `NoSuchAuthenticator`, `InvalidArgument`,
/// `NotAuthorized`, `Failed`.
pub async fn unlock(
    core: &Core,
    caller: &Caller,
    account: &Account,
    id: &str,
    options: options::UnlockAuthenticator,
) -> Result<views::Authenticator, Error> {
    let owner = options.owner.as_deref().map(|asked| owner_for(caller, Some(asked))).transpose()?;
    let which = Which::read(account, id, options.kind.as_deref())?;
    let known = Known::gather(core, account).await?;
    if !id.is_empty() && !known.has(id) {
        return Err(no_such(account, id, &known.found.problems));
    }
    let (lifted, left) =
        lift(core, caller, account, which, owner, options.reason.unwrap_or_default()).await?;
    let now = clock::now();
    let mut unlocked = Vec::new();
    for lock in &lifted {
        let id = lock.authenticator.clone().unwrap_or_default();
        let notice = views::AuthenticatorNotice {
            ended: Some("lifted".to_owned()),
            ..notice(&id, lock, is_locked(&id, &left, now))
        };
        core.announce(Announcement::AuthenticatorUnlocked(account.name.clone(), notice));
        if !unlocked.contains(&id) {
            unlocked.push(id);
        }
    }
    let known = Known { locks: left, ..known };
    let view = match options.kind {
        None => known.view(id, now),
        Some(kind) => views::Authenticator {
            id: String::new(),
            locked: known.views(now).iter().any(|other| other.kind == kind && other.locked),
            ..known.view(&kind, now)
        },
    };
    Ok(views::Authenticator { unlocked: Some(unlocked), ..view })
}

/// Those that were lifted, and what stands on the account's authenticators now.
async fn lift(
    core: &Core,
    caller: &Caller,
    account: &Account,
    which: Which,
    owner: Option<Owner>,
    reason: String,
) -> Result<(Vec<Lock>, Vec<Lock>), Error> {
    let (name, uid, caller_of) = (account.name.clone(), account.uid, caller.clone());
    core.store
        .write(move |change| {
            let now = clock::now();
            let mut left = locks::of_account(change.connection(), &name).map_err(StoreError::from)?;
            left.retain(|lock| lock.authenticator.is_some() && lock.in_force(now));
            let may_lift = |lock: &Lock| match &owner {
                Some(owner) => lock.terms.owner == *owner,
                None => lock.terms.owner.yields_to_operator(),
            };
            let (lifted, left): (Vec<Lock>, Vec<Lock>) =
                left.into_iter().partition(|lock| which.is_meant(lock) && may_lift(lock));
            if lifted.is_empty() {
                return Err(nothing_to_lift(&name, &which, &left));
            }
            for lock in &lifted {
                locks::remove(change, lock.id, uid)?;
                let mut event = Event::new(now, Action::UnlockAuthenticator, &name);
                event.target = format!("lock:{}", lock.id);
                event.owner = lock.terms.owner.to_string();
                event.reason.clone_from(&reason);
                caller_of.sign(&mut event);
                event.input.extend(lock.authenticator.clone().map(|id| ("authenticator", id)));
                change.record(event)?;
            }
            Ok((lifted, left))
        })
        .await
}

fn nothing_to_lift(name: &str, which: &Which, left: &[Lock]) -> Error {
    let name = escape(name);
    let standing: Vec<String> = left
        .iter()
        .filter_map(|lock| {
            let id = lock.authenticator.as_deref().filter(|id| which.is_covered_by(id))?;
            Some(format!("{} by {}", escape(id), lock.terms.owner))
        })
        .collect();
    if standing.is_empty() {
        return Error::NotLocked(match which {
            Which::One(id) => format!("{} of {name} is not locked", escape(id)),
            Which::All(kind) => format!("no {kind} of {name} is locked"),
        });
    }
    Error::NotLocked(format!(
        "{name} has no lock that this lifts; locked: {}: lift it there, or where it was placed",
        standing.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::authenticator::tests::locked;

    fn alice() -> Account {
        Account::without_nss("alice".into(), 1000)
    }

    #[test]
    fn one_or_a_type_is_named() {
        let read = |id, kind| Which::read(&alice(), id, kind);
        for (id, kind) in [("", None), ("password", Some("ssh")), ("", Some("key"))] {
            assert!(matches!(read(id, kind), Err(Error::InvalidArgument(_))), "{id} {kind:?}");
        }
        assert!(matches!(read("nonsense", None), Err(Error::NoSuchAuthenticator(_))));
        let keys = read("", Some("ssh")).unwrap();
        for (id, expected) in
            [("ssh:SHA256:a", true), ("ssh", true), ("ssh-ca:SHA256:a", true), ("password", false)]
        {
            assert_eq!(keys.is_meant(&locked(id, None)), expected, "{id}");
        }
        let one = read("ssh:SHA256:a", None).unwrap();
        assert!(one.is_meant(&locked("ssh:SHA256:a", None)) && !one.is_meant(&locked("ssh", None)));
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        let one = Which::One("ssh:SHA256:a".into());
        let text = |which: &Which, left: &[Lock]| nothing_to_lift("alice", which, left).message();
        assert_eq!(text(&one, &[]), "ssh:SHA256:a of alice is not locked");
        assert_eq!(text(&one, &[locked("password", None)]), "ssh:SHA256:a of alice is not locked");
        assert!(text(&one, &[locked("ssh", None)]).contains("locked: ssh by operator"));
        assert_eq!(text(&Which::All(Kind::Face), &[]), "no face of alice is locked");
    }
}

//! Authenticators of an account: listing them, and locking one while the others go on working.

mod lock;
mod unlock;

use std::collections::BTreeMap;

use lockdown_dbus_api::{Error, views};
use lockdown_enforcement::escape::escape;

pub use lock::{end_opened, lock, refusal_of_document};
pub use unlock::unlock;

use super::view;
use crate::{
    core::Core,
    domain::{
        account::Account,
        authenticator::{Authenticator, Kind},
        lock::{Lock, Time},
    },
    host::{
        authenticators::{Found, find},
        clock,
    },
    store::{StoreError, locks, sessions},
};

/// What the account has to authenticate with, and what of it is locked.
///
/// # Errors
/// `Failed`
pub async fn list(core: &Core, account: &Account) -> Result<Vec<views::Authenticator>, Error> {
    let known = Known::gather(core, account).await?;
    for problem in &known.found.problems {
        tracing::warn!("authenticators of {}: {problem}", escape(&account.name));
    }
    Ok(known.views(clock::now()))
}

/// Whether a lock in force covers the authenticator with this id.
#[must_use]
pub fn is_locked(id: &str, locks: &[Lock], now: Time) -> bool {
    covering(id, locks, now).next().is_some()
}

/// What a signal tells of a lock on an authenticator.
#[must_use]
pub fn notice(id: &str, lock: &Lock, still_locked: bool) -> views::AuthenticatorNotice {
    views::AuthenticatorNotice {
        id: id.to_owned(),
        kind: kind_name(id),
        lock: lock.id,
        owner: lock.terms.owner.to_string(),
        expires_at: lock.terms.expires_at.unwrap_or_default(),
        still_locked,
        ended: None,
    }
}

fn kind_name(id: &str) -> String {
    Kind::of_id(id).map(|kind| kind.name().to_owned()).unwrap_or_default()
}

fn covering<'l>(id: &'l str, locks: &'l [Lock], now: Time) -> impl Iterator<Item = &'l Lock> {
    locks.iter().filter(move |lock| {
        let covers = |locked: &String| Kind::covers(locked, id);
        lock.in_force(now) && lock.authenticator.as_ref().is_some_and(covers)
    })
}

/// Everything about an account's authenticators at one moment.
#[derive(Debug, Default)]
struct Known {
    found: Found,
    locks: Vec<Lock>,
    used: BTreeMap<String, Time>,
}

impl Known {
    async fn gather(core: &Core, account: &Account) -> Result<Self, Error> {
        let found = find(&core.bus, account).await;
        let name = account.name.clone();
        let (locks, used) = core
            .store
            .read(move |connection| {
                Ok::<_, StoreError>((
                    locks::of_account(connection, &name)?,
                    sessions::last_used(connection, &name)?,
                ))
            })
            .await?;
        Ok(Self { found, locks, used })
    }

    /// Whether the account has an authenticator with this id, has had it while sessions are remembered, or has a lock on it.
    /// A type by itself stands for what may come, too, and so does the key id of a certificate for an authority that sshd
    /// trusts.
    fn has(&self, id: &str) -> bool {
        id.parse::<Kind>().is_ok()
            || self.used.contains_key(id)
            || self.ids().iter().any(|known| known == id || Kind::is_of_authority(known, id))
    }

    /// Those of the host, then those that are locked and not there, then certificates that have opened sessions: the host has
    /// no other list of them.
    fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.found.authenticators.iter().map(|found| found.id.clone()).collect();
        let locked = self.locks.iter().filter_map(|lock| lock.authenticator.as_deref());
        let certificates = self.used.keys().map(String::as_str).filter(|id| id.starts_with("ssh-ca:"));
        for id in locked.chain(certificates) {
            if !ids.iter().any(|known| known == id) {
                ids.push(id.to_owned());
            }
        }
        ids
    }

    /// A certificate is its owner's to keep: where sshd trusts its authority, it is taken to be there.
    fn is_of_found_authority(&self, id: &str) -> bool {
        self.found.authenticators.iter().any(|found| Kind::is_of_authority(&found.id, id))
    }

    fn views(&self, now: Time) -> Vec<views::Authenticator> {
        let mut views: Vec<views::Authenticator> = self.ids().iter().map(|id| self.view(id, now)).collect();
        // A lock that has ended and is not settled yet is nothing to show.
        views.retain(|view| view.present || view.locked || self.used.contains_key(&view.id));
        views.sort_by_key(|view| Kind::of_id(&view.id));
        views
    }

    fn view(&self, id: &str, now: Time) -> views::Authenticator {
        let found = self.found.authenticators.iter().find(|found| found.id == id);
        let kind = Kind::of_id(id);
        let obstacle = kind.and_then(|kind| self.found.obstacle(kind));
        let locks: Vec<&Lock> = covering(id, &self.locks, now).collect();
        let ends = locks.iter().map(|lock| lock.terms.expires_at);
        let locked_until = ends.reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other)));
        views::Authenticator {
            id: id.to_owned(),
            kind: kind_name(id),
            label: found.map_or_else(|| described(id), |found| found.label.clone()),
            passkey: found.is_some_and(|found| found.passkey),
            present: found.is_some() || self.is_of_found_authority(id),
            locked: !locks.is_empty(),
            locked_until: locked_until.map(Option::unwrap_or_default),
            lockable: kind.is_some_and(Kind::is_lockable),
            enforced: obstacle.is_none(),
            unenforced_reason: obstacle.map(str::to_owned),
            added: found.and_then(|found: &Authenticator| found.added).unwrap_or_default(),
            last_used: self.used.get(id).copied().unwrap_or_default(),
            locks: locks.into_iter().map(view::lock).collect(),
            ..views::Authenticator::default()
        }
    }
}

/// What is said of an authenticator that the host does not have.
fn described(id: &str) -> String {
    match (id.parse::<Kind>(), id.strip_prefix("ssh-ca:SHA256:")) {
        (Ok(Kind::Password), _) => String::new(),
        (Ok(kind), _) => format!("all of type {kind}"),
        (_, Some(rest)) => match rest.split_once(':') {
            Some((_, key_id)) => format!("certificate {key_id}"),
            None => "certificates of this authority".to_owned(),
        },
        _ => String::new(),
    }
}

fn no_such(account: &Account, id: &str, problems: &[String]) -> Error {
    let mut text = format!(
        "{} has no authenticator {}: see `lockdownctl authenticators {0}`",
        escape(&account.name),
        escape(id)
    );
    if !problems.is_empty() {
        text.push_str(&format!("; not everything could be looked at: {}", problems.join("; ")));
    }
    Error::NoSuchAuthenticator(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::lock::{NewLock, Owner};

    pub(super) fn found(ids: &[&str]) -> Found {
        let authenticators = ids.iter().map(|id| Authenticator {
            id: (*id).to_owned(),
            kind: Kind::of_id(id).unwrap(),
            label: "label".into(),
            passkey: false,
            added: Some(5),
        });
        let mut found = Found::default();
        found.authenticators.extend(authenticators);
        found
    }

    pub(super) fn locked(id: &str, expires_at: Option<Time>) -> Lock {
        let terms = NewLock {
            owner: Owner::Operator,
            reason: "r".into(),
            message: String::new(),
            created_by: "root".into(),
            expires_at,
        };
        Lock { id: 7, authenticator: Some(id.to_owned()), source: String::new(), terms, created_at: 1 }
    }

    #[test]
    fn each_is_locked_by_itself() {
        let known = Known {
            found: found(&["password", "ssh:SHA256:a", "ssh:SHA256:b"]),
            locks: vec![locked("ssh:SHA256:a", Some(100))],
            ..Known::default()
        };
        let locked = |now| known.views(now).iter().map(|view| view.locked).collect::<Vec<_>>();
        assert_eq!(locked(99), [false, true, false]);
        assert_eq!(locked(100), [false, false, false]);
        assert_eq!(known.views(99)[1].locked_until, Some(100));
        assert_eq!(known.views(99)[1].locks[0].reason, "r");
    }

    #[test]
    fn a_key_that_was_removed_is_listed_while_it_is_locked_and_is_locked_when_it_is_back() {
        let removed = Known { locks: vec![locked("ssh:SHA256:a", Some(100))], ..Known::default() };
        let views = removed.views(99);
        assert_eq!((views.len(), views[0].present, views[0].locked), (1, false, true));
        assert_eq!(removed.views(100).len(), 0);
        let back = Known { found: found(&["ssh:SHA256:a"]), ..removed };
        let views = back.views(99);
        assert_eq!((views.len(), views[0].present, views[0].locked), (1, true, true));
    }

    #[test]
    fn a_whole_type_is_locked_with_what_may_come() {
        let known = Known {
            found: found(&["password", "ssh:SHA256:a"]),
            locks: vec![locked("ssh", None)],
            ..Known::default()
        };
        let views = known.views(0);
        let views: Vec<_> =
            views.iter().map(|view| (view.id.as_str(), view.locked, view.locked_until)).collect();
        assert_eq!(
            views,
            [("password", false, None), ("ssh:SHA256:a", true, Some(0)), ("ssh", true, Some(0))]
        );
    }

    #[test]
    fn what_has_opened_a_session_is_known_and_certificates_are_listed() {
        let used = ["ssh:SHA256:k", "ssh", "ssh-ca:SHA256:a", "ssh-ca:SHA256:a:web 1"];
        let used = used.map(|id| (id.to_owned(), 9)).into();
        let known = Known { used, ..Known::default() };
        assert!(known.has("ssh:SHA256:k") && !known.has("ssh:SHA256:other"));
        assert!(known.has("ssh-ca:SHA256:a:web 2") && !known.has("ssh-ca:SHA256:b:web 2"));
        let views = known.views(10);
        let labels: Vec<_> =
            views.iter().map(|view| (view.label.as_str(), view.last_used, view.present)).collect();
        assert_eq!(labels, [("certificates of this authority", 9, false), ("certificate web 1", 9, false)]);
        let trusted = Known { found: found(&["ssh-ca:SHA256:a"]), ..known };
        assert!(trusted.views(10).iter().all(|view| view.present), "{trusted:?}");
    }
}

//! From a record and the time to allow or deny. Pure: what a login path does with the answer is its own affair.

use std::collections::BTreeSet;

use crate::record::{LockEntry, Record};

/// Whether a login may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is in force.
    Allow,
    /// Something is.
    Deny(Denial),
}

/// What denies a login, with what the user may be told about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What is in force.
    pub kind: DenialKind,
    /// When it ends by itself (unix seconds); `None`: not by itself.
    pub expires_at: Option<i64>,
    /// The lock's message to the user.
    pub message: Option<String>,
}

/// What denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DenialKind {
    /// A lock.
    Locked {
        /// Its id in the store.
        lock: i64,
        /// Its owner.
        owner: String,
        /// The locked authenticator; `None`: the account is locked.
        authenticator: Option<String>,
    },
    /// The account has expired.
    Expired {
        /// Since when (unix seconds).
        valid_until: i64,
    },
    /// The record exists but cannot be read or is damaged, so that nobody knows what it denies.
    RecordUnreadable,
}

/// What is in force at `now` (unix seconds) against an account that authenticates by all of `authenticators`, as far as
/// they are known.
///
/// A lock is in force while `now < expires_at`, or until it is lifted; an account has expired once
/// `valid_until <= now`. Any one of them denies. The answer names the one the user has to know of: a lock on the
/// account before its expiry, both before a lock on an authenticator, and of several locks the one that lasts longest.
pub fn decide(record: Option<&Record>, now: i64, authenticators: &BTreeSet<String>) -> Verdict {
    let Some(record) = record else { return Verdict::Allow };
    let longest = |denies: &dyn Fn(Option<&String>) -> bool| {
        let locks = record.locks.iter().filter(|lock| denies(lock.authenticator.as_ref()));
        locks
            .filter(|lock| lock.in_force(now))
            .max_by_key(|lock| (lock.expires_at.is_none(), lock.expires_at, std::cmp::Reverse(lock.id)))
    };
    if let Some(lock) = longest(&|authenticator| authenticator.is_none()) {
        return Verdict::Deny(lock.denial());
    }
    if let Some(valid_until) = record.valid_until.filter(|valid_until| *valid_until <= now) {
        return Verdict::Deny(Denial {
            kind: DenialKind::Expired { valid_until },
            expires_at: None,
            message: None,
        });
    }
    match longest(&|authenticator| authenticator.is_some_and(|id| authenticators.contains(id))) {
        Some(lock) => Verdict::Deny(lock.denial()),
        None => Verdict::Allow,
    }
}

impl LockEntry {
    /// Whether the lock denies at `now` (unix seconds).
    pub fn in_force(&self, now: i64) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }

    fn denial(&self) -> Denial {
        let kind = DenialKind::Locked {
            lock: self.id,
            owner: self.owner.clone(),
            authenticator: self.authenticator.clone(),
        };
        Denial { kind, expires_at: self.expires_at, message: self.message.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(id: i64, authenticator: Option<&str>, expires_at: Option<i64>) -> LockEntry {
        let authenticator = authenticator.map(str::to_owned);
        LockEntry { id, owner: "operator".into(), authenticator, expires_at, message: None }
    }

    fn record(valid_until: Option<i64>, locks: Vec<LockEntry>) -> Record {
        Record { uid: 1000, account: "alice".into(), valid_until, locks }
    }

    /// The id of the lock that denies, 0 for expiry, `None` when allowed.
    fn denied_by(record: &Record, now: i64, authenticators: &[&str]) -> Option<i64> {
        let authenticators = authenticators.iter().map(|&id| id.to_owned()).collect();
        match decide(Some(record), now, &authenticators) {
            Verdict::Allow => None,
            Verdict::Deny(Denial { kind: DenialKind::Locked { lock, .. }, .. }) => Some(lock),
            Verdict::Deny(_) => Some(0),
        }
    }

    #[test]
    fn no_record_allows() {
        assert_eq!(decide(None, 0, &BTreeSet::new()), Verdict::Allow);
    }

    #[test]
    fn a_lock_ends_at_the_second_it_expires() {
        let record = record(None, vec![lock(1, None, Some(100))]);
        assert_eq!(denied_by(&record, 99, &[]), Some(1));
        assert_eq!(denied_by(&record, 100, &[]), None);
    }

    #[test]
    fn an_account_expires_at_the_second_it_is_valid_until() {
        let record = record(Some(100), vec![]);
        assert_eq!(denied_by(&record, 99, &[]), None);
        assert_eq!(denied_by(&record, 100, &[]), Some(0));
    }

    #[test]
    fn any_lock_in_force_denies_and_the_longest_is_named() {
        let record =
            record(Some(0), vec![lock(1, None, Some(5)), lock(2, None, Some(300)), lock(3, None, Some(200))]);
        assert_eq!(denied_by(&record, 100, &[]), Some(2));
        assert_eq!(denied_by(&record, 250, &[]), Some(2));
        assert_eq!(denied_by(&record, 300, &[]), Some(0));
        let indefinite = Record { locks: vec![lock(1, None, Some(i64::MAX)), lock(2, None, None)], ..record };
        assert_eq!(denied_by(&indefinite, 100, &[]), Some(2));
    }

    #[test]
    fn a_locked_authenticator_denies_only_itself() {
        let record = record(None, vec![lock(1, Some("password"), None)]);
        assert_eq!(denied_by(&record, 0, &[]), None);
        assert_eq!(denied_by(&record, 0, &["ssh:SHA256:x"]), None);
        assert_eq!(denied_by(&record, 0, &["password"]), Some(1));
    }

    #[test]
    fn any_locked_one_of_several_authenticators_denies() {
        let record = record(
            None,
            vec![lock(1, Some("a"), Some(5)), lock(2, Some("b"), None), lock(3, Some("c"), Some(9))],
        );
        assert_eq!(denied_by(&record, 1, &["a", "c", "x"]), Some(3));
        assert_eq!(denied_by(&record, 1, &["c", "b", "a"]), Some(2));
        assert_eq!(denied_by(&record, 7, &["a", "x"]), None);
    }
}

//! Failed attempts to sign in: what a source is called, and which locks a tally has in force.

use std::collections::BTreeMap;

use lockdown_enforcement::{Source, Table};

use super::lock::{REMOTE, Time};

const LOCAL: &str = "local";
const USER: &str = "user:";
const HOST: &str = "host:";

/// What people call the source: the remote host as PAM gave it, `user:NAME` or `local`. A host that has such a name itself has
/// `host:` before it.
#[must_use]
pub fn name_of(source: &Source) -> String {
    named(source, source.text())
}

/// What attempts of the source are counted by: as [`name_of`], of an IPv6 address its network.
#[must_use]
pub fn key_of(source: &Source) -> String {
    named(source, &source.key())
}

fn named(source: &Source, text: &str) -> String {
    let is_ambiguous = !source.is_local()
        && (["", LOCAL, REMOTE].contains(&text) || text.starts_with(USER) || text.starts_with(HOST));
    if is_ambiguous { format!("{HOST}{text}") } else { text.to_owned() }
}

/// The source that is called so, by [`name_of`] or [`key_of`].
#[must_use]
pub fn source_called(name: &str) -> Source {
    if name == LOCAL {
        return Source::new(None, None);
    }
    match (name.strip_prefix(USER), name.strip_prefix(HOST)) {
        (Some(user), _) => Source::new(None, Some(user)),
        (None, Some(host)) => Source::new(Some(host), None),
        (None, None) => Source::new(Some(name), None),
    }
}

/// A lock that a tally has in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TallyLock {
    /// When the attempt was that brought it about.
    pub since: Time,
    /// The service of that attempt.
    pub service: String,
    /// When it ends; `None` = not by itself.
    pub until: Option<Time>,
}

/// The locks that a tally has in force at `now`, by what they are for: `` = the account, [`REMOTE`], or the key of a source.
#[must_use]
pub fn locks_in_force(tally: &Table, now: Time) -> BTreeMap<String, TallyLock> {
    let mut locks = BTreeMap::new();
    for (failure, lock) in tally.locks().filter(|(_, lock)| lock.in_force(now)) {
        let targets = [
            (lock.source, key_of(&failure.source)),
            (lock.remote, REMOTE.to_owned()),
            (lock.all, String::new()),
        ];
        for target in targets.into_iter().filter_map(|(is_locked, target)| is_locked.then_some(target)) {
            let service = failure.service.as_str().to_owned();
            let new = TallyLock { since: failure.at, service, until: lock.until };
            let lasts = |lock: &TallyLock| (lock.until.is_none(), lock.until);
            let stands = locks.entry(target).or_insert_with(|| new.clone());
            if lasts(stands) < lasts(&new) {
                *stands = new;
            }
        }
    }
    locks
}

#[cfg(test)]
mod tests {
    use lockdown_enforcement::{AttackProtection, Failure, tally::SLOT_BYTES};
    use proptest::prelude::*;

    use super::*;

    fn host(name: &str) -> Source {
        Source::new(Some(name), None)
    }

    #[test]
    fn no_host_is_called_as_somebody_on_this_host_is_or_as_all_of_them() {
        for (source, name, key) in [
            (Source::new(None, None), "local", "local"),
            (Source::new(None, Some("bob")), "user:bob", "user:bob"),
            (host("192.0.2.1"), "192.0.2.1", "192.0.2.1"),
            (host("2001:db8::1"), "2001:db8::1", "2001:db8::/64"),
            (host("local"), "host:local", "host:local"),
            (host("remote"), "host:remote", "host:remote"),
            (host("user:bob"), "host:user:bob", "host:user:bob"),
            (host("host:x"), "host:host:x", "host:host:x"),
        ] {
            assert_eq!((name_of(&source).as_str(), key_of(&source).as_str()), (name, key));
            assert!(source_called(name).is_same(&source) && source_called(key).is_same(&source), "{name}");
        }
    }

    fn tally(settings: &AttackProtection, attempts: &[(&Source, Time)]) -> Table {
        let mut bytes = Vec::new();
        for (source, at) in attempts {
            let (slot, failure): (usize, Failure) =
                Table::decode(&bytes).add(("sshd", source), true, settings, *at);
            assert_eq!(slot * SLOT_BYTES, bytes.len());
            bytes.extend(failure.encode());
        }
        Table::decode(&bytes)
    }

    #[test]
    fn locks_are_told_apart_by_what_they_are_for_and_end_by_time() {
        let (a, b) = (host("2001:db8::1"), host("192.0.2.1"));
        let settings = AttackProtection {
            max_attempts: 2,
            max_attempts_total: 3,
            duration: Some(100),
            ..AttackProtection::default()
        };
        let table = tally(&settings, &[(&a, 1), (&a, 2), (&b, 3)]);
        let in_force = |now| locks_in_force(&table, now).into_keys().collect::<Vec<_>>();
        assert_eq!(in_force(101), ["2001:db8::/64", REMOTE]);
        assert_eq!(in_force(102), [REMOTE]);
        assert_eq!(in_force(103), [""; 0]);
        let remote = TallyLock { since: 3, service: "sshd".into(), until: Some(103) };
        assert_eq!(locks_in_force(&table, 102)[REMOTE], remote);
        let together = AttackProtection { per_source: false, max_attempts: 1, duration: None, ..settings };
        assert_eq!(locks_in_force(&tally(&together, &[(&a, 1)]), i64::MAX)[""].until, None);
    }

    proptest! {
        #[test]
        fn whatever_a_host_is_called_it_is_found_again(name in ".{1,80}", is_local: bool) {
            let source = if is_local { Source::new(None, Some(&name)) } else { host(&name) };
            prop_assert!(source_called(&name_of(&source)).is_same(&source));
            prop_assert!(source_called(&key_of(&source)).is_same(&source));
            prop_assert!(!["", REMOTE].contains(&key_of(&source).as_str()));
        }
    }
}

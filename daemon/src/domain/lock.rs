//! A lock, its owner, and the rule when it is in force.

use std::{fmt, str::FromStr};

/// Unix seconds.
pub type Time = i64;

/// The source of a lock that holds for every remote host.
pub const REMOTE: &str = "remote";

/// Who may lift a lock, and why it stands. Locks of different owners never merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// An administrator, by `lockdownctl lock` or a desktop tool.
    Operator,
    /// The account's own user, by self-service.
    SelfService,
    /// A lockdown; `restore` takes it back.
    Lockdown,
    /// Too many failed attempts.
    AttackProtection,
    /// Configuration management, by the stem of its file.
    Config(String),
    /// An order to the whole fleet, by its issuer.
    Fleet(String),
}

impl Owner {
    /// Whether an operator who names no owner lifts this one's locks. A lockdown wants `restore`, and what a
    /// file or the fleet ordered would come back at the next run.
    #[must_use]
    pub fn yields_to_operator(&self) -> bool {
        matches!(self, Self::Operator | Self::AttackProtection)
    }

    /// Whether its lock is part of a lockdown, and `restore` lifts it.
    #[must_use]
    pub fn is_of_lockdown(&self) -> bool {
        matches!(self, Self::Lockdown | Self::SelfService)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => out.write_str("operator"),
            Self::SelfService => out.write_str("self"),
            Self::Lockdown => out.write_str("lockdown"),
            Self::AttackProtection => out.write_str("attack-protection"),
            Self::Config(file) => write!(out, "config:{file}"),
            Self::Fleet(issuer) => write!(out, "fleet:{issuer}"),
        }
    }
}

/// An owner that is none of the known ones.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no owner is called that: use operator, self, lockdown, attack-protection, config:<file> or fleet:<issuer>, \
     with a name of 1 to 64 letters, digits, `.`, `_` or `-`"
)]
pub struct UnknownOwner;

impl FromStr for Owner {
    type Err = UnknownOwner;

    fn from_str(text: &str) -> Result<Self, UnknownOwner> {
        let named = |name: &str| {
            let fits = (1..=64).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
            if fits { Ok(name.to_owned()) } else { Err(UnknownOwner) }
        };
        match text.split_once(':') {
            Some(("config", file)) => named(file).map(Self::Config),
            Some(("fleet", issuer)) => named(issuer).map(Self::Fleet),
            Some(_) => Err(UnknownOwner),
            None => match text {
                "operator" => Ok(Self::Operator),
                "self" => Ok(Self::SelfService),
                "lockdown" => Ok(Self::Lockdown),
                "attack-protection" => Ok(Self::AttackProtection),
                _ => Err(UnknownOwner),
            },
        }
    }
}

/// A lock as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLock {
    /// Who may lift it.
    pub owner: Owner,
    /// Why, for the audit trail; may be empty.
    pub reason: String,
    /// What the locked user is told; may be empty.
    pub message: String,
    /// Name of the caller.
    pub created_by: String,
    /// When it ends; `None` = never.
    pub expires_at: Option<Time>,
}

/// A lock as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Row of the store.
    pub id: i64,
    /// Authenticator it is on; `None` = the account itself.
    pub authenticator: Option<String>,
    /// What it is for, if it is attack protection's: `` = the account, `remote` = the account for every remote host, otherwise
    /// for the one source that is called so (see [`super::attempts`]).
    pub source: String,
    /// What was asked for.
    pub terms: NewLock,
    /// When it was placed.
    pub created_at: Time,
}

impl Lock {
    /// In force means `now < expires_at`, here and in the deny record alike.
    #[must_use]
    pub fn in_force(&self, now: Time) -> bool {
        self.terms.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it locks the account, not just one authenticator or source of it.
    #[must_use]
    pub fn is_on_account(&self) -> bool {
        self.authenticator.is_none() && matches!(self.source.as_str(), "" | REMOTE)
    }

    /// Whether the deny record has it. What attack protection locks, the login path knows from the tally: neither open
    /// sessions nor who signs in from elsewhere are affected by it.
    #[must_use]
    pub fn is_in_record(&self) -> bool {
        self.terms.owner != Owner::AttackProtection
    }
}

/// When the last of the locks in force ends: `None` if none is in force, `Some(None)` if one never ends.
#[must_use]
pub fn locked_until(locks: &[Lock], now: Time) -> Option<Option<Time>> {
    locks
        .iter()
        .filter(|lock| lock.is_on_account() && lock.in_force(now))
        .map(|lock| lock.terms.expires_at)
        .reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lock(expires_at: Option<Time>) -> Lock {
        Lock {
            id: 1,
            authenticator: None,
            source: String::new(),
            terms: NewLock {
                owner: Owner::Operator,
                reason: String::new(),
                message: String::new(),
                created_by: "root".into(),
                expires_at,
            },
            created_at: 0,
        }
    }

    #[test]
    fn a_lock_is_in_force_until_the_second_it_expires() {
        assert!(lock(Some(100)).in_force(99));
        assert!(!lock(Some(100)).in_force(100));
        assert!(lock(None).in_force(i64::MAX));
    }

    #[test]
    fn the_longest_lock_counts() {
        assert_eq!(locked_until(&[], 0), None);
        assert_eq!(locked_until(&[lock(Some(10))], 10), None);
        assert_eq!(locked_until(&[lock(Some(10)), lock(Some(20))], 5), Some(Some(20)));
        assert_eq!(locked_until(&[lock(None), lock(Some(20))], 5), Some(None));
        assert_eq!(locked_until(&[lock(Some(10)), lock(Some(20))], 15), Some(Some(20)));
    }

    #[test]
    fn a_locked_authenticator_does_not_lock_the_account() {
        let key = Lock { authenticator: Some("password".into()), ..lock(None) };
        assert_eq!(locked_until(&[key], 0), None);
    }

    #[test]
    fn a_lock_for_one_source_does_not_lock_the_account() {
        let from = |source: &str| Lock { source: source.into(), ..lock(Some(10)) };
        assert_eq!(locked_until(&[from("192.0.2.1"), from("host:remote")], 0), None);
        assert_eq!(locked_until(&[from(REMOTE)], 0), Some(Some(10)));
    }

    #[test]
    fn owners_are_written_as_they_are_read() {
        for text in ["operator", "self", "lockdown", "attack-protection", "config:web", "fleet:ops.example"] {
            assert_eq!(text.parse::<Owner>().unwrap().to_string(), text);
        }
        for text in ["", "root", "config:", "config:a b", "fleet:\n", "operator:x"] {
            assert_eq!(text.parse::<Owner>(), Err(UnknownOwner), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_owner_parser_panic(text in ".{0,100}") {
            if let Ok(owner) = text.parse::<Owner>() {
                prop_assert_eq!(owner.to_string(), text);
            }
        }
    }
}

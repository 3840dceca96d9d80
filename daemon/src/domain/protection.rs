//! Which accounts cannot be locked.

use std::collections::{BTreeMap, BTreeSet};

/// User id of `nobody`, the anonymous user (systemd's uid assignments, `Documentation/UIDS-GIDS`).
pub const NOBODY: u32 = 65534;

/// Accounts that state documents protect, each with one of the documents that do.
pub type ByDocuments = BTreeMap<String, String>;

/// What the rule needs to know, gathered once per call.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Lowest uid of an ordinary account (`UID_MIN` of login.defs(5)).
    pub uid_min: u32,
    /// Uids that the caller is: its own and its loginuid.
    pub caller: BTreeSet<u32>,
    /// `[protected] users`, lower in rank than the built-in ones.
    pub users: BTreeSet<String>,
    /// Likewise, by state documents.
    pub documents: ByDocuments,
    /// The `[protected] groups` that the account is in.
    pub protected_group: Option<String>,
    /// The account is the last one that can still administer the host.
    pub last_administrator: bool,
}

/// Why an account cannot be locked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Protection {
    /// uid 0.
    #[error("root must always be able to get in")]
    Root,
    /// The anonymous user.
    #[error("it is the anonymous user")]
    Nobody,
    /// Below `UID_MIN`.
    #[error("it is a system account (uid below {0})")]
    System(u32),
    /// The caller's uid or loginuid.
    #[error("it is your own account: you are it, or signed in as it before su or sudo")]
    Own,
    /// Named in `[protected] users`.
    #[error("[protected] users names it")]
    User,
    /// Named under `protected` in this state document.
    #[error("the state document {0} says so")]
    Document(String),
    /// In one of `[protected] groups`.
    #[error("[protected] groups names its group {0}")]
    Group(String),
    /// Nobody else could undo it.
    #[error("no other account could administer this host any more")]
    LastAdministrator,
}

/// Whether the account of this name and uid is protected, and why.
#[must_use]
pub fn protection(name: &str, uid: u32, facts: &Facts) -> Option<Protection> {
    if uid == 0 {
        Some(Protection::Root)
    } else if uid == NOBODY {
        Some(Protection::Nobody)
    } else if uid < facts.uid_min {
        Some(Protection::System(facts.uid_min))
    } else if facts.caller.contains(&uid) {
        Some(Protection::Own)
    } else if facts.users.contains(name) {
        Some(Protection::User)
    } else if let Some(document) = facts.documents.get(name) {
        Some(Protection::Document(document.clone()))
    } else if let Some(group) = &facts.protected_group {
        Some(Protection::Group(group.clone()))
    } else if facts.last_administrator {
        Some(Protection::LastAdministrator)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts { uid_min: 1000, ..Facts::default() }
    }

    #[test]
    fn an_ordinary_account_is_not_protected() {
        assert_eq!(protection("alice", 1000, &facts()), None);
    }

    #[test]
    fn root_nobody_and_system_accounts_are() {
        assert_eq!(protection("root", 0, &facts()), Some(Protection::Root));
        assert_eq!(protection("toor", 0, &facts()), Some(Protection::Root));
        assert_eq!(protection("nobody", NOBODY, &facts()), Some(Protection::Nobody));
        assert_eq!(protection("www-data", 33, &facts()), Some(Protection::System(1000)));
        assert_eq!(protection("messagebus", 999, &facts()), Some(Protection::System(1000)));
    }

    #[test]
    fn the_callers_own_account_is_by_uid_and_by_loginuid() {
        let facts = Facts { caller: BTreeSet::from([0, 1000]), ..facts() };
        assert_eq!(protection("alice", 1000, &facts), Some(Protection::Own));
        assert_eq!(protection("bob", 1001, &facts), None);
    }

    #[test]
    fn configured_users_and_groups_are() {
        let named = Facts { users: BTreeSet::from(["ceo".to_owned()]), ..facts() };
        assert_eq!(protection("ceo", 1500, &named), Some(Protection::User));
        let grouped = Facts { protected_group: Some("oncall".into()), ..facts() };
        assert_eq!(protection("ann", 1501, &grouped), Some(Protection::Group("oncall".into())));
    }

    #[test]
    fn those_of_documents_are_and_it_is_told_of_which() {
        let named =
            Facts { documents: ByDocuments::from([("ceo".to_owned(), "board".to_owned())]), ..facts() };
        let why = protection("ceo", 1500, &named).unwrap();
        assert_eq!(why.to_string(), "the state document board says so");
        assert_eq!(protection("alice", 1000, &named), None);
    }

    #[test]
    fn the_last_administrator_is() {
        let last = Facts { last_administrator: true, ..facts() };
        assert_eq!(protection("carol", 1002, &last), Some(Protection::LastAdministrator));
    }
}

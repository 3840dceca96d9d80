//! The password: the hash in shadow(5), or what a directory keeps.

use crate::{
    domain::{
        account::Account,
        authenticator::{Authenticator, Kind},
    },
    host::shadow::Shadow,
};

const SECONDS_PER_DAY: i64 = 24 * 3600;

/// The password of an account, if some password matches. For an account that shadow(5) does not have only its directory
/// knows: it is taken to have one.
#[must_use]
pub fn find(account: &Account, shadow: &Shadow) -> Option<Authenticator> {
    let (label, added) = match shadow.entry(&account.name) {
        Some(entry) if !entry.password_usable => return None,
        Some(entry) => (String::new(), entry.changed.map(|day| day.saturating_mul(SECONDS_PER_DAY))),
        None => ("kept by a directory".to_owned(), None),
    };
    Some(Authenticator { id: "password".to_owned(), kind: Kind::Password, label, passkey: false, added })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_nothing_matches_is_none() {
        let shadow =
            Shadow::parse("alice:$y$j9T$x:19000:0:99999:7:::\nbob:!$y$j9T$x:19000::::::\nnew:$y$x:::::::\n");
        let find = |name: &str| find(&Account::without_nss(name.into(), 1000), &shadow);
        assert_eq!(find("alice").unwrap().added, Some(19000 * 24 * 3600));
        assert_eq!(find("new").unwrap().added, None);
        assert_eq!(find("bob"), None);
        assert_eq!(find("directory-user").unwrap().label, "kept by a directory");
    }
}

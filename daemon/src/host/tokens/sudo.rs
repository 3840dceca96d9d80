//! Tickets of sudo: that somebody gave her password lately.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::Counted;
use crate::domain::account::Account;

/// sudoers(5), `timestampdir`, as distributions set it, and sudo-rs. Only root can change them.
const DIRECTORIES: [&str; 4] = ["/run/sudo/ts", "/var/lib/sudo/ts", "/var/db/sudo/ts", "/run/sudo-rs/ts"];

/// Removes an account's tickets, of every terminal and also those for all terminals: one file has all of them. It is
/// named by the account, since sudo 1.9.15 by the uid.
pub fn revoke(account: &Account) -> Counted {
    revoke_in(&DIRECTORIES.map(PathBuf::from), account)
}

fn revoke_in(directories: &[PathBuf], account: &Account) -> Counted {
    let mut counted = Counted::default();
    let is_file_name = Path::new(&account.name).file_name() == Some(account.name.as_ref());
    let names = [is_file_name.then(|| account.name.clone()), Some(account.uid.to_string())];
    for name in names.iter().flatten() {
        for path in directories.iter().map(|directory| directory.join(name)) {
            match std::fs::remove_file(&path) {
                Ok(()) => counted.add("sudo_tickets", 1),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => counted.problems.push(format!("{}: {error}", path.display())),
            }
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_by_name_and_by_uid_go_and_others_stay() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["alice", "1000", "bob", "1001"] {
            std::fs::write(directory.path().join(name), "ticket").unwrap();
        }
        let revoke = |name: &str| {
            revoke_in(&[directory.path().to_owned()], &Account::without_nss(name.to_owned(), 1000))
        };
        assert_eq!(revoke("alice").counts.get("sudo_tickets"), Some(&2));
        assert_eq!(revoke("alice"), Counted::default());
        assert_eq!(revoke("../x"), Counted::default());
        assert!(directory.path().join("bob").exists() && directory.path().join("1001").exists());
    }
}

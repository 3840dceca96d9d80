//! One-time passwords. Only that there are any: their secrets are not read into the daemon, or not kept.

use std::{io, path::Path};

use super::user_file::{read_system, written};
use crate::domain::{
    account::Account,
    authenticator::{Authenticator, Kind},
    lock::Time,
};

/// google-authenticator(1)
const GOOGLE: &str = ".google_authenticator";
/// pam_oath(8), as its own documentation sets it up.
const OATH: &str = "/etc/users.oath";

/// The one-time passwords of an account, and what could not be looked at.
pub fn find(account: &Account) -> (Vec<Authenticator>, Vec<String>) {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    let google = account.home.join(GOOGLE);
    let mut add = |path: &Path, name: &str, label: &str, result: io::Result<Option<Time>>| match result {
        Ok(None) => {}
        Ok(Some(added)) => found.push(Authenticator {
            id: format!("totp:{name}"),
            kind: Kind::Totp,
            label: label.to_owned(),
            passkey: false,
            added: Some(added),
        }),
        Err(error) => problems.push(super::problem(path, &error)),
    };
    add(&google, "google-authenticator", "google-authenticator", written(account, &google));
    let oath = read_system(Path::new(OATH)).map(|content| {
        content.filter(|content| has_line(&content.bytes, &account.name)).and_then(|content| content.written)
    });
    add(Path::new(OATH), "oath", "oath", oath);
    (found, problems)
}

/// Whether a file of liboath (`HOTP/T30/6 alice - 00…`) has a line of the account's.
fn has_line(content: &[u8], name: &str) -> bool {
    content.split(|byte| *byte == b'\n').any(|line| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        words.next().is_some_and(|kind| kind.starts_with(b"HOTP")) && words.next() == Some(name.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_accounts_by_its_second_word() {
        let file = b"# HOTP carol - 00\nHOTP/T30/6\talice  - 00112233\nHOTP bob 1234 00\n\xff\n";
        assert!(has_line(file, "alice") && has_line(file, "bob"));
        for name in ["carol", "al", "1234", "", "HOTP"] {
            assert!(!has_line(file, name), "{name}");
        }
    }

    #[test]
    fn the_file_of_google_authenticator_is_not_opened() {
        let home = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let account = Account { name: "no-such-account".into(), uid, gid: uid, home: home.path().to_owned() };
        assert_eq!(find(&account), (Vec::new(), Vec::new()));
        std::fs::write(home.path().join(GOOGLE), "SECRET").unwrap();
        let (found, problems) = find(&account);
        assert_eq!((found[0].id.as_str(), problems), ("totp:google-authenticator", Vec::<String>::new()));
        assert!(!found[0].kind.is_lockable());
    }
}

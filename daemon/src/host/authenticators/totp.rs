//! One-time passwords. Only that there are any, and how many codes: no secret is kept.

use std::{io, path::Path};

use super::user_file::{read_own, read_system, written};
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

/// Number of backup codes that are left: the scratch codes of google-authenticator.
///
/// # Errors
/// As of [`read_own`].
pub fn backup_codes(account: &Account) -> io::Result<u32> {
    let content = read_own(account, &account.home.join(GOOGLE))?;
    Ok(content.map_or(0, |content| scratch_codes(&content.bytes)))
}

/// As check_scratch_codes() of pam_google_authenticator reads the file: after the secret, and options in lines that begin with
/// a quotation mark, a number of eight digits in each line, of which the first is not 0. Where there is none, they end.
fn scratch_codes(content: &[u8]) -> u32 {
    let lines = content.split(|byte| *byte == b'\n' || *byte == b'\r').skip(1);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(b"\""));
    let is_code =
        |line: &&[u8]| line.len() == 8 && line.iter().all(u8::is_ascii_digit) && !line.starts_with(b"0");
    u32::try_from(lines.take_while(is_code).count()).unwrap_or(u32::MAX)
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
    fn scratch_codes_are_counted_as_the_module_reads_them() {
        let file = "12345678\n\" RATE_LIMIT 3 30\n\" WINDOW_SIZE 17\n\n11112222\r\n33334444\n\" TOTP_AUTH\n55556666\n";
        assert_eq!(scratch_codes(file.as_bytes()), 3);
        assert_eq!(scratch_codes(b"SECRET\n11112222\nno code\n33334444\n"), 1);
        for none in [
            "",
            "SECRET",
            "11112222",
            "SECRET\n01234567\n",
            "S\n123456789\n",
            "S\n 1234567\n",
            "S\n+1234567\n",
        ] {
            assert_eq!(scratch_codes(none.as_bytes()), 0, "{none:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_file_makes_it_panic(bytes: Vec<u8>) {
            let lines = bytes.iter().filter(|byte| b"\r\n".contains(byte)).count();
            proptest::prop_assert!(scratch_codes(&bytes) as usize <= lines);
        }
    }

    #[test]
    fn the_file_of_google_authenticator_is_counted_in_but_not_opened_to_be_listed() {
        let home = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let account = Account { name: "no-such-account".into(), uid, gid: uid, home: home.path().to_owned() };
        assert_eq!(find(&account), (Vec::new(), Vec::new()));
        std::fs::write(home.path().join(GOOGLE), "SECRET").unwrap();
        let (found, problems) = find(&account);
        assert_eq!((found[0].id.as_str(), problems), ("totp:google-authenticator", Vec::<String>::new()));
        assert!(!found[0].kind.is_lockable());
        assert_eq!(backup_codes(&account).unwrap(), 0);
        std::fs::write(home.path().join(GOOGLE), "SECRET\n\" TOTP_AUTH\n11112222\n").unwrap();
        assert_eq!(backup_codes(&account).unwrap(), 1);
        std::fs::remove_file(home.path().join(GOOGLE)).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", home.path().join(GOOGLE)).unwrap();
        assert!(backup_codes(&account).is_err());
    }
}

//! Enrolments of pam_u2f(8), in the account's own file or in a central one.

use std::path::PathBuf;

use lockdown_pam_stacks::Line;
use ssh_key::sha2::{Digest, Sha256};

use super::user_file::{Content, read_own, read_system};
use crate::domain::{
    account::Account,
    authenticator::{Authenticator, Kind},
};

const MODULE: &str = "pam_u2f.so";
/// pam_u2f(8), `authfile`.
const DEFAULT: &str = ".config/Yubico/u2f_keys";

/// The enrolments of an account, and what could not be looked at. `lines` are those of the authentication of all services.
pub fn find(account: &Account, lines: &[&Line]) -> (Vec<Authenticator>, Vec<String>) {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for path in files(account, lines) {
        let content =
            if path.starts_with(&account.home) { read_own(account, &path) } else { read_system(&path) };
        match content {
            Ok(content) => {
                found.extend(content.iter().flat_map(|content| enrolments(content, &account.name)))
            }
            Err(error) => problems.push(super::problem(&path, &error)),
        }
    }
    (found, problems)
}

/// The default one, which may be waiting for the module, and those that lines of the module name.
fn files(account: &Account, lines: &[&Line]) -> Vec<PathBuf> {
    let mut files = vec![account.home.join(DEFAULT)];
    for line in lines.iter().filter(|line| line.module == MODULE) {
        let Some(file) = line.argument("authfile") else { continue };
        let file = if line.arguments.iter().any(|argument| argument == "expand") {
            file.replace("%u", &account.name)
        } else {
            file.to_owned()
        };
        // A relative one is in the home directory; an absolute one takes its place.
        let path = account.home.join(file);
        if !files.contains(&path) {
            files.push(path);
        }
    }
    files
}

/// `alice:keyHandle,publicKey,type,options:…`, of the first versions `alice:keyHandle,publicKey`.
fn enrolments(content: &Content, name: &str) -> Vec<Authenticator> {
    let of_account = content.bytes.split(|byte| *byte == b'\n').filter_map(|line| {
        let (first, rest) = line.split_at_checked(name.len())?;
        if first == name.as_bytes() { rest.strip_prefix(b":") } else { None }
    });
    let mut found = Vec::new();
    for enrolment in of_account.flat_map(|rest| rest.split(|byte| *byte == b':')) {
        let mut parts = enrolment.trim_ascii().split(|byte| *byte == b',');
        let (Some(handle), Some(_key)) = (parts.next(), parts.next()) else { continue };
        let resident = handle == b"*";
        if handle.is_empty() {
            continue;
        }
        // A resident key has no handle to be told by: its public key tells it.
        let told_by = if resident { enrolment } else { handle };
        found.push(Authenticator {
            id: format!("u2f:{}", fingerprint(told_by)),
            kind: Kind::U2f,
            label: super::label(parts.next().unwrap_or_default()),
            passkey: true,
            added: content.written,
        });
    }
    found
}

/// `SHA256:…`, written as ssh-keygen(1) does.
fn fingerprint(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    ssh_key::Fingerprint::Sha256(digest).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<Authenticator> {
        enrolments(&Content { bytes: text.as_bytes().to_vec(), written: Some(7) }, "alice")
    }

    #[test]
    fn each_key_handle_of_the_account_is_one() {
        let found =
            read("bob:AA==,BB==,es256,+presence\nalice:CC==,DD==,es256,+presence:EE==,FF==\nalicia:G,H\n");
        assert_eq!(found.len(), 2);
        assert!(found[0].id.starts_with("u2f:SHA256:") && found[0].id.len() == 54, "{}", found[0].id);
        assert_eq!((found[0].label.as_str(), found[1].label.as_str()), ("es256", ""));
        assert_eq!(found[0].id, read("alice:CC==,ZZ==,eddsa")[0].id, "told by its handle");
    }

    #[test]
    fn resident_keys_are_told_by_their_public_key() {
        let found = read("alice:*,DD==,es256,+presence:*,EE==,es256,+presence");
        assert_ne!(found[0].id, found[1].id);
    }

    #[test]
    fn what_is_no_enrolment_is_passed_over() {
        for text in ["", "alice", "alice:", "alice:,", "alice:AA==", "alice :A,B", " alice:A,B"] {
            assert_eq!(read(text), [], "{text:?}");
        }
    }

    #[test]
    fn files_are_the_default_and_those_of_the_lines() {
        let alice = Account { home: "/home/alice".into(), ..Account::without_nss("alice".into(), 1000) };
        let line = |module: &str, arguments: &[&str]| Line {
            control: "sufficient".into(),
            module: module.into(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            ..Line::default()
        };
        let lines = [
            line(MODULE, &["cue"]),
            line(MODULE, &["authfile=/etc/u2f_mappings"]),
            line(MODULE, &["authfile=/etc/u2f/%u", "expand"]),
            line(MODULE, &["authfile=.ssh/keys"]),
            line("pam_other.so", &["authfile=/x"]),
        ];
        assert_eq!(
            files(&alice, &lines.iter().collect::<Vec<_>>()),
            [
                "/home/alice/.config/Yubico/u2f_keys",
                "/etc/u2f_mappings",
                "/etc/u2f/alice",
                "/home/alice/.ssh/keys"
            ]
            .map(PathBuf::from)
        );
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(bytes: Vec<u8>, text: String) {
            let _ = enrolments(&Content { bytes, written: None }, "alice");
            let _ = read(&format!("alice:{text}"));
        }
    }
}

//! The public keys that sshd takes: authorized keys files, as `sshd -T` says where they are for this account.

use std::{io, path::Path};

use super::user_file::{Content, read_own, read_system};
use crate::{
    domain::{
        account::Account,
        authenticator::{Authenticator, Kind},
        lock::Time,
    },
    host::tokens::{
        authorized_keys::{KeysFile, Patterns, SSHD, read, settings},
        key_lines::{Key, keys},
    },
};

/// The settings that sshd has for an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sshd {
    /// `None`: there is no sshd, or it does not tell.
    settings: Option<String>,
    installed: bool,
}

impl Sshd {
    /// Asks sshd. With a problem, what is said of it are its defaults.
    pub async fn ask(account: &Account) -> (Self, Option<String>) {
        if !Path::new(SSHD).exists() {
            return (Self::default(), None);
        }
        match settings(Some(account)).await {
            Ok(settings) => (Self { settings: Some(settings), installed: true }, None),
            Err(why) => {
                let problem = format!(
                    "`sshd -T` failed, so keys were looked for only where sshd does by default: {why}"
                );
                (Self { settings: None, installed: true }, Some(problem))
            }
        }
    }

    /// Settings as `sshd -T` prints them.
    #[cfg(test)]
    pub fn with_settings(settings: &str) -> Self {
        Self { settings: Some(settings.to_owned()), installed: true }
    }

    /// There is one on this host.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        self.installed
    }

    /// `UsePAM yes`
    #[must_use]
    pub fn uses_pam(&self) -> bool {
        self.setting("usepam") == Some("yes")
    }

    /// `AuthorizedKeysCommand` and `AuthorizedKeysCommandUser`.
    #[must_use]
    pub fn keys_command(&self) -> Option<(&str, &str)> {
        let command = self.setting("authorizedkeyscommand").filter(|command| *command != "none")?;
        Some((command, self.setting("authorizedkeyscommanduser").filter(|user| *user != "none")?))
    }

    fn setting(&self, name: &str) -> Option<&str> {
        let settings = self.settings.as_deref()?;
        settings.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::trim)
    }

    /// The keys in the account's files, and what could not be looked at.
    #[must_use]
    pub fn keys(&self, account: &Account) -> (Vec<Authenticator>, Vec<String>) {
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        if !self.installed {
            return (found, problems);
        }
        let patterns = self.settings.as_deref().map_or_else(Patterns::default, Patterns::parse);
        for file in patterns.files(account) {
            let (KeysFile::Own(path) | KeysFile::Shared(path)) = file;
            match content(account, &path) {
                Ok(content) => {
                    found.extend(
                        content.iter().flat_map(|content| authenticators(&content.bytes, content.written)),
                    );
                }
                Err(error) => problems.push(super::problem(&path, &error)),
            }
        }
        (found, problems)
    }
}

/// What sshd reads, which follows symbolic links with the account's rights. Those of root would reach everywhere: for root
/// none is followed.
fn content(account: &Account, path: &Path) -> io::Result<Option<Content>> {
    if account.uid == 0 {
        return read_system(path);
    }
    match read_own(account, path) {
        Ok(content) => return Ok(content),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
        Err(_) => {}
    }
    match read(account, path) {
        Ok(bytes) => Ok(Some(Content { bytes, written: None })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The keys in the text of such a file. Those of authorities are none: nobody signs in with them, and a certificate is known
/// by the key that it certifies.
pub fn authenticators(content: &[u8], written: Option<Time>) -> Vec<Authenticator> {
    keys(content).filter(|key| !key.authority).map(|key| authenticator(&key, written)).collect()
}

fn authenticator(key: &Key, written: Option<Time>) -> Authenticator {
    let comment = super::label(&key.comment);
    Authenticator {
        id: format!("ssh:{}", key.fingerprint),
        kind: Kind::Ssh,
        label: if comment.is_empty() { key.algorithm.clone() } else { comment },
        // The keys of ssh-keygen(1), `ecdsa-sk` and `ed25519-sk`.
        passkey: key.algorithm.starts_with("sk-"),
        added: written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    const PASSKEY: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDo=";

    #[test]
    fn a_key_has_its_comment_and_a_passkey_is_told() {
        let found = authenticators(
            format!("# x\n{KEY} alice@work\ncert-authority {KEY}\nno-pty {PASSKEY} token\n{KEY}\n")
                .as_bytes(),
            Some(7),
        );
        let found: Vec<_> = found.iter().map(|key| (key.label.as_str(), key.passkey)).collect();
        assert_eq!(found, [("alice@work", false), ("token", true), ("ssh-ed25519", false)]);
    }

    #[test]
    fn settings_are_read_by_their_whole_name() {
        let sshd = Sshd::with_settings(
            "usepam yes\nauthorizedkeyscommanduser nobody\nauthorizedkeyscommand /usr/bin/keys %u\n",
        );
        assert!(sshd.uses_pam());
        assert_eq!(sshd.keys_command(), Some(("/usr/bin/keys %u", "nobody")));
        let sshd =
            Sshd::with_settings("usepam no\nauthorizedkeyscommand none\nauthorizedkeyscommanduser none\n");
        assert!(!sshd.uses_pam());
        assert_eq!(sshd.keys_command(), None);
    }

    #[test]
    fn keys_are_found_where_sshd_looks_behind_links_too() {
        let home = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let account = Account { name: "alice".into(), uid, gid: uid, home: home.path().to_owned() };
        let sshd = Sshd::with_settings("authorizedkeysfile .ssh/authorized_keys keys\n");
        assert_eq!(sshd.keys(&account), (Vec::new(), Vec::new()));
        fs::create_dir(home.path().join(".ssh")).unwrap();
        fs::write(home.path().join("real"), format!("{KEY} behind a link\n")).unwrap();
        fs::write(home.path().join(".ssh/authorized_keys"), format!("{PASSKEY} plain\n")).unwrap();
        symlink("real", home.path().join("keys")).unwrap();
        let (found, problems) = sshd.keys(&account);
        let labels: Vec<_> = found.iter().map(|key| key.label.as_str()).collect();
        if uid == 0 {
            assert_eq!(labels, ["plain"]);
            assert_eq!(problems.len(), 1, "{problems:?}");
        } else {
            assert_eq!(labels, ["plain", "behind a link"]);
        }
        assert_eq!(Sshd::default().keys(&account), (Vec::new(), Vec::new()), "without sshd");
    }
}

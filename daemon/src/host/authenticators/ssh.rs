//! The public keys that sshd takes: authorized keys files, as `sshd -T` says where they are for this account.

use std::{io, os::unix::fs::MetadataExt, path::Path};

use super::user_file::{Content, read_own, read_system};
use crate::{
    domain::{
        account::Account,
        authenticator::{Authenticator, Kind},
        lock::Time,
    },
    host::{
        as_account::as_account,
        tokens::{
            authorized_keys::{KeysFile, Patterns, SSHD, read, settings},
            key_lines::{Key, keys},
        },
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

    /// It judges passwords by itself, by shadow(5), without PAM.
    #[must_use]
    pub fn judges_passwords(&self) -> bool {
        self.setting("usepam") == Some("no") && self.setting("passwordauthentication") == Some("yes")
    }

    fn setting(&self, name: &str) -> Option<&str> {
        let settings = self.settings.as_deref()?;
        settings.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::trim)
    }

    /// The keys in the account's files, the authorities whose certificates sshd takes, and what could not be looked at.
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
        if let Some(path) = self.setting("trustedusercakeys").filter(|path| *path != "none").map(Path::new) {
            match trusted(path) {
                Ok(content) => found.extend(keys(&content.bytes).map(|key| authority(&key, content.written))),
                Err(error) => problems.push(super::problem(path, &error)),
            }
        }
        (found, problems)
    }
}

/// `TrustedUserCAKeys`, which sshd reads with root's rights.
fn trusted(path: &Path) -> io::Result<Content> {
    let path = path.canonicalize()?;
    read_system(&path)?.ok_or_else(|| io::ErrorKind::NotFound.into())
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
        Ok(bytes) => Ok(Some(Content { bytes, written: written(account, path) })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// When what the path leads to was last written.
fn written(account: &Account, path: &Path) -> Option<Time> {
    as_account(account, || path.metadata()).ok()?.map(|metadata| metadata.mtime()).ok()
}

/// The keys and authorities (`cert-authority`) in the text of such a file.
pub fn authenticators(content: &[u8], written: Option<Time>) -> Vec<Authenticator> {
    let read = |key: Key| if key.authority { authority(&key, written) } else { authenticator(&key, written) };
    keys(content).map(read).collect()
}

/// Nobody signs in with an authority's key, but with any of the certificates that it signed.
fn authority(key: &Key, written: Option<Time>) -> Authenticator {
    Authenticator {
        id: format!("ssh-ca:{}", key.fingerprint),
        label: format!("certificates of {}", label(key)),
        passkey: false,
        ..authenticator(key, written)
    }
}

fn authenticator(key: &Key, written: Option<Time>) -> Authenticator {
    Authenticator {
        id: format!("ssh:{}", key.fingerprint),
        kind: Kind::Ssh,
        label: label(key),
        // The keys of ssh-keygen(1), `ecdsa-sk` and `ed25519-sk`.
        passkey: key.algorithm.starts_with("sk-"),
        added: written,
    }
}

fn label(key: &Key) -> String {
    let comment = super::label(&key.comment);
    if comment.is_empty() { key.algorithm.clone() } else { comment }
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
        assert_eq!(
            found,
            [
                ("alice@work", false),
                ("certificates of ssh-ed25519", false),
                ("token", true),
                ("ssh-ed25519", false)
            ]
        );
    }

    #[test]
    fn authorities_that_sshd_trusts_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let account = Account { name: "alice".into(), uid, gid: uid, home: directory.path().to_owned() };
        let path = directory.path().join("authorities");
        let sshd = Sshd::with_settings(&format!("trustedusercakeys {}\n", path.display()));
        let (found, problems) = sshd.keys(&account);
        assert_eq!((found.len(), problems.len()), (0, 1), "it is missing: {problems:?}");
        fs::write(&path, format!("{KEY} staff\n")).unwrap();
        let (found, problems) = sshd.keys(&account);
        assert_eq!((found.len(), problems.len()), (1, 0), "{problems:?}");
        assert!(found[0].id.starts_with("ssh-ca:SHA256:") && found[0].added > Some(0), "{found:?}");
        assert_eq!(found[0].label, "certificates of staff");
        assert_eq!(Sshd::with_settings("trustedusercakeys none\n").keys(&account), (Vec::new(), Vec::new()));
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

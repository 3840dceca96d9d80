//! Files of authorized keys, wherever sshd looks for them.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use lockdown_enforcement::escape::escape;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use tokio::process::Command;

use super::{super::as_account::as_account, Found, key_lines};
use crate::{
    domain::account::Account,
    host::quarantine::{Form, Kept, KeptKind, examine},
};

/// Where sshd is.
pub const SSHD: &str = "/usr/sbin/sshd";
/// sshd_config(5), AuthorizedKeysFile.
const DEFAULT: [&str; 2] = [".ssh/authorized_keys", ".ssh/authorized_keys2"];
/// How long sshd may take to print its settings.
const LIMIT: Duration = Duration::from_secs(10);
/// How much of a file too large to keep is searched for keys, in bytes.
const MAX_SEARCHED: u64 = 16 * 1024 * 1024;

/// Where sshd looks for keys: patterns of sshd_config(5), AuthorizedKeysFile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(Vec<String>);

/// What a pattern is for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysFile {
    /// A file of its own.
    Own(PathBuf),
    /// A file for all accounts.
    Shared(PathBuf),
}

impl Patterns {
    /// Asks sshd, for this account or, with `None`, in general. With an error the patterns are sshd's defaults.
    pub async fn ask(account: Option<&Account>) -> (Self, Option<String>) {
        if !Path::new(SSHD).exists() {
            return (Self::default(), None);
        }
        match settings(account).await {
            Ok(text) => (Self::parse(&text), None),
            Err(why) => {
                let problem = format!("`sshd -T` failed, so keys were looked for only in {DEFAULT:?}: {why}");
                (Self::default(), Some(problem))
            }
        }
    }

    /// Reads what `sshd -T` prints.
    #[must_use]
    pub fn parse(settings: &str) -> Self {
        let line = settings.lines().find_map(|line| line.strip_prefix("authorizedkeysfile "));
        let Some(line) = line else { return Self::default() };
        // A path with a space in it cannot be told from two: sshd prints it without quotation marks.
        Self(line.split_whitespace().filter(|pattern| *pattern != "none").map(str::to_owned).collect())
    }

    /// The files of an account, each once.
    #[must_use]
    pub fn files(&self, account: &Account) -> Vec<KeysFile> {
        let mut files = Vec::new();
        for file in self.0.iter().map(|pattern| expand(pattern, account)) {
            if !files.contains(&file) {
                files.push(file);
            }
        }
        files
    }
}

impl Default for Patterns {
    fn default() -> Self {
        Self(DEFAULT.map(str::to_owned).to_vec())
    }
}

/// What `sshd -T` prints, for this account or in general.
///
/// # Errors
/// Why it printed nothing, in words.
pub async fn settings(account: Option<&Account>) -> Result<String, String> {
    let mut command = Command::new(SSHD);
    command.arg("-T").env_clear().stdin(Stdio::null()).kill_on_drop(true);
    // A comma would end the name.
    if let Some(account) = account.filter(|account| !account.name.contains(',')) {
        command.arg("-C").arg(format!("user={},host=localhost,addr=127.0.0.1", account.name));
    }
    let output = tokio::time::timeout(LIMIT, command.output())
        .await
        .map_err(|_| "it did not end in time".to_owned())?
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        let first = output.stderr.split(|byte| *byte == b'\n').next().unwrap_or_default();
        return Err(escape(first).to_string());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn expand(pattern: &str, account: &Account) -> KeysFile {
    let (mut path, mut own) = (Vec::new(), false);
    let mut bytes = pattern.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            path.push(byte);
            continue;
        }
        let token = bytes.next();
        own |= matches!(token, Some(b'h' | b'u' | b'U'));
        match token {
            Some(b'h') => path.extend(account.home.as_os_str().as_encoded_bytes()),
            Some(b'u') => path.extend(account.name.bytes()),
            Some(b'U') => path.extend(account.uid.to_string().bytes()),
            // sshd knows no other token.
            other => path.extend(other),
        }
    }
    let path = Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&path)).to_owned();
    if own || path.is_relative() || path.starts_with(&account.home) {
        KeysFile::Own(account.home.join(path))
    } else {
        KeysFile::Shared(path)
    }
}

/// Looks for an account's files; they, and the fingerprints of their keys.
pub fn find(account: &Account, patterns: &Patterns) -> Found {
    let mut found = Found::default();
    for file in patterns.files(account) {
        match file {
            KeysFile::Own(path) => look_at(account, &path, &mut found),
            KeysFile::Shared(path) if path.exists() => found.notes.push(format!(
                "{} holds keys for all accounts and stays: take hers out of it, if there are any",
                escape(path.as_os_str().as_encoded_bytes())
            )),
            KeysFile::Shared(_) => {}
        }
    }
    found
}

fn look_at(account: &Account, path: &Path, found: &mut Found) {
    let kept = match examine(KeptKind::AuthorizedKeys, account, path) {
        Ok(None) => return,
        Ok(Some(kept)) => kept,
        Err(error) => return found.problems.push(error.to_string()),
    };
    let content = match kept.form {
        Form::Symlink | Form::Aside { .. } => read(account, path).unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                let path = escape(path.as_os_str().as_encoded_bytes()).to_string();
                found.problems.push(format!("{path}: keys behind it are not known: {error}"));
            }
            Vec::new()
        }),
        Form::File | Form::Edited { .. } => kept.content.clone(),
    };
    found.keys += count(&content);
    found.fingerprints.extend(fingerprints(&content));
    // Two paths may end at the same symbolic link.
    if !found.kept.iter().any(|other| other.path == kept.path) {
        found.kept.push(kept);
    }
}

/// How many lines are keys.
#[must_use]
pub fn count(content: &[u8]) -> u32 {
    u32::try_from(key_lines::keys(content).count()).unwrap_or(u32::MAX)
}

/// Those of all keys that somebody signs in with.
fn fingerprints(content: &[u8]) -> BTreeSet<String> {
    key_lines::keys(content).filter(|key| !key.authority).map(|key| key.fingerprint).collect()
}

/// Reads what sshd would read at this path, following symbolic links: with no more rights than the account's, and
/// therefore not for root.
///
/// # Errors
/// Those of open(2) and read(2).
pub fn read(account: &Account, path: &Path) -> io::Result<Vec<u8>> {
    if account.uid == 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    as_account(account, || {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = open(path, flags, Mode::empty())?;
        if !FileType::from_raw_mode(fstat(&file)?.st_mode).is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let mut content = Vec::new();
        File::from(file).take(MAX_SEARCHED).read_to_end(&mut content)?;
        Ok(content)
    })?
}

/// How many keys a kept file holds; one for a file that was not read.
#[must_use]
pub fn in_kept(kept: &Kept) -> u32 {
    match kept.form {
        Form::File | Form::Edited { .. } => count(&kept.content),
        Form::Symlink | Form::Aside { .. } => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn alice() -> Account {
        Account { name: "alice".into(), uid: 1000, gid: 1000, home: "/home/alice".into() }
    }

    fn files(settings: &str) -> Vec<KeysFile> {
        Patterns::parse(settings).files(&alice())
    }

    fn own(path: &str) -> KeysFile {
        KeysFile::Own(path.into())
    }

    #[test]
    fn patterns_of_sshd_become_paths() {
        assert_eq!(
            files(
                "port 22\nauthorizedkeysfile .ssh/authorized_keys %h/k /etc/ssh/keys/%u /keys/%U /a%%b/%u\n"
            ),
            [
                own("/home/alice/.ssh/authorized_keys"),
                own("/home/alice/k"),
                own("/etc/ssh/keys/alice"),
                own("/keys/1000"),
                own("/a%b/alice"),
            ]
        );
        assert_eq!(files("authorizedkeysfile .ssh/a %h/.ssh/a\n"), [own("/home/alice/.ssh/a")]);
    }

    #[test]
    fn a_path_without_the_account_is_everybodys() {
        assert_eq!(files("authorizedkeysfile /etc/ssh/%%u\n"), [KeysFile::Shared("/etc/ssh/%u".into())]);
    }

    #[test]
    fn none_is_no_file_and_silence_is_the_default() {
        assert_eq!(files("authorizedkeysfile none\n"), []);
        assert_eq!(files("port 22\n").len(), 2);
    }

    proptest! {
        #[test]
        fn no_pattern_makes_it_panic(pattern: String) {
            let _ = files(&format!("authorizedkeysfile {pattern}"));
            let _ = expand(&pattern, &alice());
        }
    }
}

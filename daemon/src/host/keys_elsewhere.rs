//! Keys of one account in the authorized keys of others.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use lockdown_enforcement::escape::escape;
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::spawn_blocking,
    time::{Instant, timeout, timeout_at},
};

use super::{
    quarantine::{Form, Kept, KeptKind, QuarantineError, examine, remove},
    tokens::{
        authorized_keys::{KeysFile, Patterns, read},
        key_lines,
    },
};
use crate::domain::account::Account;

/// How long reading or changing the files of all accounts may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A key of hers in another account's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyElsewhere {
    /// The other account.
    pub account: Account,
    /// Its file.
    pub path: PathBuf,
    /// Line, counted from 1.
    pub line: u32,
    /// `SHA256:…`
    pub fingerprint: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The keys.
    pub keys: Vec<KeyElsewhere>,
    /// What could not be looked at, in words for the administrator.
    pub problems: Vec<String>,
}

impl Search {
    fn and(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.problems.extend(other.problems);
    }
}

/// Files as they are before keys are taken out of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// To be stored, then [applied](apply); [`super::tokens::put_back`] takes it back.
    pub kept: Vec<Kept>,
    /// What cannot be changed, in words for the administrator.
    pub problems: Vec<String>,
}

/// What taking keys out of files came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Keys that were taken out.
    pub keys: u32,
    /// What could not be changed, in words for the administrator.
    pub problems: Vec<String>,
    /// A file changed after it was prepared: find and prepare anew.
    pub changed: bool,
}

/// Looks for these keys in the authorized keys of `accounts`, reading as each of them and following symbolic links as
/// sshd does; for root none is followed. An account whose file server is away ends the search; it and what
/// was found before are reported.
pub async fn find(fingerprints: &BTreeSet<String>, accounts: Vec<Account>) -> Search {
    if fingerprints.is_empty() || accounts.is_empty() {
        return Search::default();
    }
    let (patterns, problem) = Patterns::ask(None).await;
    let mut search = Search { problems: problem.into_iter().collect(), ..Search::default() };
    let (sender, mut results) = unbounded_channel();
    let (fingerprints, all) = (fingerprints.clone(), accounts.clone());
    // Not waited for: it tells its results as it goes.
    drop(spawn_blocking(move || search_all(&fingerprints, &all, &patterns, &sender)));
    let deadline = Instant::now() + LIMIT;
    for account in &accounts {
        match timeout_at(deadline, results.recv()).await {
            Ok(Some(result)) => search.and(result),
            _ => {
                search.problems.push(format!(
                    "the search for keys ended at the home directory of {}: is its file server reachable?",
                    escape(&account.name)
                ));
                break;
            }
        }
    }
    search
}

fn search_all(
    fingerprints: &BTreeSet<String>,
    accounts: &[Account],
    patterns: &Patterns,
    results: &UnboundedSender<Search>,
) {
    for account in accounts {
        // Nobody waits any more.
        if results.send(search_account(fingerprints, account, patterns)).is_err() {
            return;
        }
    }
}

fn search_account(fingerprints: &BTreeSet<String>, account: &Account, patterns: &Patterns) -> Search {
    let mut search = Search::default();
    for file in patterns.files(account) {
        let KeysFile::Own(path) = file else { continue };
        match content(account, &path) {
            Ok(content) => search.keys.extend(
                key_lines::keys(&content)
                    .filter(|key| !key.authority && fingerprints.contains(&key.fingerprint))
                    .map(|key| KeyElsewhere {
                        account: account.clone(),
                        path: path.clone(),
                        line: key.line,
                        fingerprint: key.fingerprint,
                    }),
            ),
            Err(problem) => search.problems.extend(problem),
        }
    }
    search
}

/// What sshd would read; `Err(None)`: nothing, because it could not either.
fn content(account: &Account, path: &Path) -> Result<Vec<u8>, Option<String>> {
    if account.uid != 0 {
        return read(account, path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory => None,
            _ => Some(format!("{}: {error}", shown(path))),
        });
    }
    match examine(KeptKind::EditedKeys, account, path) {
        Ok(Some(kept)) if kept.form == Form::File => Ok(kept.content),
        Ok(Some(_)) => Err(Some(format!(
            "{} is root's, and too large or behind a symbolic link: see yourself",
            shown(path)
        ))),
        Ok(None) | Err(QuarantineError::NoFile(..)) => Err(None),
        Err(error) => Err(Some(error.to_string())),
    }
}

fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes()).to_string()
}

/// Reads the files that these keys are in; changes nothing.
pub async fn prepare(found: &[KeyElsewhere]) -> Prepared {
    let mut files: BTreeMap<PathBuf, (Account, BTreeSet<String>)> = BTreeMap::new();
    for key in found {
        let (_, fingerprints) =
            files.entry(key.path.clone()).or_insert_with(|| (key.account.clone(), BTreeSet::new()));
        fingerprints.insert(key.fingerprint.clone());
    }
    let prepared = spawn_blocking(move || {
        let mut prepared = Prepared::default();
        for (path, (account, fingerprints)) in files {
            match prepare_file(&account, &path, &fingerprints) {
                Ok(kept) => prepared.kept.extend(kept),
                Err(problem) => prepared.problems.push(problem),
            }
        }
        prepared
    });
    in_time(prepared)
        .await
        .unwrap_or_else(|problem| Prepared { problems: vec![problem], ..Prepared::default() })
}

fn prepare_file(
    account: &Account,
    path: &Path,
    fingerprints: &BTreeSet<String>,
) -> Result<Option<Kept>, String> {
    let Some(kept) = examine(KeptKind::EditedKeys, account, path).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    if kept.form != Form::File {
        return Err(format!(
            "{} is too large or behind a symbolic link: take the key out of it yourself",
            shown(path)
        ));
    }
    let lines: Vec<u32> = key_lines::keys(&kept.content)
        .filter(|key| !key.authority && fingerprints.contains(&key.fingerprint))
        .map(|key| key.line)
        .collect();
    Ok((!lines.is_empty()).then(|| kept.without_lines(lines)))
}

/// Takes the keys out of the files, if they still are what was kept.
pub async fn apply(kept: &[Kept]) -> Taken {
    let kept = kept.to_vec();
    let taken = spawn_blocking(move || {
        let mut taken = Taken::default();
        for file in &kept {
            let Form::Edited { lines } = &file.form else { continue };
            match remove(file) {
                Ok(()) => taken.keys += u32::try_from(lines.len()).unwrap_or(u32::MAX),
                Err(QuarantineError::Changed(_)) => taken.changed = true,
                Err(error) => taken.problems.push(error.to_string()),
            }
        }
        taken
    });
    in_time(taken).await.unwrap_or_else(|problem| Taken { problems: vec![problem], ..Taken::default() })
}

async fn in_time<T>(work: tokio::task::JoinHandle<T>) -> Result<T, String> {
    match timeout(LIMIT, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("keys of others: no answer in time; is the file server reachable?".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, chown, symlink},
    };

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4g";

    struct Bob {
        directory: tempfile::TempDir,
        account: Account,
        keys: PathBuf,
    }

    fn bob(content: &str) -> Bob {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let own = rustix::process::geteuid();
        let uid = if own.is_root() { 61_005 } else { own.as_raw() };
        let gid = rustix::process::getegid().as_raw();
        let home = directory.path().join("bob");
        let keys = home.join(".ssh/authorized_keys");
        fs::create_dir_all(home.join(".ssh")).unwrap();
        fs::write(&keys, content).unwrap();
        for path in [&home, &home.join(".ssh"), &keys] {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
        Bob { directory, account: Account { name: "bob".into(), uid, gid, home }, keys }
    }

    fn hers() -> BTreeSet<String> {
        crate::host::sshd::fingerprint(ONE).into_iter().collect()
    }

    fn search(bob: &Bob) -> Search {
        search_account(&hers(), &bob.account, &Patterns::default())
    }

    #[tokio::test]
    async fn her_key_is_taken_out_of_his_file_and_his_own_stay() {
        let content = format!("# keys\n{TWO} bob\nno-pty {ONE} alice\ncert-authority {ONE} ca\n{ONE}\n");
        let bob = bob(&content);
        let found = find(&hers(), vec![bob.account.clone()]).await;
        assert_eq!(found.keys.iter().map(|key| key.line).collect::<Vec<_>>(), [3, 5], "{found:?}");
        let prepared = prepare(&found.keys).await;
        assert_eq!((prepared.kept.len(), &prepared.problems[..]), (1, &[][..]));
        let taken = apply(&prepared.kept).await;
        assert_eq!(taken, Taken { keys: 2, ..Taken::default() });
        let left = fs::read_to_string(&bob.keys).unwrap();
        assert_eq!(left, format!("# keys\n{TWO} bob\ncert-authority {ONE} ca\n"));
        assert_eq!(search(&bob), Search::default());
        for kept in prepared.kept {
            crate::host::tokens::put_back(kept).await.unwrap();
        }
        assert_eq!(fs::read_to_string(&bob.keys).unwrap(), content);
    }

    #[tokio::test]
    async fn a_file_that_changed_is_left_for_another_time() {
        let bob = bob(ONE);
        let prepared = prepare(&search(&bob).keys).await;
        fs::write(&bob.keys, format!("{ONE}\n{TWO}\n")).unwrap();
        assert_eq!(apply(&prepared.kept).await, Taken { changed: true, ..Taken::default() });
        assert_eq!(fs::read_to_string(&bob.keys).unwrap(), format!("{ONE}\n{TWO}\n"));
    }

    #[tokio::test]
    async fn behind_a_symbolic_link_it_is_found_and_not_changed() {
        let bob = bob(ONE);
        let elsewhere = bob.directory.path().join("elsewhere");
        fs::write(&elsewhere, ONE).unwrap();
        fs::remove_file(&bob.keys).unwrap();
        symlink(&elsewhere, &bob.keys).unwrap();
        let found = search(&bob);
        assert_eq!(found.keys.len(), 1, "{found:?}");
        let prepared = prepare(&found.keys).await;
        assert_eq!((prepared.kept.len(), prepared.problems.len()), (0, 1));
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), ONE);
    }

    #[test]
    fn a_link_to_what_only_root_reads_is_not_read_for_him() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let bob = bob(ONE);
        let secret = bob.directory.path().join("secret");
        fs::write(&secret, ONE).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        fs::remove_file(&bob.keys).unwrap();
        symlink(&secret, &bob.keys).unwrap();
        assert_eq!(search(&bob), Search::default());
    }
}

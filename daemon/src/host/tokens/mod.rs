//! Tokens of an account: what lets somebody act as it without signing in again.
//!
//! polkit's temporary authorisations are none of this module's: polkit lets nobody outside of a session revoke them
//! (`Passed session and the session the caller is in differs`), and itself forgets them when the process that got one
//! ends, which the sweep sees to.

pub mod at;
pub mod authorized_keys;
pub mod cron;
pub mod ipc;
pub mod kerberos;
pub mod key_lines;
pub mod keyring;
mod owned;
pub mod sudo;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use authorized_keys::Patterns;

use super::quarantine::{self, Kept, KeptKind, QuarantineError};
use crate::domain::account::Account;

/// How long the host may take for a kind of token. A home directory whose server is away can make a thread wait for ever:
/// that is a problem to report, not to wait for.
const LIMIT: Duration = Duration::from_secs(20);

/// What an account has that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Files to be stored, then [revoked](revoke).
    pub kept: Vec<Kept>,
    /// What could not be looked at, in words for the administrator.
    pub problems: Vec<String>,
    /// What is left alone on purpose, and should be known: a file of keys that all accounts share.
    pub notes: Vec<String>,
    /// `SHA256:…` of every key in her files of authorized keys, a certificate counting as the key that it certifies.
    /// Keys of authorities (`cert-authority`) are not among them: with these nobody signs in, and sessions of others
    /// by keys that they certified are not hers.
    pub fingerprints: BTreeSet<String>,
    /// How many lines are keys.
    pub keys: u32,
    /// How many jobs there are of cron and at.
    pub jobs: u32,
}

impl Found {
    fn and(mut self, other: Self) -> Self {
        self.kept.extend(other.kept);
        self.problems.extend(other.problems);
        self.notes.extend(other.notes);
        self.fingerprints.extend(other.fingerprints);
        self.keys += other.keys;
        self.jobs += other.jobs;
        self
    }
}

/// What was taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    /// How many of each kind; kinds of which there were none are absent.
    pub counts: BTreeMap<&'static str, u32>,
    /// What could not be taken away, in words for the administrator.
    pub problems: Vec<String>,
    /// A file changed after it was found: find anew, store that, and revoke again.
    pub changed: bool,
}

/// What one kind of token came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many of each kind.
    pub counts: BTreeMap<&'static str, u32>,
    /// What could not be taken away.
    pub problems: Vec<String>,
}

impl Counted {
    fn add(&mut self, kind: &'static str, number: usize) {
        if number > 0 {
            *self.counts.entry(kind).or_default() += u32::try_from(number).unwrap_or(u32::MAX);
        }
    }
}

/// Looks for the tokens that are worth keeping; changes nothing.
pub async fn find(account: &Account) -> Found {
    let (patterns, problem) = Patterns::ask(Some(account)).await;
    let keys = in_time(account, "files of authorized keys", move |account| {
        authorized_keys::find(account, &patterns)
    });
    let jobs = in_time(account, "jobs of cron and at", |account| cron::find(account).and(at::find(account)));
    let mut found = Found { problems: problem.into_iter().collect(), ..Found::default() };
    let (keys, jobs) = tokio::join!(keys, jobs);
    for part in [keys, jobs] {
        match part {
            Ok(part) => found = found.and(part),
            Err(problem) => found.problems.push(problem),
        }
    }
    found
}

/// Takes away the files in `kept`, and the tokens that are not worth keeping. A kind that takes too long is reported, and
/// goes on behind it.
pub async fn revoke(account: &Account, kept: &[Kept]) -> Revoked {
    let kept = kept.to_vec();
    let files = in_time(account, "files", move |_| remove(&kept));
    let rest = in_time(account, "tickets, caches and leftovers", |account| {
        [
            sudo::revoke(account),
            kerberos::revoke_files(account),
            ipc::revoke(account),
            keyring::revoke(account),
        ]
    });
    let (files, rest, kcm) = tokio::join!(files, rest, kerberos::revoke_kcm(account));
    let (mut revoked, files_problem) = settled(files);
    let (rest, rest_problem) = settled(rest);
    revoked.problems.extend(files_problem.into_iter().chain(rest_problem));
    for counted in rest.into_iter().chain([kcm]) {
        for (kind, number) in counted.counts {
            *revoked.counts.entry(kind).or_default() += number;
        }
        revoked.problems.extend(counted.problems);
    }
    revoked
}

fn settled<T: Default>(result: Result<T, String>) -> (T, Option<String>) {
    match result {
        Ok(value) => (value, None),
        Err(problem) => (T::default(), Some(problem)),
    }
}

fn remove(kept: &[Kept]) -> Revoked {
    let mut revoked = Revoked::default();
    for file in kept {
        let (kind, number) = match file.kind {
            KeptKind::AuthorizedKeys => ("authorized_keys", authorized_keys::in_kept(file)),
            KeptKind::Crontab => ("crontabs", 1),
            KeptKind::AtJob => ("at_jobs", 1),
            // Another account's: `keys_elsewhere` takes them.
            KeptKind::EditedKeys => continue,
        };
        match quarantine::remove(file) {
            Ok(()) => *revoked.counts.entry(kind).or_default() += number,
            Err(QuarantineError::Changed(_)) => revoked.changed = true,
            Err(error) => revoked.problems.push(error.to_string()),
        }
    }
    revoked.counts.retain(|_, number| *number > 0);
    revoked
}

/// Clears away what is left of taking `kept` away, where a daemon was killed in the middle of it. What could not be.
pub async fn clear_leftovers(account: &Account, kept: Vec<Kept>) -> Vec<String> {
    let cleared = in_time(account, "files", move |_| {
        kept.iter()
            .filter_map(|file| quarantine::clear_leftovers(file).err())
            .map(|error| error.to_string())
            .collect()
    });
    cleared.await.unwrap_or_else(|problem| vec![problem])
}

/// How many keys and how many jobs an account has, for a preview: lines that are keys; jobs in its crontab and of at.
pub async fn count(account: &Account) -> (u32, u32) {
    let found = find(account).await;
    (found.keys, found.jobs)
}

/// Puts a file back, and has cron or atd notice.
///
/// # Errors
/// [`QuarantineError`]
pub async fn put_back(kept: Kept) -> Result<(), QuarantineError> {
    let path = kept.path.clone();
    let account = kept.account.clone();
    let back = in_time(&account, "the file", move |_| {
        quarantine::put_back(&kept)?;
        if kept.kind == KeptKind::AtJob {
            at::wake();
        }
        Ok(())
    });
    back.await.unwrap_or_else(|problem| Err(QuarantineError::Failed(path.display().to_string(), problem)))
}

/// Does work that waits for the file system on a thread that may be given up.
async fn in_time<T: Send + 'static>(
    account: &Account,
    what: &str,
    work: impl FnOnce(&Account) -> T + Send + 'static,
) -> Result<T, String> {
    let account = account.clone();
    match tokio::time::timeout(LIMIT, tokio::task::spawn_blocking(move || work(&account))).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(format!("{what}: {error}")),
        Err(_) => Err(format!("{what}: no answer in time; is the file server reachable?")),
    }
}

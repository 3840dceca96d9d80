//! Takes the account's tokens away, and keeps what an undo puts back: it is in the store before it is gone from the host.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    core::Core,
    domain::account::Account,
    host::{
        quarantine::Kept,
        tokens::{self, Found},
    },
    operations::prior,
    store::lockdowns::LockdownId,
};

/// Rounds in which files that change under one's hands are looked for anew.
const ROUNDS: u32 = 5;
/// Longest time to look for tokens: a home directory may be on a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What taking tokens away came to.
#[derive(Clone, Debug, Default)]
pub struct Revoked {
    /// How many of each kind.
    pub counts: BTreeMap<&'static str, u32>,
    /// What could not be taken away.
    pub problems: Vec<String>,
    /// What an administrator should know.
    pub notes: Vec<String>,
    /// `SHA256:…` of the keys that opened the account.
    pub fingerprints: BTreeSet<String>,
}

impl Revoked {
    /// Both together; what the later one could not do counts.
    pub fn add(&mut self, later: Self) {
        for (kind, count) in later.counts {
            *self.counts.entry(kind).or_default() += count;
        }
        self.problems = later.problems;
        self.notes = later.notes;
        self.fingerprints.extend(later.fingerprints);
    }
}

/// Keys with which somebody could sign in as the account now; changes nothing.
pub async fn fingerprints(account: &Account) -> BTreeSet<String> {
    find(account).await.map(|found| found.fingerprints).unwrap_or_default()
}

/// Takes the account's tokens away, and what is left of those that a daemon that was killed was taking away.
pub async fn revoke(core: &Core, lockdown: LockdownId, account: &Account) -> Revoked {
    let left = clear_leftovers(core, lockdown, account).await;
    let mut revoked = take_away(core, lockdown, account).await;
    revoked.problems.extend(left);
    revoked
}

/// What could not be cleared away.
async fn clear_leftovers(core: &Core, lockdown: LockdownId, account: &Account) -> Vec<String> {
    match prior::files(core, lockdown, account).await {
        Ok(kept) if kept.is_empty() => Vec::new(),
        Ok(kept) => tokens::clear_leftovers(account, kept).await,
        Err(error) => vec![format!("what was taken away before is unknown: {error}")],
    }
}

async fn take_away(core: &Core, lockdown: LockdownId, account: &Account) -> Revoked {
    let mut all = Revoked::default();
    for _ in 0..ROUNDS {
        let found = match find(account).await {
            Ok(found) => found,
            Err(problem) => {
                all.problems = vec![problem];
                return all;
            }
        };
        let mut round = Revoked {
            problems: found.problems,
            notes: found.notes,
            fingerprints: found.fingerprints,
            ..Revoked::default()
        };
        let kept: Vec<Kept> = found.kept;
        let taken = match prior::keep_files(core, lockdown, &kept).await {
            Ok(()) => tokens::revoke(account, &kept).await,
            Err(error) => {
                // What cannot be kept must go all the same where nothing is lost by it.
                round.problems.push(format!("files stay where they are, as they could not be kept: {error}"));
                tokens::revoke(account, &[]).await
            }
        };
        round.counts = taken.counts;
        round.problems.extend(taken.problems);
        all.add(round);
        if !taken.changed {
            return all;
        }
    }
    all.problems.push("files change faster than they can be taken away: run the lockdown again".to_owned());
    all
}

async fn find(account: &Account) -> Result<Found, String> {
    tokio::time::timeout(PATIENCE, tokens::find(account)).await.map_err(|_| {
        format!("{} does not answer: keys there could not be taken away", account.home.display())
    })
}

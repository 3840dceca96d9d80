//! When accounts were made.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use crate::domain::{account::Account, lock::Time};

/// How long file systems have to answer: a home directory may lie on a server that is away.
const LIMIT: Duration = Duration::from_secs(1);
/// Threads that such a server may keep.
static PLACES: Semaphore = Semaphore::const_new(4);

/// For each account when it was made, in the same order: when its home directory was. That is told by what keeps the time of
/// birth (statx(2), `stx_btime`: ext4, XFS, Btrfs; not NFS), and of a directory that is the account's own, which `/` and
/// `/nonexistent` are not. passwd(5) has no such time, and shadow(5) only that of the last password. `None` = unknown.
pub async fn created(accounts: Vec<Account>) -> Vec<Option<Time>> {
    let found = Arc::new(Mutex::new(vec![None; accounts.len()]));
    if let Ok(place) = PLACES.try_acquire() {
        let filling = Arc::clone(&found);
        let looking = spawn_blocking(move || {
            let _place = place;
            for (index, account) in accounts.iter().enumerate() {
                let birth = birth(&account.home, account.uid);
                filling.lock().unwrap_or_else(PoisonError::into_inner)[index] = birth;
            }
        });
        // What was found in time counts.
        let _ = timeout(LIMIT, looking).await;
    }
    let found = found.lock().unwrap_or_else(PoisonError::into_inner);
    found.clone()
}

fn birth(directory: &Path, owner: u32) -> Option<Time> {
    let wanted = StatxFlags::BTIME | StatxFlags::UID;
    let flags = AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    let found = statx(CWD, directory, flags, wanted).ok()?;
    let known = StatxFlags::from_bits_retain(found.stx_mask).contains(wanted);
    (known && found.stx_uid == owner).then_some(found.stx_btime.tv_sec).filter(|time| *time > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock;

    #[tokio::test]
    async fn a_home_of_ones_own_tells_and_no_other() {
        let home = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let alice = Account { home: home.path().to_owned(), ..Account::without_nss("alice".into(), uid) };
        let lodger = Account { uid: uid + 1, ..alice.clone() };
        let homeless = Account::without_nss("bob".into(), uid);
        let found = created(vec![homeless, alice, lodger]).await;
        assert_eq!((found[0], found[2]), (None, None));
        // Not every file system that tests run on keeps it.
        assert!(found[1].is_none_or(|time| (clock::now() - 60..=clock::now()).contains(&time)), "{found:?}");
    }
}

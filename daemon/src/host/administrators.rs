//! Whether anybody is left who could administer this host.

use std::{collections::BTreeSet, path::Path, time::Duration};

use tokio::process::Command;

use super::{nss::Nss, shadow::Shadow};
use crate::{
    domain::{account::Account, lock::Time},
    store::{Store, accounts, locks},
};

const SECONDS_PER_DAY: Time = 24 * 3600;
/// Longest time to look into a home directory, which may be on a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who can administer this host, gathered once.
#[derive(Clone, Debug, Default)]
pub struct Administrators {
    members: BTreeSet<u32>,
    able: BTreeSet<u32>,
    root: bool,
}

impl Administrators {
    /// Looks at the members of `admin_groups`, and at root. A member who cannot be looked up counts for nobody; those in
    /// `locked` cannot get in.
    pub async fn gather(
        admin_groups: &[String],
        locked: &BTreeSet<u32>,
        nss: &Nss,
        store: &Store,
        now: Time,
    ) -> Self {
        let shadow = Shadow::read();
        let mut gathered = Self::default();
        for member in members(admin_groups, nss).await {
            gathered.members.insert(member.uid);
            if !locked.contains(&member.uid) && can_get_in(&member, &shadow, store, now).await {
                gathered.able.insert(member.uid);
            }
        }
        // With two who can, root does not matter, and asking sshd takes a while.
        gathered.root = gathered.able.len() < 2 && root_can_log_in(&shadow, nss).await;
        gathered
    }

    /// Whether this uid is an administrator and the last one who can still get in: no other member that is neither
    /// locked nor expired and has a way to log in, and no way for root.
    #[must_use]
    pub fn is_last(&self, uid: u32) -> bool {
        self.members.contains(&uid) && !self.root && self.able.iter().all(|able| *able == uid)
    }
}

/// The members of `admin_groups`, in the first place or otherwise, some more than once. Of what NSS does not answer for, nobody.
pub async fn members(admin_groups: &[String], nss: &Nss) -> Vec<Account> {
    let everyone = nss.enumerate().await.unwrap_or_default();
    let mut members = Vec::new();
    for group in admin_groups {
        let (gid, names) = match nss.group(group).await {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(error) => {
                tracing::warn!("not all administrators are known: {error}");
                continue;
            }
        };
        members.extend(everyone.iter().filter(|account| account.gid == gid).cloned());
        for name in names {
            members.extend(nss.by_name(&name).await.ok().flatten());
        }
    }
    members
}

async fn can_get_in(account: &Account, shadow: &Shadow, store: &Store, now: Time) -> bool {
    let name = account.name.clone();
    let denied = store
        .read(move |connection| {
            let locks = locks::of_account(connection, &name)?;
            let locked = locks
                .iter()
                .any(|lock| lock.authenticator.is_none() && lock.is_in_record() && lock.in_force(now));
            Ok::<_, crate::store::StoreError>(locked || accounts::stored(connection, &name)?.expired(now))
        })
        .await;
    if !matches!(denied, Ok(false)) {
        return false;
    }
    match shadow.entry(&account.name) {
        // Only its directory knows.
        None => true,
        Some(entry) if entry.expires.is_some_and(|day| day * SECONDS_PER_DAY <= now) => false,
        Some(entry) => entry.password_usable || has_authorized_keys(&account.home).await,
    }
}

async fn root_can_log_in(shadow: &Shadow, nss: &Nss) -> bool {
    if shadow.entry("root").is_some_and(|entry| entry.password_usable) {
        return true;
    }
    let home = nss.by_uid(0).await.ok().flatten().map_or_else(|| "/root".into(), |root| root.home);
    has_authorized_keys(&home).await && sshd_permits_root().await
}

/// A home whose server does not answer has none: nobody gets in by them.
async fn has_authorized_keys(home: &Path) -> bool {
    let path = home.join(".ssh/authorized_keys");
    let looking =
        tokio::task::spawn_blocking(move || std::fs::metadata(path).is_ok_and(|file| file.len() > 0));
    matches!(tokio::time::timeout(PATIENCE, looking).await, Ok(Ok(true)))
}

async fn sshd_permits_root() -> bool {
    let child = Command::new("/usr/sbin/sshd").arg("-T").env_clear().kill_on_drop(true).output();
    match tokio::time::timeout(Duration::from_secs(5), child).await {
        Ok(Ok(output)) => {
            let settings = String::from_utf8_lossy(&output.stdout).into_owned();
            settings.lines().any(|line| line.starts_with("permitrootlogin ") && !line.ends_with(" no"))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(members: &[u32], able: &[u32], root: bool) -> Administrators {
        Administrators {
            members: members.iter().copied().collect(),
            able: able.iter().copied().collect(),
            root,
        }
    }

    #[test]
    fn the_last_administrator_is_the_one_without_whom_nobody_could() {
        assert!(gathered(&[1002], &[1002], false).is_last(1002));
        assert!(!gathered(&[1002], &[1002], true).is_last(1002), "root can");
        assert!(!gathered(&[1001, 1002], &[1001, 1002], false).is_last(1002), "another can");
        assert!(gathered(&[1001, 1002], &[1002], false).is_last(1002), "the other is locked");
        assert!(!gathered(&[1002], &[1002], false).is_last(1000), "not an administrator");
    }
}

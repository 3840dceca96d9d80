//! Whether anybody is left who could administer this host.

use std::{path::Path, time::Duration};

use tokio::process::Command;

use super::{nss::Nss, shadow};
use crate::{
    domain::{account::Account, lock::Time},
    store::{Store, accounts, locks},
};

const SHADOW: &str = "/etc/shadow";
const SECONDS_PER_DAY: Time = 24 * 3600;

/// Whether `account` is an administrator and the last one who can still get in: no other member of `admin_groups`
/// that is neither locked nor expired and has a way to log in, and no way for root. Another member who cannot be looked
/// up counts for nobody. If the account's own groups cannot be told, it is taken for an ordinary one: a directory that
/// is away must not keep an operator from locking its accounts.
pub async fn is_last(
    account: &Account,
    admin_groups: &[String],
    nss: &Nss,
    store: &Store,
    now: Time,
) -> bool {
    let Ok(groups) = nss.groups_of(account).await else { return false };
    if !admin_groups.iter().any(|group| groups.contains(group)) {
        return false;
    }
    for other in members(admin_groups, nss).await {
        if other.uid != account.uid && can_get_in(&other, store, now).await {
            return false;
        }
    }
    !root_can_log_in(nss).await
}

async fn members(admin_groups: &[String], nss: &Nss) -> Vec<Account> {
    let everyone = nss.enumerate().await.unwrap_or_default();
    let mut members = Vec::new();
    for group in admin_groups {
        let Ok(Some((gid, names))) = nss.group(group).await else { continue };
        members.extend(everyone.iter().filter(|account| account.gid == gid).cloned());
        for name in names {
            members.extend(nss.by_name(&name).await.ok().flatten());
        }
    }
    members
}

async fn can_get_in(account: &Account, store: &Store, now: Time) -> bool {
    let name = account.name.clone();
    let denied = store
        .read(move |connection| {
            let locks = locks::of_account(connection, &name)?;
            let locked = locks.iter().any(|lock| lock.authenticator.is_none() && lock.in_force(now));
            Ok::<_, crate::store::StoreError>(locked || accounts::stored(connection, &name)?.expired(now))
        })
        .await;
    if !matches!(denied, Ok(false)) {
        return false;
    }
    match shadow::entry(Path::new(SHADOW), &account.name) {
        // Only its directory knows.
        None => true,
        Some(entry) if entry.expires.is_some_and(|day| day * SECONDS_PER_DAY <= now) => false,
        Some(entry) => entry.password_usable || has_authorized_keys(&account.home),
    }
}

async fn root_can_log_in(nss: &Nss) -> bool {
    if shadow::entry(Path::new(SHADOW), "root").is_some_and(|entry| entry.password_usable) {
        return true;
    }
    let home = nss.by_uid(0).await.ok().flatten().map_or_else(|| "/root".into(), |root| root.home);
    has_authorized_keys(&home) && sshd_permits_root().await
}

fn has_authorized_keys(home: &Path) -> bool {
    std::fs::metadata(home.join(".ssh/authorized_keys")).is_ok_and(|file| file.len() > 0)
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

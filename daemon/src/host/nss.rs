//! Accounts and groups through NSS, from any source.
//!
//! An NSS backend may hang (a directory server that is away). Every look-up runs on a blocking thread and is
//! given up after a time limit; the thread is not, so their number is bounded. When all are stuck, accounts are looked up
//! by getent(1): slower, but a child that hangs can be killed.

use std::{collections::BTreeSet, ffi::CString, sync::Arc, time::Duration};

use nix::unistd::{Gid, Group, Uid, User};
use tokio::{process::Command, sync::Semaphore};

use lockdown_enforcement::escape::escape;

use crate::domain::account::Account;

/// Threads, and beyond them children, that may hang at the same time.
const MAX_LOOKUPS: usize = 32;

/// Why NSS gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NssError {
    /// The time limit passed.
    #[error("NSS did not answer for {0} in time: is its directory server reachable?")]
    TimedOut(String),
    /// All threads, or all children, are stuck in other look-ups.
    #[error("NSS hangs in too many look-ups already: is its directory server reachable?")]
    Busy,
    /// An error of the source.
    #[error("NSS failed for {0}: {1}")]
    Failed(String, String),
}

/// NSS with a time limit.
#[derive(Clone, Debug)]
pub struct Nss {
    places: Arc<Semaphore>,
    children: Arc<Semaphore>,
    limit: Duration,
}

impl Nss {
    /// Gives up on a look-up after `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        let semaphore = || Arc::new(Semaphore::new(MAX_LOOKUPS));
        Self { places: semaphore(), children: semaphore(), limit }
    }

    /// The same threads with another limit.
    #[must_use]
    pub fn with_limit(&self, limit: Duration) -> Self {
        Self { limit, ..self.clone() }
    }

    /// The account with this name.
    ///
    /// # Errors
    /// [`NssError`]
    pub async fn by_name(&self, name: &str) -> Result<Option<Account>, NssError> {
        let wanted = name.to_owned();
        match self.ask(name.to_owned(), move || Ok(User::from_name(&wanted)?.map(account))).await {
            // getent takes digits for a uid.
            Err(NssError::Busy) => Ok(self.account_by_child(name).await?.filter(|found| found.name == name)),
            answer => answer,
        }
    }

    /// The account with this uid.
    ///
    /// # Errors
    /// [`NssError`]
    pub async fn by_uid(&self, uid: u32) -> Result<Option<Account>, NssError> {
        let what = format!("uid {uid}");
        match self.ask(what, move || Ok(User::from_uid(Uid::from_raw(uid))?.map(account))).await {
            Err(NssError::Busy) => self.account_by_child(&uid.to_string()).await,
            answer => answer,
        }
    }

    /// Whether nobody has this name any more, and another account has the uid that it had.
    ///
    /// # Errors
    /// [`NssError`]
    pub async fn is_anothers(&self, uid: u32, name: &str) -> Result<bool, NssError> {
        if self.by_name(name).await?.is_some() {
            return Ok(false);
        }
        Ok(self.by_uid(uid).await?.is_some_and(|account| account.name != name))
    }

    /// Names of the groups that the account is in.
    ///
    /// # Errors
    /// [`NssError`]
    pub async fn groups_of(&self, account: &Account) -> Result<BTreeSet<String>, NssError> {
        let (name, gid) = (account.name.clone(), Gid::from_raw(account.gid));
        self.ask(account.name.clone(), move || {
            let name = CString::new(name).map_err(|_| nix::errno::Errno::EINVAL)?;
            let mut names = BTreeSet::new();
            for gid in nix::unistd::getgrouplist(&name, gid)? {
                names.extend(Group::from_gid(gid)?.map(|group| group.name));
            }
            Ok(names)
        })
        .await
    }

    /// Gid and named members of a group.
    ///
    /// # Errors
    /// [`NssError`]
    pub async fn group(&self, name: &str) -> Result<Option<(u32, Vec<String>)>, NssError> {
        let name = name.to_owned();
        self.ask(name.clone(), move || {
            Ok(Group::from_name(&name)?.map(|group| (group.gid.as_raw(), group.mem)))
        })
        .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        what: String,
        look_up: impl FnOnce() -> nix::Result<T> + Send + 'static,
    ) -> Result<T, NssError> {
        let what = escape(&what).to_string();
        let place = self.places.clone().try_acquire_owned().map_err(|_| NssError::Busy)?;
        let task = tokio::task::spawn_blocking(move || {
            let _place = place;
            look_up()
        });
        match tokio::time::timeout(self.limit, task).await {
            Err(_) => Err(NssError::TimedOut(what)),
            Ok(Err(error)) => Err(NssError::Failed(what, error.to_string())),
            // POSIX lets getpwnam_r say "not found" by these, too.
            Ok(Ok(Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ESRCH))) => {
                Err(NssError::Failed(what, "a source of nsswitch.conf is not available".to_owned()))
            }
            Ok(Ok(Err(error))) => Err(NssError::Failed(what, error.desc().to_owned())),
            Ok(Ok(Ok(answer))) => Ok(answer),
        }
    }

    /// Every account that NSS enumerates (a directory usually enumerates nothing).
    ///
    /// # Errors
    /// [`NssError`]
    pub async fn enumerate(&self) -> Result<Vec<Account>, NssError> {
        self.getent_passwd("the list of accounts", &[]).await
    }

    async fn account_by_child(&self, key: &str) -> Result<Option<Account>, NssError> {
        let _place = self.children.try_acquire().map_err(|_| NssError::Busy)?;
        Ok(self.getent_passwd(key, &["--", key]).await?.into_iter().next())
    }

    /// The accounts that getent(1) prints; `what` is for errors.
    async fn getent_passwd(&self, what: &str, keys: &[&str]) -> Result<Vec<Account>, NssError> {
        let what = || escape(what).to_string();
        let child =
            Command::new("/usr/bin/getent").arg("passwd").args(keys).env_clear().kill_on_drop(true).output();
        let output = tokio::time::timeout(self.limit, child)
            .await
            .map_err(|_| NssError::TimedOut(what()))?
            .map_err(|error| NssError::Failed(what(), error.to_string()))?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(passwd_line).collect())
    }
}

fn account(user: User) -> Account {
    Account { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw(), home: user.dir }
}

/// A line of passwd(5).
fn passwd_line(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let _password = fields.next()?;
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let _gecos = fields.next()?;
    Some(Account { name, uid, gid, home: fields.next()?.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hanging_source_takes_its_own_look_up_only() {
        let nss = Nss::new(Duration::from_millis(50));
        let (release, stuck) = std::sync::mpsc::channel::<()>();
        let hanging = nss.ask("alice".into(), move || {
            let _ = stuck.recv();
            Ok(())
        });
        assert_eq!(hanging.await, Err(NssError::TimedOut("alice".into())));
        assert_eq!(nss.by_uid(0).await.unwrap().unwrap().name, "root");
        drop(release);
    }

    #[tokio::test]
    async fn look_ups_that_hang_do_not_pile_up_and_keep_no_account_from_being_found() {
        let nss = Nss::new(Duration::from_millis(1));
        let (release, stuck) = std::sync::mpsc::channel::<()>();
        let stuck = Arc::new(std::sync::Mutex::new(stuck));
        for _ in 0..MAX_LOOKUPS {
            let stuck = Arc::clone(&stuck);
            let _ = nss
                .ask("x".into(), move || {
                    let _ = stuck.lock().unwrap().recv();
                    Ok(())
                })
                .await;
        }
        assert_eq!(nss.group("root").await, Err(NssError::Busy));
        let nss = nss.with_limit(Duration::from_secs(10));
        assert_eq!(nss.by_uid(0).await.unwrap().unwrap().name, "root");
        assert_eq!(nss.by_name("root").await.unwrap().unwrap().uid, 0);
        assert_eq!(nss.by_name("0").await, Ok(None));
        assert_eq!(nss.by_name("--help").await, Ok(None));
        drop(release);
    }

    #[test]
    fn lines_of_passwd() {
        let alice = passwd_line("alice:x:1000:1001:Alice,,,:/home/alice:/bin/bash").unwrap();
        assert_eq!((alice.name.as_str(), alice.uid, alice.gid), ("alice", 1000, 1001));
        assert_eq!(passwd_line("+::::::"), None);
        assert_eq!(passwd_line(""), None);
    }
}

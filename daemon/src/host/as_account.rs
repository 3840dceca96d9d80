//! Work on an account's files and keys with no more rights than the account has.

use std::io;

use rustix::{
    process::{Gid, Uid, geteuid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

use crate::domain::account::Account;

/// Runs `job` with the account's effective uid and gid, on a thread of its own that ends afterwards: credentials are a
/// thread's own (credentials(7), "per-thread"), so no other work of the daemon is touched.
///
/// Real and saved uid stay root's, so that no process of hers may signal the thread (kill(2)). Of the groups she has
/// the primary one only: her other groups are asked of NSS, which may hang, and what she owns she reaches without them.
///
/// Where the daemon has this uid already, or is not root and cannot change its own, the job runs as it is.
///
/// # Errors
/// Those of clone(2), setgroups(2), setresgid(2) and setresuid(2), a job that panicked, and an account of which only name and uid
/// are known.
pub fn as_account<T: Send>(account: &Account, job: impl FnOnce() -> T + Send) -> io::Result<T> {
    let own = geteuid();
    if !own.is_root() || own.as_raw() == account.uid {
        return Ok(job());
    }
    if account.gid == u32::MAX {
        return Err(io::Error::other("NSS does not tell its primary group"));
    }
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("as-account".to_owned()).spawn_scoped(scope, move || {
                set_thread_groups(&[gid])?;
                set_thread_res_gid(None, gid, None)?;
                set_thread_res_uid(None, uid, None)?;
                Ok(job())
            })?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("work as the account panicked")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{getegid, getgroups, getuid};

    #[test]
    fn only_the_job_has_the_accounts_rights() {
        let own = geteuid();
        let account = Account { gid: 61_007, ..Account::without_nss("alice".into(), 61_006) };
        let seen = as_account(&account, || {
            let denied = std::fs::read("/etc/shadow").is_err();
            (geteuid().as_raw(), getuid(), getegid().as_raw(), getgroups().unwrap_or_default(), denied)
        })
        .unwrap();
        if own.is_root() {
            assert_eq!(seen, (61_006, getuid(), 61_007, vec![Gid::from_raw(61_007)], true));
        } else {
            assert_eq!(seen.0, own.as_raw());
        }
        assert_eq!(geteuid(), own);
    }

    #[test]
    fn a_job_that_panics_is_an_error() {
        if geteuid().is_root() {
            let account = Account { gid: 61_007, ..Account::without_nss("alice".into(), 61_006) };
            assert!(as_account(&account, || panic!("on purpose")).is_err());
        }
    }
}

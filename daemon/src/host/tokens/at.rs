//! Jobs of at.

use std::{
    io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::Found;
use crate::{
    domain::account::Account,
    host::quarantine::{KeptKind, examine},
};

/// Debian, Fedora, SUSE.
const SPOOLS: [&str; 3] = ["/var/spool/cron/atjobs", "/var/spool/at", "/var/spool/atjobs"];
const PID_FILE: &str = "/run/atd.pid";

/// Looks for an account's jobs.
pub fn find(account: &Account) -> Found {
    find_in(&SPOOLS.map(PathBuf::from), account)
}

fn find_in(spools: &[PathBuf], account: &Account) -> Found {
    let mut found = Found::default();
    for spool in spools {
        let paths = match jobs_of(account.uid, spool) {
            Ok(paths) => paths,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                found.problems.push(format!("{}: {error}", spool.display()));
                continue;
            }
        };
        for path in paths {
            match examine(KeptKind::AtJob, account, &path) {
                // It ran just now.
                Ok(None) => {}
                Ok(Some(kept)) => {
                    found.jobs += 1;
                    found.kept.push(kept);
                }
                Err(error) => found.problems.push(error.to_string()),
            }
        }
    }
    found
}

fn jobs_of(uid: u32, spool: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(spool)? {
        let entry = entry?;
        let hers = entry.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.uid() == uid);
        if hers && is_job(entry.file_name().as_bytes()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Queue, number of the job in five hexadecimal digits, minute in eight. A job that runs has `=` in front: it ends with
/// its processes.
fn is_job(name: &[u8]) -> bool {
    let [queue, number @ ..] = name else { return false };
    queue.is_ascii_alphabetic() && number.len() == 13 && number.iter().all(u8::is_ascii_hexdigit)
}

/// Tells atd that there are jobs again, as at(1) does; by itself it looks once an hour.
pub fn wake() {
    // Without it, they run an hour late at most.
    if let Some(Err(error)) = atd().map(|atd| pidfd_send_signal(atd, Signal::HUP)) {
        tracing::debug!("atd cannot be told of its jobs: {error}");
    }
}

fn atd() -> Option<std::os::fd::OwnedFd> {
    let number: i32 = std::fs::read_to_string(PID_FILE).ok()?.trim().parse().ok()?;
    let pidfd = pidfd_open(Pid::from_raw(number)?, PidfdFlags::empty()).ok()?;
    let name = std::fs::read_to_string(format!("/proc/{number}/comm")).ok()?;
    (name.trim_end() == "atd").then_some(pidfd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_known_by_its_name() {
        assert!(is_job(b"a0000101d0c1a2"));
        for name in
            ["=0000101d0c1a2", ".SEQ", "", "a", "a0000101d0c1a", "a0000101d0c1ag", ".a0000101d0c1a2.lockdown"]
        {
            assert!(!is_job(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn only_jobs_of_hers_are_found() {
        let spool = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        std::fs::write(spool.path().join("a0000101d0c1a2"), "#!/bin/sh\n").unwrap();
        std::fs::write(spool.path().join(".SEQ"), "1").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", spool.path().join("a0000201d0c1a2")).unwrap();
        let find = |uid| find_in(&[spool.path().to_owned()], &Account::without_nss("alice".into(), uid));
        let found = find(uid);
        assert_eq!((found.kept.len(), found.jobs, found.problems.len()), (1, 1, 0));
        assert_eq!(find(uid + 1), Found::default());
    }
}

//! What processes left for each other: System V and POSIX shared memory, semaphores and message queues.

use std::{io, path::Path};

use nix::libc;

use super::{Counted, owned};
use crate::{domain::account::Account, host::as_account::as_account};

/// Removes the one with an id; -1 and errno if that fails.
type Remove = fn(i32) -> i32;

/// Kinds of System V, sysvipc(7): file of /proc, what it counts as, and the call that removes one.
const SYSTEM_V: [(&str, &str, Remove); 3] = [
    ("/proc/sysvipc/shm", "shared_memory", remove_shared_memory),
    ("/proc/sysvipc/sem", "semaphores", remove_semaphores),
    ("/proc/sysvipc/msg", "message_queues", remove_message_queue),
];

/// Removes an account's. logind does so as well (`RemoveIPC=`), but seconds later, and not while anything is left in the
/// account's slice.
pub fn revoke(account: &Account) -> Counted {
    let mut counted = Counted::default();
    for (file, kind, remove) in SYSTEM_V {
        let Ok(table) = std::fs::read_to_string(file) else { continue };
        let ids = owned_by(account.uid, &table);
        if ids.is_empty() {
            continue;
        }
        // With her rights, so that an id that was reused meanwhile is not another's.
        let removed = as_account(account, || {
            ids.iter()
                .map(|id| (remove(*id) == 0).then_some(()).ok_or_else(io::Error::last_os_error))
                .collect()
        });
        match removed {
            Ok(results) => note(&mut counted, kind, results),
            Err(error) => counted.problems.push(format!("{file}: {error}")),
        }
    }
    let (names, problems) = owned::remove(account, Path::new("/dev/shm"), |_| true);
    // sem_overview(7)
    let semaphores = names.iter().filter(|name| name.to_bytes().starts_with(b"sem.")).count();
    counted.add("semaphores", semaphores);
    counted.add("shared_memory", names.len() - semaphores);
    counted.problems.extend(problems);
    let (names, problems) = owned::remove(account, Path::new("/dev/mqueue"), |_| true);
    counted.add("message_queues", names.len());
    counted.problems.extend(problems);
    counted
}

fn note(counted: &mut Counted, kind: &'static str, results: Vec<io::Result<()>>) {
    for result in results {
        match result {
            Ok(()) => counted.add(kind, 1),
            // Gone, or another's by now.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIDRM | libc::EPERM)) => {}
            Err(error) => counted.problems.push(format!("{kind} cannot be removed: {error}")),
        }
    }
}

/// Ids in a table of /proc/sysvipc whose owner this is. The owner may differ from the creator, and is who it is for.
fn owned_by(uid: u32, table: &str) -> Vec<i32> {
    let mut lines = table.lines();
    let heading: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    let Some(column) = heading.iter().position(|word| *word == "uid") else { return Vec::new() };
    let id = |line: &str| {
        let mut words = line.split_whitespace();
        let id = words.nth(1)?.parse().ok()?;
        // Two are taken.
        let owner: u32 = words.nth(column.checked_sub(2)?)?.parse().ok()?;
        (owner == uid).then_some(id)
    };
    lines.filter_map(id).collect()
}

#[expect(unsafe_code)]
fn remove_shared_memory(id: i32) -> i32 {
    // SAFETY: IPC_RMID ignores the buffer, shmctl(2).
    unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) }
}

#[expect(unsafe_code)]
fn remove_semaphores(id: i32) -> i32 {
    // SAFETY: IPC_RMID takes no fourth argument, semctl(2).
    unsafe { libc::semctl(id, 0, libc::IPC_RMID) }
}

#[expect(unsafe_code)]
fn remove_message_queue(id: i32) -> i32 {
    // SAFETY: IPC_RMID ignores the buffer, msgctl(2).
    unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEM: &str = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n\
                       0          3   600          1  1000  1000  1001  1001          0 1700000000\n\
                       0          4   600          1  1001  1001  1000  1000          0 1700000000\n";

    #[test]
    fn the_owner_counts_and_not_the_creator() {
        assert_eq!(owned_by(1000, SEM), [3]);
        assert_eq!(owned_by(1001, SEM), [4]);
        assert_eq!(owned_by(1, SEM), [0; 0]);
    }

    #[test]
    fn a_segment_of_the_kernel_is_removed() {
        // An account of its own: nothing of whoever runs the test may go.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let uid = 1_000_000_000 + std::process::id();
        let account = Account { gid: uid, ..Account::without_nss("alice".into(), uid) };
        #[expect(unsafe_code)]
        let made = as_account(&account, || {
            // SAFETY: no pointer is passed.
            unsafe {
                (
                    libc::shmget(libc::IPC_PRIVATE, 4096, 0o600),
                    libc::semget(libc::IPC_PRIVATE, 1, 0o600),
                    libc::msgget(libc::IPC_PRIVATE, 0o600),
                )
            }
        });
        let (shared_memory, semaphores, queue) = made.unwrap();
        assert!(shared_memory >= 0 && semaphores >= 0 && queue >= 0);
        let counted = revoke(&account);
        for kind in ["shared_memory", "semaphores", "message_queues"] {
            assert_eq!(counted.counts.get(kind), Some(&1), "{counted:?}");
        }
        assert_eq!(revoke(&account), Counted::default());
    }

    proptest! {
        #[test]
        fn no_table_makes_it_panic(table in "(uid|[0-9 -]|\n){0,60}", uid: u32) {
            let _ = owned_by(uid, &table);
        }
    }
}

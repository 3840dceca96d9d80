//! Accounts and groups as NSS knows them, by the reentrant calls of the C library; and whose this process is.

#![expect(unsafe_code, reason = "std has no NSS")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::{io, mem, ptr};

use crate::core::Account;

/// Enough for most entries, and kept on the stack.
const USUAL_ENTRY: usize = 1024;
/// No honest entry is longer; groups with ten thousands of members are half of it.
const LONGEST_ENTRY: usize = 1 << 20;
/// `NGROUPS_MAX` of Linux.
const MOST_GROUPS: usize = 65_536;

/// The account of that name; `None` if NSS is sure that there is none. See getpwnam_r(3).
///
/// # Errors
/// NSS could not find out: the C library says "no such entry" only if every source has been asked and has said so.
pub(crate) fn account(name: &CStr) -> io::Result<Option<Account>> {
    lookup(|buffer| {
        // SAFETY: all zero is a valid passwd: integers and null pointers.
        let mut entry: libc::passwd = unsafe { mem::zeroed() };
        let mut found = ptr::null_mut();
        // SAFETY: every pointer is valid for the call, and the buffer has the length that is given.
        let error = unsafe {
            libc::getpwnam_r(name.as_ptr(), &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found)
        };
        (error, (!found.is_null()).then_some(Account { uid: entry.pw_uid, gid: entry.pw_gid }))
    })
}

/// The gid of the group of that name. See getgrnam_r(3).
fn group(name: &CStr) -> io::Result<Option<u32>> {
    lookup(|buffer| {
        // SAFETY: all zero is a valid group: an integer and null pointers.
        let mut entry: libc::group = unsafe { mem::zeroed() };
        let mut found = ptr::null_mut();
        // SAFETY: every pointer is valid for the call, and the buffer has the length that is given.
        let error = unsafe {
            libc::getgrnam_r(name.as_ptr(), &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found)
        };
        (error, (!found.is_null()).then_some(entry.gr_gid))
    })
}

/// Calls `attempt` with a larger buffer for as long as it says `ERANGE`.
fn lookup<T>(mut attempt: impl FnMut(&mut [c_char]) -> (c_int, Option<T>)) -> io::Result<Option<T>> {
    let mut outcome = attempt(&mut [0; USUAL_ENTRY]);
    let mut length = USUAL_ENTRY;
    while outcome.0 == libc::ERANGE && length < LONGEST_ENTRY {
        length *= 4;
        outcome = attempt(&mut vec![0; length]);
    }
    match outcome {
        (0, found) => Ok(found),
        (error, _) => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Whether the account is in the group, be it as its primary one. No if that cannot be found out.
pub(crate) fn is_member(user: &CStr, account: Account, group_name: &str) -> bool {
    let Some(gid) = CString::new(group_name).ok().and_then(|name| group(&name).ok().flatten()) else {
        return false;
    };
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let mut count = groups.len() as c_int;
        // SAFETY: `groups` has room for `count`, and getgrouplist(3) writes no more.
        let listed =
            unsafe { libc::getgrouplist(user.as_ptr(), account.gid, groups.as_mut_ptr(), &mut count) };
        let count = usize::try_from(count).unwrap_or(0);
        if listed >= 0 {
            return groups.iter().take(count).any(|member| *member == gid);
        }
        if groups.len() >= MOST_GROUPS {
            return false;
        }
        groups.resize(count.clamp(groups.len() * 2, MOST_GROUPS), 0);
    }
}

/// getuid(2)
pub(crate) fn real_uid() -> u32 {
    // SAFETY: cannot fail and touches no memory.
    unsafe { libc::getuid() }
}

/// geteuid(2)
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: cannot fail and touches no memory.
    unsafe { libc::geteuid() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_root_and_not_a_stranger() {
        assert_eq!(account(c"root").unwrap(), Some(Account { uid: 0, gid: 0 }));
        assert_eq!(account(c"no such\naccount").unwrap(), None);
        assert_eq!(account(&CString::new("x".repeat(10_000)).unwrap()).unwrap(), None);
    }

    #[test]
    fn knows_who_is_in_a_group() {
        let root = Account { uid: 0, gid: 0 };
        assert!(is_member(c"root", root, "root"), "by the primary group");
        assert!(!is_member(c"root", root, "no such group"));
        assert!(!is_member(c"root", root, "nul\0"));
    }

    #[test]
    fn a_long_entry_gets_a_longer_buffer_and_an_endless_one_an_error() {
        let found =
            lookup(
                |buffer| if buffer.len() < 10_000 { (libc::ERANGE, None) } else { (0, Some(buffer.len())) },
            );
        assert_eq!(found.unwrap(), Some(16_384));
        let endless = lookup::<()>(|_| (libc::ERANGE, None));
        assert_eq!(endless.unwrap_err().raw_os_error(), Some(libc::ERANGE));
    }
}

//! Keyrings of the kernel, keyrings(7): Kerberos caches, keys of file systems, and whatever a program left there.

use std::io;

use nix::libc;

use super::Counted;
use crate::{domain::account::Account, host::as_account::as_account};

/// A keyring in /proc/keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Keyring {
    serial: i32,
    persistent: bool,
}

/// Clears every keyring of an account that holds something. Session keyrings that only their processes may change end
/// with these; in containers all of this is usually forbidden, and there is nothing in them then.
pub fn revoke(account: &Account) -> Counted {
    let mut counted = Counted::default();
    let cleared = as_account(account, || {
        // /proc/keys shows a thread what it may see.
        let Ok(table) = std::fs::read("/proc/keys") else { return 0 };
        let keyrings = keyrings_of(account.uid, &String::from_utf8_lossy(&table));
        keyrings.into_iter().filter(|keyring| clear(*keyring, account.uid).is_ok()).count()
    });
    match cleared {
        Ok(cleared) => counted.add("keyrings", cleared),
        Err(error) => counted.problems.push(format!("keyrings: {error}")),
    }
    counted
}

fn clear(keyring: Keyring, uid: u32) -> io::Result<()> {
    let serial = if keyring.persistent {
        // keyctl_get_persistent(3): who has it linked to a keyring of its own may clear it. This thread's ends with it.
        let own = i64::from(libc::KEY_SPEC_THREAD_KEYRING);
        i32::try_from(keyctl(libc::KEYCTL_GET_PERSISTENT, i64::from(uid), own)?).map_err(io::Error::other)?
    } else {
        keyring.serial
    };
    keyctl(libc::KEYCTL_CLEAR, i64::from(serial), 0).map(drop)
}

#[expect(unsafe_code)]
fn keyctl(operation: u32, first: i64, second: i64) -> io::Result<i64> {
    // SAFETY: the operations above take numbers, no pointers, keyctl(2).
    match unsafe { libc::syscall(libc::SYS_keyctl, operation, first, second, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(answer),
    }
}

/// Keyrings in /proc/keys that this uid owns and that are not empty, proc_keys(5).
fn keyrings_of(uid: u32, table: &str) -> Vec<Keyring> {
    let keyring = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [serial, _flags, _usage, _timeout, _permissions, owner, _group, "keyring", name, ..] = words[..]
        else {
            return None;
        };
        let hers = owner.parse() == Ok(uid) && !line.trim_end().ends_with(": empty");
        let serial = u32::from_str_radix(serial, 16).ok()?.cast_signed();
        hers.then(|| Keyring { serial, persistent: name.starts_with("_persistent.") })
    };
    table.lines().filter_map(keyring).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustix::{
        process::{Gid, Uid},
        thread::{set_thread_res_gid, set_thread_res_uid},
    };

    const TABLE: &str = "\
        009a2028 I--Q---   1 perm 3f010000  1000  1000 user      krb_ccache:primary: 12\n\
        1806c4ba I--Q---   3 perm 1f3f0000  1000 65534 keyring   _uid.1000: 2\n\
        25d3a08f I--Q---   1 perm 1f3f0000  1000 65534 keyring   _uid_ses.1000: empty\n\
        2c546d21 I--Q--- 190 perm 3f030000  1001  1001 keyring   _ses: 2\n\
        39a4b0c1 I------   1   2d 1f030000  1000    -1 keyring   _persistent.1000: 1\n";

    #[test]
    fn her_keyrings_that_hold_something() {
        let keyring = |serial, persistent| Keyring { serial, persistent };
        assert_eq!(keyrings_of(1000, TABLE), [keyring(0x1806_c4ba, false), keyring(0x39a4_b0c1, true)]);
        assert_eq!(keyrings_of(1001, TABLE), [keyring(0x2c54_6d21, false)]);
        assert_eq!(keyrings_of(0, TABLE), []);
    }

    #[test]
    fn a_key_is_gone_from_the_keyrings_of_the_kernel() {
        // An account of its own: nothing of whoever runs the test may go.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let uid = 1_000_000_000 + std::process::id();
        let account = Account { gid: uid, ..Account::without_nss("alice".into(), uid) };
        #[expect(unsafe_code)]
        let add = |keyring: i64| {
            // SAFETY: the strings end with NUL, and the payload has the length given, add_key(2).
            unsafe {
                libc::syscall(
                    libc::SYS_add_key,
                    c"user".as_ptr(),
                    c"secret".as_ptr(),
                    c"x".as_ptr(),
                    1_usize,
                    keyring,
                )
            }
        };
        // A user's keyring is that of the real uid.
        let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
        let adding = std::thread::spawn(move || {
            set_thread_res_gid(gid, gid, gid).unwrap();
            set_thread_res_uid(uid, uid, uid).unwrap();
            let user = add(i64::from(libc::KEY_SPEC_USER_KEYRING)) > 0;
            let own = i64::from(libc::KEY_SPEC_THREAD_KEYRING);
            let persistent = keyctl(libc::KEYCTL_GET_PERSISTENT, i64::from(uid.as_raw()), own);
            u32::from(user) + u32::from(persistent.is_ok_and(|keyring| add(keyring) > 0))
        });
        let added = adding.join().unwrap();
        let cleared = revoke(&account).counts.get("keyrings").copied().unwrap_or_default();
        // The one for sessions may hold a link to the user's.
        assert!((added..=added + 1).contains(&cleared), "{cleared} of {added}");
        assert_eq!(revoke(&account), Counted::default());
    }

    proptest! {
        #[test]
        fn no_table_makes_it_panic(table: String, uid: u32) {
            let _ = keyrings_of(uid, &table);
        }
    }
}

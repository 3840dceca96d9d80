//! Removes what an account owns in a directory that everybody may write to.

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::OwnedFd,
    path::Path,
};

use lockdown_enforcement::escape::escape;
use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat, unlinkat},
    io::Errno,
};

use crate::{domain::account::Account, host::as_account::as_account};

/// How deep a directory of hers may be: each level holds a descriptor and a piece of the stack.
const MAX_DEPTH: u32 = 32;

/// Removes what the account owns in `directory` and whose name is `wanted`, directories with all that is in them. Done with
/// the account's rights, and without following anything: nothing of others can be removed by it. Returns the names of what
/// was removed, and what could not be.
pub fn remove(
    account: &Account,
    directory: &Path,
    wanted: impl Fn(&[u8]) -> bool + Sync,
) -> (Vec<CString>, Vec<String>) {
    let problem = |name: &[u8], error: &io::Error| {
        let directory = directory.display();
        format!("{directory}/{} cannot be removed: {error}", escape(name))
    };
    let removed = as_account(account, || {
        let dir = match open_directory(CWD, directory) {
            Err(Errno::NOENT) => return Ok((Vec::new(), Vec::new())),
            dir => dir?,
        };
        let (mut removed, mut problems) = (Vec::new(), Vec::new());
        for name in names(&dir)?.into_iter().filter(|name| wanted(name.to_bytes())) {
            match remove_if_owned(&dir, &name, account.uid) {
                Ok(true) => removed.push(name),
                Ok(false) => {}
                Err(error) => problems.push(problem(name.to_bytes(), &error)),
            }
        }
        Ok::<_, io::Error>((removed, problems))
    });
    removed.flatten().unwrap_or_else(|error| (Vec::new(), vec![problem(b"", &error)]))
}

fn open_directory(at: impl std::os::fd::AsFd, path: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    openat(at, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn names(dir: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if ![c".", c".."].contains(&entry.file_name()) {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

fn remove_if_owned(dir: &OwnedFd, name: &CStr, uid: u32) -> io::Result<bool> {
    let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(false),
        stat => stat?,
    };
    if stat.st_uid != uid {
        return Ok(false);
    }
    remove_tree(dir, name, FileType::from_raw_mode(stat.st_mode).is_dir(), MAX_DEPTH)?;
    Ok(true)
}

fn remove_tree(dir: &OwnedFd, name: &CStr, is_directory: bool, depth: u32) -> io::Result<()> {
    if !is_directory {
        return Ok(unlinkat(dir, name, AtFlags::empty())?);
    }
    let Some(depth) = depth.checked_sub(1) else {
        return Err(io::Error::other(format!("directories are nested more than {MAX_DEPTH} deep")));
    };
    let inner = open_directory(dir, name)?;
    for name in names(&inner)? {
        let stat = statat(&inner, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        remove_tree(&inner, &name, FileType::from_raw_mode(stat.st_mode).is_dir(), depth)?;
    }
    Ok(unlinkat(dir, name, AtFlags::REMOVEDIR)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    fn me() -> Account {
        Account::without_nss("alice".into(), rustix::process::geteuid().as_raw())
    }

    #[test]
    fn links_are_removed_and_not_followed() {
        let (outside, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("precious"), "x").unwrap();
        fs::create_dir_all(shared.path().join("hers/deeper")).unwrap();
        symlink(outside.path(), shared.path().join("hers/deeper/link")).unwrap();
        symlink(outside.path(), shared.path().join("hers-too")).unwrap();
        fs::write(shared.path().join("other"), "x").unwrap();
        let (removed, problems) = remove(&me(), shared.path(), |name| name.starts_with(b"hers"));
        assert_eq!((removed.len(), problems), (2, Vec::<String>::new()));
        assert!(outside.path().join("precious").exists());
        assert!(shared.path().join("other").exists());
        assert!(!shared.path().join("hers").exists());
    }

    #[test]
    fn what_others_own_stays() {
        let shared = tempfile::tempdir().unwrap();
        fs::write(shared.path().join("a"), "x").unwrap();
        let other = Account { uid: me().uid + 1, ..me() };
        let dir = open_directory(CWD, shared.path()).unwrap();
        assert!(!remove_if_owned(&dir, c"a", other.uid).unwrap());
        assert!(shared.path().join("a").exists());
    }

    #[test]
    fn a_deep_directory_is_named_and_takes_no_stack() {
        let shared = tempfile::tempdir().unwrap();
        fs::create_dir_all(shared.path().join("d/".repeat(40))).unwrap();
        let (removed, problems) = remove(&me(), shared.path(), |_| true);
        assert!(removed.is_empty());
        assert!(problems[0].contains("/d cannot be removed: directories are nested"), "{problems:?}");
    }
}

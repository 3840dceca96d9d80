//! Files of enrolments: bounded, without following symbolic links, a user's with the user's own rights.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    path::{Component, Path},
};

use rustix::{
    fs::{FileType, Mode, OFlags, Stat, fstat, open, openat},
    io::Errno,
};

use crate::{
    domain::{account::Account, lock::Time},
    host::as_account::as_account,
};

/// The largest file that is read, in bytes.
const MAX: u64 = 4 * 1024 * 1024;

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// When it was last written.
    pub written: Option<Time>,
}

/// Reads a file in the account's home directory with no more rights than the account's; `None` if it is missing.
///
/// # Errors
/// Those of open(2) and read(2) (`ELOOP`: a symbolic link on the way from the home directory on), and a file that is
/// none or too large.
pub fn read_own(account: &Account, path: &Path) -> io::Result<Option<Content>> {
    in_home(account, path, READ, |file| content(File::from(file)))
}

/// When a regular file in the account's home directory was last written, without opening it for reading.
///
/// # Errors
/// As of [`read_own`].
pub fn written(account: &Account, path: &Path) -> io::Result<Option<Time>> {
    Ok(in_home(account, path, OFlags::PATH, |file| regular(&fstat(&file)?))?.map(|stat| stat.st_mtime))
}

/// Reads a file of the host, with root's rights; `None` if it is missing.
///
/// # Errors
/// As of [`read_own`]; no symbolic link is followed at all.
pub fn read_system(path: &Path) -> io::Result<Option<Content>> {
    let root = open("/", DIRECTORY, Mode::empty())?;
    missing(open_without_links(root, path, READ))?.map(|file| content(File::from(file))).transpose()
}

const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn in_home<T: Send>(
    account: &Account,
    path: &Path,
    flags: OFlags,
    job: impl FnOnce(OwnedFd) -> io::Result<T> + Send,
) -> io::Result<Option<T>> {
    let Ok(relative) = path.strip_prefix(&account.home) else { return Err(outside()) };
    if relative.components().any(|part| part == Component::ParentDir) {
        return Err(outside());
    }
    as_account(account, || {
        let Some(home) = missing(open(&account.home, DIRECTORY, Mode::empty()))? else { return Ok(None) };
        missing(open_without_links(home, relative, flags))?.map(job).transpose()
    })?
}

fn outside() -> io::Error {
    io::Error::other("it is not in the home directory")
}

/// Opens what is at `path` from `start` on, name by name. openat2(2) would do it at once; to a service with
/// `RestrictSUIDSGID=` it is closed, as its flags cannot be filtered (systemd.exec(5)).
fn open_without_links(start: OwnedFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let mut names = path.components().filter(|part| *part != Component::RootDir).peekable();
    let mut at = start;
    while let Some(name) = names.next() {
        let last = names.peek().is_none();
        let flags = if last { flags } else { OFlags::PATH } | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        at = openat(&at, name.as_os_str(), flags, Mode::empty())?;
        // Told apart from a file on the way, which means that there is nothing at the path.
        if !last && FileType::from_raw_mode(fstat(&at)?.st_mode).is_symlink() {
            return Err(Errno::LOOP);
        }
    }
    Ok(at)
}

fn missing<T>(result: rustix::io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn regular(stat: &Stat) -> io::Result<Stat> {
    if FileType::from_raw_mode(stat.st_mode).is_file() {
        Ok(*stat)
    } else {
        Err(io::Error::other("it is no regular file"))
    }
}

fn content(file: File) -> io::Result<Content> {
    let stat = regular(&fstat(&file)?)?;
    let mut bytes = Vec::new();
    file.take(MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX {
        return Err(io::Error::other(format!("it is larger than {MAX} bytes")));
    }
    Ok(Content { bytes, written: Some(stat.st_mtime) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    fn owner(home: &Path) -> Account {
        let uid = rustix::process::geteuid().as_raw();
        Account { name: "alice".into(), uid, gid: uid, home: home.to_owned() }
    }

    #[test]
    fn a_file_is_read_and_a_missing_one_is_none() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("keys");
        assert_eq!(read_own(&owner(home.path()), &path).unwrap(), None);
        assert_eq!(written(&owner(home.path()), &path).unwrap(), None);
        fs::write(&path, "x").unwrap();
        let found = read_own(&owner(home.path()), &path).unwrap().unwrap();
        assert_eq!(found.bytes, b"x");
        assert!(found.written > Some(0));
        assert_eq!(written(&owner(home.path()), &path).unwrap(), found.written);
        assert_eq!(read_system(&path).unwrap(), Some(found));
        assert_eq!(read_own(&owner(home.path()), &path.join("behind a file")).unwrap(), None);
    }

    #[test]
    fn no_link_is_followed_and_nothing_waits() {
        let (home, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("keys"), "secret").unwrap();
        symlink(outside.path(), home.path().join("directory")).unwrap();
        symlink(outside.path().join("keys"), home.path().join("link")).unwrap();
        fs::create_dir(home.path().join("real")).unwrap();
        fs::write(home.path().join("real/keys"), "x").unwrap();
        symlink("real/keys", home.path().join("inner")).unwrap();
        let fifo = home.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let account = owner(home.path());
        for name in ["directory/keys", "link", "inner", "fifo", "real", "../x"] {
            assert!(read_own(&account, &home.path().join(name)).is_err(), "{name}");
        }
        for name in ["link", "directory/keys", "fifo"] {
            assert!(written(&account, &home.path().join(name)).is_err(), "{name}");
            assert!(read_system(&home.path().join(name)).is_err(), "{name}");
        }
        assert!(read_own(&account, &outside.path().join("keys")).is_err(), "outside of the home directory");
    }

    #[test]
    fn a_huge_file_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("keys");
        File::create(&path).unwrap().set_len(MAX + 1).unwrap();
        assert!(read_own(&owner(home.path()), &path).is_err());
    }

    #[test]
    fn anothers_files_are_out_of_reach() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("keys");
        fs::write(&path, "secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let stranger = Account { uid: 61_006, gid: 61_006, ..owner(home.path()) };
        let read = read_own(&stranger, &path);
        assert!(read.is_err(), "{read:?}");
    }
}

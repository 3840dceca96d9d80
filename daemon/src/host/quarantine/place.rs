//! The place of a file, reached without following a symbolic link that its owner could have put there.
//!
//! Everything is relative to a descriptor of the directory: once that is open, renaming what leads to it changes nothing.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    hash::{BuildHasher, RandomState},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, Dir, FileType, Gid, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid,
        chownat, fchmod, fchown, fstat, fsync, futimens, linkat, mkdirat, open, openat, readlinkat, renameat,
        renameat_with, statat, symlinkat, unlinkat, utimensat,
    },
    io::Errno,
};

use super::super::as_account::as_account;
use crate::domain::account::Account;

/// Largest file that is kept, in bytes; sshd and cron have no use for one of this size.
pub const MAX_CONTENT: u64 = 1024 * 1024;
/// Names that are tried until one is free. From the second on they cannot be guessed, so a user cannot occupy them to
/// keep a file where it works.
const SPARE_NAMES: usize = 8;
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Does the work with the account's rights where the path lies in her home, with root's elsewhere.
///
/// What she may not do in her own home (a file that an administrator put there, a directory that she closed to herself)
/// is then done as root: nothing on the way was followed, so it is hers whatever she does. In this order, as root may do
/// less than she in a home on NFS or FUSE.
pub fn with_rights_of<T: Send>(
    account: &Account,
    path: &Path,
    work: impl Fn() -> io::Result<T> + Sync,
) -> io::Result<T> {
    if in_home(account, path).is_none() {
        return work();
    }
    match as_account(account, &work)? {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => work(),
        done => done,
    }
}

/// The path from her home on; a home of `/` would be everything and is none.
fn in_home<'p>(account: &Account, path: &'p Path) -> Option<&'p Path> {
    let below = path.strip_prefix(&account.home).ok()?;
    (account.home.has_root() && account.home != Path::new("/") && below != Path::new("")).then_some(below)
}

/// A name in a directory that is open.
#[derive(Debug)]
pub struct Place {
    dir: OwnedFd,
    name: OsString,
    path: PathBuf,
}

/// Where the way to a path ends.
#[derive(Debug)]
pub enum Way {
    /// In the directory that the path names.
    Whole(Place),
    /// Earlier: this is no directory, but a symbolic link or something else.
    Ends(Place),
    /// A directory is not there.
    Missing,
}

/// What is in a place.
#[derive(Debug)]
pub enum Thing {
    /// A regular file of at most [`MAX_CONTENT`] bytes.
    File(Vec<u8>, Stat),
    /// A larger one.
    Large(Stat),
    /// A symbolic link and its target.
    Symlink(Vec<u8>, Stat),
    /// Neither; the kind in words.
    Other(&'static str),
}

impl Thing {
    /// Whether it is this file, or this symbolic link.
    pub fn holds(&self, content: &[u8], symlink: bool) -> bool {
        match self {
            Self::File(found, _) => !symlink && found == content,
            Self::Symlink(found, _) => symlink && found == content,
            Self::Large(_) | Self::Other(_) => false,
        }
    }
}

/// What a new file or symbolic link is to be like.
#[derive(Clone, Copy, Debug)]
pub struct New<'c> {
    /// Content, or the target.
    pub content: &'c [u8],
    /// A symbolic link.
    pub symlink: bool,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Time of last change, seconds and nanoseconds; `None` = now.
    pub modified: Option<(i64, i64)>,
}

/// Goes to the directory of a path. Below a home no symbolic link is followed; elsewhere one that root made in a
/// directory that only root can change. `make`: missing directories of a home are made, as sshd wants them.
pub fn go(account: &Account, path: &Path, make: bool) -> io::Result<Way> {
    let below = in_home(account, path);
    let start = if below.is_some() { account.home.as_path() } else { Path::new("/") };
    let mut dir = match open(start, DIRECTORY, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(Way::Missing),
        dir => dir?,
    };
    let mut names = names(below.unwrap_or(path))?;
    let last = names.pop().ok_or(Errno::ISDIR)?;
    let mut walked = start.to_owned();
    for name in names {
        walked.push(name);
        let next = match openat(&dir, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
            Err(Errno::NOENT) if make && below.is_some() => make_directory(&dir, name, account)?,
            Err(Errno::NOENT) => return Ok(Way::Missing),
            Err(Errno::NOTDIR | Errno::LOOP) if below.is_none() && only_root_changes(&dir)? => {
                openat(&dir, name, DIRECTORY, Mode::empty())?
            }
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Ok(Way::Ends(Place { dir, name: name.to_owned(), path: walked }));
            }
            next => next?,
        };
        dir = next;
    }
    Ok(Way::Whole(Place { dir, name: last.to_owned(), path: walked.join(last) }))
}

fn names(path: &Path) -> io::Result<Vec<&OsStr>> {
    let components = path.components().filter(|component| !matches!(component, Component::RootDir));
    let names = components.map(|component| match component {
        Component::Normal(name) => Ok(name),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "a path with `..` is not walked")),
    });
    names.collect()
}

fn only_root_changes(dir: &OwnedFd) -> io::Result<bool> {
    let stat = fstat(dir)?;
    Ok(stat.st_uid == 0 && stat.st_mode & 0o022 == 0)
}

fn make_directory(dir: &OwnedFd, name: &OsStr, account: &Account) -> rustix::io::Result<OwnedFd> {
    match mkdirat(dir, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    let made = openat(dir, name, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let stat = fstat(&made)?;
    if (stat.st_uid, stat.st_gid) != (account.uid, account.gid) {
        fchown(&made, Some(Uid::from_raw(account.uid)), Some(Gid::from_raw(account.gid)))?;
    }
    Ok(made)
}

impl Place {
    /// The path that led here.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its state, without opening it.
    pub fn stat(&self) -> io::Result<Option<Stat>> {
        match statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            stat => Ok(Some(stat?)),
        }
    }

    /// What is there. Nothing that a user puts there makes it wait.
    pub fn look(&self) -> io::Result<Option<Thing>> {
        let Some(stat) = self.stat()? else { return Ok(None) };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                let target = readlinkat(&self.dir, &self.name, Vec::new())?.into_bytes();
                return Ok(Some(Thing::Symlink(target, stat)));
            }
            FileType::RegularFile => {}
            other => return Ok(Some(Thing::Other(word(other)))),
        }
        // It may be a fifo by now, or a terminal.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(&self.dir, &self.name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            file => file?,
        };
        let stat = fstat(&file)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if !kind.is_file() {
            return Ok(Some(Thing::Other(word(kind))));
        }
        let mut content = Vec::new();
        File::from(file).take(MAX_CONTENT + 1).read_to_end(&mut content)?;
        let large = u64::try_from(content.len()).unwrap_or(u64::MAX) > MAX_CONTENT;
        Ok(Some(if large { Thing::Large(stat) } else { Thing::File(content, stat) }))
    }

    fn beside(&self, name: OsString) -> io::Result<Self> {
        let dir = self.dir.as_fd().try_clone_to_owned()?;
        Ok(Self { dir, path: self.path.with_file_name(&name), name })
    }

    /// Hidden names beside it, for a file on its way; cron and atd pass over names with a dot in front.
    fn hidden_names(&self) -> impl Iterator<Item = OsString> + use<> {
        spare_names([b".", self.name.as_bytes(), b".lockdown"].concat())
    }

    /// Names beside it, for a file set aside for good.
    fn aside_names(&self) -> impl Iterator<Item = OsString> + use<> {
        spare_names([self.name.as_bytes(), b".lockdown"].concat())
    }

    /// Renames what is there to a hidden name that nobody uses.
    pub fn hide(&self) -> io::Result<Self> {
        self.rename_to_spare(self.hidden_names())
    }

    /// Renames what is there to its name and `.lockdown`.
    pub fn set_aside(&self) -> io::Result<Self> {
        self.rename_to_spare(self.aside_names())
    }

    /// Where [`Self::hide`] puts something first.
    pub fn hidden(&self) -> io::Result<Self> {
        self.beside(self.hidden_names().next().unwrap_or_default())
    }

    /// What was set aside and has this inode number.
    pub fn find_aside(&self, inode: u64) -> io::Result<Option<Self>> {
        let suffixed = [self.name.as_bytes(), b".lockdown"].concat();
        let prefixes = [[b".", &suffixed[..]].concat(), suffixed];
        for entry in Dir::read_from(self.open_directory()?)? {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            let place = self.beside(name)?;
            let is_it = || Ok::<_, io::Error>(place.stat()?.is_some_and(|stat| stat.st_ino == inode));
            let is_named_so = prefixes.iter().any(|prefix| place.name.as_bytes().starts_with(prefix));
            if is_named_so && is_it()? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn rename_to_spare(&self, names: impl Iterator<Item = OsString>) -> io::Result<Self> {
        for name in names {
            let place = self.beside(name)?;
            match self.rename_to(&place) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                renamed => return renamed.map(|()| place),
            }
        }
        Err(Errno::EXIST.into())
    }

    /// Renames it to a place in which nothing is (EEXIST otherwise).
    pub fn rename_to(&self, other: &Self) -> io::Result<()> {
        match renameat_with(&self.dir, &self.name, &other.dir, &other.name, RenameFlags::NOREPLACE) {
            // NFS, and file systems in user space.
            Err(Errno::INVAL | Errno::NOSYS) => {
                linkat(&self.dir, &self.name, &other.dir, &other.name, AtFlags::empty())?;
                self.unlink()
            }
            renamed => Ok(renamed?),
        }
    }

    /// Puts a new file in the place of a file that has this content. `false`: it had another, and still has.
    pub fn replace(&self, content: &[u8], new: New<'_>) -> io::Result<bool> {
        let temporary = self.create_hidden(new)?;
        match renameat_with(&temporary.dir, &temporary.name, &self.dir, &self.name, RenameFlags::EXCHANGE) {
            // Only now it is certain what was replaced.
            Ok(()) => {
                let same = matches!(temporary.look(), Ok(Some(thing)) if thing.holds(content, false));
                if !same {
                    renameat_with(
                        &temporary.dir,
                        &temporary.name,
                        &self.dir,
                        &self.name,
                        RenameFlags::EXCHANGE,
                    )?;
                }
                temporary.unlink()?;
                self.sync()?;
                Ok(same)
            }
            Err(Errno::INVAL | Errno::NOSYS) => {
                let same = matches!(self.look(), Ok(Some(thing)) if thing.holds(content, false));
                if same {
                    renameat(&temporary.dir, &temporary.name, &self.dir, &self.name)?;
                    self.sync()?;
                } else {
                    temporary.unlink()?;
                }
                Ok(same)
            }
            Err(Errno::NOENT) => temporary.unlink().map(|()| false),
            Err(error) => {
                temporary.unlink()?;
                Err(error.into())
            }
        }
    }

    /// Makes a file or symbolic link with a hidden name beside it, whole and durable except for its name.
    pub fn create_hidden(&self, new: New<'_>) -> io::Result<Self> {
        for name in self.hidden_names() {
            let place = self.beside(name)?;
            match place.create(new) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created.map(|()| place),
            }
        }
        Err(Errno::EXIST.into())
    }

    fn create(&self, new: New<'_>) -> io::Result<()> {
        let filled = if new.symlink {
            symlinkat(OsStr::from_bytes(new.content), &self.dir, &self.name)?;
            self.describe_symlink(new)
        } else {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = File::from(openat(&self.dir, &self.name, flags, Mode::RUSR | Mode::WUSR)?);
            fill(file, new)
        };
        if filled.is_err() {
            self.unlink()?;
        }
        filled
    }

    fn describe_symlink(&self, new: New<'_>) -> io::Result<()> {
        if let Some(modified) = new.modified {
            utimensat(&self.dir, &self.name, &times(modified), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        let (uid, gid) = new.owner;
        let stat = statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        if (stat.st_uid, stat.st_gid) != new.owner {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            chownat(&self.dir, &self.name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }

    /// Removes what is there.
    pub fn unlink(&self) -> io::Result<()> {
        Ok(unlinkat(&self.dir, &self.name, AtFlags::empty())?)
    }

    /// Makes changes of names durable.
    pub fn sync(&self) -> io::Result<()> {
        match fsync(self.open_directory()?) {
            // A file system that cannot.
            Ok(()) | Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn open_directory(&self) -> rustix::io::Result<OwnedFd> {
        openat(&self.dir, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    }
}

fn fill(mut file: File, new: New<'_>) -> io::Result<()> {
    file.write_all(new.content)?;
    // No set-id bits: they mean nothing for keys and jobs, and would for what a user makes of the file.
    fchmod(&file, Mode::from_raw_mode(new.mode & 0o777))?;
    if let Some(modified) = new.modified {
        futimens(&file, &times(modified))?;
    }
    // Last, as what belongs to another cannot be changed without more capabilities.
    let stat = fstat(&file)?;
    let (uid, gid) = new.owner;
    if (stat.st_uid, stat.st_gid) != new.owner {
        fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    Ok(fsync(&file)?)
}

fn times((seconds, nanoseconds): (i64, i64)) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds.clamp(0, 999_999_999) },
    }
}

fn spare_names(base: Vec<u8>) -> impl Iterator<Item = OsString> {
    (0..SPARE_NAMES).map(move |attempt| {
        let mut name = OsString::from_vec(base.clone());
        if attempt > 0 {
            name.push(format!(".{:016x}", RandomState::new().hash_one(attempt)));
        }
        name
    })
}

fn word(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "directory",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        FileType::RegularFile | FileType::Symlink | FileType::Unknown => "file of another kind",
    }
}

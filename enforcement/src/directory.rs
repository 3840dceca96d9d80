//! The directory of deny records: one file an account, named by its uid, whole or not there at all.
//!
//! A record is written under a temporary name, flushed, renamed into place, and the directory flushed: after
//! [`Prepared::publish`] has returned it survives a power cut, and a reader sees the old record or the new one.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::record::{DecodeError, Record};

/// A directory of deny records.
#[derive(Clone, Debug)]
pub struct DenyDirectory {
    path: PathBuf,
    owner: u32,
}

/// What lies in the directory, see [`DenyDirectory::list`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The uids that have a record, ascending.
    pub uids: BTreeSet<u32>,
    /// Temporary files: of a write going on, or left behind by one that was cut short.
    pub temporaries: BTreeSet<OsString>,
    /// Names that lockdown does not give.
    pub foreign: BTreeSet<OsString>,
}

/// Why nobody can say what a record denies.
#[derive(Debug)]
pub enum ReadError {
    /// The directory is missing (or the path to it is no directory).
    DirectoryMissing,
    /// The file cannot be opened or read.
    Io(io::Error),
    /// Something else than a regular file that belongs to root and that nobody else may write.
    NotTrusted,
    /// The content is damaged.
    Damaged(DecodeError),
    /// A record of another uid under this name.
    OtherUid(u32),
}

impl fmt::Display for ReadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DirectoryMissing => out.write_str("the directory of deny records is missing"),
            Self::Io(error) => write!(out, "cannot be read: {error}"),
            Self::NotTrusted => out.write_str("is not a regular file that only root may write"),
            Self::Damaged(error) => write!(out, "is damaged: {error}"),
            Self::OtherUid(uid) => write!(out, "is the record of uid {uid}"),
        }
    }
}

impl std::error::Error for ReadError {}

impl ReadError {
    /// Whether this process may not read the record at all, as a screen locker that does not run as root.
    pub fn is_permission_denied(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == ErrorKind::PermissionDenied)
    }
}

impl DenyDirectory {
    /// The directory at `path`, [`DENY_DIRECTORY`](crate::DENY_DIRECTORY) in an installed system. Touches nothing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), owner: 0 }
    }

    /// Believes files of `owner` instead of root's: for tests that do not run as root.
    #[must_use]
    pub fn owned_by(self, owner: u32) -> Self {
        Self { owner, ..self }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the record of `uid` lies if there is one.
    pub fn record_path(&self, uid: u32) -> PathBuf {
        self.path.join(uid.to_string())
    }

    /// Creates the directory, mode 0700, and makes its entry durable; no error if it exists. Its parent has to exist.
    pub fn create(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && self.path.is_dir() => Ok(()),
            Err(error) => Err(error),
            Ok(()) => sync(self.path.parent().unwrap_or(Path::new("/"))),
        }
    }

    /// Makes everything ready that may fail for want of space: the record is on disk under a temporary name, and
    /// [`Prepared::publish`] puts it in force. An [empty](Record::is_empty) record prepares its file's removal.
    ///
    /// # Errors
    /// `InvalidInput` for a record larger than [`Record::MAX_BYTES`], else what the file system says; the record that
    /// was there stays in force.
    pub fn prepare(&self, record: &Record) -> io::Result<Prepared> {
        let path = self.record_path(record.uid);
        let directory = self.path.clone();
        if record.is_empty() {
            return Ok(Prepared { directory, path, temporary: None });
        }
        let bytes = record.encode();
        if bytes.len() > Record::MAX_BYTES {
            let message = format!("the deny record of uid {} would have {} bytes", record.uid, bytes.len());
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        let (mut file, temporary) = self.create_temporary(record.uid)?;
        let prepared = Prepared { directory, path, temporary: Some(temporary) };
        file.write_all(&bytes)?;
        file.sync_all()?;
        Ok(prepared)
    }

    fn create_temporary(&self, uid: u32) -> io::Result<(File, PathBuf)> {
        loop {
            let path = self.path.join(format!(".{uid}.{}-{}.tmp", process::id(), unique()));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                // Left behind by an earlier process of the same pid.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(file) => return Ok((file, path)),
            }
        }
    }

    /// The record of `uid`; `None` if there is nothing to enforce. One file is opened, and the directory is looked at
    /// only if that file is not there.
    ///
    /// # Errors
    /// See [`ReadError`]; the caller decides in which direction that fails.
    pub fn read(&self, uid: u32) -> Result<Option<Record>, ReadError> {
        // Not to follow a link, nor to wait for the other end of a fifo, nor to get a terminal.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(self.record_path(uid)) {
            Ok(file) => file,
            Err(error) => return self.read_nothing(error),
        };
        let status = file.metadata().map_err(ReadError::Io)?;
        if !status.is_file() || status.uid() != self.owner || status.mode() & 0o022 != 0 {
            return Err(ReadError::NotTrusted);
        }
        if status.size() > Record::MAX_BYTES as u64 {
            return Err(ReadError::Damaged(DecodeError::TooLarge));
        }
        let mut bytes = Vec::with_capacity(status.size() as usize + 1);
        // One more than allowed: should it have grown meanwhile, the decoder refuses it.
        file.take(Record::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(ReadError::Io)?;
        let record = Record::decode(&bytes).map_err(ReadError::Damaged)?;
        if record.uid == uid { Ok(Some(record)) } else { Err(ReadError::OtherUid(record.uid)) }
    }

    /// There is no such file: fine if there is a directory that it is not in.
    fn read_nothing(&self, error: io::Error) -> Result<Option<Record>, ReadError> {
        match error.raw_os_error() {
            Some(libc::ENOENT) => match self.path.metadata() {
                Ok(status) if status.is_dir() => Ok(None),
                Ok(_) => Err(ReadError::DirectoryMissing),
                Err(error) if error.kind() == ErrorKind::NotFound => Err(ReadError::DirectoryMissing),
                Err(error) => Err(ReadError::Io(error)),
            },
            Some(libc::ENOTDIR) => Err(ReadError::DirectoryMissing),
            Some(libc::ELOOP) => Err(ReadError::NotTrusted),
            _ => Err(ReadError::Io(error)),
        }
    }

    /// What lies in the directory.
    pub fn list(&self) -> io::Result<Listing> {
        let mut listing = Listing::default();
        for entry in self.path.read_dir()? {
            let name = entry?.file_name();
            let text = name.to_str().unwrap_or_default();
            if let Some(uid) = text.parse::<u32>().ok().filter(|uid| uid.to_string() == text) {
                listing.uids.insert(uid);
            } else if text.starts_with('.') && text.ends_with(".tmp") {
                listing.temporaries.insert(name);
            } else {
                listing.foreign.insert(name);
            }
        }
        Ok(listing)
    }

    /// Removes what interrupted writes left behind and says how many files that were. Only for the one writer, while it
    /// has no [`Prepared`] record.
    pub fn remove_temporaries(&self) -> io::Result<usize> {
        let temporaries = self.list()?.temporaries;
        for name in &temporaries {
            std::fs::remove_file(self.path.join(name))?;
        }
        Ok(temporaries.len())
    }

    /// Removes the record of `uid`, durably; whether there was one.
    pub fn remove(&self, uid: u32) -> io::Result<bool> {
        let removed = remove_if_present(&self.record_path(uid))?;
        if removed {
            sync(&self.path)?;
        }
        Ok(removed)
    }
}

/// A record that is on disk but not yet in force. Dropped without [`publish`](Self::publish) it leaves nothing behind.
#[derive(Debug)]
#[must_use = "a record is in force only once it is published"]
pub struct Prepared {
    directory: PathBuf,
    path: PathBuf,
    /// `None`: the record is to be removed.
    temporary: Option<PathBuf>,
}

impl Prepared {
    /// Puts the record in force, or removes it; durable when this returns.
    ///
    /// # Errors
    /// What the file system says. The record may then be in force, but not yet safe from a power cut.
    pub fn publish(self) -> io::Result<()> {
        publish_all(vec![self])
    }

    fn put_in_place(&mut self) -> io::Result<()> {
        if self.path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            self.move_directory_aside()?;
        }
        match &self.temporary {
            None => remove_if_present(&self.path).map(drop),
            Some(temporary) => {
                std::fs::rename(temporary, &self.path)?;
                self.temporary = None;
                Ok(())
            }
        }
    }

    /// A directory can neither be replaced by a record nor removed as one. Whatever is in it is kept: it is not ours.
    fn move_directory_aside(&self) -> io::Result<()> {
        let mut aside = self.path.clone().into_os_string();
        aside.push(format!(".aside.{}-{}", process::id(), unique()));
        std::fs::rename(&self.path, aside)
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Nothing to be done about a failure: `remove_temporaries` comes by at the next start.
            let _ = std::fs::remove_file(temporary);
        }
    }
}

/// Publishes many records with one flush of their directory; durable when this returns.
///
/// # Errors
/// The first that the file system reported; the other records have been published all the same.
pub fn publish_all(prepared: Vec<Prepared>) -> io::Result<()> {
    let mut outcome = Ok(());
    let mut directories = BTreeSet::new();
    for mut record in prepared {
        outcome = outcome.and(record.put_in_place());
        directories.insert(std::mem::take(&mut record.directory));
    }
    for directory in directories {
        outcome = outcome.and(sync(&directory));
    }
    outcome
}

/// A number that this process has not given before.
fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn remove_if_present(path: &Path) -> io::Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::record::LockEntry;

    fn directory() -> (tempfile::TempDir, DenyDirectory) {
        let scratch = tempfile::tempdir().unwrap();
        let deny = DenyDirectory::new(scratch.path().join("deny"))
            .owned_by(scratch.path().metadata().unwrap().uid());
        deny.create().unwrap();
        (scratch, deny)
    }

    fn locked(uid: u32) -> Record {
        let lock = LockEntry {
            id: 1,
            owner: "operator".into(),
            authenticator: None,
            expires_at: None,
            message: None,
        };
        Record { uid, account: "alice".into(), valid_until: None, locks: vec![lock] }
    }

    fn emptied(uid: u32) -> Record {
        Record { locks: vec![], ..locked(uid) }
    }

    #[test]
    fn a_directory_in_the_place_of_a_record_gives_way_and_keeps_its_content() {
        let (_scratch, deny) = directory();
        for record in [locked(1000), emptied(1000)] {
            std::fs::create_dir(deny.record_path(1000)).unwrap();
            std::fs::write(deny.record_path(1000).join("file"), "content").unwrap();
            deny.prepare(&record).unwrap().publish().unwrap();
            assert_eq!(deny.read(1000).unwrap(), Some(record).filter(|record| !record.is_empty()));
            let aside = deny.list().unwrap().foreign.pop_first().unwrap();
            assert_eq!(std::fs::read(deny.path().join(&aside).join("file")).unwrap(), b"content");
            std::fs::remove_dir_all(deny.path().join(aside)).unwrap();
            deny.remove(1000).unwrap();
        }
    }

    #[test]
    fn a_record_is_in_force_once_published_and_gone_once_emptied() {
        let (_scratch, deny) = directory();
        let prepared = deny.prepare(&locked(1000)).unwrap();
        assert_eq!(deny.read(1000).unwrap(), None);
        prepared.publish().unwrap();
        assert_eq!(deny.read(1000).unwrap(), Some(locked(1000)));
        assert_eq!(deny.record_path(1000).metadata().unwrap().mode() & 0o7777, 0o600);

        let removal = deny.prepare(&emptied(1000)).unwrap();
        assert_eq!(deny.read(1000).unwrap(), Some(locked(1000)));
        removal.publish().unwrap();
        assert_eq!(deny.read(1000).unwrap(), None);
        deny.prepare(&emptied(1000)).unwrap().publish().unwrap();
        assert_eq!(deny.list().unwrap(), Listing::default());
    }

    #[test]
    fn what_is_not_published_leaves_nothing_behind() {
        let (_scratch, deny) = directory();
        drop(deny.prepare(&locked(1000)).unwrap());
        assert_eq!(deny.list().unwrap(), Listing::default());
    }

    #[test]
    fn many_are_published_at_once_and_a_failure_does_not_hold_up_the_others() {
        let (_scratch, deny) = directory();
        let all: Vec<_> = (1..=3).map(|uid| deny.prepare(&locked(uid)).unwrap()).collect();
        std::fs::remove_file(all[1].temporary.as_ref().unwrap()).unwrap();
        assert!(publish_all(all).is_err());
        assert_eq!(deny.read(1).unwrap(), Some(locked(1)));
        assert_eq!(deny.read(3).unwrap(), Some(locked(3)));
        assert!(deny.list().unwrap().temporaries.is_empty());
    }

    #[test]
    fn lists_records_temporaries_and_strangers_apart() {
        let (_scratch, deny) = directory();
        for name in ["1000", "01", "4294967296", ".1000.7-0.tmp", "readme"] {
            std::fs::write(deny.path().join(name), "").unwrap();
        }
        let listing = deny.list().unwrap();
        assert_eq!(listing.uids, BTreeSet::from([1000]));
        assert_eq!(listing.temporaries, BTreeSet::from([".1000.7-0.tmp".into()]));
        assert_eq!(listing.foreign, BTreeSet::from(["01".into(), "4294967296".into(), "readme".into()]));
        assert_eq!(deny.remove_temporaries().unwrap(), 1);
        assert!(deny.remove(1000).unwrap());
        assert!(!deny.remove(1000).unwrap());
    }

    #[test]
    fn a_record_too_large_is_refused_and_the_old_one_stands() {
        let (_scratch, deny) = directory();
        deny.prepare(&locked(1000)).unwrap().publish().unwrap();
        let mut huge = locked(1000);
        huge.locks[0].message = Some("x".repeat(Record::MAX_BYTES));
        assert_eq!(deny.prepare(&huge).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(deny.read(1000).unwrap(), Some(locked(1000)));
        assert!(deny.list().unwrap().temporaries.is_empty());
    }

    #[test]
    fn a_missing_directory_is_not_an_empty_one() {
        let (scratch, _) = directory();
        std::fs::write(scratch.path().join("file"), "").unwrap();
        for path in ["gone", "gone/deeper", "file"] {
            let read = DenyDirectory::new(scratch.path().join(path)).read(1000);
            assert!(matches!(read, Err(ReadError::DirectoryMissing)), "{path}: {read:?}");
        }
    }

    #[test]
    fn what_cannot_be_trusted_is_not_believed() {
        let (_scratch, deny) = directory();
        let untrusted = |uid| matches!(deny.read(uid), Err(ReadError::NotTrusted));
        deny.prepare(&locked(1)).unwrap().publish().unwrap();
        symlink(deny.record_path(1), deny.record_path(2)).unwrap();
        assert!(untrusted(2), "a symbolic link");
        std::fs::create_dir(deny.record_path(3)).unwrap();
        assert!(untrusted(3), "a directory");
        std::fs::set_permissions(deny.record_path(1), PermissionsExt::from_mode(0o620)).unwrap();
        assert!(untrusted(1), "writable by the group");
        assert!(matches!(deny.clone().owned_by(54321).read(1), Err(ReadError::NotTrusted)), "another's file");
    }

    #[test]
    fn what_is_damaged_is_said_to_be() {
        let (_scratch, deny) = directory();
        std::fs::write(deny.record_path(1), "").unwrap();
        assert!(matches!(deny.read(1), Err(ReadError::Damaged(DecodeError::Incomplete))));
        std::fs::write(deny.record_path(2), vec![b'x'; Record::MAX_BYTES + 1]).unwrap();
        assert!(matches!(deny.read(2), Err(ReadError::Damaged(DecodeError::TooLarge))));
        std::fs::write(deny.record_path(3), locked(4).encode()).unwrap();
        assert!(matches!(deny.read(3), Err(ReadError::OtherUid(4))));
    }
}

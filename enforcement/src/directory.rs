//! The directory of deny records: one file an account, named by its uid, whole or not there at all.
//!
//! A record is written under a temporary name, flushed, renamed into place, and the directory flushed: after
//! [`Prepared::publish`] has returned it survives a power cut, and a reader sees the old record or the new one.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::record::{DecodeError, Record};

/// Of a record's file: root's alone.
const MODE: u32 = 0o600;

/// A directory of deny records.
#[derive(Clone, Debug)]
pub struct DenyDirectory {
    path: Arc<Path>,
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
        Self { path: path.into().into(), owner: 0 }
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
        let mut prepared =
            Prepared { directory: Arc::clone(&self.path), uid: record.uid, change: Change::Remove };
        if record.is_empty() {
            return Ok(prepared);
        }
        let bytes = record.encode();
        if bytes.len() > Record::MAX_BYTES {
            let message = format!("the deny record of uid {} would have {} bytes", record.uid, bytes.len());
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        if self.has(record.uid, &bytes) {
            prepared.change = Change::Nothing;
            return Ok(prepared);
        }
        let (mut file, number) = self.create_temporary(record.uid)?;
        prepared.change = Change::Replace(number);
        file.write_all(&bytes)?;
        file.sync_all()?;
        Ok(prepared)
    }

    fn create_temporary(&self, uid: u32) -> io::Result<(File, u64)> {
        loop {
            let number = unique();
            let path = temporary_path(&self.path, uid, number);
            match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
                // Left behind by an earlier process of the same pid.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(file) => return Ok((file, number)),
            }
        }
    }

    /// The record of `uid`; `None` if there is nothing to enforce. One file is opened, and the directory is looked at
    /// only if that file is not there.
    ///
    /// # Errors
    /// See [`ReadError`]; the caller decides in which direction that fails.
    pub fn read(&self, uid: u32) -> Result<Option<Record>, ReadError> {
        let (file, status) = match self.open(uid) {
            Ok(found) => found,
            Err(error) => return self.read_nothing(error),
        };
        if !status.is_file() || status.uid() != self.owner || status.mode() & 0o022 != 0 {
            return Err(ReadError::NotTrusted);
        }
        if status.size() > Record::MAX_BYTES as u64 {
            return Err(ReadError::Damaged(DecodeError::TooLarge));
        }
        let bytes = content(file, &status).map_err(ReadError::Io)?;
        let record = Record::decode(&bytes).map_err(ReadError::Damaged)?;
        if record.uid == uid { Ok(Some(record)) } else { Err(ReadError::OtherUid(record.uid)) }
    }

    /// Whether the file of `uid` is just as it would be written. To write and flush it again would change nothing.
    fn has(&self, uid: u32, bytes: &[u8]) -> bool {
        let is_as_written = |status: &Metadata| {
            let mode = status.mode() & 0o7777;
            status.is_file()
                && status.uid() == self.owner
                && mode == MODE
                && status.size() == bytes.len() as u64
        };
        let found = self.open(uid).ok().filter(|(_, status)| is_as_written(status));
        found.is_some_and(|(file, status)| content(file, &status).is_ok_and(|found| found == bytes))
    }

    fn open(&self, uid: u32) -> io::Result<(File, Metadata)> {
        // Not to follow a link, nor to wait for the other end of a fifo, nor to get a terminal.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(self.record_path(uid))?;
        let status = file.metadata()?;
        Ok((file, status))
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

/// A record that is on disk but not yet in force. Dropped without [`publish`](Self::publish) it leaves nothing behind. There may
/// be a hundred thousand of them at once, so that it names no path.
#[derive(Debug)]
#[must_use = "a record is in force only once it is published"]
pub struct Prepared {
    directory: Arc<Path>,
    uid: u32,
    change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Remove,
    /// The record stands already.
    Nothing,
    /// By the one with this number in its temporary name.
    Replace(u64),
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
        if self.change == Change::Nothing {
            return Ok(());
        }
        let path = self.directory.join(self.uid.to_string());
        if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            move_directory_aside(&path)?;
        }
        if let Change::Replace(number) = self.change {
            std::fs::rename(temporary_path(&self.directory, self.uid, number), &path)?;
        } else {
            remove_if_present(&path)?;
        }
        self.change = Change::Nothing;
        Ok(())
    }
}

/// A directory can neither be replaced by a record nor removed as one. Whatever is in it is kept: it is not ours.
fn move_directory_aside(path: &Path) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".aside.{}-{}", process::id(), unique()));
    std::fs::rename(path, aside)
}

fn temporary_path(directory: &Path, uid: u32, number: u64) -> PathBuf {
    directory.join(format!(".{uid}.{}-{number}.tmp", process::id()))
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Change::Replace(number) = self.change {
            // Nothing to be done about a failure: `remove_temporaries` comes by at the next start.
            let _ = std::fs::remove_file(temporary_path(&self.directory, self.uid, number));
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
        directories.insert(Arc::clone(&record.directory));
    }
    for directory in directories {
        outcome = outcome.and(sync(&directory));
    }
    outcome
}

/// All of a record's file, or of one that is too large as much as it takes to see that.
fn content(file: File, status: &Metadata) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(status.size() as usize + 1);
    // One more than allowed: should it have grown meanwhile, the decoder refuses it.
    file.take(Record::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
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
mod tests;

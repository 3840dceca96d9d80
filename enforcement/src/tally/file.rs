//! The files of tallies, each written by many logins at once.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Failure, NOBODYS_UID, SLOT_BYTES, SLOTS, Table};
use crate::attack_protection::AttackProtection;
use crate::source::Source;

/// How long a login waits for others that write in the same tally. They hold it for some microseconds each; who waits longer
/// waits for a process that has been stopped, and goes on without: a tally never holds a login up for good.
const PATIENCE: Duration = Duration::from_secs(1);

/// A directory of tallies.
#[derive(Clone, Debug)]
pub struct TallyDirectory {
    path: PathBuf,
}

/// The tally of one account.
#[derive(Debug)]
pub struct TallyFile {
    file: File,
}

impl TallyDirectory {
    /// The directory at `path`, [`TALLY_DIRECTORY`](crate::TALLY_DIRECTORY) in an installed system. Touches nothing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the tally of `uid` lies if there is one.
    pub fn tally_path(&self, uid: u32) -> PathBuf {
        self.path.join(uid.to_string())
    }

    /// The tally of `uid`; `None` if nothing has ever failed. Logins open it also where they only read, because a lock on it
    /// needs no other right.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(&self, uid: u32) -> io::Result<Option<TallyFile>> {
        match self.open_with(uid, OpenOptions::new().read(true).write(true)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The tally of `uid`, mode 0600, made if there is none yet. The directory has to exist.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn create(&self, uid: u32) -> io::Result<TallyFile> {
        self.open_with(uid, OpenOptions::new().read(true).write(true).create(true).mode(0o600))
    }

    fn open_with(&self, uid: u32, options: &mut OpenOptions) -> io::Result<TallyFile> {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        Ok(TallyFile { file: options.custom_flags(flags).open(self.tally_path(uid))? })
    }

    /// The uids of accounts that have a tally, ascending; names that lockdown does not give are left out.
    ///
    /// # Errors
    /// What the file system says.
    pub fn uids(&self) -> io::Result<Vec<u32>> {
        let mut uids = Vec::new();
        for entry in self.path.read_dir()? {
            let name = entry?.file_name();
            let uid = name.to_str().and_then(|name| name.parse().ok());
            uids.extend(uid.filter(|uid: &u32| *uid.to_string() == *name && *uid != NOBODYS_UID));
        }
        uids.sort_unstable();
        Ok(uids)
    }
}

impl TallyFile {
    /// What it has now. Whatever others write meanwhile is there or not yet.
    ///
    /// # Errors
    /// What the file system says, or `InvalidData` for anything but a regular file that only root may write.
    pub fn read(&self) -> io::Result<Table> {
        let status = self.file.metadata()?;
        // Whose it is need not be looked at: nobody else gets into the directory.
        if !status.is_file() || status.mode() & 0o022 != 0 {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                "is not a regular file that only root may write",
            ));
        }
        let mut bytes = vec![0; status.size().min((SLOTS * SLOT_BYTES) as u64) as usize];
        let mut length = 0;
        while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, length as u64) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Table::decode(&bytes[..length]))
    }

    /// Adds a failure, see [`Table::add`].
    ///
    /// # Errors
    /// As for [`read`](Self::read); the failure may then not be counted.
    pub fn add(
        self,
        attempt: (&str, &Source),
        counts: bool,
        settings: &AttackProtection,
        now: i64,
    ) -> io::Result<Failure> {
        self.change(|table| {
            let (slot, failure) = table.add(attempt, counts, settings, now);
            self.write(slot, &failure)?;
            Ok(failure)
        })
    }

    /// Ends the count of a source, or of all, and lifts what locks it brought about. How many failures counted.
    ///
    /// # Errors
    /// As for [`read`](Self::read); some may then go on counting.
    pub fn clear(self, source: Option<&Source>) -> io::Result<usize> {
        self.change(|table| {
            let cleared = table.cleared(source);
            cleared.iter().try_for_each(|(slot, failure)| self.write(*slot, failure))?;
            Ok(cleared.len())
        })
    }

    fn write(&self, slot: usize, failure: &Failure) -> io::Result<()> {
        self.file.write_all_at(&failure.encode(), (slot * SLOT_BYTES) as u64)
    }

    /// Changes it while nobody else does. That it is closed then lets the others.
    fn change<T>(&self, change: impl FnOnce(&Table) -> io::Result<T>) -> io::Result<T> {
        let start = Instant::now();
        while let Err(error) = self.file.try_lock() {
            match error {
                TryLockError::Error(error) => return Err(error),
                TryLockError::WouldBlock if start.elapsed() > PATIENCE => break,
                TryLockError::WouldBlock => sleep(Duration::from_micros(200)),
            }
        }
        change(&self.read()?)
    }
}

impl AsRef<File> for TallyFile {
    /// For other locks than this one's own, which is that of flock(2).
    fn as_ref(&self) -> &File {
        &self.file
    }
}

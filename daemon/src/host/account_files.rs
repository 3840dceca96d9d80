//! Tells when passwd(5) or group(5) has changed: by useradd(8) and its like, or by hand.

use std::{io, mem::MaybeUninit, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};
use tokio::io::unix::AsyncFd;

use super::readiness::watch;

const FILES: [&[u8]; 2] = [b"passwd", b"group"];

/// A watch on the files that most hosts have their accounts in. What a directory server has changes unseen.
#[derive(Debug)]
pub struct AccountFiles {
    events: AsyncFd<OwnedFd>,
}

impl AccountFiles {
    /// Watches the files of this directory.
    ///
    /// # Errors
    /// Those of inotify_init1(2) and inotify_add_watch(2).
    pub fn watch(directory: &Path) -> io::Result<Self> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        // Not the files: tools put new ones in their places.
        let changes = WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::CLOSE_WRITE;
        inotify::add_watch(&events, directory, changes | WatchFlags::ONLYDIR)?;
        Ok(Self { events: watch(events)? })
    }

    /// Waits until one of them is another than at the last call.
    ///
    /// # Errors
    /// Those of read(2) on inotify(7).
    pub async fn changed(&self) -> io::Result<()> {
        loop {
            let mut ready = self.events.readable().await?;
            if self.take_events()? {
                return Ok(());
            }
            ready.clear_ready();
        }
    }

    /// Takes all that have come; whether one is about the files.
    fn take_events(&self) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(self.events.get_ref(), &mut buffer);
        let mut have_changed = false;
        loop {
            match events.next() {
                Ok(event) => {
                    let is_one_of_them =
                        event.file_name().is_some_and(|name| FILES.contains(&name.to_bytes()));
                    have_changed |= is_one_of_them || event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                }
                Err(Errno::WOULDBLOCK) => return Ok(have_changed),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;

    /// Whether it tells of a change.
    async fn tells(files: &AccountFiles) -> bool {
        tokio::time::timeout(Duration::from_millis(200), files.changed()).await.is_ok_and(|told| told.is_ok())
    }

    #[tokio::test]
    async fn whatever_way_a_file_changes_it_is_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("passwd"), "").unwrap();
        let files = AccountFiles::watch(directory.path()).unwrap();
        assert!(!tells(&files).await);

        fs::write(path("passwd"), "alice\n").unwrap();
        assert!(tells(&files).await && !tells(&files).await);
        for step in 0..500 {
            fs::write(path("group+"), step.to_string()).unwrap();
            fs::rename(path("group+"), path("group")).unwrap();
        }
        assert!(tells(&files).await && !tells(&files).await);
        fs::remove_file(path("group")).unwrap();
        fs::hard_link(path("passwd"), path("group")).unwrap();
        assert!(tells(&files).await && !tells(&files).await);
    }

    #[tokio::test]
    async fn other_files_are_none_of_its_business() {
        let directory = tempfile::tempdir().unwrap();
        let files = AccountFiles::watch(directory.path()).unwrap();
        for name in ["shadow", "passwd-", "group+", ".pwd.lock"] {
            fs::write(directory.path().join(name), "x").unwrap();
        }
        assert!(!tells(&files).await);
        assert!(AccountFiles::watch(&directory.path().join("nowhere")).is_err());
    }
}

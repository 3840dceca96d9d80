//! The control group of an account's slice: freeze it so that nothing in it can fork away, kill it whole.

use std::{io, path::PathBuf};

use super::processes::slice_of;

/// `user-UID.slice` in the unified hierarchy. Where there is none (nobody logged in, cgroup v1 only), every operation is
/// without effect: the passes over /proc do the work.
#[derive(Clone, Debug)]
pub struct Slice {
    path: PathBuf,
}

impl Slice {
    /// The slice of this account.
    #[must_use]
    pub fn of(uid: u32) -> Self {
        Self { path: PathBuf::from("/sys/fs/cgroup/user.slice").join(slice_of(uid)) }
    }

    /// Stops everything in it until the result is dropped.
    #[must_use]
    pub fn freeze(&self) -> Frozen {
        self.write("cgroup.freeze", "1");
        Frozen { slice: self.clone() }
    }

    /// Sends SIGKILL to everything in it at once, also to what is forking (Linux 5.14).
    pub fn kill(&self) {
        self.write("cgroup.kill", "1");
    }

    fn write(&self, file: &str, value: &str) {
        match std::fs::write(self.path.join(file), value) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // ENODEV: the group was removed while it was open.
            Err(error) if error.raw_os_error() == Some(nix::libc::ENODEV) => {}
            Err(error) => tracing::warn!("{}/{file}: {error}", self.path.display()),
        }
    }
}

/// A frozen slice; thaws when dropped, also if the sweep fails.
#[derive(Debug)]
pub struct Frozen {
    slice: Slice,
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.slice.write("cgroup.freeze", "0");
    }
}

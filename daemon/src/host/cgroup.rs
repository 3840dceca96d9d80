//! The control group of an account's slice: freeze it so that nothing in it can fork away, kill it whole.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::processes::slice_of;

const SLICES: &str = "/sys/fs/cgroup/user.slice";

/// Thaws the slices of all accounts. A daemon that was killed at the wrong moment has left one frozen, and PID 1 would wait for
/// ever for the first process that it starts in there.
pub fn thaw_all() {
    // A host with cgroup v1 only has none.
    for slice in fs::read_dir(SLICES).into_iter().flatten().flatten() {
        let slice = Slice { path: slice.path() };
        let frozen = fs::read_to_string(slice.path.join("cgroup.freeze"));
        if slice.path.extension().is_some_and(|kind| kind == "slice")
            && frozen.is_ok_and(|state| state == "1\n")
        {
            tracing::warn!("{} was left frozen", slice.path.display());
            slice.write("cgroup.freeze", "0");
        }
    }
}

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
        Self { path: Path::new(SLICES).join(slice_of(uid)) }
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

    /// Everything in it and below it. What comes and goes meanwhile may be missing.
    #[must_use]
    pub fn processes(&self) -> BTreeSet<u32> {
        let mut processes = BTreeSet::new();
        let mut groups = vec![self.path.clone()];
        while let Some(group) = groups.pop() {
            // A group below may end at any time.
            let list = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            processes.extend(list.lines().filter_map(|pid| pid.parse::<u32>().ok()));
            let entries = fs::read_dir(&group).into_iter().flatten().flatten();
            groups.extend(
                entries
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .map(|entry| entry.path()),
            );
        }
        processes
    }

    fn write(&self, file: &str, value: &str) {
        match fs::write(self.path.join(file), value) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_of_all_groups_below() {
        let directory = tempfile::tempdir().unwrap();
        let slice = Slice { path: directory.path().join("user-1000.slice") };
        assert!(slice.processes().is_empty());
        let scope = slice.path.join("user@1000.service/app.slice");
        fs::create_dir_all(&scope).unwrap();
        fs::write(slice.path.join("cgroup.procs"), "").unwrap();
        fs::write(scope.join("cgroup.procs"), "12\n345\n").unwrap();
        fs::write(scope.parent().unwrap().join("cgroup.procs"), "6\n").unwrap();
        assert_eq!(slice.processes(), BTreeSet::from([6, 12, 345]));
    }
}

//! The directory of one host, and the end of hosts whose test process died.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use super::cache;

const END: &str = include_str!("end.sh");

/// `$CACHE/hosts/NAME`, deleted with this value. Its `owner` file is locked as long as the process
/// lives, by which others see that it does.
#[derive(Debug)]
pub struct RunDir {
    name: String,
    path: PathBuf,
    _owner: File,
}

impl RunDir {
    /// A new one, after what was left of killed test processes has been cleaned away.
    pub fn create() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        static CLEANED: Once = Once::new();
        let hosts = cache::dir().join("hosts");
        fs::create_dir_all(&hosts).unwrap_or_else(|e| panic!("cannot create {}: {e}", hosts.display()));
        let hosts_lock = cache::lock_file(&cache::dir().join("hosts.flock"));
        hosts_lock.lock().expect("flock");
        CLEANED.call_once(|| end_abandoned(&hosts));

        let name = format!("lockdown-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = hosts.join(&name);
        fs::create_dir(&path).unwrap_or_else(|e| panic!("cannot create {}: {e}", path.display()));
        let owner = cache::lock_file(&path.join("owner"));
        owner.lock().expect("flock");
        Self { name, path, _owner: owner }
    }

    /// The machine name of the host: different from every other.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The v1 cgroup of this host's pids limit; none where the controller is in the v2 tree.
    pub fn pids_cgroup(&self) -> Option<PathBuf> {
        pids_cgroup(&self.name)
    }

    /// Kills everything on the host.
    pub fn end_host(&self) {
        end_host(&self.name, &self.path);
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir_all(&self.path) {
            eprintln!("cannot delete {}: {e}", self.path.display());
        }
    }
}

fn end_abandoned(hosts: &Path) {
    for found in fs::read_dir(hosts).expect("list the hosts").flatten() {
        let path = found.path();
        if cache::lock_file(&path.join("owner")).try_lock().is_ok() {
            end_host(&found.file_name().to_string_lossy(), &path);
            cache::remove_tree(&path);
        }
    }
}

fn end_host(name: &str, dir: &Path) {
    let pids = pids_cgroup(name).unwrap_or_default();
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "bash", "-c", END, "end.sh", name])
        .args([dir, &pids])
        .status();
    match status {
        Ok(status) if status.success() => {}
        // No panic: this runs in `drop`. The next start tries again.
        failed => eprintln!("cannot end the host {name}: {failed:?}"),
    }
}

fn pids_cgroup(name: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").expect("read /proc/mounts");
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (path, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup" && options.split(',').any(|option| option == "pids"))
            .then(|| Path::new(path).join(name))
    })
}

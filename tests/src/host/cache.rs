//! Directories that take long to make, made once and used by all test processes.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

/// What nobody has used for so long is deleted when something new is made.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);

/// A finished directory of the cache. Nobody deletes it while a value of this type exists.
#[derive(Debug)]
pub struct Entry {
    path: PathBuf,
    _in_use: File,
}

impl Entry {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// `$LOCKDOWN_TEST_CACHE`, default `/var/cache/lockdown-tests`. Its file system has to be able to
/// hold the upper directory of an overlay: not an overlay itself.
pub fn dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = std::env::var_os("LOCKDOWN_TEST_CACHE").unwrap_or("/var/cache/lockdown-tests".into());
        let dir = std::path::absolute(&dir).unwrap_or_else(|e| panic!("LOCKDOWN_TEST_CACHE={dir:?}: {e}"));
        let text = dir.to_string_lossy();
        // Both separate the parts of overlayfs' options.
        assert!(!text.contains([':', ',']), "LOCKDOWN_TEST_CACHE={text}: may not contain ':' or ','");
        fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("cannot create {text}: {e}"));
        dir
    })
}

/// A short name for what something is made of.
pub fn key(of: impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// The entry called `name`; if there is none, `make` is given the path to create it at. Another
/// process that wants the same one waits for it. A making that is cut short leaves no entry.
pub fn entry(name: &str, make: impl FnOnce(&Path)) -> Entry {
    let path = dir().join(name);
    let lock_path = dir().join(format!("{name}.lock"));
    let mut make = Some(make);
    loop {
        let lock = lock_file(&lock_path);
        lock.lock_shared().expect("flock");
        if path.exists() && is_file_at(&lock, &lock_path) {
            lock.set_modified(SystemTime::now()).expect("touch a lock file");
            return Entry { path, _in_use: lock };
        }
        lock.unlock().expect("flock");
        lock.lock().expect("flock");
        if is_file_at(&lock, &lock_path) && !path.exists() {
            delete_unused();
            let partial = dir().join(format!("{name}.partial"));
            remove_tree(&partial);
            let make = make.take().unwrap_or_else(|| panic!("{} vanished", path.display()));
            attempt_once(name, || make(&partial));
            fs::rename(&partial, &path).unwrap_or_else(|e| panic!("cannot create {}: {e}", path.display()));
        }
    }
}

/// A making that failed would fail again for every other test of this process, a minute each.
fn attempt_once(name: &str, make: impl FnOnce()) {
    static FAILED: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let failed = || FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(!failed().iter().any(|other| other == name), "{name} could not be made: see the test that tried");
    failed().push(name.to_owned());
    make();
    failed().retain(|other| other != name);
}

/// Opens a file to take locks on, and creates it if needed.
pub fn lock_file(path: &Path) -> File {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap_or_else(|e| panic!("cannot open {}: {e}", path.display()))
}

/// Deletes a directory tree if it exists. Panics rather than following a mount out of it.
pub fn remove_tree(path: &Path) {
    let mounts = fs::read_to_string("/proc/mounts").expect("read /proc/mounts");
    let mut mounted = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    if let Some(inside) = mounted.find(|mount| Path::new(mount).starts_with(path)) {
        panic!("{inside} is mounted: unmount it, so that {} can be deleted", path.display());
    }
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => panic!("cannot delete {}: {e}", path.display()),
        _ => {}
    }
}

/// Whether the locked file is still the one at that path: another process may have deleted it
/// between opening and locking.
fn is_file_at(file: &File, path: &Path) -> bool {
    let here = file.metadata().expect("stat");
    fs::metadata(path).is_ok_and(|there| (here.dev(), here.ino()) == (there.dev(), there.ino()))
}

fn delete_unused() {
    for lock_path in fs::read_dir(dir()).expect("list the cache").flatten().map(|found| found.path()) {
        if lock_path.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        let unused_for =
            fs::metadata(&lock_path).and_then(|m| m.modified()).ok().and_then(|t| t.elapsed().ok());
        if unused_for.is_none_or(|time| time < KEEP) {
            continue;
        }
        if let Ok(lock) = File::open(&lock_path)
            && lock.try_lock().is_ok()
            && is_file_at(&lock, &lock_path)
        {
            remove_tree(&lock_path.with_extension(""));
            remove_tree(&lock_path.with_extension("partial"));
            let _ = fs::remove_file(&lock_path);
        }
    }
}

//! Which files make up the configuration, and in which order: systemd's rules, see "CONFIGURATION DIRECTORIES AND
//! PRECEDENCE" in systemd-system.conf(5).

use std::collections::BTreeMap;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Position, Problem, escape_path};
use crate::report::Lines;

const MAIN_FILE: &str = "lockdown.toml";
const DROP_INS: &str = "lockdown.d";
const MAX_BYTES: u64 = 1 << 20;

/// The directories that hold the configuration.
///
/// The main file is `lockdown.toml` of the first directory that has one. Over it go, in the order of their names,
/// the files `lockdown.d/*.toml` of all directories; of those with the same name only the one of the first
/// directory counts. An empty file and a symbolic link to `/dev/null` set nothing, and so mask those of the
/// directories after it. Names that begin with a dot are passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The strongest first.
    directories: Vec<PathBuf>,
}

impl Default for Paths {
    /// `/etc/lockdown`, `/run/lockdown`, `/usr/lib/lockdown`.
    fn default() -> Self {
        Self::under(Path::new("/"))
    }
}

impl Paths {
    /// The same directories below another root.
    pub fn under(root: impl AsRef<Path>) -> Self {
        let directories = ["etc/lockdown", "run/lockdown", "usr/lib/lockdown"];
        Self { directories: directories.map(|directory| root.as_ref().join(directory)).to_vec() }
    }

    /// The strongest directory: the administrator's own.
    pub(crate) fn first(&self) -> &Path {
        self.directories.first().map_or(Path::new(""), PathBuf::as_path)
    }

    /// Whether a file there would be a main file or a drop-in.
    #[must_use]
    pub fn has_place(&self, path: &Path) -> bool {
        self.directories.iter().any(|directory| directory.join(MAIN_FILE) == path)
            || self.drop_ins().any(|directory| is_drop_in_of(&directory, path))
    }

    fn drop_ins(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.directories.iter().map(|directory| directory.join(DROP_INS))
    }
}

/// A file that is not in its place yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The place it will have, see [`Paths::has_place`]. What has no place there goes over all others.
    pub path: PathBuf,
    /// What it will say.
    pub text: String,
}

/// The files that count, the weakest first, as if there was a `candidate` already.
pub(crate) fn find(paths: &Paths, candidate: Option<&Path>, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut files = Vec::from_iter(find_main(paths, candidate, problems));
    let mut drop_ins = BTreeMap::new();
    for directory in paths.drop_ins() {
        let found = list(&directory).unwrap_or_else(|error| {
            if error.kind() != ErrorKind::NotFound {
                problems.push(Problem::whole(&directory, format!("cannot be listed: {error}")));
            }
            Vec::new()
        });
        let candidate = candidate.filter(|path| is_drop_in_of(&directory, path));
        for path in candidate.map(ToOwned::to_owned).into_iter().chain(found) {
            drop_ins.entry(path.file_name().map(ToOwned::to_owned)).or_insert(path);
        }
    }
    files.extend(drop_ins.into_values());
    match candidate {
        Some(path) if !paths.has_place(path) => files.push(path.to_owned()),
        Some(path) if !files.iter().any(|file| file == path) => {
            let stronger = files.iter().find(|file| file.file_name() == path.file_name());
            let stronger = stronger.map_or("another file".into(), |file| escape_path(file));
            problems.push(Problem::whole(path, format!("would not be read: {stronger} takes its place")));
        }
        _ => {}
    }
    files
}

fn find_main(paths: &Paths, candidate: Option<&Path>, problems: &mut Vec<Problem>) -> Option<PathBuf> {
    for directory in &paths.directories {
        let path = directory.join(MAIN_FILE);
        if candidate == Some(&path) {
            return Some(path);
        }
        // Not following links: a link that leads nowhere is a mistake to report, not a missing file.
        match fs::symlink_metadata(&path) {
            Ok(_) => return Some(path),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                problems.push(Problem::whole(&path, format!("cannot be read: {error}")));
                return None;
            }
        }
    }
    None
}

pub(crate) fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = directory.join(entry?.file_name());
        if is_counted(&path) {
            paths.push(path);
        }
    }
    Ok(paths)
}

fn is_drop_in_of(directory: &Path, path: &Path) -> bool {
    path.parent() == Some(directory) && is_counted(path)
}

/// Whether a file of this name counts in a directory of such files.
fn is_counted(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        let bytes = name.as_encoded_bytes();
        bytes.ends_with(b".toml") && !bytes.starts_with(b".")
    })
}

/// Reads a file that [`find`] found.
pub(crate) fn read(path: &Path, candidate: Option<&Candidate>) -> Result<String, Problem> {
    match candidate {
        Some(candidate) if candidate.path == path => {
            check_size(path, candidate.text.len(), MAX_BYTES).map(|()| candidate.text.clone())
        }
        _ => read_bounded(path, MAX_BYTES),
    }
}

/// Reads a file that only root can write to, or whoever this runs as.
pub(crate) fn read_trusted(path: &Path, max_bytes: u64) -> Result<String, Problem> {
    read_checked(path, max_bytes, |metadata| {
        let owner = metadata.uid();
        if owner != 0 && owner != nix::unistd::geteuid().as_raw() {
            return Some(format!("belongs to the user {owner}; give it to root: chown root"));
        }
        (metadata.mode() & 0o022 != 0)
            .then(|| "can be written to by others than its owner; take that away: chmod go-w".to_owned())
    })
}

/// Reads a file of at most `max_bytes`, without waiting for what is not a file and without trusting its size.
pub(crate) fn read_bounded(path: &Path, max_bytes: u64) -> Result<String, Problem> {
    read_checked(path, max_bytes, |_| None)
}

fn read_checked(
    path: &Path,
    max_bytes: u64,
    fault: impl Fn(&Metadata) -> Option<String>,
) -> Result<String, Problem> {
    let unreadable = |error: io::Error| {
        let message = match error.kind() {
            ErrorKind::NotFound if path.is_symlink() => {
                "is a symbolic link that leads nowhere; mend it, or link to /dev/null to mask the file"
                    .to_owned()
            }
            _ => format!("cannot be read: {error}"),
        };
        Problem::whole(path, message)
    };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if is_null_device(&metadata) {
        return Ok(String::new());
    }
    if !metadata.is_file() {
        return Err(Problem::whole(
            path,
            "must be a regular file, or a symbolic link to one or to /dev/null".into(),
        ));
    }
    // The file could have become a FIFO since: opening that would wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(unreadable)?;
    if let Some(message) = fault(&file.metadata().map_err(unreadable)?) {
        return Err(Problem::whole(path, message));
    }
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    check_size(path, bytes.len(), max_bytes)?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let position: Position = Lines::of(&valid).position(valid.len());
        let message = "is not UTF-8 text here; save the file in the encoding UTF-8".to_owned();
        Problem { position: Some(position), ..Problem::whole(path, message) }
    })
}

fn check_size(path: &Path, bytes: usize, max_bytes: u64) -> Result<(), Problem> {
    if bytes as u64 <= max_bytes {
        return Ok(());
    }
    Err(Problem::whole(path, format!("has more than {max_bytes} bytes ({} MiB)", max_bytes >> 20)))
}

/// Whether a path leads to `/dev/null`.
pub(crate) fn is_masked(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| is_null_device(&metadata))
}

fn is_null_device(metadata: &Metadata) -> bool {
    // null(4)
    metadata.file_type().is_char_device() && metadata.rdev() == libc::makedev(1, 3)
}

#[cfg(test)]
mod tests;

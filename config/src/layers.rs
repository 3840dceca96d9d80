//! Which files make up the configuration, and in which order: systemd's rules, see "CONFIGURATION DIRECTORIES AND
//! PRECEDENCE" in systemd-system.conf(5).

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::document::Lines;
use crate::error::{Position, Problem};

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
}

/// The files that count, the weakest first.
pub(crate) fn find(paths: &Paths, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut files = Vec::from_iter(find_main(paths, problems));
    let mut drop_ins = BTreeMap::new();
    for directory in &paths.directories {
        let directory = directory.join(DROP_INS);
        match list(&directory) {
            Ok(found) => found.into_iter().for_each(|path| {
                drop_ins.entry(path.file_name().map(ToOwned::to_owned)).or_insert(path);
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => problems.push(Problem::whole(&directory, format!("cannot be listed: {error}"))),
        }
    }
    files.extend(drop_ins.into_values());
    files
}

fn find_main(paths: &Paths, problems: &mut Vec<Problem>) -> Option<PathBuf> {
    for directory in &paths.directories {
        let path = directory.join(MAIN_FILE);
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

fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.ends_with(b".toml") && !bytes.starts_with(b".") {
            paths.push(directory.join(name));
        }
    }
    Ok(paths)
}

/// Reads a file that [`find`] found, without waiting for what is not a file and without trusting its size.
pub(crate) fn read(path: &Path) -> Result<String, Problem> {
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
    let bytes = read_bounded(file).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Problem::whole(path, format!("has more than {MAX_BYTES} bytes (1 MiB)")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let position: Position = Lines::of(&valid).position(valid.len());
        let message = "is not UTF-8 text here; save the file in the encoding UTF-8".to_owned();
        Problem { position: Some(position), ..Problem::whole(path, message) }
    })
}

fn read_bounded(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_null_device(metadata: &Metadata) -> bool {
    // null(4)
    metadata.file_type().is_char_device() && metadata.rdev() == libc::makedev(1, 3)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;
    use crate::{Loaded, Settings};

    /// A root directory with these files.
    fn root(files: &[(&str, &str)]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn load(root: &TempDir) -> Loaded {
        Settings::load(&Paths::under(root)).unwrap()
    }

    /// The one problem, with the root taken away.
    fn problem(root: &TempDir) -> String {
        let error = Settings::load(&Paths::under(root)).unwrap_err();
        assert_eq!(error.problems().len(), 1, "{error}");
        error.to_string().replace(root.path().to_str().unwrap(), "")
    }

    #[test]
    fn without_files_the_defaults_hold() {
        assert_eq!(load(&root(&[])), Loaded::default());
    }

    #[test]
    fn the_first_main_file_replaces_the_others_whole() {
        let files = [
            ("usr/lib/lockdown/lockdown.toml", "lock.end_sessions = false"),
            ("run/lockdown/lockdown.toml", "lock.message = 'run'"),
            ("etc/lockdown/lockdown.toml", "nss.timeout = '7s'"),
        ];
        for count in 1..=3 {
            let root = root(&files[..count]);
            let loaded = load(&root);
            assert_eq!(loaded.files, [root.path().join(files[count - 1].0)]);
            assert_eq!(loaded.settings.lock.end_sessions, count != 1);
            assert_eq!(loaded.settings.lock.message.is_some(), count == 2);
            assert_eq!(loaded.settings.nss.timeout == Duration::from_secs(7), count == 3);
        }
    }

    #[test]
    fn drop_ins_go_over_the_main_file_by_name_not_by_directory() {
        let root = root(&[
            (
                "etc/lockdown/lockdown.toml",
                "nss.timeout = '1s'\nlock.message = 'main'\nprotected.users = ['a', 'b']",
            ),
            ("etc/lockdown/lockdown.d/10-a.toml", "nss.timeout = '2s'"),
            ("run/lockdown/lockdown.d/20-b.toml", "nss.timeout = '3s'"),
            ("usr/lib/lockdown/lockdown.d/30-c.toml", "\nnss.timeout = '4s'\nprotected.users = ['c']"),
            ("etc/lockdown/lockdown.d/.40-hidden.toml", "nss.timeout = '5s'"),
            ("etc/lockdown/lockdown.d/50-backup.toml~", "nss.timeout = '5s'"),
        ]);
        let loaded = load(&root);
        assert_eq!(loaded.settings.nss.timeout, Duration::from_secs(4));
        assert_eq!(loaded.settings.lock.message.as_deref(), Some("main"));
        assert_eq!(loaded.settings.protected.users, ["c"]);
        let origin =
            |key| loaded.provenance.origin(key).to_string().replace(root.path().to_str().unwrap(), "");
        assert_eq!(origin("nss.timeout"), "/usr/lib/lockdown/lockdown.d/30-c.toml:2");
        assert_eq!(origin("lock.message"), "/etc/lockdown/lockdown.toml:2");
        assert_eq!(origin("lock.duration"), "default");
        assert_eq!(loaded.files.len(), 4);
    }

    #[test]
    fn a_drop_in_masks_those_of_its_name_in_weaker_directories() {
        let weak = ("usr/lib/lockdown/lockdown.d/a.toml", "nss.timeout = '9s'");
        let replaced = root(&[weak, ("run/lockdown/lockdown.d/a.toml", "lock.message = 'run'")]);
        let emptied = root(&[weak, ("etc/lockdown/lockdown.d/a.toml", "")]);
        let linked = root(&[weak, ("etc/lockdown/lockdown.d/b.toml", "")]);
        symlink("/dev/null", linked.path().join("etc/lockdown/lockdown.d/a.toml")).unwrap();
        for root in [replaced, emptied, linked] {
            let loaded = load(&root);
            assert_eq!(loaded.settings.nss, Settings::default().nss);
            assert!(!loaded.files.contains(&root.path().join(weak.0)));
        }
    }

    #[test]
    fn a_main_file_can_be_masked_too() {
        let root = root(&[("usr/lib/lockdown/lockdown.toml", "nss.timeout = '9s'"), ("etc/lockdown/x", "")]);
        symlink("/dev/null", root.path().join("etc/lockdown/lockdown.toml")).unwrap();
        assert_eq!(load(&root).settings, Settings::default());
    }

    #[test]
    fn a_link_to_a_file_is_followed() {
        let root = root(&[("elsewhere", "nss.timeout = '9s'"), ("etc/lockdown/x", "")]);
        symlink("../../elsewhere", root.path().join("etc/lockdown/lockdown.toml")).unwrap();
        assert_eq!(load(&root).settings.nss.timeout, Duration::from_secs(9));
    }

    #[test]
    fn problems_of_all_files_are_reported_together() {
        let root = root(&[
            ("etc/lockdown/lockdown.toml", "[lock]\nx = 1\ny = 2"),
            ("etc/lockdown/lockdown.d/a.toml", "[lock"),
            ("etc/lockdown/lockdown.d/b.toml", "nss.timeout = '1s'"),
            ("usr/lib/lockdown/lockdown.d/c.toml", "nss.timeout = '61s'"),
        ]);
        let error = Settings::load(&Paths::under(&root)).unwrap_err();
        let names: Vec<_> =
            error.problems().iter().map(|problem| problem.file.file_name().unwrap()).collect();
        assert_eq!(names, ["lockdown.toml", "lockdown.toml", "a.toml", "c.toml"]);
        assert_eq!(error.to_string().lines().count(), 4);
        let json = serde_json::to_value(&error).unwrap();
        assert_eq!((&json[1]["line"], &json[1]["key"]), (&3.into(), &"lock.y".into()));
    }

    #[test]
    fn what_is_no_sound_file_is_refused() {
        let drop_in = "etc/lockdown/lockdown.d/a.toml";
        let other = || root(&[("etc/lockdown/lockdown.d/b.toml", "")]);

        let directory = other();
        fs::create_dir(directory.path().join(drop_in)).unwrap();
        let socket = other();
        let _listener = UnixListener::bind(socket.path().join(drop_in)).unwrap();
        let fifo = other();
        assert!(Command::new("mkfifo").arg(fifo.path().join(drop_in)).status().unwrap().success());
        let device = other();
        symlink("/dev/zero", device.path().join(drop_in)).unwrap();
        for root in [directory, socket, fifo, device] {
            let expected = "must be a regular file, or a symbolic link to one or to /dev/null";
            assert_eq!(problem(&root), format!("/{drop_in}: {expected}"));
        }

        for path in [drop_in, "etc/lockdown/lockdown.toml"] {
            let dangling = other();
            symlink("nowhere", dangling.path().join(path)).unwrap();
            assert!(
                problem(&dangling).starts_with(&format!("/{path}: is a symbolic link that leads nowhere"))
            );
        }

        let latin1 = other();
        fs::write(latin1.path().join(drop_in), b"# \xc3\xbc\n# \xc3\xbc \xfc").unwrap();
        assert!(problem(&latin1).starts_with(&format!("/{drop_in}:2:5: is not UTF-8")));

        let huge = other();
        File::create(huge.path().join(drop_in)).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(problem(&huge), format!("/{drop_in}: has more than 1048576 bytes (1 MiB)"));
    }

    #[test]
    fn a_directory_that_is_a_file_is_refused() {
        assert!(problem(&root(&[("run/lockdown/lockdown.d", "")])).starts_with("/run/lockdown/lockdown.d: "));
    }

    #[test]
    fn a_file_of_the_largest_size_is_read() {
        let text = format!("#{}", "x".repeat((1 << 20) - 1));
        assert_eq!(load(&root(&[("etc/lockdown/lockdown.toml", &text)])).settings, Settings::default());
    }
}

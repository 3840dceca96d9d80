//! The files of `state.d`, and what documents are called.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Error, Problem, quote};
use crate::layers::{self, Paths};

/// Below the first directory of the configuration.
const DIRECTORY: &str = "state.d";
/// A hundred thousand accounts with reasons, addresses and metadata take half of that.
const MAX_BYTES: u64 = 64 << 20;
/// Longest name of a document, in bytes.
const MAX_NAME: usize = 64;

/// A document of `state.d`, not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What the document is called.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
}

impl Source {
    /// The text of the file, at most 64 MiB. This blocks on the file system.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, that is no text in UTF-8, that belongs to somebody else or that others can write to.
    pub fn read(&self) -> Result<String, Error> {
        layers::read_trusted(&self.path, MAX_BYTES).map_err(|problem| Error::new(vec![problem]))
    }
}

/// The documents of `/etc/lockdown/state.d`, by name. Names that begin with a dot or do not end in `.toml` are passed
/// over, and so are symbolic links to `/dev/null`. Without the directory there are none. This blocks on the file system.
///
/// # Errors
///
/// A directory that cannot be listed, and files whose names documents cannot have.
pub fn find(paths: &Paths) -> Result<Vec<Source>, Error> {
    let mut problems = Vec::new();
    let sources = find_all(paths, &mut problems);
    if problems.is_empty() { Ok(sources) } else { Err(Error::new(problems)) }
}

/// The same; what is wrong goes to `problems`, and is left out.
pub(super) fn find_all(paths: &Paths, problems: &mut Vec<Problem>) -> Vec<Source> {
    let directory = paths.first().join(DIRECTORY);
    let mut files = match layers::list(&directory) {
        Ok(files) => files,
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            problems.push(Problem::whole(&directory, format!("cannot be listed: {error}")));
            return Vec::new();
        }
    };
    files.retain(|path| !layers::is_masked(path));
    files.sort();
    let named = files.into_iter().filter_map(|path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match check_name(&name) {
            Ok(()) => Some(Source { name, path }),
            Err(message) => {
                problems.push(Problem::whole(&path, message));
                None
            }
        }
    });
    named.collect()
}

/// The text of a file that somebody wants checked, at most 64 MiB; it may be anybody's. This blocks on the file system.
///
/// # Errors
///
/// A file that cannot be read or is no text in UTF-8.
pub fn read_file(path: &Path) -> Result<String, Error> {
    layers::read_bounded(path, MAX_BYTES).map_err(|problem| Error::new(vec![problem]))
}

/// Refuses what no document can be called: anything but 1 to 64 letters, digits, `.`, `_` and `-` of ASCII, the first
/// neither `.` nor `-`.
///
/// # Errors
///
/// What is wrong, with the name escaped.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let fits =
        (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(fits) && !name.starts_with(['.', '-']);
    if fits {
        return Ok(());
    }
    Err(format!(
        "{} is no name of a document; it must have 1 to {MAX_NAME} letters, digits, \".\", \"_\" and \"-\", and not begin \
         with \".\" or \"-\"",
        quote(name)
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use tempfile::TempDir;

    use super::*;
    use crate::state::Documents;

    /// A root directory with these files in `state.d`.
    fn root(files: &[(&str, &str)]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("etc/lockdown/state.d");
        fs::create_dir_all(&directory).unwrap();
        for (name, text) in files {
            let path = directory.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        root
    }

    fn read(root: &TempDir) -> Result<Vec<String>, Vec<String>> {
        let place = root.path().join("etc/lockdown/state.d/");
        let show = |text: String| text.replace(place.to_str().unwrap(), "");
        match Documents::read(&Paths::under(root)) {
            Ok(documents) => Ok(documents.iter().map(|document| document.name.clone()).collect()),
            Err(error) => Err(error.problems().iter().map(|problem| show(problem.to_string())).collect()),
        }
    }

    #[test]
    fn documents_come_by_name_and_what_is_none_is_passed_over() {
        let root = root(&[
            ("b.toml", "version = 1"),
            ("a.example.toml", "version = 1"),
            (".hidden.toml", "["),
            ("c.toml~", "["),
            ("README", "["),
        ]);
        let directory = root.path().join("etc/lockdown/state.d");
        symlink("/dev/null", directory.join("masked.toml")).unwrap();
        symlink("b.toml", directory.join("z.toml")).unwrap();
        assert_eq!(read(&root), Ok(vec!["a.example".to_owned(), "b".to_owned(), "z".to_owned()]));
        assert_eq!(read(&tempfile::tempdir().unwrap()), Ok(Vec::new()));
    }

    #[test]
    fn problems_of_all_files_are_reported_together() {
        let root = root(&[
            ("a.toml", "version = 1"),
            ("b.toml", "version = 1\nx = 1\ny = 1"),
            ("c.toml", ""),
            ("d d.toml", "version = 1"),
        ]);
        let problems = read(&root).unwrap_err();
        let starts = [
            "d d.toml: \"d d\" is no name of a document",
            "b.toml:2:1: x:",
            "b.toml:3:1: y:",
            "c.toml:1:1: version:",
        ];
        assert_eq!(problems.len(), starts.len(), "{problems:?}");
        for (problem, start) in problems.iter().zip(starts) {
            assert!(problem.starts_with(start), "{problem}");
        }
    }

    #[test]
    fn documents_that_contradict_each_other_are_refused() {
        let text = "version = 1\n[[account]]\nname = 'x'\nvalid_until = 'never'";
        let problems = read(&root(&[("a.toml", text), ("b.toml", text)])).unwrap_err();
        assert_eq!(
            problems,
            ["b.toml:4:15: account.valid_until: that of \"x\" is set at a.toml:4:15, too; keep one of them"]
        );
    }

    #[test]
    fn what_others_can_write_to_is_refused() {
        for mode in [0o664, 0o646] {
            let root = root(&[("a.toml", "version = 1")]);
            let path = root.path().join("etc/lockdown/state.d/a.toml");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let expected = "a.toml: can be written to by others than its owner; take that away: chmod go-w";
            assert_eq!(read(&root), Err(vec![expected.to_owned()]));
            assert_eq!(read_file(&path).unwrap(), "version = 1");
        }
    }

    /// Skipped for those who cannot give a file away.
    #[test]
    fn what_belongs_to_somebody_else_is_refused() {
        let root = root(&[("a.toml", "version = 1")]);
        let directory = root.path().join("etc/lockdown/state.d");
        if chown(directory.join("a.toml"), Some(65_534), None).is_err() {
            return;
        }
        symlink("a.toml", directory.join("b.toml")).unwrap();
        let expected = |name: &str| format!("{name}: belongs to the user 65534; give it to root: chown root");
        assert_eq!(read(&root), Err(vec![expected("a.toml"), expected("b.toml")]));
    }

    #[test]
    fn a_file_is_bounded() {
        let root = root(&[("a.toml", "")]);
        let path = root.path().join("etc/lockdown/state.d/a.toml");
        fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read(&root), Err(vec!["a.toml: has more than 67108864 bytes (64 MiB)".to_owned()]));
    }
}

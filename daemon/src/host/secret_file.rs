//! Passwords and keys in files that nobody but root may read.

use std::{
    fs::OpenOptions,
    io::Read,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use lockdown_delivery::Secret;
use lockdown_enforcement::escape::escape;

/// Longer than any key.
const MAX_BYTES: u64 = 4096;

/// Reads a secret, without the line break at its end.
///
/// # Errors
/// Why it cannot be used and what to do, with the file's name.
pub fn read(path: &Path) -> Result<Secret, String> {
    let wrong = |why: &str| format!("{}: {why}", escape(&path.display().to_string()));
    // What is no file is not waited for.
    let file =
        OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY).open(path);
    let file = file.map_err(|error| wrong(&error.to_string()))?;
    let status = file.metadata().map_err(|error| wrong(&error.to_string()))?;
    if !status.is_file() {
        return Err(wrong("is no regular file"));
    }
    if status.uid() != nix::unistd::geteuid().as_raw() || status.mode() & 0o077 != 0 {
        return Err(wrong("others than root can read or write it: chown root, chmod 600"));
    }
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| wrong(&error.to_string()))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(wrong("has more than 4096 bytes"));
    }
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() { Err(wrong("is empty")) } else { Ok(Secret::new(secret)) }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        fs::set_permissions(file.path(), PermissionsExt::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn a_secret_is_its_line() {
        for text in ["pass word ", "pass word \n", "pass word \r\n"] {
            assert_eq!(read(file(text, 0o600).path()).unwrap().expose(), "pass word ");
        }
    }

    #[test]
    fn what_others_can_read_is_no_secret() {
        for mode in [0o640, 0o604, 0o620] {
            assert!(read(file("x", mode).path()).unwrap_err().contains("chmod 600"));
        }
    }

    #[test]
    fn what_is_no_sound_file_is_refused_without_its_content() {
        for (text, why) in [("", "empty"), ("\n", "empty"), (&*"x".repeat(4097), "4096 bytes")] {
            let error = read(file(text, 0o600).path()).unwrap_err();
            assert!(error.contains(why) && !error.contains("xx"), "{error}");
        }
        assert!(read(Path::new("/proc")).is_err() && read(Path::new("/missing")).is_err());
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        assert!(read(&fifo).unwrap_err().contains("no regular file"));
    }
}

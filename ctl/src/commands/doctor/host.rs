//! The files that the doctor looks at, below a root directory; without trust in what they are or how long.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use lockdown_config::Paths;

/// Longest PAM file that is read, in bytes.
const LONGEST: u64 = 256 * 1024;
/// Most services, or hooks, that are looked at.
const MOST_SERVICES: usize = 1_000;
/// Where libpam looks for a service, the first that has it; see pam.conf(5).
const PAM_DIRECTORIES: [&str; 2] = ["etc/pam.d", "usr/lib/pam.d"];
/// Directories that hold architecture directories or a `security` of their own.
const LIBRARY_DIRECTORIES: [&str; 4] = ["usr/lib", "lib", "usr/lib64", "lib64"];
/// Debian's tool that writes the PAM files which services share.
const PAM_AUTH_UPDATE: &str = "usr/sbin/pam-auth-update";
/// Where sshd is installed.
const SSHD: [&str; 3] = ["usr/sbin/sshd", "usr/local/sbin/sshd", "usr/bin/sshd"];
/// The daemon's socket for the login path.
pub const LOGIN_SOCKET: &str = "/run/lockdown/login.sock";

/// The relay's socket.
pub const RELAY_SOCKET: &str = "/run/lockdown/relay.sock";

/// What a lockdown runs to revoke credentials which only the site knows.
pub const HOOKS: &str = "/etc/lockdown/revoke.d";

/// A host, seen through its files.
pub struct Host {
    root: PathBuf,
}

/// What root runs, or where it looks for that.
pub struct Program {
    /// Its path.
    pub path: PathBuf,
    /// What it is; of a symbolic link, the link's.
    pub metadata: Metadata,
}

impl Host {
    /// The host whose root directory is `root`.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Names of the PAM services, sorted.
    ///
    /// # Errors
    ///
    /// The directory cannot be read, or has too many files.
    pub fn services(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for directory in PAM_DIRECTORIES {
            let entries = match fs::read_dir(self.root.join(directory)) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for entry in entries {
                // A name that is not UTF-8 is no service that a program could ask for by a literal.
                let Ok(name) = entry?.file_name().into_string() else { continue };
                // Leftovers of dpkg and editors: nothing asks for a service of such a name.
                if !name.contains('~') && !name.starts_with('.') && !name.contains(".dpkg-") {
                    names.push(name);
                }
                if names.len() > MOST_SERVICES {
                    return Err(io::Error::other(format!("more than {MOST_SERVICES} files")));
                }
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The text of a PAM file: a service, or what an include names.
    ///
    /// # Errors
    ///
    /// In words.
    pub fn pam_file(&self, name: &str) -> Result<String, String> {
        let candidates: Vec<PathBuf> = match name.strip_prefix('/') {
            Some(path) => vec![self.root.join(path)],
            None => PAM_DIRECTORIES.iter().map(|directory| self.root.join(directory).join(name)).collect(),
        };
        for path in candidates {
            match read(&path) {
                Ok(text) => return Ok(text),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("{name} cannot be read: {error}")),
            }
        }
        Err(format!("{name} does not exist"))
    }

    /// Whether the module that a PAM line names is there. A name without a directory is looked for where the libpam of
    /// one architecture or another does.
    #[must_use]
    pub fn has_module(&self, module: &str) -> bool {
        if let Some(path) = module.strip_prefix('/') {
            return self.root.join(path).is_file();
        }
        LIBRARY_DIRECTORIES.iter().any(|directory| {
            let directory = self.root.join(directory);
            let nested = fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path());
            std::iter::once(directory).chain(nested).any(|base| base.join("security").join(module).is_file())
        })
    }

    /// Whether the PAM files which services share are written by pam-auth-update(8).
    #[must_use]
    pub fn has_pam_auth_update(&self) -> bool {
        self.root.join(PAM_AUTH_UPDATE).is_file()
    }

    /// The absolute path of sshd, if it is installed.
    #[must_use]
    pub fn sshd(&self) -> Option<PathBuf> {
        SSHD.iter().map(|path| self.root.join(path)).find(|path| path.is_file())
    }

    /// The directory of hooks, and what is in it by name.
    ///
    /// # Errors
    ///
    /// It is not there, cannot be read, or has too many files.
    pub fn hooks(&self) -> io::Result<(Program, Vec<Program>)> {
        let path = self.root.join(HOOKS.trim_start_matches('/'));
        let directory = Program { metadata: fs::metadata(&path)?, path };
        let mut programs = Vec::new();
        for entry in fs::read_dir(&directory.path)? {
            let entry = entry?;
            programs.push(Program { metadata: entry.metadata()?, path: entry.path() });
            if programs.len() > MOST_SERVICES {
                return Err(io::Error::other(format!("more than {MOST_SERVICES} files")));
            }
        }
        programs.sort_by(|one, other| one.path.cmp(&other.path));
        Ok((directory, programs))
    }

    /// Whose the files of the system are: root's, whatever its uid is in a directory that tests call a host.
    #[must_use]
    pub fn owner(&self) -> u32 {
        fs::metadata(&self.root).map_or(0, |metadata| metadata.uid())
    }

    /// Where the configuration is.
    #[must_use]
    pub fn configuration(&self) -> Paths {
        Paths::under(&self.root)
    }

    /// Whether the login socket is there and is one.
    #[must_use]
    pub fn has_login_socket(&self) -> bool {
        self.status(LOGIN_SOCKET).is_ok_and(|metadata| metadata.file_type().is_socket())
    }

    /// Whether the relay's socket is there and is one.
    #[must_use]
    pub fn has_relay_socket(&self) -> bool {
        self.status(RELAY_SOCKET).is_ok_and(|metadata| metadata.file_type().is_socket())
    }

    /// What is at an absolute path.
    ///
    /// # Errors
    ///
    /// Those of stat(2).
    pub fn status(&self, path: &str) -> io::Result<Metadata> {
        fs::metadata(self.root.join(path.trim_start_matches('/')))
    }
}

/// Reads a regular file.
fn read(path: &Path) -> io::Result<String> {
    // What is no regular file is found out without waiting for a writer of a FIFO.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file: File = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::other(format!("longer than {LONGEST} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A host with these files.
    pub(in super::super) fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let host = Host::at(root.path());
        (root, host)
    }

    #[test]
    fn services_of_both_directories() {
        let (_root, host) = host(&[
            ("etc/pam.d/sshd", "administrator's"),
            ("usr/lib/pam.d/sshd", "vendor's"),
            ("usr/lib/pam.d/polkit-1", ""),
            ("etc/pam.d/su.dpkg-old", ""),
            ("etc/pam.d/su~", ""),
        ]);
        assert_eq!(host.services().unwrap(), ["polkit-1", "sshd"]);
        assert_eq!(host.pam_file("sshd").unwrap(), "administrator's");
        assert_eq!(host.pam_file("login").unwrap_err(), "login does not exist");
    }

    #[test]
    fn what_is_no_file_or_too_long_is_refused_without_waiting() {
        let long = "#".repeat(300 * 1024);
        let (root, host) = host(&[("etc/pam.d/long", &long)]);
        let fifo = root.path().join("etc/pam.d/fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(host.pam_file("fifo").unwrap_err().contains("not a regular file"));
        assert!(host.pam_file("long").unwrap_err().contains("longer than"));
    }

    #[test]
    fn modules_of_any_architecture() {
        let (_root, host) = host(&[
            ("usr/lib/aarch64-linux-gnu/security/pam_lockdown.so", ""),
            ("usr/lib64/security/pam_fedora.so", ""),
            ("opt/pam_mine.so", ""),
        ]);
        assert!(host.has_module("pam_lockdown.so"));
        assert!(host.has_module("pam_fedora.so"));
        assert!(host.has_module("/opt/pam_mine.so"));
        assert!(!host.has_module("pam_missing.so"));
        assert!(!host.has_module("/opt/pam_missing.so"));
    }

    #[test]
    fn the_socket_is_one() {
        let (root, host) = host(&[("run/lockdown/x", "")]);
        let path = root.path().join("run/lockdown/login.sock");
        fs::write(&path, "").unwrap();
        assert!(!host.has_login_socket());
        fs::remove_file(&path).unwrap();
        let _listener = UnixListener::bind(&path).unwrap();
        assert!(host.has_login_socket());
    }
}

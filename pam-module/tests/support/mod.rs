//! A private directory with stacks, deny records and a login socket, and the module itself, freshly built.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "in a test")]

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use lockdown_enforcement::{DenyDirectory, LockEntry, Record};

use crate::libpam::{Transaction, c_path};

/// An account that is on every Debian, with its uid; not root.
pub const ACCOUNT: &str = "daemon";
/// Its uid.
pub const UID: u32 = 1;

/// The directory that cargo builds this profile into.
pub fn build_directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let this = std::env::current_exe().unwrap();
        let directory = this.parent().and_then(Path::parent).unwrap().to_owned();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "pam-lockdown", "--lib", "--example", "panicking"]);
        build.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        build.arg("--target-dir").arg(directory.parent().unwrap());
        if directory.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the module does not build");
        directory
    })
}

/// The freshly built module.
pub fn module() -> PathBuf {
    build_directory().join("libpam_lockdown.so")
}

/// The private directory.
pub struct Scratch {
    directory: tempfile::TempDir,
    /// Its deny records.
    pub records: DenyDirectory,
}

impl Scratch {
    /// Without any stack or record.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // For the tests that give up being root.
        fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o711)).unwrap();
        let records = DenyDirectory::new(directory.path().join("deny"));
        records.create().unwrap();
        assert_eq!(
            fs::metadata(records.path()).map(|status| std::os::unix::fs::MetadataExt::uid(&status)).unwrap(),
            0,
            "these tests run PAM transactions on records of root's, and have to be run by root"
        );
        fs::copy(module(), directory.path().join("pam_lockdown.so")).unwrap();
        fs::write(directory.path().join("other"), "").unwrap();
        Self { directory, records }
    }

    /// Where the login socket is.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("login.sock")
    }

    /// Writes the stack of a service: the module in every phase, pam_permit before it.
    pub fn stack(&self, service: &str, arguments: &str) {
        let path = |name| self.directory.path().join(name).display().to_string();
        let (module, socket) = (path("pam_lockdown.so"), path("login.sock"));
        let records = self.records.path().display();
        let lines = ["auth", "account", "session"].map(|phase| {
            format!("{phase} required pam_permit.so\n{phase} required {module} directory={records} socket={socket} {arguments}\n")
        });
        fs::write(self.directory.path().join(service), lines.concat()).unwrap();
    }

    /// Begins a transaction of a service whose stack has been written.
    pub fn start(&self, service: &str, user: &str) -> Transaction {
        let c = |text: &str| CString::new(text).unwrap();
        Transaction::start(&c(service), &c(user), &c_path(self.directory.path()))
    }

    /// Writes a stack called `test` and begins a transaction of it.
    pub fn start_with(&self, arguments: &str, user: &str) -> Transaction {
        self.stack("test", arguments);
        self.start("test", user)
    }

    /// Puts a record in force.
    pub fn enforce(&self, record: &Record) {
        self.records.prepare(record).unwrap().publish().unwrap();
    }
}

/// A record of one lock with a message.
pub fn locked(uid: u32, expires_at: Option<i64>) -> Record {
    let message = Some("Call the help desk.".into());
    let lock = LockEntry { id: 7, owner: "operator".into(), authenticator: None, expires_at, message };
    Record { uid, account: ACCOUNT.into(), valid_until: None, locks: vec![lock] }
}

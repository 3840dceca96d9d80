//! A private directory with stacks, deny records and a login socket, and the module itself, freshly built.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "in a test")]

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use lockdown_enforcement::{AttackProtection, DenyDirectory, LockEntry, Record, TallyDirectory};

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
    /// Its tallies.
    pub tallies: TallyDirectory,
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
        let tallies = TallyDirectory::new(directory.path().join("tally"));
        fs::create_dir(tallies.path()).unwrap();
        fs::copy(module(), directory.path().join("pam_lockdown.so")).unwrap();
        fs::write(directory.path().join("other"), "").unwrap();
        Self { directory, records, tallies }
    }

    /// Where the login socket is.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("login.sock")
    }

    /// Writes the stack of a service: the module in every phase, pam_permit before it.
    pub fn stack(&self, service: &str, arguments: &str) {
        let lines = ["auth", "account", "session"]
            .map(|phase| format!("{phase} required pam_permit.so\n{phase} required LOCKDOWN {arguments}\n"));
        self.stack_of(service, &lines.concat());
    }

    /// Writes the stack of a service, in which `LOCKDOWN` stands for the module with the paths of this directory, and
    /// `JUDGE` for a module that takes 20 ms to find the password right if [`Self::judge_right`] says so.
    pub fn stack_of(&self, service: &str, lines: &str) {
        let path = |name: &str| self.directory.path().join(name).display().to_string();
        let module = format!(
            "{} directory={} tally={} attack_protection={} socket={}",
            path("pam_lockdown.so"),
            self.records.path().display(),
            self.tallies.path().display(),
            path("attack-protection"),
            path("login.sock")
        );
        let judge = format!("pam_exec.so quiet expose_authtok {}", path("judge"));
        fs::write(path(service), lines.replace("LOCKDOWN", &module).replace("JUDGE", &judge)).unwrap();
        let script = "#!/bin/sh\nPATH=/usr/bin:/bin\ncat >\"$0.password\"\necho judged >>\"$0.log\"\nsleep 0.02\nexec test -e \"$0.right\"\n";
        if !Path::new(&path("judge")).exists() {
            fs::write(path("judge"), script).unwrap();
            fs::set_permissions(path("judge"), PermissionsExt::from_mode(0o755)).unwrap();
        }
    }

    /// From now on the judge finds passwords right, or wrong as in the beginning.
    pub fn judge_right(&self, is_right: bool) {
        let path = self.directory.path().join("judge.right");
        if is_right { fs::write(path, "").unwrap() } else { fs::remove_file(path).unwrap() }
    }

    /// How often the judge was asked.
    pub fn judged(&self) -> usize {
        fs::read_to_string(self.directory.path().join("judge.log")).map_or(0, |log| log.lines().count())
    }

    /// The password that the judge was given last, as pam_exec(8) passes it on.
    pub fn judged_password(&self) -> String {
        let given = fs::read(self.directory.path().join("judge.password")).unwrap();
        String::from_utf8_lossy(&given).trim_end_matches('\0').to_owned()
    }

    /// Puts the settings of attack protection in force.
    pub fn protect(&self, settings: &AttackProtection) {
        AttackProtection::write(Some(settings), &self.directory.path().join("attack-protection")).unwrap();
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

/// What pam-auth-update makes of the package's profiles in auth, with this line for a module of one line that it counts on.
pub fn profiles(judge: &str) -> String {
    let line = |profile: &'static str| profile.lines().skip_while(|line| *line != "Auth:").skip(1);
    let lines = [
        include_str!("../../../packaging/pam-configs/lockdown-fingerprint"),
        include_str!("../../../packaging/pam-configs/lockdown-preauth"),
        "Auth:\nJUDGE",
        include_str!("../../../packaging/pam-configs/lockdown-authfail"),
        "Auth:\nrequisite pam_deny.so\nrequired pam_permit.so",
        include_str!("../../../packaging/pam-configs/lockdown-authsucc"),
    ];
    let lines = lines.into_iter().flat_map(line).map(|line| format!("auth {}\n", line.trim()));
    let stack: String = lines.collect();
    stack
        .replace("JUDGE", &format!("[success=2 default=ignore] {judge}"))
        .replace("pam_lockdown.so", "LOCKDOWN")
}

/// A record of one lock with a message.
pub fn locked(uid: u32, expires_at: Option<i64>) -> Record {
    let message = Some("Call the help desk.".into());
    let lock = LockEntry { id: 7, owner: "operator".into(), authenticator: None, expires_at, message };
    Record { uid, account: ACCOUNT.into(), valid_until: None, locks: vec![lock] }
}

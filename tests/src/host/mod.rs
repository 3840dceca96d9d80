//! Hosts to act on: [`Host`].

pub mod accounts;
pub mod attempts;
pub mod boot;
pub mod cache;
pub mod command;
pub mod console;
pub mod image;
pub mod layer;
pub mod lockdown;
pub mod polkit;
pub mod processes;
pub mod release;
pub(crate) mod requirements;
pub mod run_dir;
pub mod running;
pub mod session;
pub mod sign_in;
pub mod ssh;
mod terminal;

use std::path::PathBuf;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use boot::Boot;
use command::{HostCommand, Output};
use image::RootFs;
use release::Release;
use run_dir::RunDir;
use session::Session;

/// A powering off that takes longer than this is a failure.
const POWER_OFF_LIMIT: Duration = Duration::from_secs(60);

/// A booted host. Everything on it is killed and its changes are deleted when it is dropped.
///
/// Commands run as processes of the host. Several threads may use one host at once.
#[derive(Debug)]
pub struct Host {
    root: RootFs,
    /// None while the host is off.
    boot: Mutex<Option<Boot>>,
    dir: RunDir,
}

impl Host {
    /// Boots `root` with an empty directory over it. Returns when systemd has finished starting;
    /// units may have failed: `systemctl is-system-running` then says `degraded`.
    pub fn boot(root: &RootFs) -> Self {
        requirements::check();
        let dir = RunDir::create();
        let boot = Boot::start(root, &dir);
        Self { root: root.clone(), boot: Mutex::new(Some(boot)), dir }
    }

    /// Boots a host without the lockdown package.
    pub fn bare(release: Release) -> Self {
        requirements::check();
        Self::boot(&RootFs::image(release))
    }

    /// Boots a host without the lockdown package, with [what configures fleets](Release::tools).
    pub fn with_tools(release: Release) -> Self {
        requirements::check();
        Self::boot(&RootFs::image_with_tools(release))
    }

    /// Boots a host on which [the package under test](layer::packages_under_test) was installed
    /// during an earlier boot.
    pub fn with_lockdown(release: Release) -> Self {
        requirements::check();
        Self::boot(&RootFs::image(release).with_packages(&layer::packages_under_test()))
    }

    /// The release it runs.
    pub fn release(&self) -> Release {
        self.root.release
    }

    /// The host's PID 1, as this machine numbers it.
    pub fn pid1(&self) -> u32 {
        self.running(|boot, _| boot.init)
    }

    /// A command to be run as root, or as [another](HostCommand::as_user): see there.
    pub fn command(&self, argv: &[&str]) -> HostCommand<'_> {
        HostCommand::new(self, argv)
    }

    /// Runs a command as root, for at most 30 s.
    #[must_use = "check how it ended: ok(), fails() or code(n)"]
    #[track_caller]
    pub fn run(&self, argv: &[&str]) -> Output {
        self.command(argv).run()
    }

    /// Runs a bash script as root, for at most 30 s; it ends at the first command that fails.
    #[must_use = "check how it ended: ok(), fails() or code(n)"]
    #[track_caller]
    pub fn sh(&self, script: &str) -> Output {
        self.command(&["bash", "-euc", script]).run()
    }

    /// Runs a command as `user`, for at most 30 s: see [`HostCommand::as_user`].
    #[must_use = "check how it ended: ok(), fails() or code(n)"]
    #[track_caller]
    pub fn run_as(&self, user: &str, argv: &[&str]) -> Output {
        self.command(argv).as_user(user).run()
    }

    /// Starts a command of root's on a terminal.
    #[track_caller]
    pub fn terminal(&self, argv: &[&str]) -> Session {
        self.command(argv).on_terminal()
    }

    /// Runs a command of root's on the terminal that this program has, for a person to use; returns when it ends.
    pub fn interact(&self, argv: &[&str]) {
        terminal::proxy(self.enter(true).args(argv).env("TERM", "xterm"));
    }

    /// Writes a file, as root with mode 0644 if it is new. Its directory has to exist.
    #[track_caller]
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        self.command(&["sh", "-c", r#"cat > "$1""#, "sh", path]).stdin(content).run().ok();
    }

    /// Reads a text file.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        self.run(&["cat", "--", path]).ok().stdout
    }

    /// Reads a file of any kind.
    #[track_caller]
    pub fn read_bytes(&self, path: &str) -> Vec<u8> {
        self.run(&["cat", "--", path]).ok().bytes
    }

    /// The journal of this boot, or of `unit` alone.
    #[track_caller]
    pub fn journal(&self, unit: Option<&str>) -> String {
        let mut options = vec!["--output=short-precise"];
        options.extend(unit.map(|unit| ["--unit", unit]).iter().flatten());
        self.journalctl(&options).ok().stdout
    }

    /// journalctl(1) of this boot, with these options. It has everything that was said before: a busy journald is waited for.
    #[must_use = "check how it ended: ok(), fails() or code(n)"]
    #[track_caller]
    pub fn journalctl(&self, options: &[&str]) -> Output {
        self.run(&["journalctl", "--sync"]).ok();
        self.run(&[&["journalctl", "--boot", "--no-pager"], options].concat())
    }

    /// Shuts down in good order; sessions and services are ended by systemd. Files stay.
    #[track_caller]
    pub fn power_off(&self) {
        let mut boot = self.lock_boot();
        let Some(mut running) = boot.take() else { return };
        let asked = running.enter(&self.dir, false).args(["systemctl", "poweroff", "--no-block"]).output();
        let off = running.wait_off(POWER_OFF_LIMIT);
        running.end(&self.dir);
        assert!(off, "the host did not power off within {POWER_OFF_LIMIT:?}: {asked:?}");
    }

    /// Powers off and boots again with the same files.
    #[track_caller]
    pub fn reboot(&self) {
        self.power_off();
        self.power_on();
    }

    /// SIGKILLs everything on the host at once, and boots again with the same files. What was
    /// written but not fsynced is still there, unlike after a real power cut.
    #[track_caller]
    pub fn power_cut(&self) {
        if let Some(mut running) = self.lock_boot().take() {
            running.end(&self.dir);
        }
        self.power_on();
    }

    /// Boots a host that is off.
    #[track_caller]
    pub fn power_on(&self) {
        let mut boot = self.lock_boot();
        assert!(boot.is_none(), "the host is already on");
        *boot = Some(Boot::start(&self.root, &self.dir));
    }

    /// The directory of everything that differs from the root file system.
    fn upper(&self) -> PathBuf {
        self.dir.path().join("upper")
    }

    /// A command to append the host's own to.
    #[track_caller]
    fn enter(&self, terminal: bool) -> process::Command {
        self.running(|boot, dir| boot.enter(dir, terminal))
    }

    #[track_caller]
    fn running<T>(&self, act: impl FnOnce(&Boot, &RunDir) -> T) -> T {
        match &*self.lock_boot() {
            Some(boot) => act(boot, &self.dir),
            None => panic!("the host is powered off"),
        }
    }

    fn lock_boot(&self) -> MutexGuard<'_, Option<Boot>> {
        // A panic of another thread leaves it usable, and `drop` has to have it.
        self.boot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let on = self.lock_boot().is_some();
        if on && std::thread::panicking() {
            match self.command(&["journalctl", "--boot", "--no-pager", "--lines=60"]).attempt() {
                Ok(journal) => eprintln!("end of the journal of {}:\n{}", self.root.name(), journal.stdout),
                Err(problem) => eprintln!("no journal: {problem}"),
            }
        }
        if let Some(mut running) = self.lock_boot().take() {
            running.end(&self.dir);
        }
    }
}

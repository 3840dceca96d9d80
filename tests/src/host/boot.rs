//! A running host: the processes of one boot.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::image::RootFs;
use super::processes;
use super::run_dir::RunDir;
use crate::wait;

const BOOT: &str = include_str!("boot.sh");
const ENTER: &str = include_str!("enter.sh");
/// Processes and threads that a host may have at once: a runaway test must not take the machine's.
const PIDS_LIMIT: &str = "2000";
/// A boot takes less than a second; a machine busy with other things may need more.
const BOOT_LIMIT: Duration = Duration::from_secs(90);

/// One boot of a host; ends with this value.
#[derive(Debug)]
pub struct Boot {
    nspawn: Child,
    /// The host's PID 1, as this machine numbers it.
    pub init: u32,
}

impl Boot {
    /// Boots from `root` with what an earlier boot left in `dir`; returns when systemd has
    /// finished starting.
    pub fn start(root: &RootFs, dir: &RunDir) -> Self {
        let console = console_path(dir);
        let log =
            File::create(&console).unwrap_or_else(|e| panic!("cannot create {}: {e}", console.display()));
        let nspawn = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "bash", "-c", BOOT, "boot.sh", dir.name()])
            .arg(dir.path())
            .arg(root.lowerdir())
            .arg(dir.pids_cgroup().unwrap_or_default())
            .arg(PIDS_LIMIT)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("dup"))
            .stderr(log)
            .spawn()
            .expect("run unshare (util-linux)");
        let mut boot = Self { nspawn, init: 0 };
        if let Err(problem) = boot.wait_until_up(dir) {
            let console = fs::read_to_string(&console).unwrap_or_default();
            let journal =
                boot.text_of(dir, &["timeout", "20", "journalctl", "--boot", "--no-pager", "--lines=60"]);
            let jobs = boot.text_of(dir, &["timeout", "20", "systemctl", "list-jobs", "--no-pager"]);
            boot.end(dir);
            panic!(
                "{} did not boot: {problem}\nconsole:\n{console}\njobs:\n{jobs}\njournal:\n{journal}",
                root.name()
            );
        }
        boot
    }

    fn wait_until_up(&mut self, dir: &RunDir) -> Result<(), String> {
        let mut state = "no answer yet".to_owned();
        let up = wait::poll(BOOT_LIMIT, || {
            if let Ok(Some(status)) = self.nspawn.try_wait() {
                return Some(Err(format!("systemd-nspawn ended, {status}")));
            }
            if self.init == 0 {
                let children = processes::children_of(self.nspawn.id());
                self.init = children.into_iter().find(|&pid| processes::is_init_of_namespace(pid))?;
            }
            state = self.text_of(dir, &["timeout", "60", "systemctl", "is-system-running", "--wait"]);
            matches!(state.trim(), "running" | "degraded").then_some(Ok(()))
        });
        up.unwrap_or_else(|| Err(format!("after {BOOT_LIMIT:?} its state is {:?}", state.trim())))
    }

    /// Standard output of a command that runs before there is a host to run it on.
    fn text_of(&self, dir: &RunDir, command: &[&str]) -> String {
        if self.init == 0 {
            return String::new();
        }
        let output = self.enter(dir, false).args(command).stdin(Stdio::null()).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    }

    /// A command to which the host's own command is to be appended. With `terminal`, its standard
    /// input becomes the controlling terminal.
    pub fn enter(&self, dir: &RunDir, terminal: bool) -> Command {
        // The host's mount namespaces are not ours: its cgroup tree is reached through nspawn's.
        let payload = format!("/proc/{}/root/sys/fs/cgroup/{}/payload", self.nspawn.id(), dir.name());
        // A leaf: the kernel allows no processes beside sub-groups that have controllers.
        let cgroup = format!("{payload}/harness");
        // It cannot be created before nspawn has made the payload's; the first boot's poll comes again.
        let _ = fs::create_dir(&cgroup);
        let mut command = Command::new("bash");
        command
            .args(["-c", ENTER, "enter.sh", &self.init.to_string(), &cgroup])
            .arg(dir.pids_cgroup().unwrap_or_default())
            .arg(if terminal { "--ctty" } else { "" })
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("USER", "root")
            .env("LOGNAME", "root")
            .env("SHELL", "/bin/bash")
            .env("LANG", "C.UTF-8")
            .current_dir("/");
        command
    }

    /// Waits for the host to have powered itself off; whether it did `within` that time.
    pub fn wait_off(&mut self, within: Duration) -> bool {
        wait::poll(within, || self.nspawn.try_wait().expect("wait for systemd-nspawn")).is_some()
    }

    /// Kills whatever still runs, at once.
    pub fn end(&mut self, dir: &RunDir) {
        dir.end_host();
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}

fn console_path(dir: &RunDir) -> PathBuf {
    dir.path().join("console.log")
}

//! Asking for a password on the terminal when polkit wants one: pkttyagent(1), as systemctl(1) does it.

use std::{
    io::{IsTerminal, Read},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, geteuid, kill_process};

const PROGRAM: &str = "/usr/bin/pkttyagent";
/// What the agent needs of the environment: where the bus is, and how to speak.
const KEPT: [&str; 4] = ["DBUS_SYSTEM_BUS_ADDRESS", "LANG", "LC_ALL", "TERM"];
/// How long the agent may take to register with polkit before the call is made without waiting any longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether somebody is there to answer: standard input is a terminal. Root is not asked.
#[must_use]
pub fn may_ask() -> bool {
    !geteuid().is_root() && std::io::stdin().is_terminal()
}

/// A running agent for this process; ended when dropped.
pub struct Agent(Child);

impl Agent {
    /// Starts the agent and waits until it has registered. `None` where there is none: then polkit says no, and that is
    /// the error to report.
    #[must_use]
    pub fn start() -> Option<Self> {
        let mut child = Command::new(PROGRAM)
            // `--fallback`: a desktop's own agent goes first. Standard output is the descriptor that the agent closes when
            // it is ready; it talks to the user on /dev/tty.
            .args(["--notify-fd", "1", "--fallback", "--process", &std::process::id().to_string()])
            .env_clear()
            .envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // What it says there is that it found no polkit, and the daemon's answer says that better.
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut ready = child.stdout.take();
        let agent = Self(child);
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            // Its end is all that matters.
            let _ = ready.as_mut().map(|ready| ready.read(&mut [0]));
            let _ = sender.send(());
        });
        let _ = receiver.recv_timeout(PATIENCE);
        Some(agent)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Not SIGKILL: the agent puts the terminal's echo back on.
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

//! Pseudo-terminals of a host.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Command;

use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

use super::session::Session;

/// Starts `command` on a new terminal of the host whose PID 1 is `init`.
#[track_caller]
pub fn start(mut command: Command, init: u32, title: String) -> Session {
    let (master, terminal) = open(init).unwrap_or_else(|e| panic!("cannot open a terminal of the host: {e}"));
    let error = terminal.try_clone().expect("dup");
    let output = terminal.try_clone().expect("dup");
    let child = command.stdin(terminal).stdout(output).stderr(error).spawn().expect("run bash");
    // The command keeps copies of the terminal, and would be the last to hold it open.
    drop(command);
    Session::new(child, master, title)
}

/// Both ends. They are of the host's own devpts, so that the terminal has a name there.
fn open(init: u32) -> std::io::Result<(File, OwnedFd)> {
    let master = File::options().read(true).write(true).open(format!("/proc/{init}/root/dev/pts/ptmx"))?;
    unlockpt(&master)?;
    let terminal = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    Ok((master, terminal))
}

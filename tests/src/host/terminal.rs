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

/// Runs `command` on a new terminal behind the one that this program has, for a person to use: script(1) passes on what
/// is typed and shown, so that Ctrl-C ends what runs on the host and not this program.
pub fn proxy(command: &Command) {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<String> = words.map(|word| quoted(&word.to_string_lossy())).collect();
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]).env_clear();
    script.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    script.status().expect("run script");
}

/// As one word of a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}

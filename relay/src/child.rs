//! A program that delivers: with an argument vector and an environment of its own, within its time.

use std::{
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use lockdown_delivery::visible;
use rustix::process::{Pid, Signal, kill_process_group};

/// Of what it writes to standard error, the end is kept.
const MAX_STDERR: usize = 4096;
/// How often it is looked for.
const TICK: Duration = Duration::from_millis(10);
/// For the last words of one that has ended, if what it started still holds its standard error.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Characters of the last line that are repeated.
const SAID: usize = 200;

/// The directories of this host's programs, for an environment that is otherwise empty.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How a program has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: it took too long and was killed, with all of its process group.
    pub(crate) status: Option<ExitStatus>,
    /// The last line that it wrote to standard error, made visible; may be empty.
    pub(crate) last_line: String,
}

/// Runs a program in a process group of its own, with `input` on standard input and standard output thrown away.
///
/// # Errors
/// Those of starting it.
pub(crate) fn run(command: &mut Command, input: &[u8], limit: Duration) -> io::Result<Ended> {
    let deadline = Instant::now() + limit;
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let end = Arc::new(Mutex::new(Vec::new()));
    let reading = stderr.map(|stderr| {
        let end = Arc::clone(&end);
        thread::Builder::new().spawn(move || keep_end(stderr, &end))
    });
    let input = input.to_vec();
    // It need not read all of it.
    let writing = stdin.map(|mut stdin| thread::Builder::new().spawn(move || drop(stdin.write_all(&input))));
    let threads = writing.transpose().and_then(|_| reading.transpose());
    let status = match &threads {
        Ok(_) => wait(&mut child, deadline),
        Err(_) => Ok(None),
    };
    if !matches!(status, Ok(Some(_))) {
        end_group(&mut child);
    }
    let reading = threads?;
    let patience = Instant::now() + LAST_WORDS;
    while reading.as_ref().is_some_and(|reading| !reading.is_finished()) && Instant::now() < patience {
        thread::sleep(TICK);
    }
    let end = end.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Ended { status: status?, last_line: last_line(&end) })
}

fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(TICK);
    }
}

fn end_group(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let _ = child.wait();
}

fn keep_end(mut stderr: impl Read, end: &Mutex<Vec<u8>>) {
    let mut chunk = [0; MAX_STDERR];
    while let Ok(length @ 1..) = stderr.read(&mut chunk) {
        let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
        end.extend(&chunk[..length]);
        let excess = end.len().saturating_sub(MAX_STDERR);
        end.drain(..excess);
    }
}

fn last_line(stderr: &[u8]) -> String {
    let mut lines = stderr.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let line = lines.rfind(|line| !line.is_empty()).unwrap_or_default();
    visible(&String::from_utf8_lossy(line), SAID)
}

impl Ended {
    /// What went wrong, in one line, if it did not end with 0.
    pub(crate) fn problem(&self, limit: Duration) -> Option<String> {
        match (&self.status, self.last_line.as_str()) {
            (Some(status), _) if status.success() => None,
            (None, _) => Some(format!("it took longer than {} s and was ended", limit.as_secs())),
            (Some(status), "") => Some(status.to_string()),
            (Some(status), line) => Some(format!("{status}: {line}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn shell(script: &str, input: &[u8], limit: Duration) -> Ended {
        run(Command::new("/bin/sh").args(["-c", script]), input, limit).unwrap()
    }

    #[test]
    fn what_it_does_not_read_and_writes_too_much_holds_nothing_up() {
        let script = "head -c 300000 /dev/zero >&2; printf '\\nlast\\033[2J line \\n\\n' >&2; exit 3";
        let ended = shell(script, &vec![b'x'; 300_000], LONG);
        assert_eq!(ended.last_line, r"last\u{1b}[2J line");
        assert_eq!(ended.problem(LONG).as_deref(), Some(r"exit status: 3: last\u{1b}[2J line"));
    }

    #[test]
    fn what_takes_too_long_is_ended_with_what_it_has_started() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("late");
        let started = Instant::now();
        let limit = Duration::from_millis(300);
        let script = format!("(sleep 2; touch {}) & sleep 20", file.display());
        let ended = shell(&script, b"", limit);
        assert!(ended.status.is_none() && started.elapsed() < Duration::from_secs(10));
        assert_eq!(ended.problem(limit).as_deref(), Some("it took longer than 0 s and was ended"));
        thread::sleep(Duration::from_secs(2));
        assert!(!file.exists());
    }

    #[test]
    fn what_stays_behind_holds_nothing_up() {
        let started = Instant::now();
        let ended = shell("sleep 5 & echo there >&2", b"", LONG);
        assert_eq!((ended.problem(LONG), ended.last_line.as_str()), (None, "there"));
        assert!(started.elapsed() < Duration::from_secs(4));
    }
}

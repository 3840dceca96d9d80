//! Commands run on a host, and what came of them.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::session::Session;
use super::{Host, processes, terminal};
use crate::wait;

/// How long a command may take unless told otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait for output of processes that a finished command left behind.
const LEFTOVER_OUTPUT: Duration = Duration::from_millis(300);

/// A command to be run on a host, as root with a clean environment in `/` unless told otherwise.
#[must_use = "it does nothing before run() or on_terminal()"]
#[derive(Debug)]
pub struct HostCommand<'h> {
    host: &'h Host,
    argv: Vec<String>,
    user: Option<String>,
    env: Vec<String>,
    stdin: Vec<u8>,
    timeout: Duration,
}

impl<'h> HostCommand<'h> {
    pub(super) fn new(host: &'h Host, argv: &[&str]) -> Self {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        Self { host, argv, user: None, env: Vec::new(), stdin: Vec::new(), timeout: DEFAULT_TIMEOUT }
    }

    /// Runs it with the ids, groups, home directory and environment of `user`, through setpriv: no
    /// PAM, no session, so it also works for a locked account. A real login goes by
    /// [`Host::ssh`] or [`Host::console_login`].
    pub fn as_user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}"));
        self
    }

    /// What it reads from standard input, instead of nothing. Ignored by [`on_terminal`](Self::on_terminal).
    pub fn stdin(mut self, content: impl AsRef<[u8]>) -> Self {
        self.stdin = content.as_ref().to_vec();
        self
    }

    /// How long it may take, instead of [`DEFAULT_TIMEOUT`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it to its end; panics with what it wrote if it takes too long.
    #[must_use = "check how it ended: ok(), fails() or code(n)"]
    #[track_caller]
    pub fn run(self) -> Output {
        self.attempt().unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// As [`run`](Self::run), but gives taking too long back as an error.
    #[track_caller]
    pub fn attempt(self) -> Result<Output, String> {
        let command = self.argv.join(" ");
        let start = Instant::now();
        let mut child = self
            .host
            .enter(false)
            .args(self.full_argv())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{command}: {e}"))?;
        let mut stdin = child.stdin.take().expect("it is piped");
        let input = self.stdin;
        // A command that does not read all of it is no failure. Not joined: what the command left
        // behind may hold the pipe open.
        thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
        let stdout = Collected::of(child.stdout.take().expect("it is piped"));
        let stderr = Collected::of(child.stderr.take().expect("it is piped"));

        let status = wait::poll(self.timeout, || child.try_wait().expect("wait for a child"));
        let took = start.elapsed();
        if status.is_none() {
            processes::kill_tree(child.id());
            let _ = child.wait();
        }
        let (bytes, stderr) = (stdout.bytes(), lossy(&stderr.bytes()));
        let stdout = lossy(&bytes);
        match status {
            Some(status) => Ok(Output { command, status: code_of(status), stdout, stderr, bytes, took }),
            None => Err(format!("{command}: killed after {:?}\n{stdout}{stderr}", self.timeout)),
        }
    }

    /// Starts it on a new terminal of the host, for a dialogue. No time limit.
    #[track_caller]
    pub fn on_terminal(mut self) -> Session {
        // So that shells and others print plain text.
        self.env.insert(0, "TERM=dumb".to_owned());
        let title = self.argv.join(" ");
        let mut command = self.host.enter(true);
        command.args(self.full_argv());
        terminal::start(command, self.host.pid1(), title)
    }

    fn full_argv(&self) -> Vec<String> {
        let mut full: Vec<String> = Vec::new();
        if let Some(user) = &self.user {
            full.extend(
                ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--reset-env"].map(Into::into),
            );
            full.extend(["sh", "-c", r#"cd && exec "$@""#, "sh"].map(Into::into));
        }
        if !self.env.is_empty() {
            full.push("env".to_owned());
            full.extend(self.env.iter().cloned());
        }
        full.extend(self.argv.iter().cloned());
        full
    }
}

/// What came of a command.
#[derive(Clone, Debug)]
pub struct Output {
    /// The command, for messages.
    pub command: String,
    /// Its exit code; 128 + N if signal N killed it, 127 if there is no such program.
    pub status: i32,
    /// Standard output; what is not UTF-8 is replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// Standard output as it was written.
    pub bytes: Vec<u8>,
    /// From start to end, entering the host included (about 10 ms).
    pub took: Duration,
}

impl Output {
    /// Panics with all it wrote unless it succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.code(0)
    }

    /// Panics with all it wrote if it succeeded.
    #[track_caller]
    pub fn fails(self) -> Self {
        assert!(self.status != 0, "should have failed: {self}");
        self
    }

    /// Panics with all it wrote unless it ended with this exit code.
    #[track_caller]
    pub fn code(self, expected: i32) -> Self {
        assert!(self.status == expected, "should have ended with {expected}: {self}");
        self
    }

    /// Panics with all it wrote unless `text` is somewhere in it.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "should say {text:?}: {self}");
        self
    }

    /// Panics with all it wrote if `text` is somewhere in it.
    #[track_caller]
    pub fn says_not(self, text: &str) -> Self {
        assert!(
            !self.stdout.contains(text) && !self.stderr.contains(text),
            "should not say {text:?}: {self}"
        );
        self
    }

    /// Standard output without surrounding white space.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// Whether it ended with exit code 0.
    pub fn succeeded(&self) -> bool {
        self.status == 0
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, status, stdout, stderr, took, .. } = self;
        write!(f, "{command}\nended with {status} after {took:?}\nstdout:\n{stdout}\nstderr:\n{stderr}")
    }
}

pub(super) fn code_of(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// Reads a pipe beside the command that writes to it.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Collected {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut chunk = [0; 8192];
            while let Ok(length @ 1..) = pipe.read(&mut chunk) {
                sink.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..length]);
            }
        });
        Self { bytes, reader }
    }

    fn bytes(&self) -> Vec<u8> {
        // What the command left running may hold the pipe open for as long as it likes.
        let _ = wait::poll(LEFTOVER_OUTPUT, || self.reader.is_finished().then_some(()));
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

//! A dialogue with a program on a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::command::{Output, code_of};
use super::processes;
use crate::wait;

/// How long a program may take to say what is waited for, unless told otherwise.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
const CALL_AGAIN: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(5);

/// A program on a terminal: a shell over ssh, a login, su asking for a password. Dropping it kills
/// the program, as closing a terminal window does.
#[derive(Debug)]
pub struct Session {
    title: String,
    child: Mutex<Child>,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    /// Up to where the screen has been matched.
    seen: Mutex<usize>,
    reader: JoinHandle<()>,
    asked: AtomicU32,
    shell_answers: AtomicBool,
}

/// How a session ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Exit code of its program; 128 + N if signal N killed it.
    pub status: i32,
    /// Everything that stood on the screen.
    pub text: String,
}

impl Session {
    pub(super) fn new(child: Child, master: File, title: String) -> Self {
        let screen = Arc::new(Mutex::new(Vec::new()));
        let keyboard = master.try_clone().expect("dup");
        let pid = child.id();
        let reader = thread::spawn({
            let screen = Arc::clone(&screen);
            move || read_screen(master, &screen, pid)
        });
        Self {
            title,
            child: Mutex::new(child),
            keyboard,
            screen,
            seen: Mutex::new(0),
            reader,
            asked: AtomicU32::new(0),
            shell_answers: AtomicBool::new(false),
        }
    }

    /// Types a line and Enter. Typing into a session that has ended does nothing.
    pub fn send(&self, line: &str) {
        let _ = (&self.keyboard).write_all(format!("{line}\n").as_bytes());
    }

    /// Everything that has stood on the screen so far.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&lock(&self.screen)).into_owned()
    }

    /// Waits until `text` appears after what was last waited for, at most 30 s. Panics with the
    /// screen if the session ends or the time passes.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        if self.wait_for_any(&[text], ANSWER_LIMIT).is_none() {
            panic!("{text:?} did not appear\n{}", self.description());
        }
    }

    /// Which of the texts appears first after what was last waited for; none if the session ends
    /// or the time passes before.
    pub fn wait_for_any(&self, texts: &[&str], within: Duration) -> Option<usize> {
        let found = wait::poll(within, || {
            let ended = !self.is_alive();
            if ended {
                self.wait_for_reader();
            }
            let screen = lock(&self.screen);
            let mut seen = lock(&self.seen);
            let new = screen.get(*seen..).unwrap_or_default();
            let hits = texts.iter().enumerate().filter_map(|(which, text)| Some((find(new, text)?, which)));
            match hits.min() {
                Some((end, which)) => {
                    *seen += end;
                    Some(Some(which))
                }
                None if ended => Some(None),
                None => None,
            }
        });
        found.flatten()
    }

    /// Runs a command line in the shell of this session and gives what it printed, standard error
    /// included, and its exit code. Panics with the screen if no shell answers within 30 s.
    ///
    /// The first question waits for the shell to come up. When another shell is started inside it,
    /// wait for its prompt before asking.
    #[track_caller]
    pub fn ask(&self, command: &str) -> Output {
        if !self.shell_answers.load(Ordering::Relaxed) {
            self.wait_for_shell();
        }
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let start = std::time::Instant::now();
        // Quoted in two halves, so that the echo of what is typed is not taken for the answer.
        self.send(&format!("echo 'answer-''{number}'; {command}; echo 'end-''{number}':$?:"));
        self.wait_for(&format!("answer-{number}\r\n"));
        let begin = *lock(&self.seen);
        let end_mark = format!("end-{number}:");
        self.wait_for(&end_mark);
        let end = *lock(&self.seen);
        self.wait_for(":");
        let status_end = *lock(&self.seen);
        let screen = lock(&self.screen);
        let bytes = screen[begin..end - end_mark.len()].to_vec();
        let stdout = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        let status = String::from_utf8_lossy(&screen[end..status_end - 1]).parse().expect("$? is a number");
        Output {
            command: command.to_owned(),
            status,
            stdout,
            stderr: String::new(),
            bytes,
            took: start.elapsed(),
        }
    }

    /// What is typed while a shell starts may be lost, so it is called until it answers.
    #[track_caller]
    fn wait_for_shell(&self) {
        let answer = wait::poll(ANSWER_LIMIT, || {
            self.send("echo 'shell-''here'");
            self.wait_for_any(&["shell-here\r\n"], CALL_AGAIN)
                .map(|_| true)
                .or((!self.is_alive()).then_some(false))
        });
        if answer != Some(true) {
            panic!("no shell answered\n{}", self.description());
        }
        self.shell_answers.store(true, Ordering::Relaxed);
    }

    /// Whether its program still runs.
    pub fn is_alive(&self) -> bool {
        lock(&self.child).try_wait().expect("wait for a child").is_none()
    }

    /// Waits for its program to end; panics with the screen if it does not `within` that time.
    #[track_caller]
    pub fn wait_ended(&self, within: Duration) -> Ended {
        let Some(status) = wait::poll(within, || lock(&self.child).try_wait().expect("wait for a child"))
        else {
            panic!("still there after {within:?}\n{}", self.description());
        };
        self.wait_for_reader();
        Ended { status: code_of(status), text: self.screen() }
    }

    fn wait_for_reader(&self) {
        // Background processes may hold the terminal open: then what is there now is all.
        let _ = wait::poll(Duration::from_millis(100), || self.reader.is_finished().then_some(()));
    }

    fn description(&self) -> String {
        let state = if self.is_alive() { "runs" } else { "has ended" };
        format!("{} {state}, its screen:\n{}", self.title, self.screen())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        if let Ok(None) = child.try_wait() {
            processes::kill_tree(child.id());
            let _ = child.wait();
        }
    }
}

fn read_screen(mut master: File, screen: &Mutex<Vec<u8>>, pid: u32) {
    let mut chunk = [0; 4096];
    loop {
        match master.read(&mut chunk) {
            Ok(length @ 1..) => lock(screen).extend_from_slice(&chunk[..length]),
            // Nobody has the terminal open. login does that for a moment: see vhangup(2).
            _ if std::path::Path::new(&format!("/proc/{pid}/fd/0")).exists() => thread::sleep(PAUSE),
            _ => return,
        }
    }
}

/// Where the first occurrence of `text` ends.
fn find(bytes: &[u8], text: &str) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).map(|start| start + text.len())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

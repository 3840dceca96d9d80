//! Questions on the terminal: asked on standard error, for standard output has the answer of the daemon alone, and
//! answered on standard input.

use std::{
    io::{self, BufRead, IsTerminal, Read, Write, stderr, stdin},
    thread,
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use crate::exit::Failure;

/// Longest answer, in bytes: what a terminal takes as one line, termios(3), "Canonical and noncanonical mode".
const LONGEST: u64 = 4096;
/// How often a question is asked whose answers make no sense.
const TRIES: usize = 3;

/// Somebody at a terminal. While it lives, Ctrl-C does not end the program but [`Self::unless_interrupted`].
pub struct Terminal {
    interrupt: Signal,
    hangup: Signal,
    terminate: Signal,
}

impl Terminal {
    /// Whether somebody can be asked: they see the question, and what they type comes in.
    #[must_use]
    pub fn is_there() -> bool {
        stdin().is_terminal() && stderr().is_terminal()
    }

    /// The terminal of this process, if there is one.
    ///
    /// # Errors
    ///
    /// Signals cannot be handled.
    pub fn of_process() -> Result<Option<Self>, Failure> {
        if !Self::is_there() {
            return Ok(None);
        }
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::Local(format!("cannot handle signals: {error}: try again")))
        };
        Ok(Some(Self {
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
        }))
    }

    /// Shows `text`, which is fit for a terminal.
    pub fn say(&self, text: &str) {
        // A terminal that is gone cannot be told so.
        let _ = stderr().write_all(text.as_bytes()).and_then(|()| stderr().flush());
    }

    /// Waits for `work`; if it is interrupted meanwhile, the failure says `then`.
    ///
    /// # Errors
    ///
    /// That of `work`, or the interruption.
    pub async fn unless_interrupted<T>(
        &mut self,
        then: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            // One that came before is heeded before anything is begun.
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv() => {}
            _ = self.terminate.recv() => {}
            result = work => return result,
        }
        self.say("\n");
        Err(Failure::Interrupted(then.to_owned()))
    }

    /// Asks until `accept` takes the answer, which comes without white space around it, but not for ever. What `accept`
    /// refuses it says why, in words fit for a terminal.
    ///
    /// # Errors
    ///
    /// There was no answer that it takes; nothing was changed.
    pub async fn ask<T>(
        &mut self,
        question: &str,
        accept: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        for _ in 0..TRIES {
            let answer = self.line(question).await?;
            match accept(answer.trim()) {
                Ok(accepted) => return Ok(accepted),
                Err(why) => self.say(&format!("{why}\n")),
            }
        }
        Err(Failure::Local("no answer that makes sense: nothing was changed".to_owned()))
    }

    /// Asks twice for a new password, which is not shown.
    ///
    /// # Errors
    ///
    /// The two differ, again and again; nothing was changed.
    pub async fn ask_new_password(&mut self, first: &str, again: &str) -> Result<String, Failure> {
        for _ in 0..TRIES {
            let password = self.secret(first).await?;
            if password.is_empty() || password == self.secret(again).await? {
                return Ok(password);
            }
            self.say("These were not the same.\n");
        }
        Err(Failure::Local("the passwords differ: nothing was changed".to_owned()))
    }

    async fn secret(&mut self, question: &str) -> Result<String, Failure> {
        let _hidden = Hidden::begin().map_err(|error| {
            Failure::Local(format!("cannot hide what is typed: {error}: give it with --password-stdin"))
        })?;
        self.line(question).await
    }

    /// One line, without its end.
    async fn line(&mut self, question: &str) -> Result<String, Failure> {
        self.say(question);
        let (sender, receiver) = oneshot::channel();
        // A thread of its own, which the end of the program does not wait for, as it would for one of the runtime.
        let reading = thread::Builder::new().spawn(move || sender.send(read_line()));
        reading.map_err(|error| Failure::Local(format!("cannot start a thread: {error}: try again")))?;
        let line = async { Ok(receiver.await.unwrap_or(Ok(None))) };
        match self.unless_interrupted("nothing was changed", line).await? {
            Ok(Some(line)) => String::from_utf8(line).map_err(|_| {
                Failure::Local("what was typed is not UTF-8: nothing was changed: set the locale".to_owned())
            }),
            Ok(None) => {
                self.say("\n");
                Err(Failure::Local("no answer: nothing was changed".to_owned()))
            }
            Err(error) => {
                Err(Failure::Local(format!("the terminal cannot be read: {error}: nothing was changed")))
            }
        }
    }
}

/// A line of standard input; nothing at its end.
fn read_line() -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    stdin().lock().take(LONGEST).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(Some(line))
}

/// The terminal does not show what is typed, until this is dropped.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // The end of the line is shown: the next one begins below.
        hidden.local_modes.insert(LocalModes::ECHONL);
        // What was typed before the question was meant for something else.
        tcsetattr(stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // If this fails, the terminal is gone.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}

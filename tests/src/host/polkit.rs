//! The one whom polkit asks for a password, on a terminal.

use std::time::Duration;

use super::Host;
use super::session::Session;
use crate::wait::eventually;

/// The agent asks at once what it is going to listen to.
const LISTENS: Duration = Duration::from_secs(10);

impl Host {
    /// Waits until polkit's agent asks on the terminal of this session, and types the answer.
    ///
    /// pkttyagent(1) asks first, then turns the echo off, and throws away what was typed before that (TCSAFLUSH, see
    /// termios(3)). People are too slow to notice.
    #[track_caller]
    pub fn answer_polkit(&self, session: &Session, password: &str) {
        session.wait_for("assword:");
        let echo_is_off =
            "stty --file=\"/dev/$(ps -C pkttyagent -o tty=)\" --all | grep --word-regexp -e -echo";
        eventually(LISTENS, || self.sh(echo_is_off).succeeded());
        session.send(password);
    }
}

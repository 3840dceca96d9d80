//! Logins on a console: login(1) on a terminal, with somebody typing.

use std::time::Duration;

use super::Host;
use super::session::Session;
use crate::wait;

/// login waits a few seconds after a wrong password.
const DECISION_LIMIT: Duration = Duration::from_secs(20);

impl Host {
    /// Types a name and a password at a login prompt and waits for what comes of it.
    #[track_caller]
    pub fn console_login(&self, user: &str, password: &str) -> ConsoleLogin {
        let session = self.terminal(&["login"]);
        session.wait_for("login: ");
        session.send(user);
        session.wait_for("Password: ");
        session.send(password);
        let decision = wait::poll(DECISION_LIMIT, || {
            if !session.is_alive() {
                let _ = session.wait_ended(Duration::ZERO);
                return Some(false);
            }
            let screen = session.screen();
            let (_, answer) = screen.rsplit_once("Password: ")?;
            match answer {
                _ if answer.ends_with("$ ") || answer.ends_with("# ") => Some(true),
                _ if answer.ends_with("login: ") => Some(false),
                _ => None,
            }
        });
        let Some(entered) = decision else {
            panic!(
                "login neither let {user} in nor refused within {DECISION_LIMIT:?}:\n{}",
                session.screen()
            );
        };
        ConsoleLogin { entered, session }
    }
}

/// What came of a console login.
#[derive(Debug)]
pub struct ConsoleLogin {
    entered: bool,
    session: Session,
}

impl ConsoleLogin {
    /// Whether a shell prompt came.
    pub fn entered(&self) -> bool {
        self.entered
    }

    /// Everything that stood on the screen so far.
    pub fn text(&self) -> String {
        self.session.screen()
    }

    /// The shell; panics with the screen if the login was refused.
    #[track_caller]
    pub fn shell(self) -> Session {
        assert!(self.entered, "the login should have been let in:\n{}", self.text());
        self.session
    }

    /// What stood on the screen of a refused login; panics with the screen if it was let in.
    #[track_caller]
    pub fn refused(self) -> String {
        assert!(!self.entered, "the login should have been refused:\n{}", self.text());
        self.text()
    }
}

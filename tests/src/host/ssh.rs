//! Logins over ssh, from the host to itself.

use std::time::Duration;

use super::Host;
use super::command::{DEFAULT_TIMEOUT, HostCommand, Output};
use super::session::Session;

const SERVER: &str = "127.0.0.1";

impl Host {
    /// A login as `user` over ssh, by root's key unless told otherwise.
    pub fn ssh(&self, user: &str) -> Ssh<'_> {
        Ssh {
            host: self,
            user: user.to_owned(),
            from: None,
            key: None,
            password: None,
            args: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// A shell of `user` over ssh, by root's key: `self.ssh(user).open()`.
    #[track_caller]
    pub fn ssh_session(&self, user: &str) -> Session {
        self.ssh(user).open()
    }
}

/// A login over ssh that is about to be made.
#[must_use = "it does nothing before run(), open(), start(), sftp(), upload() or download()"]
#[derive(Clone, Debug)]
pub struct Ssh<'h> {
    host: &'h Host,
    user: String,
    from: Option<String>,
    key: Option<String>,
    password: Option<String>,
    args: Vec<String>,
    timeout: Duration,
}

impl Ssh<'_> {
    /// The account that runs the client, root unless told otherwise. The key is then its own.
    pub fn from(mut self, account: &str) -> Self {
        self.from = Some(account.to_owned());
        self
    }

    /// The private key to use, a path on the host, and no other.
    pub fn key(mut self, path: &str) -> Self {
        self.key = Some(path.to_owned());
        self
    }

    /// By this password, and not by a key.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// One more argument for the client, such as `-N` or `-oControlPath=/tmp/c`.
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// How long [`run`](Self::run) and the copies may take, 30 s unless told otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Logs in to run a command line, without a terminal. ssh's own failures have exit code 255.
    #[must_use = "check how it ended: ok(), fails() or code(n)"]
    #[track_caller]
    pub fn run(&self, command: &str) -> Output {
        self.client("ssh", &[&self.destination(), command]).run()
    }

    /// Logs in to a shell on a terminal; panics with the screen if no shell answers.
    #[track_caller]
    pub fn open(&self) -> Session {
        let session = self.client("ssh", &["-tt", &self.destination()]).on_terminal();
        session.ask("true").ok();
        session
    }

    /// Starts the client on a terminal to run a command line there, and does not wait for anything.
    #[track_caller]
    pub fn start_command(&self, command: &str) -> Session {
        self.client("ssh", &[&self.destination(), command]).on_terminal()
    }

    /// Starts the client on a terminal and does not wait for anything: for `-N`, for logins that
    /// will be refused, for dialogues.
    #[track_caller]
    pub fn start(&self) -> Session {
        self.client("ssh", &[&self.destination()]).on_terminal()
    }

    /// Runs the commands of `batch`, one a line (see sftp(1)); ends at the first that fails.
    #[must_use = "check how it ended: ok(), fails() or code(n)"]
    #[track_caller]
    pub fn sftp(&self, batch: &str) -> Output {
        self.client("sftp", &["-b", "-", &self.destination()]).stdin(batch).run()
    }

    /// Copies a file of the host to the account by scp.
    #[must_use = "check how it ended: ok(), fails() or code(n)"]
    #[track_caller]
    pub fn upload(&self, local: &str, remote: &str) -> Output {
        self.client("scp", &[local, &format!("{}:{remote}", self.destination())]).run()
    }

    /// Copies a file of the account to the host by scp.
    #[must_use = "check how it ended: ok(), fails() or code(n)"]
    #[track_caller]
    pub fn download(&self, remote: &str, local: &str) -> Output {
        self.client("scp", &[&format!("{}:{remote}", self.destination()), local]).run()
    }

    fn destination(&self) -> String {
        format!("{}@{SERVER}", self.user)
    }

    fn client(&self, program: &str, rest: &[&str]) -> HostCommand<'_> {
        let mut argv = vec![program];
        match (&self.password, &self.key) {
            // sftp -b would otherwise ask for no password.
            (Some(_), _) => {
                argv.extend(["-oBatchMode=no", "-oPubkeyAuthentication=no", "-oNumberOfPasswordPrompts=1"])
            }
            (None, Some(key)) => argv.extend(["-oBatchMode=yes", "-oIdentitiesOnly=yes", "-i", key]),
            (None, None) => argv.push("-oBatchMode=yes"),
        }
        argv.extend(self.args.iter().map(String::as_str));
        argv.extend(rest);
        let mut client = self.host.command(&argv).timeout(self.timeout);
        if let Some(account) = &self.from {
            client = client.as_user(account);
        }
        if let Some(password) = &self.password {
            client = client
                .env("SSH_ASKPASS", "/usr/local/bin/answer-password")
                .env("SSH_ASKPASS_REQUIRE", "force")
                .env("ANSWER_PASSWORD", password);
        }
        client
    }
}

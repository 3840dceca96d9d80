//! A relay with its socket, and a daemon's end of it.

use std::{
    fs::File,
    io::Write,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use lockdown_delivery::{EventView, Item, Outcome, Transport, Verdict, frame};
use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_lockdown-relay");
const LONG: Duration = Duration::from_secs(90);

/// A relay, started as its unit starts it, with the socket on standard input. Ends with this.
pub struct Relay {
    child: Child,
    directory: TempDir,
}

impl Relay {
    /// One that trusts nobody.
    pub fn start() -> Self {
        Self::start_with_roots(Path::new("/dev/null"))
    }

    /// One that trusts the authorities in this PEM file.
    pub fn start_with_roots(roots: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("relay.sock")).unwrap();
        let child = Command::new(PROGRAM)
            .env_clear()
            .env("SSL_CERT_FILE", roots)
            .stdin(OwnedFd::from(listener))
            .stdout(Stdio::null())
            .stderr(File::create(directory.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Self { child, directory }
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("relay.sock")
    }

    pub fn connect(&self) -> Daemon {
        Daemon::connect(&self.socket())
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What becomes of an item.
    pub fn deliver(&self, item: &Item) -> Outcome {
        let mut daemon = self.connect();
        daemon.send(item);
        let verdict = daemon.verdict();
        assert_eq!(verdict.id, item.id);
        verdict.outcome
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The daemon's end of a connection.
pub struct Daemon(pub UnixStream);

impl Daemon {
    pub fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        Self(stream)
    }

    pub fn send(&mut self, item: &Item) {
        self.0.write_all(&frame::encode(item).unwrap()).unwrap();
    }

    pub fn verdict(&mut self) -> Verdict {
        let json = frame::read(&mut self.0).unwrap().expect("the relay ended the connection");
        frame::decode(&json).unwrap()
    }

    /// Whether the relay has ended the connection without a word.
    pub fn is_ended(&mut self) -> bool {
        match frame::read(&mut self.0) {
            Ok(end) => end.is_none(),
            // Closed with what we sent unread.
            Err(frame::FrameError::Io(error)) => error.kind() == std::io::ErrorKind::ConnectionReset,
            Err(_) => false,
        }
    }
}

/// bob has locked alice down.
pub fn item(id: &str, transport: Transport) -> Item {
    let event = EventView {
        id: 7,
        time: 1_795_255_200,
        action: "lockdown".into(),
        severity: "critical".into(),
        user: "alice".into(),
        reason: "phished".into(),
        outcome: "success".into(),
        ..EventView::default()
    };
    Item {
        id: id.into(),
        attempt: 1,
        rule: "security".into(),
        host: "web1".into(),
        severity: "critical".into(),
        action: "lockdown".into(),
        events: vec![event],
        total: 1,
        transport,
        template: None,
    }
}

/// The error of an outcome that is to be tried again.
pub fn retried(outcome: Outcome) -> String {
    match outcome {
        Outcome::Retry { error, .. } => error,
        other => panic!("not to be tried again: {other:?}"),
    }
}

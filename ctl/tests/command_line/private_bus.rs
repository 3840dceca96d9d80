//! The bus that lockdownctl is run on.

use std::{
    fs,
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use lockdown_dbus_api::views::{Restored, StateApplied};
use zbus::{Connection, connection};

use crate::{
    manager::{Manager, PATIENCE, Script},
    run::{Outcome, lockdownctl},
};

/// A bus of its own, with or without the manager. Ends with the test.
pub struct Bus {
    directory: tempfile::TempDir,
    daemon: Child,
    runtime: tokio::runtime::Runtime,
    _connection: Option<Connection>,
    pub script: Arc<Mutex<Script>>,
}

impl Bus {
    pub fn with_manager() -> Self {
        let mut bus = Self::empty();
        let script = Arc::clone(&bus.script);
        let address = bus.address();
        let connection = bus.runtime.block_on(async {
            let forger = connection::Builder::address(address.as_str()).build().await.unwrap();
            let manager = Manager::new(script, forger);
            let serving = connection::Builder::address(address.as_str())
                .serve_at(lockdown_dbus_api::OBJECT_PATH, manager)
                .name(lockdown_dbus_api::BUS_NAME)
                .build();
            tokio::time::timeout(PATIENCE, serving).await.expect("the bus answers").unwrap()
        });
        bus._connection = Some(connection);
        bus
    }

    /// Nobody owns the daemon's name, and nothing starts it.
    pub fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("bus");
        let configuration = directory.path().join("bus.conf");
        fs::write(
            &configuration,
            format!(
                "<busconfig><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy \
                 context='default'><allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/><allow own='*'/><allow \
                 user='*'/></policy></busconfig>",
                socket.display()
            ),
        )
        .unwrap();
        let daemon = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", configuration.display()))
            .args(["--nofork", "--nopidfile"])
            .stdout(Stdio::null())
            // It complains of limits that only root may set.
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is installed");
        let bus = Self {
            directory,
            daemon,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap(),
            _connection: None,
            script: Arc::new(Mutex::new(Script {
                applied: StateApplied { success: true, ..StateApplied::default() },
                restored: Restored { success: true, ..Restored::default() },
                ..Script::default()
            })),
        };
        let give_up = Instant::now() + PATIENCE;
        // The file is there a moment before it can be connected to.
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < give_up, "dbus-daemon did not start");
            thread::sleep(Duration::from_millis(10));
        }
        bus
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.directory.path().join("bus").display())
    }

    /// lockdownctl on this bus.
    pub fn lockdownctl(&self, args: &[&str]) -> Command {
        lockdownctl(&self.address(), args)
    }

    /// Runs it and gives what came of it.
    pub fn run(&self, args: &[&str]) -> Outcome {
        self.lockdownctl(args).output().unwrap().into()
    }

    /// Ends the bus, and with it every connection.
    pub fn end(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }

    /// What the manager was asked since the last time.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.script.lock().unwrap().calls)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.end();
    }
}

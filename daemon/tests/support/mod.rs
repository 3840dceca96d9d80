//! A message bus of a test's own, with the daemon's interface on it.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use lockdown_config::Settings;
use lockdown_dbus_api::{BUS_NAME, OBJECT_PATH};
use lockdown_enforcement::{DenyDirectory, TallyDirectory};
use lockdownd::{bus::manager::Manager, core::Core, store::Store};
use zbus::{Connection, connection};

/// A bus, and a directory for what a daemon on it keeps.
pub struct Bus {
    daemon: Child,
    address: String,
    root: tempfile::TempDir,
}

impl Bus {
    pub fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let config = root.path().join("bus.conf");
        let mut file = std::fs::File::create(&config).unwrap();
        write!(
            file,
            "<busconfig><type>system</type><listen>unix:dir={}</listen><auth>EXTERNAL</auth><policy context=\"default\">\
             <allow own=\"*\"/><allow send_destination=\"*\"/><allow receive_sender=\"*\"/></policy></busconfig>",
            root.path().display()
        )
        .unwrap();
        let mut daemon = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--print-address"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon is needed (Debian: dbus-daemon)");
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { daemon, address: address.trim().to_owned(), root }
    }

    /// Where the daemon's files lie.
    #[allow(dead_code, reason = "not every test looks there")]
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    pub async fn connect(&self) -> Connection {
        connection::Builder::address(self.address.as_str()).build().await.unwrap()
    }

    #[allow(dead_code, reason = "not every test has a core as the service has it")]
    pub async fn serve(&self, settings: Settings) -> Arc<Core> {
        self.serve_with(settings, |_| {}).await
    }

    /// The same with a core that is not quite as the service has it.
    pub async fn serve_with(&self, settings: Settings, change: impl FnOnce(&mut Core)) -> Arc<Core> {
        let directory =
            DenyDirectory::new(self.root.path().join("deny")).owned_by(nix::unistd::geteuid().as_raw());
        let store = Store::open(&self.root.path().join("lockdown.db"), directory.clone()).unwrap();
        let tallies = TallyDirectory::new(self.root.path().join("tally"));
        let bus = self.connect().await;
        let (mut core, queue) = Core::new(store, directory, tallies, bus.clone(), settings).unwrap();
        change(&mut core);
        let core = Arc::new(core);
        bus.object_server().at(OBJECT_PATH, Manager::new(Arc::clone(&core))).await.unwrap();
        bus.request_name(BUS_NAME).await.unwrap();
        tokio::spawn(lockdownd::bus::signals::send_all(bus, queue));
        core
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

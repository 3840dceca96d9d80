//! A private bus with a manager on it that follows a script: the stand-in for the daemon. What the real one does is
//! tested with it.

use std::{
    fs,
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::run::{Outcome, lockdownctl};
use lockdown_dbus_api::{
    Dict, Error,
    options::{AccountFilter, EndSessions, EventFilter, Lock, SessionFilter, Unlock},
    views::{Account, Drift, Event, LockNotice, Session},
};
use zbus::{Connection, connection, interface, object_server::SignalEmitter};

/// When the script plays, Unix seconds: 2026-11-21 12:30 UTC. Far from the clock of the machine that runs the tests, so
/// nothing here depends on relative times.
pub const THEN: i64 = 1_795_264_200;

/// Longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a lock takes for an account whose name begins with `slow`.
pub const SLOW: Duration = Duration::from_millis(300);

/// What the manager was asked, and what it has to say.
#[derive(Default)]
pub struct Script {
    pub calls: Vec<String>,
    pub events: Vec<Event>,
    pub drifts: Vec<Drift>,
    pub survivors: Option<Vec<String>>,
}

pub struct Manager(pub Arc<Mutex<Script>>);

impl Manager {
    fn called(&self, call: String) {
        self.0.lock().unwrap().calls.push(call);
    }
}

/// alice and bob exist, root is protected, eve may not be looked at.
fn account(user: &str) -> Result<Account, Error> {
    let uid = match user {
        "alice" | "uid:1000" => 1000,
        "bob" => 1001,
        "root" => return Err(Error::Protected("root is protected: it cannot be locked".into())),
        "eve" => return Err(Error::NotAuthorized("eve is not yours to look at: ask root".into())),
        other => {
            return Err(Error::NoSuchAccount(format!(
                "there is no account {}: check the name",
                other.escape_debug()
            )));
        }
    };
    let name = if user == "uid:1000" { "alice" } else { user };
    Ok(Account { name: name.into(), uid, password_usable: true, ..Account::default() })
}

fn session(user: &str, id: &str) -> Session {
    Session { id: id.into(), user: user.into(), service: "sshd".into(), started: THEN, ..Session::default() }
}

fn dictionary(options: &Dict) -> String {
    let mut pairs: Vec<_> = options.iter().map(|(key, value)| format!("{key}={}", **value)).collect();
    pairs.sort();
    pairs.join(" ")
}

#[interface(name = "org.lockdown1.Manager")]
impl Manager {
    async fn lock_account(
        &self,
        user: &str,
        options: Dict,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<Account, Error> {
        self.called(format!("LockAccount {user} {}", dictionary(&options)));
        let options = Lock::try_from(options)?;
        if user.starts_with("slow") {
            tokio::time::sleep(SLOW).await;
        }
        let mut account = account(user)?;
        account.locked = true;
        account.locked_until = Some(if options.duration == Some(0) { 0 } else { THEN });
        account.sessions_ended = Some(1);
        account.processes_ended = Some(3);
        account.survivors = self.0.lock().unwrap().survivors.clone();
        emitter
            .account_locked(user, LockNotice { id: 1, ..LockNotice::default() })
            .await
            .map_err(Error::from)?;
        Ok(account)
    }

    async fn unlock_account(&self, user: &str, options: Dict) -> Result<Account, Error> {
        self.called(format!("UnlockAccount {user} {}", dictionary(&options)));
        Unlock::try_from(options)?;
        account(user)
    }

    async fn get_account(&self, user: &str) -> Result<Account, Error> {
        self.called(format!("GetAccount {user}"));
        account(user)
    }

    async fn list_accounts(&self, filter: Dict) -> Result<Vec<Account>, Error> {
        self.called(format!("ListAccounts {}", dictionary(&filter)));
        let filter = AccountFilter::try_from(filter)?;
        let alice = Account { locked: true, locked_until: Some(0), ..account("alice")? };
        Ok(if filter.locked == Some(true) { vec![alice] } else { vec![alice, account("bob")?] })
    }

    async fn set_expiry(&self, user: &str, unix_seconds: i64) -> Result<(), Error> {
        self.called(format!("SetExpiry {user} {unix_seconds}"));
        account(user).map(drop)
    }

    async fn list_sessions(&self, filter: Dict) -> Result<Vec<Session>, Error> {
        self.called(format!("ListSessions {}", dictionary(&filter)));
        SessionFilter::try_from(filter).map(|_| vec![session("alice", "c2")])
    }

    async fn end_sessions(&self, user: &str, options: Dict) -> Result<Vec<Session>, Error> {
        self.called(format!("EndSessions {user} {}", dictionary(&options)));
        match EndSessions::try_from(options)?.session.as_deref() {
            None | Some("c2") => Ok(vec![Session { ended: Some(true), ..session(user, "c2") }]),
            Some("stuck") => Ok(vec![Session { ended: Some(false), ..session(user, "stuck") }]),
            Some(_) => Err(Error::NoSuchSession("there is no such session: see lockdownctl sessions".into())),
        }
    }

    async fn list_events(&self, filter: Dict) -> Result<Vec<Event>, Error> {
        self.called(format!("ListEvents {}", dictionary(&filter)));
        let filter = EventFilter::try_from(filter)?;
        let events = self.0.lock().unwrap().events.clone();
        Ok(events.into_iter().filter(|event| event.id > filter.after.unwrap_or(0)).collect())
    }

    async fn check_records(&self) -> Result<Vec<Drift>, Error> {
        self.called("CheckRecords".into());
        Ok(self.0.lock().unwrap().drifts.clone())
    }

    #[zbus(signal)]
    async fn account_locked(emitter: &SignalEmitter<'_>, user: &str, lock: LockNotice) -> zbus::Result<()>;

    #[zbus(property)]
    async fn version(&self) -> String {
        "0.1.0".into()
    }

    #[zbus(property)]
    async fn lockdown_enabled(&self) -> bool {
        true
    }

    #[zbus(property)]
    async fn locked_accounts(&self) -> u32 {
        1
    }
}

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
        let manager = Manager(Arc::clone(&bus.script));
        let address = bus.address();
        let connection = bus.runtime.block_on(async {
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
            script: Arc::default(),
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

    /// What the manager was asked since the last time.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.script.lock().unwrap().calls)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

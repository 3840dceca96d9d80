//! What every operation works with.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::sync::{Mutex, MutexGuard, Notify, OwnedMutexGuard, mpsc};
use zbus::Connection;

use lockdown_config::{Paths, Settings};
use lockdown_dbus_api::Error;
use lockdown_delivery::RELAY_SOCKET;
use lockdown_enforcement::{DenyDirectory, TallyDirectory};

use crate::{
    announcement::Announcement,
    domain::{lock::Time, notify::Rules, protection::ByDocuments, refusals::Refusals},
    host::{clock, login_defs, memory, nss::Nss, nss::NssError},
    operations::attempts::Attempts,
    per_uid::PerUid,
    store::{Store, StoreError, lockdowns::LockdownId},
};

/// The parts of the daemon, built once.
#[derive(Debug)]
pub struct Core {
    /// The store; also keeps the deny records.
    pub store: Store,
    /// Where the deny records lie, to compare with the store.
    pub directory: DenyDirectory,
    /// Failed attempts: the tallies, and what the login path has reported of them.
    pub attempts: Attempts,
    /// The system bus: logind, systemd, polkit.
    pub bus: Connection,
    /// The kernel's name for this boot.
    pub boot_id: String,
    /// Calls that were refused of late.
    pub refusals: std::sync::Mutex<Refusals>,
    /// Held while the audit trail is verified.
    pub verifying: Mutex<()>,
    /// How long events are kept was configured anew.
    pub keep_changed: Notify,
    /// Somebody has asked for messages to be sent again: at once, however long the relay was to be left alone.
    pub retry_asked: Notify,
    /// Where the relay listens.
    pub relay_socket: PathBuf,
    /// Where state documents lie.
    pub paths: Paths,
    /// Held while documents are applied.
    pub applying: Mutex<()>,
    /// How often they are followed was configured anew.
    pub state_configured: Notify,
    /// Since when the daemon runs.
    pub started: Time,
    /// passwd(5) or group(5) has changed.
    pub accounts_changed: Notify,
    state: RwLock<OfDocuments>,
    settings: RwLock<Arc<Settings>>,
    nss: Nss,
    nss_for_others: Nss,
    announcements: mpsc::UnboundedSender<Announcement>,
    deciding: Mutex<()>,
    alone: PerUid,
    taken_up: Arc<std::sync::Mutex<HashSet<LockdownId>>>,
}

/// What state documents have said last.
#[derive(Debug, Default)]
struct OfDocuments {
    protected: ByDocuments,
    error: String,
}

/// How long a decision waits for another one: a directory that hangs in one must not hold an emergency up.
const DECIDING: Duration = Duration::from_secs(5);

/// A lockdown that is being finished in the background.
#[derive(Debug)]
pub struct TakenUp {
    all: Arc<std::sync::Mutex<HashSet<LockdownId>>>,
    id: LockdownId,
}

impl Drop for TakenUp {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Core {
    /// Puts the parts together; what is announced comes out of the receiver.
    ///
    /// # Errors
    /// If the kernel does not tell the boot id.
    pub fn new(
        store: Store,
        directory: DenyDirectory,
        tallies: TallyDirectory,
        bus: Connection,
        settings: Settings,
    ) -> std::io::Result<(Self, mpsc::UnboundedReceiver<Announcement>)> {
        let (announcements, queue) = mpsc::unbounded_channel();
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        let nss = Nss::new(settings.nss.timeout);
        let nss_for_others = Nss::new(settings.nss.timeout);
        store.notify_by(Arc::new(Rules::of(&settings)));
        let settings = RwLock::new(Arc::new(settings));
        let core = Self {
            store,
            directory,
            attempts: Attempts::new(tallies),
            bus,
            boot_id,
            refusals: std::sync::Mutex::default(),
            verifying: Mutex::default(),
            keep_changed: Notify::new(),
            retry_asked: Notify::new(),
            relay_socket: RELAY_SOCKET.into(),
            paths: Paths::default(),
            applying: Mutex::default(),
            state_configured: Notify::new(),
            accounts_changed: Notify::new(),
            state: RwLock::default(),
            started: clock::now(),
            settings,
            nss,
            nss_for_others,
            announcements,
            deciding: Mutex::default(),
            alone: PerUid::default(),
            taken_up: Arc::default(),
        };
        Ok((core, queue))
    }

    /// The configuration as it is now.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a new configuration.
    pub fn configure(&self, settings: Settings) {
        self.store.notify_by(Arc::new(Rules::of(&settings)));
        let keep = settings.events.keep;
        let mut running = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        let keep_changed = keep != running.events.keep;
        let state_changed = settings.state != running.state;
        *running = Arc::new(settings);
        drop(running);
        if keep_changed {
            self.keep_changed.notify_one();
        }
        if state_changed {
            self.state_configured.notify_one();
        }
        self.announce(Announcement::Reconfigured);
    }

    /// NSS with the configured time limit.
    #[must_use]
    pub fn nss(&self) -> Nss {
        self.nss_for(0)
    }

    /// NSS for a call of this uid. What others make hang takes no look-up away from root and the daemon itself.
    #[must_use]
    pub fn nss_for(&self, uid: u32) -> Nss {
        let nss = if uid == 0 { &self.nss } else { &self.nss_for_others };
        nss.with_limit(self.settings().nss.timeout)
    }

    /// Lowest uid of an ordinary account.
    #[must_use]
    pub fn uid_min(&self) -> u32 {
        login_defs::uid_min(Path::new("/etc/login.defs"))
    }

    /// Held from the judgement of an order to its commit: of two last administrators who lock each other down at the same moment
    /// one stays. Not held if another takes too long.
    pub async fn deciding(&self) -> Option<MutexGuard<'_, ()>> {
        tokio::time::timeout(DECIDING, self.deciding.lock()).await.ok()
    }

    /// Held while the host is changed for this account.
    pub async fn alone_with(&self, uid: u32) -> OwnedMutexGuard<()> {
        self.alone.lock(uid).await
    }

    /// Takes a lockdown up to finish it in the background; `None` if somebody has.
    #[must_use]
    pub fn take_up(&self, id: LockdownId) -> Option<TakenUp> {
        let mut all = self.taken_up.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(id).then(|| TakenUp { all: Arc::clone(&self.taken_up), id })
    }

    /// Accounts that the documents in force protect.
    #[must_use]
    pub fn protected_by_documents(&self) -> ByDocuments {
        self.state.read().unwrap_or_else(PoisonError::into_inner).protected.clone()
    }

    /// Other documents are in force.
    pub fn protect_by_documents(&self, protected: ByDocuments) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).protected = protected;
    }

    /// Why the documents of `state.d` are not in force as they lie there; empty if they are.
    #[must_use]
    pub fn state_error(&self) -> String {
        self.state.read().unwrap_or_else(PoisonError::into_inner).error.clone()
    }

    /// Notes that; whether it is news.
    pub fn set_state_error(&self, error: String) -> bool {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let is_news = state.error != error;
        state.error = error;
        drop(state);
        if is_news {
            self.announce(Announcement::StateError);
        }
        is_news
    }

    /// Gives memory back that a large piece of work has left.
    pub async fn give_memory_back(&self) {
        if let Err(error) = self.store.shrink().await {
            tracing::debug!("the store keeps its memory: {error}");
        }
        memory::give_back();
    }

    /// Queues what the world is to be told.
    pub fn announce(&self, announcement: Announcement) {
        // The receiver lives as long as the service.
        let _ = self.announcements.send(announcement);
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<NssError> for Error {
    fn from(error: NssError) -> Self {
        Self::Failed(error.to_string())
    }
}

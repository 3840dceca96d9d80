//! What every operation works with.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::mpsc;
use zbus::Connection;

use lockdown_config::Settings;
use lockdown_dbus_api::Error;
use lockdown_enforcement::DenyDirectory;

use crate::{
    announcement::Announcement,
    host::{login_defs, nss::Nss, nss::NssError},
    store::{Store, StoreError},
};

/// The parts of the daemon, built once.
#[derive(Debug)]
pub struct Core {
    /// The store; also keeps the deny records.
    pub store: Store,
    /// Where the deny records lie, to compare with the store.
    pub directory: DenyDirectory,
    /// The system bus: logind, systemd, polkit.
    pub bus: Connection,
    /// The kernel's name for this boot.
    pub boot_id: String,
    settings: RwLock<Arc<Settings>>,
    nss: Nss,
    nss_for_others: Nss,
    announcements: mpsc::UnboundedSender<Announcement>,
}

impl Core {
    /// Puts the parts together; what is announced comes out of the receiver.
    ///
    /// # Errors
    /// If the kernel does not tell the boot id.
    pub fn new(
        store: Store,
        directory: DenyDirectory,
        bus: Connection,
        settings: Settings,
    ) -> std::io::Result<(Self, mpsc::UnboundedReceiver<Announcement>)> {
        let (announcements, queue) = mpsc::unbounded_channel();
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        let nss = Nss::new(settings.nss.timeout);
        let nss_for_others = Nss::new(settings.nss.timeout);
        let settings = RwLock::new(Arc::new(settings));
        Ok((Self { store, directory, bus, boot_id, settings, nss, nss_for_others, announcements }, queue))
    }

    /// The configuration as it is now.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a new configuration.
    pub fn configure(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
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

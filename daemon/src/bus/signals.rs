//! The signals of `org.lockdown1.Manager`, sent from one task in the order of the changes.

use tokio::sync::mpsc;
use zbus::{Connection, names::BusName, object_server::InterfaceRef};

use lockdown_dbus_api::OBJECT_PATH;

use super::manager::{Manager, ManagerSignals};
use crate::{announcement::Announcement, host::memory};

/// Signals at once that leave memory to be given back.
const MANY: usize = 500;

/// Sends what comes out of the queue. A signal that cannot be sent is logged: nothing waits for it.
pub async fn send_all(bus: Connection, mut queue: mpsc::UnboundedReceiver<Announcement>) {
    let interface = match bus.object_server().interface::<_, Manager>(OBJECT_PATH).await {
        Ok(interface) => interface,
        Err(error) => return tracing::error!("signals cannot be sent: {error}"),
    };
    let warn = |error: zbus::Error| tracing::warn!("a signal could not be sent: {error}");
    while let Some(first) = queue.recv().await {
        let mut are_counted = false;
        let mut number = 0;
        let mut next = Some(first);
        while let Some(announcement) = next {
            number += 1;
            are_counted |= changes_count(&announcement);
            send(&interface, announcement).await.unwrap_or_else(warn);
            next = queue.try_recv().ok();
        }
        // Of many at once, once: accounts are counted for it.
        if are_counted {
            let manager = interface.get().await;
            manager.locked_accounts_changed(interface.signal_emitter()).await.unwrap_or_else(warn);
        }
        if number > MANY {
            memory::give_back();
        }
    }
}

/// Whether the number of locked accounts may be another one.
fn changes_count(announcement: &Announcement) -> bool {
    matches!(
        announcement,
        Announcement::AccountLocked(..)
            | Announcement::AccountUnlocked(..)
            | Announcement::LockdownTriggered(..)
            | Announcement::AccountRestored(..)
    )
}

async fn send(interface: &InterfaceRef<Manager>, announcement: Announcement) -> zbus::Result<()> {
    match announcement {
        Announcement::AccountLocked(user, lock) => interface.account_locked(&user, lock).await,
        Announcement::AccountUnlocked(user, lock) => interface.account_unlocked(&user, lock).await,
        Announcement::AuthenticatorLocked(user, lock) => interface.authenticator_locked(&user, lock).await,
        Announcement::AuthenticatorUnlocked(user, lock) => {
            interface.authenticator_unlocked(&user, lock).await
        }
        Announcement::LockdownTriggered(user, lock) => interface.lockdown_triggered(&user, lock).await,
        Announcement::LockdownProgress { to, account, progress } => {
            let to = BusName::try_from(to)?;
            let emitter = interface.signal_emitter().to_owned().set_destination(to);
            emitter.lockdown_progress(&account, progress).await
        }
        Announcement::AccountRestored(user, lock) => interface.account_restored(&user, lock).await,
        Announcement::AccountExpired(user, expiry) => interface.account_expired(&user, expiry).await,
        Announcement::SessionStarted(user, session) => interface.session_started(&user, session).await,
        Announcement::SessionEnded(user, session) => interface.session_ended(&user, session).await,
        Announcement::StateError => {
            interface.get().await.state_error_changed(interface.signal_emitter()).await
        }
        Announcement::Reconfigured => {
            interface.get().await.lockdown_enabled_changed(interface.signal_emitter()).await
        }
    }
}

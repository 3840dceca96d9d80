//! The signals of `org.lockdown1.Manager`, sent from one task in the order of the changes.

use tokio::sync::mpsc;
use zbus::{Connection, names::BusName, object_server::InterfaceRef};

use lockdown_dbus_api::OBJECT_PATH;

use super::manager::{Manager, ManagerSignals};
use crate::announcement::Announcement;

/// Sends what comes out of the queue. A signal that cannot be sent is logged: nothing waits for it.
pub async fn send_all(bus: Connection, mut queue: mpsc::UnboundedReceiver<Announcement>) {
    let interface = match bus.object_server().interface::<_, Manager>(OBJECT_PATH).await {
        Ok(interface) => interface,
        Err(error) => return tracing::error!("signals cannot be sent: {error}"),
    };
    while let Some(announcement) = queue.recv().await {
        if let Err(error) = send(&interface, announcement).await {
            tracing::warn!("a signal could not be sent: {error}");
        }
    }
}

async fn send(interface: &InterfaceRef<Manager>, announcement: Announcement) -> zbus::Result<()> {
    match announcement {
        Announcement::AccountLocked(user, lock) => {
            interface.account_locked(&user, lock).await?;
            interface.get().await.locked_accounts_changed(interface.signal_emitter()).await
        }
        Announcement::AccountUnlocked(user, lock) => {
            interface.account_unlocked(&user, lock).await?;
            interface.get().await.locked_accounts_changed(interface.signal_emitter()).await
        }
        Announcement::AuthenticatorLocked(user, lock) => interface.authenticator_locked(&user, lock).await,
        Announcement::AuthenticatorUnlocked(user, lock) => {
            interface.authenticator_unlocked(&user, lock).await
        }
        Announcement::LockdownTriggered(user, lock) => {
            interface.lockdown_triggered(&user, lock).await?;
            interface.get().await.locked_accounts_changed(interface.signal_emitter()).await
        }
        Announcement::LockdownProgress { to, account, progress } => {
            let to = BusName::try_from(to)?;
            let emitter = interface.signal_emitter().to_owned().set_destination(to);
            emitter.lockdown_progress(&account, progress).await
        }
        Announcement::AccountRestored(user, lock) => {
            interface.account_restored(&user, lock).await?;
            interface.get().await.locked_accounts_changed(interface.signal_emitter()).await
        }
        Announcement::AccountExpired(user, expiry) => interface.account_expired(&user, expiry).await,
        Announcement::SessionStarted(user, session) => interface.session_started(&user, session).await,
        Announcement::SessionEnded(user, session) => interface.session_ended(&user, session).await,
        Announcement::Reconfigured => {
            interface.get().await.lockdown_enabled_changed(interface.signal_emitter()).await
        }
    }
}

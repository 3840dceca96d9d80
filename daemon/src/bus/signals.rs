//! The signals of `org.lockdown1.Manager`, sent from one task in the order of the changes.

use tokio::sync::mpsc;
use zbus::{Connection, object_server::InterfaceRef};

use lockdown_dbus_api::{
    OBJECT_PATH,
    views::{ExpiryNotice, LockNotice, Session},
};

use super::manager::{Manager, ManagerSignals};

/// A signal and the account it is about.
#[derive(Clone, Debug)]
pub enum Signal {
    /// A lock was placed or updated.
    AccountLocked(String, LockNotice),
    /// A lock was lifted or has expired.
    AccountUnlocked(String, LockNotice),
    /// `valid_until` has passed.
    AccountExpired(String, ExpiryNotice),
    /// A session was opened.
    SessionStarted(String, Session),
    /// A session has ended.
    SessionEnded(String, Session),
    /// The configuration was read anew.
    Reconfigured,
}

/// Sends what comes out of the queue. A signal that cannot be sent is logged: nothing waits for it.
pub async fn send_all(bus: Connection, mut queue: mpsc::UnboundedReceiver<Signal>) {
    let interface = match bus.object_server().interface::<_, Manager>(OBJECT_PATH).await {
        Ok(interface) => interface,
        Err(error) => return tracing::error!("signals cannot be sent: {error}"),
    };
    while let Some(signal) = queue.recv().await {
        if let Err(error) = send(&interface, signal).await {
            tracing::warn!("a signal could not be sent: {error}");
        }
    }
}

async fn send(interface: &InterfaceRef<Manager>, signal: Signal) -> zbus::Result<()> {
    match signal {
        Signal::AccountLocked(user, lock) => {
            interface.account_locked(&user, lock).await?;
            interface.get().await.locked_accounts_changed(interface.signal_emitter()).await
        }
        Signal::AccountUnlocked(user, lock) => {
            interface.account_unlocked(&user, lock).await?;
            interface.get().await.locked_accounts_changed(interface.signal_emitter()).await
        }
        Signal::AccountExpired(user, expiry) => interface.account_expired(&user, expiry).await,
        Signal::SessionStarted(user, session) => interface.session_started(&user, session).await,
        Signal::SessionEnded(user, session) => interface.session_ended(&user, session).await,
        Signal::Reconfigured => {
            interface.get().await.lockdown_enabled_changed(interface.signal_emitter()).await
        }
    }
}

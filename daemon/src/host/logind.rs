//! Sessions as systemd-logind has them.

use std::{collections::HashMap, path::Path};

use zbus::{Connection, OwnedObjectPath, OwnedVariant, fdo::PropertiesProxy};
use zbus_systemd::login1::ManagerProxy;

use crate::domain::lock::Time;

/// A session of logind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogindSession {
    /// logind's id, unique within a boot.
    pub id: String,
    /// Account it belongs to.
    pub uid: u32,
    /// Name of that account.
    pub name: String,
    /// PAM service that opened it; may be empty.
    pub service: String,
    /// Terminal; may be empty.
    pub tty: String,
    /// Where it came from; empty if local.
    pub remote_host: String,
    /// The process that opened it.
    pub leader: u32,
    /// When it was opened.
    pub started: Time,
    /// `user`, `background`, `manager`, …
    pub class: String,
}

impl LogindSession {
    /// The user manager has a session of its own since systemd 256; nobody signed in by it.
    #[must_use]
    pub fn is_manager(&self) -> bool {
        self.class.starts_with("manager") || self.service == "systemd-user"
    }
}

/// Every session there is.
///
/// # Errors
/// Those of logind, and of a host without it.
pub async fn list(bus: &Connection) -> zbus::Result<Vec<LogindSession>> {
    let mut sessions = Vec::new();
    for (id, ..) in ManagerProxy::new(bus).await?.list_sessions().await? {
        // One that ends meanwhile is none.
        sessions.extend(get(bus, &id).await.ok());
    }
    Ok(sessions)
}

/// The session with this id.
///
/// # Errors
/// Those of logind, and of a host without it.
pub async fn get(bus: &Connection, id: &str) -> zbus::Result<LogindSession> {
    let path = ManagerProxy::new(bus).await?.get_session(id.to_owned()).await?;
    describe(bus, path).await
}

/// The session that a process is in.
///
/// # Errors
/// Those of logind; a process outside of every session has none.
pub async fn of_process(bus: &Connection, pid: u32) -> zbus::Result<LogindSession> {
    let path = ManagerProxy::new(bus).await?.get_session_by_pid(pid).await?;
    describe(bus, path).await
}

async fn properties(bus: &Connection, path: OwnedObjectPath) -> zbus::Result<HashMap<String, OwnedVariant>> {
    let properties = PropertiesProxy::builder(bus)
        .destination("org.freedesktop.login1")
        .path(path)
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await?;
    Ok(properties.get_all("org.freedesktop.login1.Session".try_into()?).await?)
}

/// A time of logind's, in seconds.
fn microseconds(value: Option<OwnedVariant>) -> Time {
    let microseconds: u64 = value.and_then(|value| value.try_into().ok()).unwrap_or_default();
    Time::try_from(microseconds / 1_000_000).unwrap_or_default()
}

async fn describe(bus: &Connection, path: OwnedObjectPath) -> zbus::Result<LogindSession> {
    let mut all = properties(bus, path).await?;
    let mut text =
        |key: &str| -> String { all.remove(key).and_then(|value| value.try_into().ok()).unwrap_or_default() };
    let (id, name, service) = (text("Id"), text("Name"), text("Service"));
    let (tty, remote_host, class) = (text("TTY"), text("RemoteHost"), text("Class"));
    let number =
        |value: Option<OwnedVariant>| value.and_then(|value| u32::try_from(value).ok()).unwrap_or_default();
    let leader = number(all.remove("Leader"));
    let started = microseconds(all.remove("Timestamp"));
    let (uid, _): (u32, OwnedObjectPath) = all
        .remove("User")
        .and_then(|value| zbus::Structure::try_from(value).ok())
        .and_then(|value| value.try_into().ok())
        .ok_or_else(|| zbus::Error::Failure(format!("logind's session {id} has no user")))?;
    Ok(LogindSession { id, uid, name, service, tty, remote_host, leader, started, class })
}

/// Since when the session with this id has idled, or, of one on a terminal, when that was last used; `None` = it does not idle.
///
/// # Errors
/// Those of logind; a session that is gone is one.
pub async fn idle_since(bus: &Connection, id: &str) -> zbus::Result<Option<Time>> {
    let path = ManagerProxy::new(bus).await?.get_session(id.to_owned()).await?;
    let mut all = properties(bus, path).await?;
    let idles = all.remove("IdleHint").is_some_and(|value| bool::try_from(value).unwrap_or_default());
    let since = microseconds(all.remove("IdleSinceHint"));
    let kind: String = all.remove("Type").and_then(|value| value.try_into().ok()).unwrap_or_default();
    // Of a desktop that does not idle it is when it last began to be used.
    let on_terminal = !matches!(kind.as_str(), "x11" | "wayland" | "mir");
    Ok(Some(since).filter(|since| *since > 0 && (idles || on_terminal)))
}

/// Ends every session of an account.
///
/// # Errors
/// Those of logind; an account without a session is one.
pub async fn terminate_user(bus: &Connection, uid: u32) -> zbus::Result<()> {
    ManagerProxy::new(bus).await?.terminate_user(uid).await
}

/// Whether the account's user manager runs without a session. logind keeps that in this file (logind.conf(5) does not name
/// it; `loginctl enable-linger` and images write it).
#[must_use]
pub fn lingers(name: &str) -> bool {
    Path::new("/var/lib/systemd/linger").join(name).exists()
}

/// Switches lingering.
///
/// # Errors
/// Those of logind.
pub async fn set_linger(bus: &Connection, uid: u32, linger: bool) -> zbus::Result<()> {
    ManagerProxy::new(bus).await?.set_user_linger(uid, linger, false).await
}

/// Ends a session.
///
/// # Errors
/// Those of logind; a session that is gone is one.
pub async fn terminate_session(bus: &Connection, id: &str) -> zbus::Result<()> {
    ManagerProxy::new(bus).await?.terminate_session(id.to_owned()).await
}

//! System services that run as an account: killed, they come back (Restart=), so they are stopped.

use std::future;

use futures_util::{StreamExt, stream};
use zbus::{Connection, OwnedObjectPath, proxy::CacheProperties};
use zbus_systemd::systemd1::{JobProxy, ManagerProxy, ServiceProxy, UnitProxy};

/// Questions to systemd at the same time.
const AT_ONCE: usize = 32;

/// Stops a unit and whatever would restart it.
///
/// # Errors
/// Those of systemd.
pub async fn stop(bus: &Connection, unit: &str) -> zbus::Result<()> {
    ManagerProxy::new(bus).await?.stop_unit(unit.to_owned(), "replace".to_owned()).await?;
    Ok(())
}

/// The user manager of an account.
#[must_use]
pub fn user_manager(uid: u32) -> String {
    format!("user@{uid}.service")
}

/// Starts a unit.
///
/// # Errors
/// Those of systemd.
pub async fn start(bus: &Connection, unit: &str) -> zbus::Result<()> {
    ManagerProxy::new(bus).await?.start_unit(unit.to_owned(), "replace".to_owned()).await?;
    Ok(())
}

/// Whether systemd knows how to start this unit.
pub async fn exists(bus: &Connection, unit: &str) -> bool {
    let state = async {
        let path = ManagerProxy::new(bus).await?.load_unit(unit.to_owned()).await?;
        UnitProxy::builder(bus).path(path).build().await?.load_state().await
    };
    matches!(state.await, Ok(state) if state == "loaded")
}

/// `User=` of a service, by name or number; `None` if it is root's or there is no such service.
pub async fn user_of(bus: &Connection, unit: &str) -> Option<String> {
    let path = ManagerProxy::new(bus).await.ok()?.load_unit(unit.to_owned()).await.ok()?;
    user_at(bus, path).await
}

async fn user_at(bus: &Connection, path: OwnedObjectPath) -> Option<String> {
    let service = ServiceProxy::builder(bus).path(path).cache_properties(CacheProperties::No).build().await;
    service.ok()?.user().await.ok().filter(|user| !user.is_empty())
}

/// Whether a job of a unit starts it; of one that is done already, whether the unit runs.
pub async fn is_starting(bus: &Connection, unit: &str, job: OwnedObjectPath) -> bool {
    let kind = async { JobProxy::builder(bus).path(job).build().await?.job_type().await };
    if let Ok(kind) = kind.await {
        return kind != "stop";
    }
    let state = async {
        let path = ManagerProxy::new(bus).await?.load_unit(unit.to_owned()).await?;
        UnitProxy::builder(bus).path(path).build().await?.active_state().await
    };
    matches!(state.await, Ok(state) if is_active(&state))
}

/// A unit that runs as an account, or starts one that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// It runs, waits or listens.
    pub active: bool,
}

/// The system services that run as the account, whatever state they are in, after the timers, sockets and paths that start them.
///
/// # Errors
/// Those of systemd.
pub async fn of_account(bus: &Connection, name: &str, uid: u32) -> zbus::Result<Vec<Unit>> {
    let systemd = ManagerProxy::new(bus).await?;
    let services = systemd.list_units_by_patterns(Vec::new(), vec!["*.service".to_owned()]).await?;
    // logind starts it with a session and stops it with the last one; started without any, it hinders the next.
    let manager = user_manager(uid);
    let services = services.into_iter().filter(|(unit, ..)| *unit != manager);
    let uid = uid.to_string();
    // One question each, asked together: hosts have hundreds.
    let questions = services.map(|(unit, _, _, state, _, _, path, ..)| async {
        let user = user_at(bus, path.clone()).await?;
        (user == name || user == uid).then_some((unit, state, path))
    });
    let hers: Vec<_> =
        stream::iter(questions).buffer_unordered(AT_ONCE).filter_map(future::ready).collect().await;
    let (mut starters, mut services) = (Vec::new(), Vec::new());
    for (unit, state, path) in hers {
        let proxy = UnitProxy::builder(bus).path(path).build().await?;
        for starter in proxy.triggered_by().await.unwrap_or_default() {
            let path = systemd.load_unit(starter.clone()).await?;
            let state = UnitProxy::builder(bus).path(path).build().await?.active_state().await?;
            starters.push(Unit { name: starter, active: is_active(&state) });
        }
        services.push(Unit { name: unit, active: is_active(&state) });
    }
    Ok([starters, services].concat())
}

fn is_active(state: &str) -> bool {
    !matches!(state, "inactive" | "failed" | "deactivating")
}

/// Whether systemd runs this service as the account. A job of cron or a login of sshd runs as her in *their* service,
/// which must go on.
pub async fn runs_as(bus: &Connection, unit: &str, name: &str, uid: u32) -> bool {
    user_of(bus, unit).await.is_some_and(|user| user == name || user == uid.to_string())
}

/// System services that systemd will start as the account without anybody asking: they wait to be restarted, and have no
/// process by which they could be found.
///
/// # Errors
/// Those of systemd.
pub async fn waiting_as(bus: &Connection, name: &str, uid: u32) -> zbus::Result<Vec<String>> {
    // Waiting for a restart is sub-state auto-restart of this one, org.freedesktop.systemd1(5).
    let activating = ManagerProxy::new(bus).await?.list_units_filtered(vec!["activating".to_owned()]).await?;
    let mut waiting = Vec::new();
    for (unit, ..) in activating {
        if unit.ends_with(".service") && runs_as(bus, &unit, name, uid).await {
            waiting.push(unit);
        }
    }
    Ok(waiting)
}

/// The system service that a control group belongs to: `/system.slice/app.service/…`.
#[must_use]
pub fn service_of(cgroup: &str) -> Option<&str> {
    let mut elements = cgroup.split('/').filter(|element| !element.is_empty());
    if elements.clone().any(|element| element == "user.slice") {
        return None;
    }
    elements.find(|element| element.ends_with(".service"))
}

#[cfg(test)]
mod tests {
    use super::service_of;

    #[test]
    fn the_service_of_a_control_group() {
        assert_eq!(service_of("/system.slice/app.service"), Some("app.service"));
        assert_eq!(service_of("/system.slice/app.service/worker"), Some("app.service"));
        assert_eq!(
            service_of("/system.slice/system-getty.slice/getty@tty1.service"),
            Some("getty@tty1.service")
        );
        assert_eq!(service_of("/user.slice/user-1000.slice/user@1000.service/app.slice/x.service"), None);
        assert_eq!(service_of("/init.scope"), None);
    }
}

//! System services that run as an account: killed, they come back (Restart=), so they are stopped.

use zbus::Connection;
use zbus_systemd::systemd1::{ManagerProxy, ServiceProxy};

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

/// Whether systemd runs this service as the account. A job of cron or a login of sshd runs as her in *their* service,
/// which must go on.
pub async fn runs_as(bus: &Connection, unit: &str, name: &str, uid: u32) -> bool {
    let user = async {
        let path = ManagerProxy::new(bus).await?.get_unit(unit.to_owned()).await?;
        ServiceProxy::builder(bus).path(path).build().await?.user().await
    };
    matches!(user.await, Ok(user) if user == name || user == uid.to_string())
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

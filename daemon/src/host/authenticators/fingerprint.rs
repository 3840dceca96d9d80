//! Fingers, as fprintd has them (`net.reactivated.Fprint` on the system bus).

use std::time::Duration;

use tokio::time::timeout;
use zbus::{Connection, OwnedObjectPath};

use crate::domain::{
    account::Account,
    authenticator::{Authenticator, Kind},
};

const SERVICE: &str = "net.reactivated.Fprint";
const MANAGER: &str = "/net/reactivated/Fprint/Manager";
/// How long fprintd may take, to start as well.
const LIMIT: Duration = Duration::from_secs(5);
/// Most readers that are asked.
const MOST_DEVICES: usize = 16;

/// The fingers of an account that are enrolled at any reader, and what could not be looked at. A host without fprintd has
/// none.
pub async fn find(bus: &Connection, account: &Account) -> (Vec<Authenticator>, Vec<String>) {
    let problem = |why: &str| (Vec::new(), vec![format!("fprintd does not tell its fingers: {why}")]);
    match timeout(LIMIT, fingers(bus, &account.name)).await {
        Ok(Ok(fingers)) => (fingers.iter().map(|finger| authenticator(finger)).collect(), Vec::new()),
        Ok(Err(zbus::Error::MethodError(name, ..))) if is_absence(name.as_str()) => (Vec::new(), Vec::new()),
        Ok(Err(zbus::Error::FDO(error))) if matches!(*error, zbus::fdo::Error::ServiceUnknown(_)) => {
            (Vec::new(), Vec::new())
        }
        Ok(Err(error)) => problem(&error.to_string()),
        Err(_) => problem("it did not answer in time"),
    }
}

async fn fingers(bus: &Connection, user: &str) -> zbus::Result<Vec<String>> {
    let manager = bus
        .call_method(Some(SERVICE), MANAGER, Some("net.reactivated.Fprint.Manager"), "GetDevices", &())
        .await?;
    let devices: Vec<OwnedObjectPath> = manager.body().deserialize()?;
    let mut fingers = Vec::new();
    for device in devices.into_iter().take(MOST_DEVICES) {
        let device_interface = Some("net.reactivated.Fprint.Device");
        let answer =
            bus.call_method(Some(SERVICE), &device, device_interface, "ListEnrolledFingers", &(user,)).await;
        match answer {
            Ok(answer) => fingers.extend(answer.body().deserialize::<Vec<String>>()?),
            Err(zbus::Error::MethodError(name, ..)) if is_absence(name.as_str()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(fingers)
}

/// No fprintd, no reader, no finger.
fn is_absence(error: &str) -> bool {
    [
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NameHasNoOwner",
        "net.reactivated.Fprint.Error.NoSuchDevice",
        "net.reactivated.Fprint.Error.NoEnrolledPrints",
    ]
    .contains(&error)
}

fn authenticator(finger: &str) -> Authenticator {
    let finger = super::label(finger.as_bytes());
    Authenticator {
        id: format!("fingerprint:{finger}"),
        kind: Kind::Fingerprint,
        label: finger.replace('-', " "),
        passkey: false,
        added: None,
    }
}

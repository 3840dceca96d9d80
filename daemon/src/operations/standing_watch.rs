//! Stops system services that systemd starts as a locked account: they never ask PAM, so no deny record keeps them out.

use std::sync::Arc;

use futures_util::StreamExt;
use zbus::OwnedObjectPath;
use zbus_systemd::systemd1::ManagerProxy;

use lockdown_enforcement::escape::escape;

use crate::{
    core::Core,
    domain::event::{Action, Event, Outcome},
    host::{clock, units},
    store::{StoreError, accounts},
};

/// Follows systemd for as long as the daemon runs. Returns when the bus is gone.
///
/// # Errors
/// Those of the bus.
pub async fn follow_systemd(core: Arc<Core>) -> zbus::Result<()> {
    let systemd = ManagerProxy::new(&core.bus).await?;
    let mut jobs = systemd.receive_job_new().await?;
    // Without subscribers systemd sends no signals.
    if let Err(error) = systemd.subscribe().await {
        tracing::warn!(
            "systemd does not tell what it starts: services of locked accounts go unnoticed: {error}"
        );
    }
    while let Some(job) = jobs.next().await {
        let job = job.args()?;
        // User managers ask PAM.
        if job.unit.ends_with(".service") && !job.unit.starts_with("user@") {
            let (core, unit, job) = (Arc::clone(&core), job.unit, job.job);
            tokio::spawn(async move { judge(&core, &unit, job).await });
        }
    }
    Ok(())
}

async fn judge(core: &Core, unit: &str, job: OwnedObjectPath) {
    let denied = core
        .store
        .read(|connection| accounts::denied(connection, clock::now()).map_err(StoreError::from))
        .await
        .unwrap_or_default();
    if denied.is_empty() {
        return;
    }
    let Some(user) = units::user_of(&core.bus, unit).await else { return };
    let Some((name, _)) = denied.into_iter().find(|(name, uid)| user == *name || user == uid.to_string())
    else {
        return;
    };
    // To stop it is a job, too.
    if !units::is_starting(&core.bus, unit, job).await {
        return;
    }
    let mut event = Event::new(clock::now(), Action::SessionRefused, &name);
    event.target = format!("unit:{unit}");
    if let Err(error) = units::stop(&core.bus, unit).await {
        event.outcome = Outcome::Failed(error.to_string());
    }
    let recorded: Result<(), StoreError> = core.store.write(move |change| change.record(event)).await;
    if let Err(error) = recorded {
        tracing::error!("a refused service of {} could not be recorded: {error}", escape(&name));
    }
}

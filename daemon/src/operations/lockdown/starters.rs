//! Takes away what would start processes of the account anew without anybody signing in.

use crate::{
    core::Core,
    domain::account::Account,
    host::{logind, units},
    operations::prior,
    store::lockdowns::LockdownId,
};

/// What was taken away.
#[derive(Clone, Debug, Default)]
pub struct Stopped {
    /// Units that were stopped.
    pub units: Vec<String>,
    /// What could not be.
    pub problems: Vec<String>,
}

/// Ends lingering, and stops the system services that run as the account and the timers, sockets and paths that would start
/// them. Those that ran or waited are kept for an undo.
pub async fn stop(core: &Core, lockdown: LockdownId, account: &Account) -> Stopped {
    let mut stopped = Stopped::default();
    let linger = logind::lingers(&account.name);
    let found = units::of_account(&core.bus, &account.name, account.uid).await.unwrap_or_else(|error| {
        stopped.problems.push(format!("services that run as the account are unknown: {error}"));
        Vec::new()
    });
    let active: Vec<String> = found.iter().filter(|unit| unit.active).map(|unit| unit.name.clone()).collect();
    if let Err(error) = prior::keep_starters(core, lockdown, linger, &active).await {
        // Stopped all the same: an undo that does not start them again is the lesser evil.
        stopped.problems.push(format!("an undo will not start its units again: {error}"));
    }
    if linger && let Err(error) = logind::set_linger(&core.bus, account.uid, false).await {
        stopped.problems.push(format!("lingering could not be switched off: {error}"));
    }
    // First what starts, then what is started.
    for unit in active {
        match units::stop(&core.bus, &unit).await {
            Ok(()) => stopped.units.push(unit),
            Err(error) => stopped.problems.push(format!("{unit} could not be stopped: {error}")),
        }
    }
    stopped
}

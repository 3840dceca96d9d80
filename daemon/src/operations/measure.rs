//! `GetMetrics`

use std::collections::HashMap;

use lockdown_dbus_api::{Error, views::Metrics};

use crate::{
    core::Core,
    host::clock,
    metrics,
    store::{StoreError, locks, outbox, sessions},
};

/// What is counted and measured, by now.
///
/// # Errors
/// `Failed`
pub async fn measure(core: &Core) -> Result<Metrics, Error> {
    let now = clock::now();
    let (locked, owners, open, outbox) = core
        .store
        .read(move |connection| {
            Ok::<_, StoreError>((
                locks::count_locked_accounts(connection, now)?,
                locks::count_by_owner(connection, now)?,
                sessions::count_all_open(connection)?,
                outbox::counts(connection)?,
            ))
        })
        .await?;
    let mut by_owner = HashMap::new();
    for (owner, count) in owners {
        // A name for each file or issuer would be a series for each.
        let kind = owner.split(':').next().unwrap_or_default().to_owned();
        *by_owner.entry(kind).or_default() += count;
    }
    let counts = metrics::counts();
    let named = |counts: std::collections::BTreeMap<&'static str, u64>| {
        counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
    };
    Ok(Metrics {
        started: core.started,
        locked_accounts: locked,
        locks: by_owner,
        sessions: open,
        events: named(counts.events),
        sweeps: counts.sweeps,
        sweep_seconds: counts.sweep_time.as_secs_f64(),
        sweep_seconds_max: counts.longest_sweep.as_secs_f64(),
        sweep_processes: counts.sweep_processes,
        outbox: outbox.into_iter().collect(),
        deliveries: named(counts.deliveries),
    })
}

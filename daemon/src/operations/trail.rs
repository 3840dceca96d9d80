//! The audit trail as a whole: listed, verified, tended.

use std::time::Duration;

use lockdown_dbus_api::{
    Error,
    options::{EventFilter, VerifyEvents},
    views,
};
use lockdown_enforcement::escape::escape;

use crate::{
    core::Core,
    domain::{
        event::{Action, Severity},
        lock::Time,
    },
    host::{clock, witnesses},
    report,
    store::{
        StoreError,
        events::{
            self,
            chain::{self, hex},
            prune::{self, Cut},
            verify::Verification,
        },
    },
};

/// How often the journal is told where the chain is, and whether something is too old is looked at.
const ROUND: Duration = Duration::from_hours(1);
/// What is too old is removed so often, in seconds.
const DAY: Time = 24 * 3600;

/// Rows of the audit trail.
///
/// # Errors
/// `InvalidArgument` for an action, a severity or an order that there is not; `Failed`.
pub async fn list(core: &Core, filter: EventFilter) -> Result<Vec<views::Event>, Error> {
    check(&filter)?;
    Ok(core.store.read(move |connection| events::list(connection, &filter).map_err(StoreError::from)).await?)
}

fn check(filter: &EventFilter) -> Result<(), Error> {
    let unknown = |what: &str, name: &str, known: Vec<&str>| {
        Err(Error::InvalidArgument(format!(
            "there is no {what} {}: known are {}",
            escape(name),
            known.join(", ")
        )))
    };
    for action in filter.action.iter().chain(filter.actions.iter().flatten()) {
        if Action::by_name(action).is_none() {
            return unknown("action", action, Action::ALL.iter().map(|action| action.name()).collect());
        }
    }
    if let Some(severity) = filter.severity.as_deref().filter(|name| Severity::by_name(name).is_none()) {
        return unknown("severity", severity, Severity::ALL.iter().map(|severity| severity.name()).collect());
    }
    match filter.order.as_deref() {
        None | Some("newest" | "oldest") => Ok(()),
        Some(order) => unknown("order", order, vec!["newest", "oldest"]),
    }
}

/// Goes through the whole chain, or what of it is not older than `options` say. One at a time: it takes a processor.
///
/// # Errors
/// `Failed`
pub async fn verify(core: &Core, options: VerifyEvents) -> Result<views::Verification, Error> {
    let _turn = core.verifying.lock().await;
    // Before the events are looked at: of those that come meanwhile, nothing is missing.
    let (known, note) = match witnesses::read().await {
        Ok(known) => {
            let note = if known.witnesses.is_empty() {
                Some(
                    "the journal has no event to compare with: an end that was cut off would not be told by it",
                )
            } else if known.of_another {
                Some("the journal also knows an earlier trail: the store was begun anew since")
            } else {
                None
            };
            (known.witnesses, note.map(str::to_owned))
        }
        Err(error) => (
            witnesses::Known::default().witnesses,
            Some(format!("the journal cannot be compared with: {error}")),
        ),
    };
    let findings = core
        .store
        .read_apart(move |connection| {
            let mut snapshot = connection.unchecked_transaction()?;
            let mut verification = Verification::begin(&snapshot, options.since, known)?;
            while verification.go_on(&snapshot)? {
                // One that stands for long would keep the write-ahead log from being emptied.
                snapshot.finish()?;
                snapshot = connection.unchecked_transaction()?;
            }
            Ok(verification.finish())
        })
        .await?;
    Ok(views::Verification {
        ok: findings.problems.is_empty(),
        checked: findings.checked,
        first: findings.first,
        last: findings.last.id,
        head: hex(&findings.last.hash),
        compared: findings.witnesses,
        problems: findings
            .problems
            .into_iter()
            .map(|found| views::EventProblem { id: found.id, problem: found.problem })
            .collect(),
        more: findings.more,
        note,
    })
}

/// Tells the journal where the chain is.
///
/// # Errors
/// [`StoreError`]
pub async fn tell_head(core: &Core) -> Result<(), StoreError> {
    report::head(core.store.read(|connection| chain::head(connection).map_err(StoreError::from)).await?);
    Ok(())
}

/// Tends the trail for as long as the daemon runs. What is too old is first looked for after an hour, when a clock that was wrong
/// at boot has been set, or when the configuration says anew what is too old.
pub async fn tend(core: &Core) {
    let failed = |what: &str, error: StoreError| tracing::error!("{what}: {error}");
    if let Err(error) = finish_removing(core).await {
        failed("events that have left the audit trail cannot be removed", error);
    }
    loop {
        let is_asked_for = tokio::time::timeout(ROUND, core.keep_changed.notified()).await.is_ok();
        if let Err(error) = tell_head(core).await {
            failed("the journal cannot be told where the audit trail is", error);
        }
        if let Err(error) = remove_old(core, clock::now(), is_asked_for).await {
            failed("old events cannot be removed", error);
        }
    }
}

/// Removes the events that are too old at `now`, if that was not done within a day or is `asked_for`.
///
/// # Errors
/// [`StoreError`]; what was not removed is the next time.
pub async fn remove_old(core: &Core, now: Time, is_asked_for: bool) -> Result<(), StoreError> {
    let Some(keep) = core.settings().events.keep else { return Ok(()) };
    let limit = now.saturating_sub(Time::try_from(keep.as_secs()).unwrap_or(Time::MAX));
    let last = core.store.read(|connection| prune::last_time(connection).map_err(StoreError::from)).await?;
    if !is_asked_for && last.is_some_and(|last| now.abs_diff(last) < DAY.unsigned_abs()) {
        return Ok(());
    }
    let mut cut = core.store.read(|connection| Cut::begin(connection).map_err(StoreError::from)).await?;
    while !cut.is_whole {
        cut = core
            .store
            .read(move |connection| cut.extend(connection, limit).map_err(StoreError::from))
            .await?;
    }
    if cut.count > 0 {
        core.store.write(move |change| prune::sign_off(change, &cut, now)).await?;
    }
    finish_removing(core).await
}

async fn finish_removing(core: &Core) -> Result<(), StoreError> {
    let unfinished = core.store.read(|connection| prune::is_unfinished(connection).map_err(StoreError::from));
    if !unfinished.await? {
        return Ok(());
    }
    while core.store.write(prune::remove_some).await? {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_not_is_told_with_what_there_is() {
        let refusal = |filter: EventFilter| match check(&filter) {
            Err(Error::InvalidArgument(text)) => text,
            other => panic!("{other:?}"),
        };
        let filter = EventFilter::default;
        assert!(check(&EventFilter { action: Some("lock".into()), ..filter() }).is_ok());
        let text = refusal(EventFilter { actions: Some(vec!["lock".into(), "lokc\n".into()]), ..filter() });
        assert!(text.starts_with("there is no action lokc\\n: known are lock, unlock"), "{text}");
        assert!(
            refusal(EventFilter { severity: Some("bad".into()), ..filter() }).contains("warning, critical")
        );
        assert!(refusal(EventFilter { order: Some("up".into()), ..filter() }).contains("newest, oldest"));
    }
}

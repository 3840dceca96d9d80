//! Documents at the start, on reload, and as time goes by.

use std::{sync::Arc, time::Duration};

use tokio::time::MissedTickBehavior;

use super::{finish, judge, mirror, record_refusal, result, run, sources};
use crate::{
    bus::caller::Caller,
    core::Core,
    store::{StoreError, documents},
};

use super::sources::Refusal;

/// How long a start or a reload waits for what documents lock: longer than that takes is a directory that hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The daemon itself, in events and as who has placed a lock.
fn daemon() -> Caller {
    // Not anybody's own account is protected from it.
    Caller { uid: 0, name: "lockdownd".to_owned(), ..Caller::default() }
}

/// Takes what was applied before into account, and applies the files of `state.d`: a host that was off catches up. If it takes too
/// long, it goes on in the background.
///
/// # Errors
/// [`StoreError`]
pub async fn start(core: &Arc<Core>) -> Result<(), StoreError> {
    let applied = core.store.read(|connection| documents::all(connection).map_err(StoreError::from)).await?;
    let protected =
        applied.iter().flat_map(|document| document.protected.iter().map(move |name| (name, document)));
    core.protect_by_documents(
        protected.map(|(name, document)| (name.clone(), document.name.clone())).collect(),
    );
    apply_directory(core).await;
    Ok(())
}

/// Applies the files of `state.d` anew; what of it goes on in the background after the commit is logged.
pub async fn apply_directory(core: &Arc<Core>) {
    let parts = Arc::clone(core);
    let (done, waiting) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let outcome = run(&parts, &daemon(), sources::Wanted::Directory, false).await;
        let committed = take(&parts, outcome).await;
        let _ = done.send(());
        conclude(&parts, committed).await;
    });
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        tracing::warn!("state documents are applied in the background: it takes long");
    }
}

/// Follows groups, at once where their files change, accounts that were not there, and what others do to what documents have set, for as long as the daemon runs.
pub async fn follow(core: &Arc<Core>) {
    let mut has_failed = false;
    loop {
        let mut pause = tokio::time::interval(core.settings().state.groups_every);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is at once.
        pause.tick().await;
        tokio::select! {
            _ = pause.tick() => {}
            () = core.accounts_changed.notified() => {}
            () = core.state_configured.notified() => continue,
        }
        let outcome = run(core, &daemon(), sources::Wanted::AsApplied, false).await;
        let committed = match outcome {
            Ok(outcome) => {
                if std::mem::take(&mut has_failed) {
                    core.set_state_error(String::new());
                }
                outcome.committed
            }
            Err(Refusal::Error(error)) => {
                tracing::warn!("state documents could not be followed: {}", error.message());
                None
            }
            Err(Refusal::Faults(faults)) => {
                let faults = judge::in_order(faults);
                let why = result::in_words(&faults);
                has_failed = true;
                if core.set_state_error(why.clone()) {
                    tracing::error!("state documents stay as they were applied: {why}");
                    record_refusal(core, &daemon(), &faults).await;
                }
                None
            }
        };
        conclude(core, committed).await;
    }
}

async fn take(
    core: &Arc<Core>,
    outcome: Result<super::Outcome, Refusal>,
) -> Option<super::commit::Committed> {
    match outcome {
        Ok(outcome) => {
            core.set_state_error(String::new());
            for (_, warning) in &outcome.warnings {
                tracing::warn!("{warning}");
            }
            outcome.committed
        }
        Err(Refusal::Faults(faults)) => {
            let faults = judge::in_order(faults);
            let why = result::in_words(&faults);
            tracing::error!("state documents stay as they were applied: {why}");
            core.set_state_error(why);
            record_refusal(core, &daemon(), &faults).await;
            None
        }
        Err(Refusal::Error(error)) => {
            tracing::error!("state documents could not be applied: {}", error.message());
            core.set_state_error(error.message());
            None
        }
    }
}

async fn conclude(core: &Arc<Core>, committed: Option<super::commit::Committed>) {
    let problems = match committed {
        Some(committed) => finish::finish(core, &daemon(), committed).await.problems,
        None => mirror::settle(core).await,
    };
    for problem in problems {
        tracing::warn!("{problem}; it is tried again");
    }
    core.give_memory_back().await;
}

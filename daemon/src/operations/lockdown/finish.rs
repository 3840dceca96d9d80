//! Finishes lockdowns of which something is left: a step failed, or the daemon ended in the middle.

use std::{sync::Arc, time::Duration};

use lockdown_enforcement::escape::escape;

use super::{order::Spared, secure::secure, watcher::Watcher};
use crate::{
    core::Core,
    domain::account::Account,
    host::processes::{Held, Mark, Target, of_account},
    store::{
        StoreError, accounts,
        lockdowns::{self, Lockdown},
    },
};

/// Pauses before each further attempt; the last one repeats.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_hours(1),
];

/// Takes up what a daemon before this one left.
///
/// # Errors
/// [`StoreError`]
pub async fn take_up(core: &Arc<Core>) -> Result<(), StoreError> {
    let unfinished =
        core.store.read(|connection| lockdowns::unfinished(connection).map_err(StoreError::from)).await?;
    for lockdown in unfinished {
        tracing::warn!("the lockdown of {} was interrupted and is finished now", escape(&lockdown.account));
        start(core, lockdown, Spared::default(), Duration::ZERO);
    }
    Ok(())
}

/// Tries again later, again and again. What is spared goes on for as long as the caller's terminal does.
pub fn later(core: &Arc<Core>, lockdown: Lockdown, spared: Spared) {
    start(core, lockdown, spared, PAUSES[0]);
}

/// Carries out, in the background, a lockdown that stands again.
pub fn again(core: &Arc<Core>, lockdown: Lockdown) {
    start(core, lockdown, Spared::default(), Duration::ZERO);
}

fn start(core: &Arc<Core>, lockdown: Lockdown, spared: Spared, first: Duration) {
    let Some(place) = core.take_up(lockdown.id) else { return };
    let core = Arc::clone(core);
    tokio::spawn(async move {
        let _place = place;
        let terminal = terminal_of(&lockdown, &spared.marks);
        let pauses =
            std::iter::once(first).chain(PAUSES.into_iter().skip(1)).chain(std::iter::repeat(PAUSES[4]));
        for pause in pauses {
            tokio::time::sleep(pause).await;
            let Some(lockdown) = still_unfinished(&core, &lockdown).await else { return };
            let account = match core.nss().by_name(&lockdown.account).await {
                Ok(Some(account)) => account,
                // What runs by its uid is another's.
                Ok(None) if is_anothers(&core, &lockdown).await => return,
                _ => Account::without_nss(lockdown.account.clone(), lockdown.uid),
            };
            let spared = if terminal.iter().any(Mark::is_alive) { spared.clone() } else { Spared::default() };
            let watcher = Watcher::nobody(&core, &account);
            match secure(&core, &lockdown, &account, &watcher, &spared).await {
                Some(secured) if !secured.is_complete() => {}
                _ => return,
            }
        }
    });
}

async fn is_anothers(core: &Core, lockdown: &Lockdown) -> bool {
    let name = lockdown.account.clone();
    let own =
        core.store.read(move |connection| accounts::uid_of(connection, &name).map_err(StoreError::from));
    matches!(own.await, Ok(None))
}

/// Of the caller and its ancestors those that are the caller's own terminal, from its shell to the last that is not the
/// account's.
fn terminal_of(lockdown: &Lockdown, spared: &[Mark]) -> Vec<Mark> {
    let target: Target = of_account(lockdown.uid, &lockdown.account);
    let is_other = |mark: &&Mark| Held::take(mark.pid).is_some_and(|held| !target.has(&held.facts));
    spared.iter().skip(1).take_while(is_other).copied().collect()
}

async fn still_unfinished(core: &Core, lockdown: &Lockdown) -> Option<Lockdown> {
    let id = lockdown.id;
    let unfinished =
        core.store.read(|connection| lockdowns::unfinished(connection).map_err(StoreError::from)).await;
    match unfinished {
        Ok(unfinished) => unfinished.into_iter().find(|lockdown| lockdown.id == id),
        Err(error) => {
            tracing::error!("the lockdown of {} cannot be read: {error}", escape(&lockdown.account));
            Some(lockdown.clone())
        }
    }
}

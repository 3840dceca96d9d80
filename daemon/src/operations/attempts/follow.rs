//! Folds the accounts of which the login path has reported attempts, and from time to time all.

use std::{io, sync::Arc, time::Instant};

use futures_util::{StreamExt, stream};

use super::{
    digest::Digest,
    fold::{Fold, FoldError, fold},
};
use crate::{
    core::Core,
    domain::account::Account,
    store::{StoreError, accounts, locks},
};

/// Accounts that are folded at a time: one whose directory server hangs does not hold the others up.
const AT_A_TIME: usize = 8;

/// Folds what is reported, for as long as the daemon runs.
pub async fn follow(core: Arc<Core>) {
    let attempts = &core.attempts;
    loop {
        let next = attempts.queue().next();
        let moment = async {
            match next {
                Some(moment) => tokio::time::sleep_until(moment.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = moment => {}
            // Another account may come first now.
            () = attempts.reported.notified() => {}
        }
        let due = attempts.queue().due(Instant::now());
        stream::iter(due).for_each_concurrent(AT_A_TIME, |uid| fold_uid(&core, uid)).await;
    }
}

/// Folds every tally, and every account that attack protection has locked: its tally may be gone. Who cannot be folded is
/// logged.
///
/// # Errors
/// [`StoreError`]; the accounts are folded when their next attempt is reported.
pub async fn fold_all(core: &Core) -> Result<(), StoreError> {
    let locked =
        core.store.read(|connection| Ok::<_, StoreError>(locks::with_lock_of_tally(connection)?)).await?;
    for name in locked {
        let account = match core.nss().by_name(&name).await {
            Ok(Some(account)) => account,
            Ok(None) => continue,
            Err(error) => {
                // The others would hang alike.
                tracing::warn!("accounts that attack protection has locked cannot be looked up: {error}");
                break;
            }
        };
        if let Err(error) = fold(core, &account).await {
            tracing::error!("{error}");
        }
    }
    match core.attempts.uids() {
        Ok(uids) => stream::iter(uids).for_each_concurrent(AT_A_TIME, |uid| fold_uid(core, uid)).await,
        Err(error) => tracing::error!("the tallies of failed attempts cannot be listed: {error}"),
    }
    Ok(())
}

async fn fold_uid(core: &Core, uid: u32) {
    let _alone = core.attempts.alone_with(uid).await;
    let told = core.attempts.queue().begin(uid, Instant::now());
    match fold_and_tell(core, uid, told.clone()).await {
        Ok(false) => {}
        Ok(true) => core.attempts.queue().told(uid, Instant::now()),
        Err(FoldError::Store(error)) => {
            tracing::error!("failed attempts on uid {uid} are not in the store yet: {error}");
            core.attempts.queue().failed(uid, told, Instant::now());
        }
        Err(error) => tracing::error!("{error}"),
    }
}

/// Whether an event has told of them.
async fn fold_and_tell(core: &Core, uid: u32, told: Option<Digest>) -> Result<bool, FoldError> {
    let of_tally = |error: io::Error| FoldError::of_tally(&format!("uid {uid}"), error);
    let fold = Fold::read(core, uid).map_err(of_tally)?;
    // NSS is asked only if there is something to do.
    let names =
        core.store.read(move |connection| Ok::<_, StoreError>(accounts::names_of(connection, uid)?)).await?;
    let known = names.into_iter().next();
    if let Some(name) = &known
        && !fold.is_needed(core, name, told.as_ref()).await?
    {
        return Ok(false);
    }
    let account = match (core.nss().by_uid(uid).await, known) {
        (Ok(Some(account)), _) => account,
        // Nobody's tally.
        (Ok(None), _) => return Ok(false),
        (Err(_), Some(name)) => Account::without_nss(name, uid),
        (Err(error), None) => return Err(of_tally(io::Error::other(error))),
    };
    Ok(fold.apply(core, &account, told, None).await?.has_told)
}

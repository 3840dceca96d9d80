//! The expiry in shadow(5) of accounts that documents deactivate: set for as long as one of them does, then put back.
//!
//! The account's own expiry is in the store before it is changed, so a daemon that dies here goes on where it was. Where a
//! lockdown stands, that line is its affair until it is taken back.

use lockdown_enforcement::escape::escape;

use crate::{
    core::Core,
    domain::account::Account,
    host::{
        shadow::Shadow,
        shadow_utils::{self, ShadowError, ShadowState},
    },
    operations::prior::{self, Prior},
    store::{
        StoreError,
        documents::{self, Mirrored},
        lockdowns::{self, Lockdown},
    },
};

/// What shadow(5) has as the day of the expiry of what is deactivated: 1970-01-02.
const EXPIRED: i64 = 1;

/// Makes shadow(5) agree, account by account. What went wrong, and is tried again.
pub async fn settle(core: &Core) -> Vec<String> {
    let mirrored =
        core.store.read(|connection| documents::mirrored(connection).map_err(StoreError::from)).await;
    let mirrored = match mirrored {
        Ok(mirrored) => mirrored,
        Err(error) => return vec![error.to_string()],
    };
    let shadow = Shadow::read();
    let mut problems = Vec::new();
    for one in mirrored {
        let is_expired = shadow.entry(&one.account).is_some_and(|entry| entry.expires == Some(EXPIRED));
        if one.is_deactivated && one.own.is_some() && is_expired {
            continue;
        }
        if let Err(error) = settle_one(core, &one).await {
            problems.push(format!("{}: {error}", escape(&one.account)));
        }
    }
    problems
}

async fn settle_one(core: &Core, one: &Mirrored) -> Result<(), String> {
    let _alone = core.alone_with(one.uid).await;
    let lockdown = standing_lockdown(core, &one.account).await.map_err(|error| error.to_string())?;
    if one.is_deactivated {
        shut(core, one, lockdown).await
    } else if lockdown.is_some() {
        // What it puts back, or leaves expired, is looked at once it is over.
        Ok(())
    } else {
        put_back(core, one).await
    }
}

async fn standing_lockdown(core: &Core, account: &str) -> Result<Option<Lockdown>, StoreError> {
    let name = account.to_owned();
    let last =
        core.store.read(move |connection| lockdowns::last_of(connection, &name).map_err(StoreError::from));
    let expires = |lockdown: &Lockdown| !lockdown.restored && lockdown.wanted.actions.deactivate;
    Ok(last.await?.filter(expires))
}

async fn shut(core: &Core, one: &Mirrored, lockdown: Option<Lockdown>) -> Result<(), String> {
    // A directory account has the lock alone.
    let state = shadow_utils::state_of(&one.account).map_err(|error| error.to_string())?;
    let Some(state) = state else { return Ok(()) };
    if one.own.is_none() {
        let own = match lockdown {
            Some(lockdown) => before_lockdown(core, &lockdown, one).await.unwrap_or(state.expires),
            None => state.expires,
        };
        let id = one.account_id;
        let kept = core.store.write(move |change| documents::keep_expiry(change, id, &own));
        kept.await.map_err(|error: StoreError| error.to_string())?;
    }
    match shadow_utils::shut(&one.account, true, false).await {
        Ok(()) | Err(ShadowError::NotLocal(_)) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// What a lockdown has kept of the account's own expiry: what stands in shadow(5) is its work.
async fn before_lockdown(core: &Core, lockdown: &Lockdown, one: &Mirrored) -> Option<String> {
    let account = Account::without_nss(one.account.clone(), one.uid);
    let kept = prior::all(core, lockdown.id, &account).await.ok()?;
    kept.into_iter().find_map(|(_, prior)| match prior {
        Prior::Shadow(state) | Prior::Expiry(state) => Some(state.expires),
        _ => None,
    })
}

async fn put_back(core: &Core, one: &Mirrored) -> Result<(), String> {
    let state = shadow_utils::state_of(&one.account).map_err(|error| error.to_string())?;
    // Somebody has set another meanwhile: that stays.
    let is_ours = |state: &ShadowState| state.expires.parse() == Ok(EXPIRED);
    if let (Some(state), Some(own)) = (state.filter(is_ours), &one.own) {
        let own = ShadowState { expires: own.clone(), ..state };
        match shadow_utils::put_back(&one.account, &own, true, false).await {
            Ok(()) | Err(ShadowError::NotLocal(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    let id = one.account_id;
    let forgotten = core.store.write(move |change| documents::forget_expiry(change, id));
    forgotten.await.map_err(|error: StoreError| error.to_string())
}

//! A recovery code, until it is used.
//!
//! The code is the account's password in shadow(5), marked as one that has to be changed at the next login. While it has not been
//! used, the account expires when the code does, also with the daemon dead: `lapse.rs`.

use lockdown_enforcement::escape::escape;

use crate::{
    core::Core,
    domain::event::{Action, Event},
    host::{clock, shadow_utils},
    store::{
        Change, StoreError, accounts,
        recoveries::{self, Recovery},
    },
};

/// Looks whether the code of this account was used, and gives the account its own expiry back then.
///
/// # Errors
/// [`StoreError`]
pub async fn look(core: &Core, account: &str) -> Result<(), StoreError> {
    let name = account.to_owned();
    let waiting = core
        .store
        .read(move |connection| recoveries::of_account(connection, &name).map_err(StoreError::from))
        .await?;
    if let Some(recovery) = waiting {
        note_use(core, recovery).await?;
    }
    Ok(())
}

/// Whether a code was used. If so it is out of the books, and the account has its own expiry back.
///
/// # Errors
/// [`StoreError`]
pub async fn note_use(core: &Core, recovery: Recovery) -> Result<bool, StoreError> {
    if !was_used(&recovery.account) {
        return Ok(false);
    }
    core.store
        .write(move |change| {
            end(change, &recovery.account)?;
            change.record(Event::new(clock::now(), Action::RecoveryUsed, &recovery.account))
        })
        .await?;
    Ok(true)
}

/// The user has set a new password, or an administrator has: the code is gone from shadow(5).
fn was_used(account: &str) -> bool {
    match shadow_utils::state_of(account) {
        Ok(state) => state.is_none_or(|state| !state.must_change()),
        Err(error) => {
            tracing::error!("whether {} has used its code is unknown: {error}", escape(account));
            false
        }
    }
}

/// Takes a code out of the books, and gives the account its own expiry back. `false` if there is none.
///
/// # Errors
/// [`StoreError::Sqlite`]
pub fn end(change: &mut Change<'_>, account: &str) -> Result<bool, StoreError> {
    let Some(recovery) = recoveries::of_account(change.connection(), account)? else { return Ok(false) };
    let now = accounts::stored(change.connection(), account)?.valid_until;
    // Unless somebody has set another meanwhile.
    if now == Some(recovery.valid_until.map_or(recovery.expires_at, |own| own.min(recovery.expires_at))) {
        accounts::set_valid_until(change, recovery.account_id, recovery.uid, recovery.valid_until)?;
    }
    recoveries::remove(change, recovery.account_id)?;
    Ok(true)
}

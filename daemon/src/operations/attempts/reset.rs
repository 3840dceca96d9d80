//! Ends the count of failed attempts, and lifts the locks that they brought about.
//!
//! The tally comes first: what is lifted there is lifted. What the store does not hear of then, the next fold tells it.

use lockdown_dbus_api::{Error, options, views};
use lockdown_enforcement::Source;

use super::fold::{By, FoldError, bring_along};
use crate::{
    bus::caller::Caller,
    core::Core,
    domain::{
        account::Account,
        attempts::source_called,
        event::{Action, Event},
        lock::{Lock, Owner},
    },
    host::clock,
    operations::view,
    store::{StoreError, locks},
};

/// Ends the count of the source in `options`, or of all. That there was none is no error.
///
/// # Errors
/// `InvalidArgument` for a source without a name, `Failed`.
pub async fn reset(
    core: &Core,
    caller: &Caller,
    account: &Account,
    options: options::ResetFailures,
) -> Result<views::Account, Error> {
    if options.source.as_deref() == Some("") {
        return Err(Error::InvalidArgument(
            "the source has no name: give a remote host, user:NAME or local, or leave the option out"
                .to_owned(),
        ));
    }
    let source = options.source.as_deref().map(source_called);
    let by = By { caller: caller.clone(), reason: options.reason.clone().unwrap_or_default() };
    let _alone = core.attempts.alone_with(account.uid).await;
    let cleared = clear(core, account, source, &by).await?.0;
    let mut event = Event::new(clock::now(), Action::ResetFailures, &account.name);
    caller.sign(&mut event);
    event.reason = by.reason;
    event.input.insert("cleared", cleared.to_string());
    event.input.extend(options.source.map(|source| ("source", source)));
    core.store.write(move |change| change.record(event)).await?;
    view::account(core, caller, account).await
}

/// Lifts the locks that attack protection has on the account, if it has any in force, and then ends the count of all that
/// failed. Returns those that were lifted.
///
/// # Errors
/// [`FoldError`]
pub async fn lift(
    core: &Core,
    caller: &Caller,
    account: &Account,
    reason: &str,
) -> Result<Vec<Lock>, FoldError> {
    let _alone = core.attempts.alone_with(account.uid).await;
    bring_along(core, account, None).await?;
    let name = account.name.clone();
    let standing =
        core.store.read(move |connection| Ok::<_, StoreError>(locks::of_account(connection, &name)?)).await?;
    let now = clock::now();
    if !standing.iter().any(|lock| lock.terms.owner == Owner::AttackProtection && lock.in_force(now)) {
        return Ok(Vec::new());
    }
    let by = By { caller: caller.clone(), reason: reason.to_owned() };
    Ok(clear(core, account, None, &by).await?.1)
}

/// How many failures counted, and which locks were lifted.
async fn clear(
    core: &Core,
    account: &Account,
    source: Option<Source>,
    by: &By,
) -> Result<(usize, Vec<Lock>), FoldError> {
    // A lock that was never told of could not be told to be lifted.
    bring_along(core, account, None).await?;
    let cleared = core.attempts.clear(account.uid, source).await;
    let cleared = cleared.map_err(|error| FoldError::of_tally(&account.name, error))?;
    Ok((cleared, bring_along(core, account, Some(by.clone())).await?))
}

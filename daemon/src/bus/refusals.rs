//! A call that was refused for who made it, or because it is switched off, is an event. Refused protection is told by the operation
//! itself; what was not understood, or only asked for a look, is none.

use std::sync::PoisonError;

use lockdown_dbus_api::Error;

use super::caller::Caller;
use crate::{
    core::Core,
    domain::event::{Action, Event, Outcome},
    host::clock,
    store::StoreError,
};

/// What the member of the interface would have done; `None` if nothing.
#[must_use]
pub fn action(member: &str) -> Option<Action> {
    Some(match member {
        "LockAccount" => Action::Lock,
        "UnlockAccount" => Action::Unlock,
        "SetExpiry" => Action::SetExpiry,
        "SetAccount" => Action::SetAccount,
        "EndSessions" => Action::EndSessions,
        "Lockdown" | "LockdownSelf" => Action::Lockdown,
        "Restore" => Action::Restore,
        "LockAuthenticator" => Action::LockAuthenticator,
        "UnlockAuthenticator" => Action::UnlockAuthenticator,
        "ResetFailures" => Action::ResetFailures,
        "TestNotification" => Action::NotificationTest,
        "ApplyState" => Action::Apply,
        "RetryNotifications" => Action::NotificationsRetried,
        _ => return None,
    })
}

/// Records the refusal of a call of `member` about `account` (empty: none or several).
pub async fn record(core: &Core, caller: &Caller, member: &str, account: &str, error: &Error) {
    let Some(action) = action(member) else { return };
    let (Error::NotAuthorized(why) | Error::Disabled(why)) = error else { return };
    let now = clock::now();
    let admitted = core.refusals.lock().unwrap_or_else(PoisonError::into_inner).admit(caller.uid, now);
    let Some(left_out) = admitted else { return };
    let mut event = Event::new(now, action, account);
    caller.sign(&mut event);
    event.outcome = Outcome::Refused(why.clone());
    if left_out > 0 {
        event.input.insert("refusals_left_out", left_out.to_string());
    }
    let recorded: Result<(), StoreError> = core.store.write(move |change| change.record(event)).await;
    if let Err(error) = recorded {
        tracing::error!("a refusal could not be recorded: {error}");
    }
}

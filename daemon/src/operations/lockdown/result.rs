//! A lockdown's result as callers see it.

use std::collections::HashMap;

use lockdown_dbus_api::{Error, views};
use zbus::DBusError;

use lockdown_enforcement::escape::escape;

use super::secure::Secured;
use crate::domain::{account::Account, lockdown::ActionOutcome};

/// Nothing was done to this account.
#[must_use]
pub fn failed(user: String, error: &Error) -> views::LockdownResult {
    views::LockdownResult {
        user,
        error: Some(error.message()),
        error_name: Some(error.name().to_string()),
        ..views::LockdownResult::default()
    }
}

/// Every action was switched off.
#[must_use]
pub fn nothing_wanted(account: &Account) -> views::LockdownResult {
    let off = |action: &str| (action.to_owned(), ActionOutcome::Off.to_string());
    views::LockdownResult {
        user: account.name.clone(),
        success: true,
        actions: ["deactivate", "unusable_password", "end_sessions", "revoke_tokens"]
            .into_iter()
            .map(off)
            .collect(),
        ..views::LockdownResult::default()
    }
}

/// What was done.
#[must_use]
pub fn view(account: &Account, secured: Secured) -> views::LockdownResult {
    let failures = secured.failures();
    let actions: HashMap<String, String> =
        secured.actions().into_iter().map(|(name, outcome)| (name.to_owned(), outcome.to_string())).collect();
    let hook = |outcome: Result<(), String>| match outcome {
        Ok(()) => ActionOutcome::Done.to_string(),
        Err(why) => ActionOutcome::Failed(why).to_string(),
    };
    let spared = secured
        .sweep
        .spared
        .iter()
        .map(|process| format!("left alone, your own terminal runs in it: {process}"));
    let contained = secured
        .sweep
        .contained
        .iter()
        .map(|process| format!("left alone, in a container of another: {process}"));
    let error = (!failures.is_empty()).then(|| {
        format!(
            "{}; it is tried again, see `lockdownctl events --user {}`",
            failures.join("; "),
            escape(&account.name)
        )
    });
    views::LockdownResult {
        user: account.name.clone(),
        success: failures.is_empty(),
        error_name: error.is_some().then(|| Error::Failed(String::new()).name().to_string()),
        error,
        actions,
        sessions_ended: secured.sessions,
        processes_ended: secured.sweep.processes,
        notes: secured.notes.into_iter().chain(spared).chain(contained).collect(),
        survivors: secured.sweep.survivors,
        units_stopped: secured.sweep.units,
        tokens: secured.tokens.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect(),
        hooks: secured.hooks.into_iter().map(|(name, outcome)| (name, hook(outcome))).collect(),
        followed_sessions: secured.followed.sessions,
        keys_elsewhere: secured.followed.keys,
        suspects: secured.followed.suspects,
    }
}

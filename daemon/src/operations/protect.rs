//! Gathers what the rule of protected accounts needs, and refuses.

use std::collections::BTreeSet;

use lockdown_dbus_api::Error;
use lockdown_enforcement::escape::escape;

use crate::{
    bus::caller::Caller,
    core::Core,
    domain::{
        account::Account,
        event::{Action, Event, Outcome},
        protection::{Facts, Protection, protection},
    },
    host::{administrators, clock},
    store::StoreError,
};

/// Why this caller cannot lock the account; `None` if it can.
pub async fn check(core: &Core, caller: &Caller, account: &Account) -> Option<Protection> {
    let mut facts = Facts {
        uid_min: core.uid_min(),
        caller: [Some(caller.uid), caller.loginuid].into_iter().flatten().collect(),
        users: core.protected_users(),
        protected_group: None,
        last_administrator: false,
    };
    if let Some(found) = protection(account, &facts) {
        // What is decided by uid and name needs no look-up of groups.
        return Some(found);
    }
    let settings = core.settings();
    let nss = core.nss();
    if !settings.protected.groups.is_empty() {
        // As with the last administrator: without an answer it is an ordinary account.
        let groups: BTreeSet<String> = nss.groups_of(account).await.unwrap_or_default();
        facts.protected_group =
            settings.protected.groups.iter().find(|group| groups.contains(*group)).cloned();
    }
    let admin_groups = &settings.protected.admin_groups;
    facts.last_administrator =
        administrators::is_last(account, admin_groups, &nss, &core.store, clock::now()).await;
    protection(account, &facts)
}

/// Refuses what would lock a protected account, and records that somebody tried.
///
/// # Errors
/// `Protected`
pub async fn refuse_if_protected(
    core: &Core,
    caller: &Caller,
    account: &Account,
    action: Action,
) -> Result<(), Error> {
    let Some(protection) = check(core, caller, account).await else { return Ok(()) };
    let refusal = format!("{} is protected: {protection}", escape(&account.name));
    let mut event = Event::new(clock::now(), action, &account.name);
    event.caller = caller.fields();
    event.outcome = Outcome::Refused(protection.to_string());
    if let Err(error) = core.store.write(move |change| change.record(event)).await {
        let error: StoreError = error;
        tracing::error!("the refusal could not be recorded: {error}");
    }
    Err(Error::Protected(refusal))
}

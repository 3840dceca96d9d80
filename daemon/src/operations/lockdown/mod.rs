//! Locking accounts down: an order is checked, committed for all its accounts at once, then carried out on the host for each.
//!
//! From the commit on no new login succeeds. What follows can fail in parts, can be interrupted and can be repeated: it never
//! takes the deny back, and what is left is finished in the background ([`finish`]).

mod begin;
mod choose;
pub mod finish;
mod follow;
mod order;
mod preview;
mod result;
mod revoke;
mod secure;
mod starters;
mod watcher;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use lockdown_dbus_api::{Error, options, views};
use lockdown_enforcement::{Login, escape::escape};

use super::protect::Rule;
use crate::{
    bus::caller::Caller,
    core::Core,
    domain::{account::Account, event::Action},
    host::terminals,
    store::{
        StoreError,
        lockdowns::{self, Lockdown},
    },
};
use begin::{begin, refuse};
use choose::{Chosen, choose};
use order::Order;
pub use preview::preview;
use result::{failed, view};
use secure::secure;
use watcher::Watcher;

/// Accounts that are secured at the same time.
const AT_ONCE: usize = 8;
/// For what is shown to the user on the way to the terminal, before the session ends.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Locks accounts down: one result for each, in the order given, an account named twice counted once.
///
/// # Errors
/// `Disabled`, `InvalidArgument`, `NotAuthorized`, and `Failed` if nothing could be committed. What goes wrong with one account
/// is in its result.
pub async fn lockdown(
    core: &Arc<Core>,
    caller: &Caller,
    users: Vec<String>,
    options: options::Lockdown,
) -> Result<Vec<views::LockdownResult>, Error> {
    refuse_if_disabled(core)?;
    let order = Order::of_operator(&core.settings(), caller, options)?;
    if users.is_empty() {
        return Err(Error::InvalidArgument("no account is named: name at least one".to_owned()));
    }
    let deciding = core.deciding().await;
    let chosen = choose(core, &order, users).await;
    let accounts = chosen.iter().filter_map(|chosen| chosen.account.as_ref().ok().cloned()).collect();
    let mut begun = begin(core, &order, accounts).await?.into_iter();
    drop(deciding);
    let work: Vec<(Chosen, Option<Option<Lockdown>>)> = chosen
        .into_iter()
        .map(|chosen| {
            let lockdown = chosen.account.is_ok().then(|| begun.next().flatten());
            (chosen, lockdown)
        })
        .collect();
    let order = &order;
    Ok(stream::iter(work)
        .map(|(chosen, lockdown)| async move {
            match chosen.account {
                Ok(account) => carry_out(core, order, account, lockdown.flatten()).await,
                Err(error) => failed(chosen.user, &error),
            }
        })
        .buffered(AT_ONCE)
        .collect()
        .await)
}

/// Locks the caller's own account down. Its session ends before the answer can arrive.
///
/// # Errors
/// As [`lockdown`], and `Disabled` if nobody has configured what the user is left with.
pub async fn lockdown_self(
    core: &Arc<Core>,
    caller: &Caller,
    options: options::LockdownSelf,
) -> Result<views::LockdownResult, Error> {
    refuse_if_disabled(core)?;
    let order = Order::of_user(&core.settings(), caller, options)?;
    let account = core
        .nss()
        .by_uid(caller.uid)
        .await?
        .ok_or_else(|| Error::NoSuchAccount(format!("no account has your uid {}", caller.uid)))?;
    let deciding = core.deciding().await;
    if let Some(protection) = Rule::for_oneself(core).check(&account).await {
        refuse(core, &order, &account.name, &protection.to_string()).await;
        return Err(Error::Protected(format!("{} is protected: {protection}", escape(&account.name))));
    }
    let lockdown = begin(core, &order, vec![account.clone()]).await?.pop().flatten();
    drop(deciding);
    Watcher::new(core, &order.caller, &account).report("completion", &order.message);
    let (uid, text, own) = (account.uid, order.message.clone(), caller.tty.clone());
    // The caller's own terminal has it from the caller.
    let told = tokio::task::spawn_blocking(move || terminals::write_to_all(uid, &text, own.as_deref()));
    if let Err(error) = told.await {
        tracing::warn!("the terminals of {} could not be told: {error}", escape(&account.name));
    }
    tokio::time::sleep(LAST_WORDS).await;
    // On its own: the caller ends in the middle of it.
    let (core, order) = (Arc::clone(core), order);
    tokio::spawn(async move { carry_out(&core, &order, account, lockdown).await })
        .await
        .map_err(|error| Error::Failed(format!("the lockdown goes on in the background: {error}")))
}

/// The login path came to a line that locks down (`trigger=lockdown`). `reporter` is the process that runs it.
pub async fn triggered(core: &Arc<Core>, login: Login, reporter: u32) {
    let order = Order::of_login_path(&core.settings(), &login, reporter);
    if let Err(error) = refuse_if_disabled(core) {
        return refuse(core, &order, &login.account, &error.message()).await;
    }
    // The login path says what was typed; the store goes by the name that NSS has.
    let account = match core.nss().by_uid(login.uid).await {
        Ok(Some(account)) => account,
        _ => Account::without_nss(login.account, login.uid),
    };
    let deciding = core.deciding().await;
    if let Some(protection) = Rule::for_one(core, &order.caller).check(&account).await {
        return refuse(core, &order, &account.name, &protection.to_string()).await;
    }
    if stands_already(core, &order, &account).await {
        return tracing::info!("{} is locked down: {}", escape(&account.name), escape(&order.reason));
    }
    let begun = begin(core, &order, vec![account.clone()]).await;
    drop(deciding);
    match begun {
        Ok(mut begun) => {
            let lockdown = begun.pop().flatten();
            carry_out(core, &order, account, lockdown).await;
        }
        Err(error) => tracing::error!(
            "{} reached a line that locks down, but could not be: {error}",
            escape(&account.name)
        ),
    }
}

/// Whoever can try to log in reaches a trigger as often as they like: only the first time does it make work.
async fn stands_already(core: &Core, order: &Order, account: &Account) -> bool {
    let name = account.name.clone();
    let last =
        core.store.read(move |connection| lockdowns::last_of(connection, &name).map_err(StoreError::from));
    let stands = |last: Lockdown| !last.restored && last.wanted.and(order.wanted) == last.wanted;
    order.wanted.actions.deactivate && last.await.ok().flatten().is_some_and(stands)
}

/// `lockdown` is absent if nothing is to be done on the host: every action is off.
async fn carry_out(
    core: &Arc<Core>,
    order: &Order,
    account: Account,
    lockdown: Option<Lockdown>,
) -> views::LockdownResult {
    let Some(lockdown) = lockdown else { return result::nothing_wanted(&account) };
    let watcher = Watcher::new(core, &order.caller, &account);
    let spared = order.spared(&account);
    let Some(secured) = secure(core, &lockdown, &account, &watcher, &spared).await else {
        let why =
            format!("{} was restored meanwhile: lock it down again if it has to be", escape(&account.name));
        return failed(account.name, &Error::Failed(why));
    };
    if !secured.is_complete() {
        finish::later(core, lockdown, spared);
    }
    view(&account, secured)
}

fn refuse_if_disabled(core: &Core) -> Result<(), Error> {
    if core.settings().lockdown.enabled {
        Ok(())
    } else {
        let why =
            "lockdown is switched off on this host: set [lockdown] enabled = true, or use `lockdownctl lock`";
        Err(Error::Disabled(why.to_owned()))
    }
}

/// What is done here, in the audit trail.
const ACTION: Action = Action::Lockdown;

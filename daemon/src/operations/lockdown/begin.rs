//! The transaction: from its end on no new login succeeds.

use super::{ACTION, order::Order};
use crate::{
    announcement::Announcement,
    core::Core,
    domain::{
        account::Account,
        event::{Event, Outcome},
        lock::{Lock, NewLock},
    },
    host::clock,
    operations::view::lock_notice,
    store::{
        StoreError, accounts,
        lockdowns::{self, Lockdown},
        locks,
    },
};

/// Commits an order for all `accounts`, or for none. For each, what is to be carried out; `None` where every action is off: that is
/// an event and nothing more.
///
/// # Errors
/// [`StoreError`]; nothing was changed.
pub async fn begin(
    core: &Core,
    order: &Order,
    accounts: Vec<Account>,
) -> Result<Vec<Option<Lockdown>>, StoreError> {
    let undo_until = clock::after(core.settings().lockdown.undo_window);
    let order = order.clone();
    let (begun, locks) = core
        .store
        .write(move |change| {
            let now = clock::now();
            let mut begun = Vec::with_capacity(accounts.len());
            let mut locks: Vec<(String, Lock)> = Vec::new();
            for account in accounts {
                let id = accounts::ensure(change, &account.name, account.uid, now)?;
                let mut event = event(&order, &account.name);
                if order.wanted.actions.deactivate {
                    let lock = locks::put(change, id, account.uid, &terms(&order), now)?;
                    event.target = format!("lock:{}", lock.id);
                    event.owner = order.owner().to_string();
                    locks.push((account.name.clone(), lock));
                }
                begun.push(if order.wanted.actions.are_all_off() {
                    None
                } else {
                    Some(lockdowns::open(change, id, &order.reason, order.wanted, now, undo_until)?)
                });
                change.record(event)?;
            }
            Ok::<_, StoreError>((begun, locks))
        })
        .await?;
    for (account, lock) in locks {
        core.announce(Announcement::LockdownTriggered(account, lock_notice(&lock, true)));
    }
    Ok(begun)
}

/// Records that an order was refused.
pub async fn refuse(core: &Core, order: &Order, account: &str, why: &str) {
    let mut event = event(order, account);
    event.outcome = Outcome::Refused(why.to_owned());
    let recorded: Result<(), StoreError> = core.store.write(move |change| change.record(event)).await;
    if let Err(error) = recorded {
        tracing::error!("the refusal could not be recorded: {error}");
    }
}

fn event(order: &Order, account: &str) -> Event {
    let mut event = Event::new(clock::now(), ACTION, account);
    event.reason.clone_from(&order.reason);
    order.caller.sign(&mut event);
    event.input = order.input();
    event
}

fn terms(order: &Order) -> NewLock {
    NewLock {
        owner: order.owner(),
        reason: order.reason.clone(),
        message: order.message.clone(),
        created_by: order.caller.name.clone(),
        expires_at: None,
    }
}

//! What follows a commit: the world is told, what locked accounts run ends, and shadow(5) is made to agree.

use std::{collections::HashSet, sync::Arc};

use futures_util::{StreamExt, stream};
use lockdown_dbus_api::views;
use lockdown_enforcement::escape::escape;

use super::{commit::Committed, mirror};
use crate::{
    announcement::Announcement,
    bus::caller::Caller,
    core::Core,
    domain::{account::Account, lock::Lock},
    host::processes,
    operations::{authenticator, sessions, view},
};

/// Accounts whose sessions are ended at the same time.
const AT_ONCE: usize = 8;
/// More accounts than these are swept only where something runs as them: a sweep proves that nothing does, and takes its time.
const FEW: usize = 64;
/// Signals between which others have their turn.
const BURST: usize = 64;

/// What came of it.
#[derive(Debug, Default)]
pub struct Finished {
    /// Sessions that were ended.
    pub sessions: u32,
    /// What could not be done.
    pub problems: Vec<String>,
}

/// Does all of it. Nothing here takes a lock back.
pub async fn finish(core: &Arc<Core>, caller: &Caller, committed: Committed) -> Finished {
    announce(core, &committed).await;
    let mut finished = Finished::default();
    if core.settings().lock.end_sessions {
        end_sessions(core, caller, &committed, &mut finished).await;
    }
    for (account, id) in new_on_authenticators(&committed) {
        match authenticator::end_opened(core, caller, &account, &id).await {
            Ok((ended, survivors)) => {
                finished.sessions = finished.sessions.saturating_add(ended);
                let name = escape(&account.name);
                finished.problems.extend(survivors.into_iter().map(|left| format!("{name}: {left}")));
            }
            Err(error) => finished.problems.push(format!("{}: {}", escape(&account.name), error.message())),
        }
    }
    finished.problems.extend(mirror::settle(core).await);
    finished
}

/// The authenticators that are locked now and were not by this document before.
fn new_on_authenticators(committed: &Committed) -> Vec<(Account, String)> {
    let new = committed.locked().filter(|(_, _, is_new)| *is_new);
    new.filter_map(|(name, lock, _)| Some((committed.people.account(name)?, lock.authenticator?))).collect()
}

async fn announce(core: &Core, committed: &Committed) {
    for (number, (name, lock, _)) in committed.locked().enumerate() {
        let name = name.to_owned();
        core.announce(match &lock.authenticator {
            None => Announcement::AccountLocked(name, view::lock_notice(&lock, true)),
            Some(id) => Announcement::AuthenticatorLocked(name, authenticator::notice(id, &lock, true)),
        });
        pause(number).await;
    }
    for (number, (name, lock, still_locked)) in committed.lifted().enumerate() {
        core.announce(lifted(name, &lock, still_locked));
        pause(number).await;
    }
}

/// The queue of signals is to be emptied while it is filled.
async fn pause(number: usize) {
    if number % BURST == BURST - 1 {
        tokio::task::yield_now().await;
    }
}

fn lifted(name: &str, lock: &Lock, still_locked: bool) -> Announcement {
    let ended = Some("lifted".to_owned());
    match &lock.authenticator {
        None => Announcement::AccountUnlocked(
            name.to_owned(),
            views::LockNotice { ended, ..view::lock_notice(lock, still_locked) },
        ),
        Some(id) => Announcement::AuthenticatorUnlocked(
            name.to_owned(),
            views::AuthenticatorNotice { ended, ..authenticator::notice(id, lock, still_locked) },
        ),
    }
}

async fn end_sessions(core: &Core, caller: &Caller, committed: &Committed, finished: &mut Finished) {
    let is_new_lock = |lock: &Lock, is_new: bool| is_new && lock.authenticator.is_none();
    let locked = || {
        let new = committed.locked().filter(move |(_, lock, is_new)| is_new_lock(lock, *is_new));
        new.filter_map(|(name, ..)| committed.people.account(name))
    };
    let accounts: Vec<Account> = if locked().nth(FEW).is_none() {
        locked().collect()
    } else {
        let running = tokio::task::spawn_blocking(processes::running).await.unwrap_or_default();
        let open = sessions::open(core, None).await.unwrap_or_default();
        let open: HashSet<&str> = open.iter().map(|session| session.account.as_str()).collect();
        let has_something = |account: &Account| {
            running.may_be_of(account.uid, &account.name) || open.contains(account.name.as_str())
        };
        locked().filter(has_something).collect()
    };
    let ended: Vec<(String, sessions::Ended)> = stream::iter(accounts)
        .map(|account| async move {
            let ended = sessions::end_everything(core, &account, "lock", caller.lineage()).await;
            (escape(&account.name).to_string(), ended)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    for (name, ended) in ended {
        finished.sessions = finished.sessions.saturating_add(ended.sessions);
        let left = [ended.outcome.survivors, ended.outcome.spared].concat();
        finished.problems.extend(left.into_iter().map(|left| format!("{name}: still running: {left}")));
    }
}

//! Makes the deny records equal to the store again, and the store's uids equal to NSS's.

use std::{collections::HashMap, io, path::Path, time::Duration};

use lockdown_enforcement::escape::escape;

use crate::{
    core::Core,
    domain::account::Account,
    enforce,
    host::{
        account_files::AccountFiles,
        clock,
        nss::{Nss, NssError},
    },
    store::{
        Change, StoreError,
        accounts::{self, Enforced, UidHolder},
    },
};

/// More accounts than these are looked up in a list of all first.
const FEW: usize = 256;
/// Where passwd(5) and group(5) lie.
const DIRECTORY: &str = "/etc";
/// Changes of the files that follow one another faster than this are followed together.
const PAUSE: Duration = Duration::from_millis(200);

/// One reconciliation. Cheap when all is well: nothing is written.
///
/// # Errors
/// [`StoreError`]
pub async fn reconcile(core: &Core) -> Result<(), StoreError> {
    follow_uids(core).await?;
    let directory = core.directory.clone();
    // A hundred thousand records are read for a while, in which others are to be answered.
    let suspects = core.store.read_apart(move |connection| enforce::compare(connection, &directory)).await?;
    if suspects.is_empty() {
        return Ok(());
    }
    core.store.write(move |change| enforce::mend(change, &suspects, clock::now())).await?;
    Ok(())
}

/// Follows what happens to accounts in passwd(5), for as long as the daemon runs. Of accounts elsewhere, and if the file cannot
/// be watched, the next [`reconcile`] finds out.
pub async fn follow_account_files(core: &Core) {
    if let Err(error) = follow_files(core).await {
        tracing::error!("{DIRECTORY}: {error}: changes of passwd(5) and group(5) are noticed later");
    }
    std::future::pending().await
}

async fn follow_files(core: &Core) -> io::Result<()> {
    let files = AccountFiles::watch(Path::new(DIRECTORY))?;
    // First for what has changed while nobody watched.
    loop {
        if let Err(error) = follow_uids(core).await {
            tracing::error!("uids cannot be compared with NSS: {error}");
        }
        core.accounts_changed.notify_one();
        tokio::time::sleep(PAUSE).await;
        files.changed().await?;
    }
}

/// An account with a lock that was given another uid stays locked: its record moves along. If it is gone, and then another one is
/// given its uid, that one is not locked.
async fn follow_uids(core: &Core) -> Result<(), StoreError> {
    let enforced =
        core.store.read(|connection| accounts::enforced(connection).map_err(StoreError::from)).await?;
    let nss = core.nss();
    let listed = if enforced.len() > FEW { nss.enumerate().await.unwrap_or_default() } else { Vec::new() };
    let listed: HashMap<String, Account> =
        listed.into_iter().map(|account| (account.name.clone(), account)).collect();
    let mut news = Vec::new();
    for account in enforced {
        let is_the_same = |found: &Account| found.uid == account.uid && account.holder == UidHolder::Itself;
        if listed.get(&account.name).is_some_and(is_the_same) {
            continue;
        }
        match news_of(&nss, account).await {
            Ok(found) => news.extend(found),
            Err(error) => {
                // The others would hang alike.
                tracing::warn!("uids cannot be compared with NSS: {error}");
                break;
            }
        }
    }
    if news.is_empty() {
        return Ok(());
    }
    core.store.write(move |change| news.into_iter().try_for_each(|news| news.take_in(change))).await
}

/// What has become of an account.
enum News {
    /// It is here, with this uid.
    Here(String, u32),
    /// It is gone, and its uid is somebody's.
    Gone(String, u32, UidHolder),
}

impl News {
    fn take_in(self, change: &mut Change<'_>) -> Result<(), StoreError> {
        match self {
            Self::Here(name, uid) => accounts::ensure(change, &name, uid, clock::now()).map(drop),
            Self::Gone(name, uid, holder) => accounts::set_uid_holder(change, &name, uid, holder),
        }
    }
}

async fn news_of(nss: &Nss, account: Enforced) -> Result<Option<News>, NssError> {
    let Enforced { name, uid, holder } = account;
    if let Some(found) = nss.by_name(&name).await? {
        let is_news = found.uid != uid || holder != UidHolder::Itself;
        return Ok(is_news.then_some(News::Here(name, found.uid)));
    }
    if holder == UidHolder::Another {
        return Ok(None);
    }
    let (shown, other) = (escape(&name).to_string(), nss.by_uid(uid).await?);
    Ok(match (other.filter(|other| other.name != name), holder) {
        (None, UidHolder::Itself) => {
            tracing::info!("{shown} is gone, and nobody has its uid {uid}");
            Some(News::Gone(name, uid, UidHolder::Nobody))
        }
        (Some(other), UidHolder::Nobody) => {
            let other = escape(&other.name);
            tracing::info!(
                "uid {uid} is {other}'s now: what is kept of {shown}, who is gone, is not for {other}"
            );
            Some(News::Gone(name, uid, UidHolder::Another))
        }
        (Some(other), _) => {
            let other = escape(&other.name);
            tracing::warn!(
                "{shown} is gone, and uid {uid} is {other}'s: for all that can be told that is {shown} by another name, \
                 and stays locked. If it is not: lockdownctl unlock {shown}"
            );
            None
        }
        (None, _) => None,
    })
}

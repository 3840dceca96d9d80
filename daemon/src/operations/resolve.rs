//! From what a caller wrote to an account.

use std::collections::BTreeSet;

use lockdown_dbus_api::Error;
use lockdown_enforcement::escape::escape;

use crate::{
    bus::caller::Caller,
    core::Core,
    domain::account::{Account, LockHolder, Reference},
    host::nss::{Nss, NssError},
    store::{StoreError, accounts, identifiers},
};

/// The account that `text` names.
///
/// # Errors
/// `InvalidArgument` if it cannot name any, `NoSuchAccount`, and `Failed` if NSS gives no answer about an account
/// that the store does not know either.
pub async fn resolve(core: &Core, caller: &Caller, text: &str) -> Result<Account, Error> {
    let reference = Reference::parse(text).map_err(|error| Error::InvalidArgument(error.to_string()))?;
    let missing = || Error::NoSuchAccount(format!("no account is called {}", escape(text)));
    let nss = core.nss_for(caller.uid);
    match reference {
        Reference::Uid(uid) => by_uid(core, &nss, uid).await?.ok_or_else(missing),
        Reference::Name(name) => by_name(core, &nss, &name).await?.ok_or_else(missing),
        Reference::Identifier(identifier) => {
            let missing = || Error::NoSuchAccount(format!("no account has the identifier {}", escape(text)));
            let holder = core.store.read(move |connection| {
                identifiers::holder(connection, &identifier).map_err(StoreError::from)
            });
            by_name(core, &nss, &holder.await?.ok_or_else(missing)?).await?.ok_or_else(missing)
        }
    }
}

/// The account that is gone from the host and was called `name`, if something that can be lifted is left of it.
///
/// # Errors
/// `Failed`
pub async fn gone(core: &Core, name: &str) -> Result<Option<LockHolder>, Error> {
    let wanted = name.to_owned();
    let left = core
        .store
        .read(move |connection| accounts::left_behind(connection, &wanted).map_err(StoreError::from))
        .await?;
    Ok(left.map(|uid| LockHolder { account: Account::gone(name.to_owned(), uid), is_gone: true }))
}

/// Whether `text` names an account by an identifier, which not everybody may look up, as they may names and uids.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    matches!(Reference::parse(text), Ok(Reference::Identifier(_)))
}

/// The account that has this uid alone. Which of several is meant the uid does not say, and what is kept is kept by name.
async fn by_uid(core: &Core, nss: &Nss, uid: u32) -> Result<Option<Account>, Error> {
    let (known, listed, stored) = tokio::join!(nss.by_uid(uid), nss.enumerate(), stored_names(core, uid));
    let stored = stored?;
    let found = match known {
        Ok(None) => return Ok(None),
        Ok(Some(found)) => found,
        // A directory that is away must not keep an operator from locking an account that the store has seen.
        Err(error) => {
            let one = unambiguous(uid, stored.into_iter().collect())?;
            return from_store(one.map(|name| (name, uid)), error).map(Some);
        }
    };
    let mut names = BTreeSet::from([found.name.clone()]);
    // A directory that lists nothing, or fails to, hides no more than it always does.
    let listed = listed.unwrap_or_default().into_iter().filter(|account| account.uid == uid);
    names.extend(listed.map(|account| account.name));
    for name in stored {
        if let Ok(Some(account)) = nss.by_name(&name).await
            && account.uid == uid
        {
            names.insert(account.name);
        }
    }
    unambiguous(uid, names)?;
    Ok(Some(found))
}

fn unambiguous(uid: u32, names: BTreeSet<String>) -> Result<Option<String>, Error> {
    if names.len() > 1 {
        let names: Vec<String> = names.iter().map(|name| escape(name).to_string()).collect();
        return Err(Error::InvalidArgument(format!(
            "uid {uid} is that of several accounts: name one of {}",
            names.join(", ")
        )));
    }
    Ok(names.into_iter().next())
}

async fn by_name(core: &Core, nss: &Nss, name: &str) -> Result<Option<Account>, Error> {
    match nss.by_name(name).await {
        Ok(account) => Ok(account),
        Err(error) => stored_by_name(core, name, error).await.map(Some),
    }
}

/// A directory that is away must not keep an operator from locking an account that the store has seen.
async fn stored_by_name(core: &Core, name: &str, error: NssError) -> Result<Account, Error> {
    let wanted = name.to_owned();
    let uid = core
        .store
        .read(move |connection| accounts::uid_of(connection, &wanted).map_err(StoreError::from))
        .await?;
    from_store(uid.map(|uid| (name.to_owned(), uid)), error)
}

async fn stored_names(core: &Core, uid: u32) -> Result<Vec<String>, StoreError> {
    core.store.read(move |connection| accounts::names_of(connection, uid).map_err(StoreError::from)).await
}

fn from_store(known: Option<(String, u32)>, error: NssError) -> Result<Account, Error> {
    let (name, uid) = known.ok_or_else(|| Error::from(error.clone()))?;
    tracing::warn!("{error}; going by what the store has of {}", escape(&name));
    Ok(Account::without_nss(name, uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_of_several_names_means_none_of_them() {
        let of = |names: &[&str]| unambiguous(1000, names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&["alice"]).unwrap().as_deref(), Some("alice"));
        let refused = of(&["toor\n", "alice"]).unwrap_err().message();
        assert_eq!(refused, "uid 1000 is that of several accounts: name one of alice, toor\\n");
    }

    #[test]
    fn names_and_uids_are_no_identifiers() {
        assert!(is_identifier("email:alice@example.org") && is_identifier("badge:17"));
        for text in ["alice", "uid:1000", "email:", "a\nb", ""] {
            assert!(!is_identifier(text), "{text:?}");
        }
    }
}

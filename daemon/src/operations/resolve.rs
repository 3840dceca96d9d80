//! From what a caller wrote to an account.

use lockdown_dbus_api::Error;
use lockdown_enforcement::escape::escape;

use crate::{
    bus::caller::Caller,
    core::Core,
    domain::account::{Account, Reference},
    host::nss::{Nss, NssError},
    store::{StoreError, accounts},
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
        Reference::Uid(uid) => match nss.by_uid(uid).await {
            Ok(account) => account.ok_or_else(missing),
            Err(error) => stored_by_uid(core, uid, error).await,
        },
        Reference::Name(name) => by_name(core, &nss, &name).await?.ok_or_else(missing),
        Reference::Identifier { kind, value } => {
            let name = core
                .store
                .read(move |connection| {
                    accounts::by_identifier(connection, kind, &value).map_err(StoreError::from)
                })
                .await?
                .ok_or_else(|| {
                    Error::NoSuchAccount(format!("no account has the identifier {}", escape(text)))
                })?;
            by_name(core, &nss, &name).await?.ok_or_else(missing)
        }
    }
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

async fn stored_by_uid(core: &Core, uid: u32, error: NssError) -> Result<Account, Error> {
    let name = core
        .store
        .read(move |connection| accounts::name_of(connection, uid).map_err(StoreError::from))
        .await?;
    from_store(name.map(|name| (name, uid)), error)
}

fn from_store(known: Option<(String, u32)>, error: NssError) -> Result<Account, Error> {
    let (name, uid) = known.ok_or_else(|| Error::from(error.clone()))?;
    tracing::warn!("{error}; going by what the store has of {}", escape(&name));
    Ok(Account::without_nss(name, uid))
}

//! Who asks, what about, and may they: what every member of the interface begins with.

use zbus::message::Header;

use lockdown_dbus_api::{Error, tags::Tags};

use super::{authorization::authorize, caller::Caller, manager::Manager, refusals};
use crate::{
    domain::account,
    operations::resolve::{gone, is_identifier, resolve},
};

impl Manager {
    pub(super) async fn caller(&self, header: &Header<'_>) -> Result<Caller, Error> {
        Caller::of(&self.core.bus, header, &self.core.nss()).await
    }

    /// The account that a caller means. Whether anybody has an address or a number is for those to hear who may see everybody.
    pub(super) async fn resolve(
        &self,
        header: &Header<'_>,
        caller: &Caller,
        user: &str,
    ) -> Result<account::Account, Error> {
        let resolved = resolve(&self.core, caller, user).await;
        if resolved.is_err() && is_identifier(user) {
            self.authorize(header, caller, None).await?;
        }
        resolved
    }

    /// The caller with the tags of the call, and the account it may do this to.
    pub(super) async fn caller_about(
        &self,
        header: &Header<'_>,
        tags: Option<Tags>,
        user: &str,
    ) -> Result<(Caller, account::Account), Error> {
        let caller = self.caller(header).await?.with_tags(tags);
        let account = self.resolve(header, &caller, user).await?;
        self.authorize(header, &caller, Some(&account)).await?;
        Ok((caller, account))
    }

    /// The same for what lifts locks.
    pub(super) async fn caller_about_locks(
        &self,
        header: &Header<'_>,
        tags: Option<Tags>,
        user: &str,
    ) -> Result<(Caller, account::LockHolder), Error> {
        let caller = self.caller(header).await?.with_tags(tags);
        match self.resolve(header, &caller, user).await {
            Ok(account) => {
                self.authorize(header, &caller, Some(&account)).await?;
                Ok((caller, account::LockHolder { account, is_gone: false }))
            }
            Err(error @ Error::NoSuchAccount(_)) => {
                self.authorize(header, &caller, None).await?;
                Ok((caller, gone(&self.core, user).await?.ok_or(error)?))
            }
            Err(error) => Err(error),
        }
    }

    /// The same for a filter that may name an account.
    pub(super) async fn caller_about_some(
        &self,
        header: &Header<'_>,
        user: Option<&str>,
    ) -> Result<(Caller, Option<account::Account>), Error> {
        if let Some(user) = user {
            let (caller, account) = self.caller_about(header, None, user).await?;
            return Ok((caller, Some(account)));
        }
        let caller = self.caller(header).await?;
        self.authorize(header, &caller, None).await?;
        Ok((caller, None))
    }

    pub(super) async fn authorize(
        &self,
        header: &Header<'_>,
        caller: &Caller,
        account: Option<&account::Account>,
    ) -> Result<(), Error> {
        let allowed = authorize(&self.core.bus, header, caller, account.map(|account| account.uid));
        let name = account.map_or("", |account| account.name.as_str());
        self.noting(header, caller, name, allowed).await
    }

    /// What `work` comes to; that it was refused to this caller is an event.
    pub(super) async fn noting<T>(
        &self,
        header: &Header<'_>,
        caller: &Caller,
        account: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let result = work.await;
        if let Err(error) = &result {
            let member = header.member().map(|member| member.as_str()).unwrap_or_default();
            refusals::record(&self.core, caller, member, account, error).await;
        }
        result
    }
}

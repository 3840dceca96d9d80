//! `org.lockdown1.Manager`: thin. Who asks, what about, may they (see [`asking`](super::asking)), then the operation.

use std::sync::Arc;

use zbus::{message::Header, object_server::SignalEmitter};

use lockdown_dbus_api::{
    Dict, Error, options,
    views::{
        Account, Authenticator, AuthenticatorNotice, Drift, Event, ExpiryNotice, Failure, LockNotice,
        LockdownPreview, LockdownResult, Metrics, Notification, NotificationTest, Progress, Restored,
        Session, StateApplied, StateDocument, Verification,
    },
};

use super::authorization::authorize;
use crate::{
    core::Core,
    domain::account,
    operations::{
        account as accounts, attempts, authenticator, expire, lock, lockdown, measure, notify, restore,
        sessions, set_account, state, trail, unlock, view,
    },
};

/// The object at `/org/lockdown1`.
#[derive(Debug)]
pub struct Manager {
    pub(super) core: Arc<Core>,
}

impl Manager {
    /// Serves what `core` can do.
    #[must_use]
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

#[zbus::interface(name = "org.lockdown1.Manager", introspection_docs = false)]
impl Manager {
    #[zbus(out_args("account"))]
    async fn lock_account(
        &self,
        #[zbus(header)] header: Header<'_>,
        user: &str,
        options: Dict,
    ) -> Result<Account, Error> {
        let mut options = options::Lock::try_from(options)?;
        let (caller, account) = self.caller_about(&header, options.tags.take(), user).await?;
        let work = lock::lock(&self.core, &caller, &account, options);
        self.noting(&header, &caller, &account.name, work).await
    }

    #[zbus(out_args("account"))]
    async fn unlock_account(
        &self,
        #[zbus(header)] header: Header<'_>,
        user: &str,
        options: Dict,
    ) -> Result<Account, Error> {
        let mut options = options::Unlock::try_from(options)?;
        let (caller, holder) = self.caller_about_locks(&header, options.tags.take(), user).await?;
        let work = unlock::unlock(&self.core, &caller, &holder, options);
        self.noting(&header, &caller, &holder.account.name, work).await
    }

    #[zbus(out_args("results"))]
    async fn lockdown(
        &self,
        #[zbus(header)] header: Header<'_>,
        users: Vec<String>,
        options: Dict,
    ) -> Result<Vec<LockdownResult>, Error> {
        let mut options = options::Lockdown::try_from(options)?;
        let caller = self.caller(&header).await?.with_tags(options.tags.take());
        let only = match users.as_slice() {
            [user] if user.len() <= account::MAX_NAME => user.clone(),
            _ => String::new(),
        };
        let work = async {
            authorize(&self.core.bus, &header, &caller, None).await?;
            lockdown::lockdown(&self.core, &caller, users, options).await
        };
        self.noting(&header, &caller, &only, work).await
    }

    #[zbus(out_args("result"))]
    async fn lockdown_self(
        &self,
        #[zbus(header)] header: Header<'_>,
        options: Dict,
    ) -> Result<LockdownResult, Error> {
        let mut options = options::LockdownSelf::try_from(options)?;
        let caller = self.caller(&header).await?.with_tags(options.tags.take());
        self.authorize(&header, &caller, None).await?;
        let work = lockdown::lockdown_self(&self.core, &caller, options);
        self.noting(&header, &caller, &caller.name, work).await
    }

    #[zbus(out_args("previews"))]
    async fn preview_lockdown(
        &self,
        #[zbus(header)] header: Header<'_>,
        users: Vec<String>,
    ) -> Result<Vec<LockdownPreview>, Error> {
        let (caller, _) = self.caller_about_some(&header, None).await?;
        lockdown::preview(&self.core, &caller, users).await
    }

    #[zbus(out_args("result"))]
    async fn restore(
        &self,
        #[zbus(header)] header: Header<'_>,
        user: &str,
        options: Dict,
    ) -> Result<Restored, Error> {
        let mut options = options::Restore::try_from(options)?;
        let (caller, account) = self.caller_about(&header, options.tags.take(), user).await?;
        restore::restore(&self.core, &caller, &account, options).await
    }

    #[zbus(out_args("account"))]
    async fn get_account(&self, #[zbus(header)] header: Header<'_>, user: &str) -> Result<Account, Error> {
        let (caller, account) = self.caller_about(&header, None, user).await?;
        attempts::look(&self.core, &account).await;
        view::account(&self.core, &caller, &account).await
    }

    #[zbus(out_args("accounts"))]
    async fn list_accounts(
        &self,
        #[zbus(header)] header: Header<'_>,
        filter: Dict,
    ) -> Result<Vec<Account>, Error> {
        let filter = options::AccountFilter::try_from(filter)?;
        let (caller, _) = self.caller_about_some(&header, None).await?;
        accounts::list(&self.core, &caller, &filter).await
    }

    async fn set_expiry(
        &self,
        #[zbus(header)] header: Header<'_>,
        user: &str,
        unix_seconds: i64,
    ) -> Result<(), Error> {
        let (caller, account) = self.caller_about(&header, None, user).await?;
        expire::set_expiry(&self.core, &caller, &account, unix_seconds).await
    }

    #[zbus(out_args("account"))]
    async fn set_account(
        &self,
        #[zbus(header)] header: Header<'_>,
        user: &str,
        options: Dict,
    ) -> Result<Account, Error> {
        let mut options = options::SetAccount::try_from(options)?;
        let (caller, account) = self.caller_about(&header, options.tags.take(), user).await?;
        set_account::set(&self.core, &caller, &account, options).await
    }

    #[zbus(out_args("sessions"))]
    async fn list_sessions(
        &self,
        #[zbus(header)] header: Header<'_>,
        filter: Dict,
    ) -> Result<Vec<Session>, Error> {
        let filter = options::SessionFilter::try_from(filter)?;
        let (_, account) = self.caller_about_some(&header, filter.user.as_deref()).await?;
        sessions::list(&self.core, account.map(|account| account.name)).await
    }

    #[zbus(out_args("sessions"))]
    async fn end_sessions(
        &self,
        #[zbus(header)] header: Header<'_>,
        user: &str,
        options: Dict,
    ) -> Result<Vec<Session>, Error> {
        let mut options = options::EndSessions::try_from(options)?;
        let (caller, account) = self.caller_about(&header, options.tags.take(), user).await?;
        sessions::end(&self.core, &caller, &account, options).await
    }

    #[zbus(out_args("authenticators"))]
    async fn list_authenticators(
        &self,
        #[zbus(header)] header: Header<'_>,
        user: &str,
    ) -> Result<Vec<Authenticator>, Error> {
        let (_, account) = self.caller_about(&header, None, user).await?;
        authenticator::list(&self.core, &account).await
    }

    #[zbus(out_args("authenticator"))]
    async fn lock_authenticator(
        &self,
        #[zbus(header)] header: Header<'_>,
        user: &str,
        id: &str,
        options: Dict,
    ) -> Result<Authenticator, Error> {
        let mut options = options::LockAuthenticator::try_from(options)?;
        let (caller, account) = self.caller_about(&header, options.tags.take(), user).await?;
        let work = authenticator::lock(&self.core, &caller, &account, id, options);
        self.noting(&header, &caller, &account.name, work).await
    }

    #[zbus(out_args("authenticator"))]
    async fn unlock_authenticator(
        &self,
        #[zbus(header)] header: Header<'_>,
        user: &str,
        id: &str,
        options: Dict,
    ) -> Result<Authenticator, Error> {
        let mut options = options::UnlockAuthenticator::try_from(options)?;
        let (caller, holder) = self.caller_about_locks(&header, options.tags.take(), user).await?;
        let work = authenticator::unlock(&self.core, &caller, &holder.account, id, options);
        self.noting(&header, &caller, &holder.account.name, work).await
    }

    #[zbus(out_args("failures"))]
    async fn list_failures(
        &self,
        #[zbus(header)] header: Header<'_>,
        user: &str,
        filter: Dict,
    ) -> Result<Vec<Failure>, Error> {
        let filter = options::FailureFilter::try_from(filter)?;
        let user = Some(user).filter(|user| !user.is_empty());
        let (_, account) = self.caller_about_some(&header, user).await?;
        attempts::list(&self.core, account.as_ref(), filter).await
    }

    #[zbus(out_args("account"))]
    async fn reset_failures(
        &self,
        #[zbus(header)] header: Header<'_>,
        user: &str,
        options: Dict,
    ) -> Result<Account, Error> {
        let mut options = options::ResetFailures::try_from(options)?;
        let (caller, account) = self.caller_about(&header, options.tags.take(), user).await?;
        attempts::reset(&self.core, &caller, &account, options).await
    }

    #[zbus(out_args("events"))]
    async fn list_events(
        &self,
        #[zbus(header)] header: Header<'_>,
        filter: Dict,
    ) -> Result<Vec<Event>, Error> {
        let mut filter = options::EventFilter::try_from(filter)?;
        let caller = self.caller(&header).await?;
        // The trail outlives the account: root may ask about one that is gone.
        let uid = match &filter.user {
            Some(user) if caller.uid == 0 => {
                match self.resolve(&header, &caller, user).await {
                    Ok(found) => filter.user = Some(found.name),
                    Err(error @ Error::InvalidArgument(_)) => return Err(error),
                    Err(_) => {}
                }
                None
            }
            Some(user) => {
                let account = self.resolve(&header, &caller, user).await?;
                filter.user = Some(account.name);
                Some(account.uid)
            }
            None => None,
        };
        authorize(&self.core.bus, &header, &caller, uid).await?;
        if let Some(number) = filter.caller.as_deref().and_then(|caller| caller.strip_prefix("uid:")) {
            // Events name who has a name.
            let found = match number.parse() {
                Ok(uid) => self.core.nss_for(caller.uid).by_uid(uid).await?,
                Err(_) => None,
            };
            filter.caller = found.map(|account| account.name).or(filter.caller);
        }
        trail::list(&self.core, filter).await
    }

    #[zbus(out_args("result"))]
    async fn verify_events(
        &self,
        #[zbus(header)] header: Header<'_>,
        options: Dict,
    ) -> Result<Verification, Error> {
        let options = options::VerifyEvents::try_from(options)?;
        self.caller_about_some(&header, None).await?;
        trail::verify(&self.core, options).await
    }

    #[zbus(out_args("drifts"))]
    async fn check_records(&self, #[zbus(header)] header: Header<'_>) -> Result<Vec<Drift>, Error> {
        self.caller_about_some(&header, None).await?;
        accounts::drifts(&self.core).await
    }

    #[zbus(out_args("tests"))]
    async fn test_notification(
        &self,
        #[zbus(header)] header: Header<'_>,
        rule: &str,
    ) -> Result<Vec<NotificationTest>, Error> {
        let (caller, _) = self.caller_about_some(&header, None).await?;
        notify::test(&self.core, &caller, rule).await
    }

    #[zbus(out_args("notifications"))]
    async fn list_notifications(
        &self,
        #[zbus(header)] header: Header<'_>,
        filter: Dict,
    ) -> Result<Vec<Notification>, Error> {
        let filter = options::NotificationFilter::try_from(filter)?;
        self.caller_about_some(&header, None).await?;
        notify::list(&self.core, filter).await
    }

    #[zbus(out_args("count"))]
    async fn retry_notifications(
        &self,
        #[zbus(header)] header: Header<'_>,
        options: Dict,
    ) -> Result<u32, Error> {
        let mut options = options::RetryNotifications::try_from(options)?;
        let caller = self.caller(&header).await?.with_tags(options.tags.take());
        self.authorize(&header, &caller, None).await?;
        notify::retry(&self.core, &caller, options).await
    }

    #[zbus(out_args("result"))]
    async fn apply_state(
        &self,
        #[zbus(header)] header: Header<'_>,
        options: Dict,
    ) -> Result<StateApplied, Error> {
        let mut options = options::ApplyState::try_from(options)?;
        let caller = self.caller(&header).await?.with_tags(options.tags.take());
        self.authorize(&header, &caller, None).await?;
        state::apply(&self.core, &caller, options).await
    }

    #[zbus(out_args("text"))]
    async fn export_state(&self, #[zbus(header)] header: Header<'_>, options: Dict) -> Result<String, Error> {
        let options = options::ExportState::try_from(options)?;
        self.caller_about_some(&header, None).await?;
        state::export(&self.core, options).await
    }

    #[zbus(out_args("documents"))]
    async fn list_documents(&self, #[zbus(header)] header: Header<'_>) -> Result<Vec<StateDocument>, Error> {
        self.caller_about_some(&header, None).await?;
        state::list(&self.core).await
    }

    #[zbus(out_args("metrics"))]
    async fn get_metrics(&self, #[zbus(header)] header: Header<'_>) -> Result<Metrics, Error> {
        self.caller_about_some(&header, None).await?;
        measure::measure(&self.core).await
    }

    #[zbus(signal)]
    async fn account_locked(emitter: &SignalEmitter<'_>, user: &str, lock: LockNotice) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn account_unlocked(emitter: &SignalEmitter<'_>, user: &str, lock: LockNotice) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn authenticator_locked(
        emitter: &SignalEmitter<'_>,
        user: &str,
        lock: AuthenticatorNotice,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn authenticator_unlocked(
        emitter: &SignalEmitter<'_>,
        user: &str,
        lock: AuthenticatorNotice,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn lockdown_triggered(
        emitter: &SignalEmitter<'_>,
        user: &str,
        lock: LockNotice,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn lockdown_progress(
        emitter: &SignalEmitter<'_>,
        user: &str,
        progress: Progress,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn account_restored(emitter: &SignalEmitter<'_>, user: &str, lock: LockNotice) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn account_expired(
        emitter: &SignalEmitter<'_>,
        user: &str,
        expiry: ExpiryNotice,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn session_started(emitter: &SignalEmitter<'_>, user: &str, session: Session) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn session_ended(emitter: &SignalEmitter<'_>, user: &str, session: Session) -> zbus::Result<()>;

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    #[zbus(property)]
    fn lockdown_enabled(&self) -> bool {
        self.core.settings().lockdown.enabled
    }

    #[zbus(property)]
    fn state_error(&self) -> String {
        self.core.state_error()
    }

    #[zbus(property)]
    async fn locked_accounts(&self) -> zbus::fdo::Result<u32> {
        accounts::count_locked(&self.core).await.map_err(|error| zbus::fdo::Error::Failed(error.message()))
    }
}

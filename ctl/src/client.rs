//! The connection to the daemon: one method per member of the interface that the subcommands need.
//!
//! The calls are those of [`ManagerProxy`], made here with two things that a generated proxy cannot vary: a time limit for
//! each, and leave for polkit to ask when somebody is at the terminal.

use std::{pin::pin, time::Duration};

use futures_util::{Stream, StreamExt, future};
use lockdown_dbus_api::{
    Error, ManagerProxy,
    options::{
        AccountFilter, ApplyState, EndSessions, EventFilter, ExportState, FailureFilter, Lock,
        LockAuthenticator, Lockdown, LockdownSelf, NotificationFilter, ResetFailures, Restore,
        RetryNotifications, SessionFilter, SetAccount, Unlock, UnlockAuthenticator, VerifyEvents,
    },
    views::{
        Account, Authenticator, Drift, Event, Failure as FailedAttempt, LockdownPreview, LockdownResult,
        Metrics, Notification, NotificationTest, Progress, Restored, Session, StateApplied, StateDocument,
        Verification,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use zbus::{
    DynamicTuple, DynamicType, Type, connection, fdo,
    proxy::{CacheProperties, MethodFlags, SignalStream},
};

use crate::{
    agent::{self, Agent},
    exit::Failure,
};

/// How long the daemon may be silent.
const SILENCE: Duration = Duration::from_secs(25);
/// How long the daemon may be silent before somebody looks, again and again, whether it has failed to start.
const START: Duration = Duration::from_secs(1);
/// `lockdownd.service`, as systemd has it on the bus.
const SERVICE: &str = "/org/freedesktop/systemd1/unit/lockdownd_2eservice";
/// How long a call may take while the daemon shows signs of life: ending sessions five minutes if it is configured so
/// (`[sessions] end_timeout`), and somebody may have to type a password first.
const LONGEST: Duration = Duration::from_secs(600);

/// A connection to lockdownd.
pub struct Client {
    proxy: ManagerProxy<'static>,
    flags: MethodFlags,
    _agent: Option<Agent>,
}

impl Client {
    /// Connects to the system bus. The daemon itself is first reached by a call.
    ///
    /// # Errors
    ///
    /// The bus cannot be reached.
    pub async fn connect() -> Result<Self, Failure> {
        let connection = within(SILENCE, async { connection::Builder::system().build().await }).await?;
        let proxy = ManagerProxy::builder(&connection).cache_properties(CacheProperties::No).build().await?;
        let (flags, agent) = match agent::may_ask() {
            true => (MethodFlags::ALLOW_INTERACTIVE_AUTH, Agent::start()),
            false => (MethodFlags::empty(), None),
        };
        Ok(Self { proxy, flags, _agent: agent })
    }

    /// Whether somebody may be asked for a password; then calls are better made one after another.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.flags.contains(MethodFlags::ALLOW_INTERACTIVE_AUTH)
    }

    async fn call<A, R>(&self, member: &'static str, arguments: A) -> Result<R, Failure>
    where
        DynamicTuple<A>: Serialize + DynamicType,
        R: DeserializeOwned + Type,
    {
        self.call_within(LONGEST, member, arguments).await
    }

    async fn call_within<A, R>(
        &self,
        longest: Duration,
        member: &'static str,
        arguments: A,
    ) -> Result<R, Failure>
    where
        DynamicTuple<A>: Serialize + DynamicType,
        R: DeserializeOwned + Type,
    {
        let arguments = DynamicTuple(arguments);
        let mut call = pin!(self.proxy.inner().call_with_flags(member, self.flags, &arguments));
        let answer = async {
            loop {
                match tokio::time::timeout(SILENCE, &mut call).await {
                    Ok(answer) => break answer?.ok_or_else(|| zbus::Error::InvalidReply.into()),
                    Err(_) => self.ping().await?,
                }
            }
        };
        let answer = self.unless_failed(answer);
        tokio::time::timeout(longest, answer).await.unwrap_or(Err(Failure::NoAnswer(longest.as_secs())))
    }

    /// Waits for an answer, but not for that of a daemon that cannot be started: the bus would wait for it much longer.
    async fn unless_failed<T>(&self, answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let mut answer = pin!(answer);
        loop {
            if let Ok(answer) = tokio::time::timeout(START, &mut answer).await {
                return answer;
            }
            // Without systemd there is nobody to say so.
            if self.service_has_failed().await.unwrap_or(false) {
                let why = "its service has failed".to_owned();
                return Err(zbus::Error::FDO(Box::new(fdo::Error::ServiceUnknown(why))).into());
            }
        }
    }

    async fn service_has_failed(&self) -> zbus::Result<bool> {
        let connection = self.proxy.inner().connection();
        let service = fdo::PropertiesProxy::builder(connection)
            .destination("org.freedesktop.systemd1")
            .path(SERVICE)
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        let unit = "org.freedesktop.systemd1.Unit".try_into()?;
        let state = service.get(unit, "ActiveState").await?;
        Ok(String::try_from(state)? == "failed")
    }

    /// Whether the daemon takes calls at all, while one of them is long in coming back.
    async fn ping(&self) -> Result<(), Failure> {
        let proxy = self.proxy.inner();
        let ping = proxy.connection().call_method(
            Some(proxy.destination()),
            proxy.path(),
            Some("org.freedesktop.DBus.Peer"),
            "Ping",
            &(),
        );
        within(SILENCE, ping).await.map(drop)
    }

    /// `LockAccount`.
    ///
    /// # Errors
    ///
    /// As the daemon says, or it cannot be reached; so for all of these calls.
    pub async fn lock_account(&self, user: &str, options: &Lock) -> Result<Account, Failure> {
        self.call("LockAccount", (user, options)).await
    }

    /// `UnlockAccount`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn unlock_account(&self, user: &str, options: &Unlock) -> Result<Account, Failure> {
        self.call("UnlockAccount", (user, options)).await
    }

    /// `Lockdown`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`], for the call as a whole; what becomes of each account is in its result.
    pub async fn lockdown(
        &self,
        users: &[String],
        options: &Lockdown,
    ) -> Result<Vec<LockdownResult>, Failure> {
        // For each account its sessions have to end, and its hooks have time of their own.
        let longest = LONGEST.saturating_mul(u32::try_from(users.len()).unwrap_or(u32::MAX).max(1));
        self.call_within(longest, "Lockdown", (users, options)).await
    }

    /// `LockdownSelf`. The answer may never come: what runs in the caller's sessions ends.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn lockdown_self(&self, options: &LockdownSelf) -> Result<LockdownResult, Failure> {
        self.call("LockdownSelf", (options,)).await
    }

    /// `PreviewLockdown`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn preview_lockdown(&self, users: &[String]) -> Result<Vec<LockdownPreview>, Failure> {
        self.call("PreviewLockdown", (users,)).await
    }

    /// `Restore`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn restore(&self, user: &str, options: &Restore) -> Result<Restored, Failure> {
        self.call("Restore", (user, options)).await
    }

    /// `GetAccount`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn account(&self, user: &str) -> Result<Account, Failure> {
        self.call("GetAccount", (user,)).await
    }

    /// `ListAccounts`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn accounts(&self, filter: &AccountFilter) -> Result<Vec<Account>, Failure> {
        self.call("ListAccounts", (filter,)).await
    }

    /// `SetAccount`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn set_account(&self, user: &str, options: &SetAccount) -> Result<Account, Failure> {
        self.call("SetAccount", (user, options)).await
    }

    /// `ListSessions`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn sessions(&self, user: Option<String>) -> Result<Vec<Session>, Failure> {
        self.call("ListSessions", (&SessionFilter { user },)).await
    }

    /// `EndSessions`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn end_sessions(&self, user: &str, options: &EndSessions) -> Result<Vec<Session>, Failure> {
        self.call("EndSessions", (user, options)).await
    }

    /// `ListAuthenticators`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn authenticators(&self, user: &str) -> Result<Vec<Authenticator>, Failure> {
        self.call("ListAuthenticators", (user,)).await
    }

    /// `LockAuthenticator`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn lock_authenticator(
        &self,
        user: &str,
        id: &str,
        options: &LockAuthenticator,
    ) -> Result<Authenticator, Failure> {
        self.call("LockAuthenticator", (user, id, options)).await
    }

    /// `UnlockAuthenticator`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn unlock_authenticator(
        &self,
        user: &str,
        id: &str,
        options: &UnlockAuthenticator,
    ) -> Result<Authenticator, Failure> {
        self.call("UnlockAuthenticator", (user, id, options)).await
    }

    /// `ListFailures`; of all accounts if `user` is empty.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn failures(&self, user: &str, filter: &FailureFilter) -> Result<Vec<FailedAttempt>, Failure> {
        self.call("ListFailures", (user, filter)).await
    }

    /// `ResetFailures`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn reset_failures(&self, user: &str, options: &ResetFailures) -> Result<Account, Failure> {
        self.call("ResetFailures", (user, options)).await
    }

    /// `ListEvents`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn events(&self, filter: &EventFilter) -> Result<Vec<Event>, Failure> {
        self.call("ListEvents", (filter,)).await
    }

    /// `VerifyEvents`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn verify_events(&self, options: &VerifyEvents) -> Result<Verification, Failure> {
        self.call("VerifyEvents", (options,)).await
    }

    /// `CheckRecords`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn check_records(&self) -> Result<Vec<Drift>, Failure> {
        self.call("CheckRecords", ()).await
    }

    /// `TestNotification`; an empty name is all rules.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn test_notification(&self, rule: &str) -> Result<Vec<NotificationTest>, Failure> {
        self.call("TestNotification", (rule,)).await
    }

    /// `ListNotifications`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn notifications(&self, filter: &NotificationFilter) -> Result<Vec<Notification>, Failure> {
        self.call("ListNotifications", (filter,)).await
    }

    /// `RetryNotifications`; how many messages that are.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn retry_notifications(&self, options: &RetryNotifications) -> Result<u32, Failure> {
        self.call("RetryNotifications", (options,)).await
    }

    /// `ApplyState`. A document that cannot be applied is in the result.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn apply_state(&self, options: &ApplyState) -> Result<StateApplied, Failure> {
        self.call("ApplyState", (options,)).await
    }

    /// `ExportState`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn export_state(&self, options: &ExportState) -> Result<String, Failure> {
        self.call("ExportState", (options,)).await
    }

    /// `ListDocuments`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn documents(&self) -> Result<Vec<StateDocument>, Failure> {
        self.call("ListDocuments", ()).await
    }

    /// `GetMetrics`.
    ///
    /// # Errors
    ///
    /// As [`Self::lock_account`].
    pub async fn metrics(&self) -> Result<Metrics, Failure> {
        self.call("GetMetrics", ()).await
    }

    /// The property `Version`.
    ///
    /// # Errors
    ///
    /// The daemon cannot be reached; so for all properties.
    pub async fn version(&self) -> Result<String, Failure> {
        self.unless_failed(within(SILENCE, self.proxy.version())).await
    }

    /// The property `LockdownEnabled`.
    ///
    /// # Errors
    ///
    /// As [`Self::version`].
    pub async fn lockdown_enabled(&self) -> Result<bool, Failure> {
        self.unless_failed(within(SILENCE, self.proxy.lockdown_enabled())).await
    }

    /// The property `LockedAccounts`.
    ///
    /// # Errors
    ///
    /// As [`Self::version`].
    pub async fn locked_accounts(&self) -> Result<u32, Failure> {
        self.unless_failed(within(SILENCE, self.proxy.locked_accounts())).await
    }

    /// The property `StateError`: why the documents of `state.d` are not in force as they lie there; empty if they are.
    ///
    /// # Errors
    ///
    /// As [`Self::version`].
    pub async fn state_error(&self) -> Result<String, Failure> {
        self.unless_failed(within(SILENCE, self.proxy.state_error())).await
    }

    /// `LockdownProgress` of what this connection asks for, from now on: the account, and how far it is.
    ///
    /// Only what lockdownd itself sends: everybody on the bus can send a signal of this name to this connection.
    ///
    /// # Errors
    ///
    /// The daemon cannot be reached.
    pub async fn progress(&self) -> Result<impl Stream<Item = (String, Progress)>, Failure> {
        // Starts it if it does not run.
        self.version().await?;
        let signals = within(SILENCE, self.proxy.inner().receive_signal("LockdownProgress")).await?;
        Ok(signals.filter_map(|signal| future::ready(signal.body().deserialize().ok())))
    }

    /// Every signal of the interface that lockdownd itself sends from now on, also after it was restarted.
    ///
    /// # Errors
    ///
    /// The daemon cannot be reached.
    pub async fn announcements(&self) -> Result<SignalStream<'static>, Failure> {
        // Starts it if it does not run.
        self.version().await?;
        within(SILENCE, self.proxy.inner().receive_all_signals()).await
    }
}

/// Waits for an answer, but not for ever.
async fn within<T, F>(limit: Duration, answer: F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, zbus::Error>>,
{
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer.map_err(|error| Failure::Call(Error::from(error))),
        Err(_) => Err(Failure::NoAnswer(limit.as_secs())),
    }
}

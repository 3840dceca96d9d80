//! The typed proxy of `org.lockdown1.Manager`.

use crate::{
    Error,
    options::{self, AccountFilter, EventFilter, FailureFilter, SessionFilter},
    views::{
        Account, Authenticator, AuthenticatorNotice, Drift, Event, ExpiryNotice, Failure, LockNotice,
        LockdownPreview, LockdownResult, Metrics, Notification, NotificationTest, Progress, Restored,
        Session, StateApplied, StateDocument, Verification,
    },
};

/// `org.lockdown1.Manager` on the system bus. The daemon is started by the bus if it does not run.
///
/// `user` is a login name, `uid:1000`, or an identifier that the store has for the account (`email:…`, `phone:…`,
/// `id:…`, `KIND:…`).
#[zbus::proxy(
    interface = "org.lockdown1.Manager",
    default_service = "org.lockdown1",
    default_path = "/org/lockdown1"
)]
pub trait Manager {
    /// Locks an account and, unless told otherwise, ends its running sessions. When this returns, the lock is
    /// durable and holds without the daemon. An existing lock of the same owner is updated.
    fn lock_account(&self, user: &str, options: &options::Lock) -> Result<Account, Error>;

    /// Lifts the operator's lock and that of attack protection, or the one of the owner named in the options.
    fn unlock_account(&self, user: &str, options: &options::Unlock) -> Result<Account, Error>;

    /// Locks accounts down: deactivates them, makes their passwords unusable, ends what they run, takes their tokens away.
    /// One result for each account, in the order given; an account named twice counts once.
    fn lockdown(&self, users: &[&str], options: &options::Lockdown) -> Result<Vec<LockdownResult>, Error>;

    /// Locks the caller's own account down. The answer may never arrive: the caller's session ends.
    fn lockdown_self(&self, options: &options::LockdownSelf) -> Result<LockdownResult, Error>;

    /// What a lockdown of these accounts would meet. Changes nothing.
    fn preview_lockdown(&self, users: &[&str]) -> Result<Vec<LockdownPreview>, Error>;

    /// Takes a lockdown back.
    fn restore(&self, user: &str, options: &options::Restore) -> Result<Restored, Error>;

    /// One account.
    fn get_account(&self, user: &str) -> Result<Account, Error>;

    /// The accounts that NSS enumerates and those the store has something about, by name.
    fn list_accounts(&self, filter: &AccountFilter) -> Result<Vec<Account>, Error>;

    /// Sets when the account expires, Unix seconds; 0 = never.
    fn set_expiry(&self, user: &str, unix_seconds: i64) -> Result<(), Error>;

    /// Sets what the store keeps for an account: identifiers, metadata, expiry.
    fn set_account(&self, user: &str, options: &options::SetAccount) -> Result<Account, Error>;

    /// Open sessions, oldest first.
    fn list_sessions(&self, filter: &SessionFilter) -> Result<Vec<Session>, Error>;

    /// Ends everything the account runs, or one of its sessions.
    fn end_sessions(&self, user: &str, options: &options::EndSessions) -> Result<Vec<Session>, Error>;

    /// What the account has to authenticate with on this host, and what of it is locked.
    fn list_authenticators(&self, user: &str) -> Result<Vec<Authenticator>, Error>;

    /// Locks one authenticator and ends the sessions that it opened; the others go on working. When this returns, the lock
    /// is durable and holds without the daemon. An existing lock of the same owner is updated.
    fn lock_authenticator(
        &self,
        user: &str,
        id: &str,
        options: &options::LockAuthenticator,
    ) -> Result<Authenticator, Error>;

    /// Lifts the operator's lock on one authenticator, or the one of the owner named in the options; with an empty id those
    /// on all authenticators of a type.
    fn unlock_authenticator(
        &self,
        user: &str,
        id: &str,
        options: &options::UnlockAuthenticator,
    ) -> Result<Authenticator, Error>;

    /// Failed attempts to sign in to an account, oldest first; with an empty name, those of all accounts.
    fn list_failures(&self, user: &str, filter: &FailureFilter) -> Result<Vec<Failure>, Error>;

    /// Ends the count of failed attempts on an account, and lifts the locks that attack protection has on it.
    fn reset_failures(&self, user: &str, options: &options::ResetFailures) -> Result<Account, Error>;

    /// The audit trail, oldest first.
    fn list_events(&self, filter: &EventFilter) -> Result<Vec<Event>, Error>;

    /// Goes through the chain of the audit trail, and compares it with what the journal knows of it.
    fn verify_events(&self, options: &options::VerifyEvents) -> Result<Verification, Error>;

    /// Compares every deny record with the store, changes nothing; empty = they agree.
    fn check_records(&self) -> Result<Vec<Drift>, Error>;

    /// Sends a test by one rule of the configuration, or with an empty name by all.
    fn test_notification(&self, rule: &str) -> Result<Vec<NotificationTest>, Error>;

    /// The messages that have not arrived, oldest first.
    fn list_notifications(&self, filter: &options::NotificationFilter) -> Result<Vec<Notification>, Error>;

    /// Has messages sent again at once; returns how many.
    fn retry_notifications(&self, options: &options::RetryNotifications) -> Result<u32, Error>;

    /// Makes accounts of this host what state documents say, whole or not at all. A document that cannot be applied is no error
    /// of the call: the result says where it is wrong.
    fn apply_state(&self, options: &options::ApplyState) -> Result<StateApplied, Error>;

    /// The state of accounts as the text of a document.
    fn export_state(&self, options: &options::ExportState) -> Result<String, Error>;

    /// The state documents in force, by name.
    fn list_documents(&self) -> Result<Vec<StateDocument>, Error>;

    /// What the daemon counts and measures.
    fn get_metrics(&self) -> Result<Metrics, Error>;

    /// A lock was placed or updated.
    #[zbus(signal)]
    fn account_locked(&self, user: String, lock: LockNotice) -> zbus::Result<()>;

    /// A lock was lifted or has expired. Others may still stand: see `still_locked`.
    #[zbus(signal)]
    fn account_unlocked(&self, user: String, lock: LockNotice) -> zbus::Result<()>;

    /// A lock was placed on an authenticator, or updated.
    #[zbus(signal)]
    fn authenticator_locked(&self, user: String, lock: AuthenticatorNotice) -> zbus::Result<()>;

    /// A lock on an authenticator was lifted or has expired. Others may still stand: see `still_locked`.
    #[zbus(signal)]
    fn authenticator_unlocked(&self, user: String, lock: AuthenticatorNotice) -> zbus::Result<()>;

    /// `valid_until` of the account has passed.
    #[zbus(signal)]
    fn account_expired(&self, user: String, expiry: ExpiryNotice) -> zbus::Result<()>;

    /// An account was locked down.
    #[zbus(signal)]
    fn lockdown_triggered(&self, user: String, lock: LockNotice) -> zbus::Result<()>;

    /// How far a lockdown is; sent to its caller alone.
    #[zbus(signal)]
    fn lockdown_progress(&self, user: String, progress: Progress) -> zbus::Result<()>;

    /// A lockdown was taken back. Other locks may still stand: see `still_locked`.
    #[zbus(signal)]
    fn account_restored(&self, user: String, lock: LockNotice) -> zbus::Result<()>;

    /// A session was opened.
    #[zbus(signal)]
    fn session_started(&self, user: String, session: Session) -> zbus::Result<()>;

    /// A session has ended.
    #[zbus(signal)]
    fn session_ended(&self, user: String, session: Session) -> zbus::Result<()>;

    /// Version of the daemon.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> zbus::Result<String>;

    /// Whether `[lockdown] enabled` of the configuration is on.
    #[zbus(property)]
    fn lockdown_enabled(&self) -> zbus::Result<bool>;

    /// Why the documents of `state.d` are not in force as they lie there; empty if they are.
    #[zbus(property)]
    fn state_error(&self) -> zbus::Result<String>;

    /// Number of accounts that are locked now.
    #[zbus(property)]
    fn locked_accounts(&self) -> zbus::Result<u32>;
}

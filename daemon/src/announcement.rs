//! What the world is told; `bus::signals` sends it.

use lockdown_dbus_api::views::{AuthenticatorNotice, ExpiryNotice, LockNotice, Progress, Session};

/// What happened, and to which account.
#[derive(Clone, Debug)]
pub enum Announcement {
    /// A lock was placed or updated.
    AccountLocked(String, LockNotice),
    /// A lock was lifted or has expired.
    AccountUnlocked(String, LockNotice),
    /// A lock was placed on an authenticator, or updated.
    AuthenticatorLocked(String, AuthenticatorNotice),
    /// A lock on an authenticator was lifted or has expired.
    AuthenticatorUnlocked(String, AuthenticatorNotice),
    /// An account was locked down.
    LockdownTriggered(String, LockNotice),
    /// How far a lockdown is.
    LockdownProgress {
        /// Bus name of its caller, who alone is told.
        to: String,
        /// The account.
        account: String,
        /// See there.
        progress: Progress,
    },
    /// A lockdown was taken back.
    AccountRestored(String, LockNotice),
    /// `valid_until` has passed.
    AccountExpired(String, ExpiryNotice),
    /// A session was opened.
    SessionStarted(String, Session),
    /// A session has ended.
    SessionEnded(String, Session),
    /// The configuration was read anew.
    Reconfigured,
    /// Why documents of `state.d` are not in force is another reason now, or none.
    StateError,
}

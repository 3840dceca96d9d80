//! What rules can match: the names of the daemon's list of actions, which is tested against this one.

/// Names of the actions that events have.
pub const ACTIONS: &[&str] = &[
    "lock",
    "unlock",
    "lock-authenticator",
    "unlock-authenticator",
    "lock-expired",
    "set-expiry",
    "set-account",
    "account-expired",
    "lockdown",
    "lockdown-finished",
    "restore",
    "recovery-used",
    "recovery-expired",
    "end-sessions",
    "session-refused",
    "login-denied",
    "attempts-failed",
    "reset-failures",
    "session-start",
    "session-end",
    "record-drift",
    "config-reload",
    "events-pruned",
    "notification-failed",
    "notifications-dropped",
    "notification-test",
    "notifications-retried",
];

/// Names of the severities that events have, the least first.
pub const SEVERITIES: &[&str] = &["info", "notice", "warning", "critical"];

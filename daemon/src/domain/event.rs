//! One row of the audit trail.

use std::collections::BTreeMap;

use lockdown_dbus_api::tags::Tags;

pub use lockdown_config::Severity;

use super::lock::{Owner, Time};

/// Makes the enum of what can happen. A line is `Action "name" Severity "MESSAGE_ID";`: the name in the store, on the bus and
/// on the command line, how much attention it wants when it succeeds, and the id by which the journal and its catalog
/// (`packaging/catalog/lockdown.catalog`) know it (from `systemd-id128 new`). Neither name nor id changes once it is released.
macro_rules! actions {
    ($( #[doc = $doc:literal] $action:ident $name:literal $severity:ident $message_id:literal; )*) => {
        /// What happened. The names are stable: `lockdownctl events --action` takes them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action {
            $( #[doc = $doc] $action, )*
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$( Self::$action, )*];

            /// The name in the store, on the bus and on the command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $( Self::$action => $name, )* }
            }

            /// How much attention it wants when it succeeds.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $( Self::$action => Severity::$severity, )* }
            }

            /// The journal's `MESSAGE_ID`, see systemd.journal-fields(7).
            #[must_use]
            pub fn message_id(self) -> &'static str {
                match self { $( Self::$action => $message_id, )* }
            }
        }
    };
}

actions! {
    /// A lock was placed or updated.
    Lock "lock" Notice "2091153bae014c86af44dc53c39f2128";
    /// A lock was lifted.
    Unlock "unlock" Notice "8d9d5eef49a64b5c9e1bf37bf0460a6f";
    /// A lock was placed on an authenticator, or updated.
    LockAuthenticator "lock-authenticator" Notice "48213a2f713a4d7fa74775905e28e4a1";
    /// A lock on an authenticator was lifted.
    UnlockAuthenticator "unlock-authenticator" Notice "8fe5f1f51fea4a6791ec19c9d594b056";
    /// A lock has ended by time.
    LockExpired "lock-expired" Notice "a343bc624d0944f6bfeac2100f5035fd";
    /// `valid_until` was set.
    SetExpiry "set-expiry" Notice "b5bd0422a8ff4f4ebdf912d79fc201c6";
    /// Identifiers or metadata of an account were set.
    SetAccount "set-account" Notice "21ddcaf4721b45cba074a28d558a18fa";
    /// `valid_until` has passed.
    AccountExpired "account-expired" Notice "639a3a36a2274987b4f9fa66e22ca8bb";
    /// An account was locked down.
    Lockdown "lockdown" Critical "96aa0226fb5b49d9ba6c66cdbde055e1";
    /// What a lockdown had to do on the host is done, or some of it failed.
    LockdownFinished "lockdown-finished" Notice "15d830a8589140c8b70a32d31c76b2f1";
    /// A lockdown was taken back.
    Restore "restore" Notice "b8c3dfc2832547ac8dd19c74ea4dc6e4";
    /// A recovery code was used: the user has a new password.
    RecoveryUsed "recovery-used" Notice "e9241b4edf8e48ddbd8f1b1315b3c7f1";
    /// A recovery code has ended by time; the lockdown stands again.
    RecoveryExpired "recovery-expired" Warning "101aff1f57504639b69ee536c340045e";
    /// Somebody asked for sessions to be ended.
    EndSessions "end-sessions" Notice "959ee3efe6284d5482b04f8dd01daf34";
    /// A session of a locked or expired account was found and ended.
    SessionRefused "session-refused" Warning "edbaa8b7f3a04a54828fbd816a1e75c8";
    /// The login path denied a login.
    LoginDenied "login-denied" Notice "2b0d1dad23f74feea3b252275451d8a5";
    /// Attempts to sign in have failed or were refused, a burst at a time.
    AttemptsFailed "attempts-failed" Info "d51f5467d3054193955d743a1395bfc1";
    /// Somebody ended the count of failed attempts.
    ResetFailures "reset-failures" Notice "4b82c63bac004e8fb51cdee300a481ce";
    /// A session was opened.
    SessionStart "session-start" Info "d0901fd220f54d87b33ce283c8f7a317";
    /// A session has ended.
    SessionEnd "session-end" Info "db35f640232b443ba1e352e365ea23a4";
    /// A deny record disagreed with the store and was put right.
    RecordDrift "record-drift" Warning "ef4ffc694c3f4435b0be2144a503181d";
    /// The configuration was read anew, or was found changed at the start.
    ConfigReload "config-reload" Notice "8e83cb37a9b14c56a4bc0fec4bab30a1";
    /// State documents were applied, or could not be.
    Apply "apply" Notice "4f5f112de43245929f0563c684beeec4";
    /// Old events were removed from the trail, which goes on from a checkpoint.
    EventsPruned "events-pruned" Notice "91b3bbf58a9c49d1b732247d3824e3ef";
    /// Messages of a rule could not be delivered and were given up.
    NotificationFailed "notification-failed" Warning "44a0a559c3534844a0dbaf9793ac7354";
    /// A full queue has dropped messages.
    NotificationsDropped "notifications-dropped" Warning "382a0f76f2c740f69c55ea36edaf5af1";
    /// Somebody had rules send a test.
    NotificationTest "notification-test" Notice "f3ba5fdad751486d9607fa070440a1bd";
    /// Somebody had messages sent again.
    NotificationsRetried "notifications-retried" Notice "21c59995b05b4727864c9f2994165e94";
}

impl Action {
    /// The action with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.name() == name)
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Success,
    /// A rule said no; why.
    Refused(String),
    /// The host did not let it happen; why.
    Failed(String),
}

impl Outcome {
    /// The name in the store and on the bus.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }

    /// Why it was refused or failed; empty if it was not.
    #[must_use]
    pub fn error(&self) -> &str {
        match self {
            Self::Success => "",
            Self::Refused(why) | Self::Failed(why) => why,
        }
    }
}

/// Named values, in the order of their names.
pub type Fields = BTreeMap<&'static str, String>;

/// An event before it has a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub time: Time,
    /// What.
    pub action: Action,
    /// About which account; empty if about none.
    pub account: String,
    /// What was acted on beyond the account, such as `lock:17`; may be empty.
    pub target: String,
    /// Owner of the lock concerned; may be empty.
    pub owner: String,
    /// Reason given; may be empty.
    pub reason: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Who asked; empty for what the daemon did by itself.
    pub caller: Fields,
    /// What was asked for.
    pub input: Fields,
    /// What the caller gave with it; see [`lockdown_dbus_api::tags`].
    pub tags: Tags,
}

impl Event {
    /// A success about `account`, by the daemon itself.
    #[must_use]
    pub fn new(time: Time, action: Action, account: &str) -> Self {
        Self {
            time,
            action,
            account: account.to_owned(),
            target: String::new(),
            owner: String::new(),
            reason: String::new(),
            outcome: Outcome::Success,
            caller: Fields::new(),
            input: Fields::new(),
            tags: Tags::new(),
        }
    }

    /// Somebody should look at what did not succeed.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self.outcome {
            // Nobody has asked for it.
            Outcome::Success
                if self.action == Action::Lock && self.owner == Owner::AttackProtection.to_string() =>
            {
                Severity::Warning
            }
            Outcome::Success => self.action.severity(),
            Outcome::Refused(_) | Outcome::Failed(_) => Severity::Warning,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_message_ids_are_ones_own() {
        let names: BTreeSet<_> = Action::ALL.iter().map(|action| action.name()).collect();
        let ids: BTreeSet<_> = Action::ALL.iter().map(|action| action.message_id()).collect();
        assert_eq!((names.len(), ids.len()), (Action::ALL.len(), Action::ALL.len()));
        for action in Action::ALL {
            assert_eq!(Action::by_name(action.name()), Some(*action));
            let id = action.message_id();
            assert!(
                id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
                "{id}"
            );
        }
        assert_eq!(Action::by_name("lokc"), None);
    }
}

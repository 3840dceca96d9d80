//! A lockdown: what is wanted of it, and what came of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The four actions, each of which can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actions {
    /// A lock without expiry, and account expiry in shadow(5).
    pub deactivate: bool,
    /// A password that nothing matches.
    pub unusable_password: bool,
    /// Everything that the account runs ends.
    pub end_sessions: bool,
    /// Keys, tickets and jobs are taken away.
    pub revoke_tokens: bool,
}

impl Actions {
    /// Nothing is to be done; the event is recorded all the same.
    #[must_use]
    pub fn are_all_off(self) -> bool {
        !(self.deactivate || self.unusable_password || self.end_sessions || self.revoke_tokens)
    }

    /// What two lockdowns of the same account want together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            deactivate: self.deactivate || other.deactivate,
            unusable_password: self.unusable_password || other.unusable_password,
            end_sessions: self.end_sessions || other.end_sessions,
            revoke_tokens: self.revoke_tokens || other.revoke_tokens,
        }
    }

    /// Names and switches, as on the bus.
    #[must_use]
    pub fn named(self) -> [(&'static str, bool); 4] {
        [
            ("deactivate", self.deactivate),
            ("unusable_password", self.unusable_password),
            ("end_sessions", self.end_sessions),
            ("revoke_tokens", self.revoke_tokens),
        ]
    }
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionOutcome {
    /// As wanted.
    Done,
    /// It was switched off.
    Off,
    /// The account is in a directory, which has to do it.
    NotLocal,
    /// Why not, and what to do about it.
    Failed(String),
}

impl fmt::Display for ActionOutcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => out.write_str("done"),
            Self::Off => out.write_str("off"),
            Self::NotLocal => out.write_str("not local"),
            Self::Failed(why) => write!(out, "failed: {why}"),
        }
    }
}

impl ActionOutcome {
    /// Done, or what went wrong.
    #[must_use]
    pub fn of(problems: &[String]) -> Self {
        if problems.is_empty() { Self::Done } else { Self::Failed(problems.join("; ")) }
    }

    /// What went wrong.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Failed(why) => Some(why),
            Self::Done | Self::Off | Self::NotLocal => None,
        }
    }
}

/// What becomes of units that the account may have had systemd start as root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Suspects {
    /// They are named.
    #[default]
    Report,
    /// They are stopped as well.
    Stop,
}

/// What is wanted of a lockdown; kept with it, so that a daemon that was killed can finish it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The actions.
    pub actions: Actions,
    /// See there.
    pub suspects: Suspects,
}

impl Wanted {
    /// What two lockdowns of the same account want together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let stop = [self.suspects, other.suspects].contains(&Suspects::Stop);
        Self {
            actions: self.actions.and(other.actions),
            suspects: if stop { Suspects::Stop } else { Suspects::Report },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: Actions =
        Actions { deactivate: false, unusable_password: false, end_sessions: false, revoke_tokens: false };

    #[test]
    fn a_second_lockdown_takes_nothing_back() {
        let first = Actions { deactivate: true, ..OFF };
        let second = Actions { revoke_tokens: true, ..OFF };
        assert_eq!(first.and(second), Actions { deactivate: true, revoke_tokens: true, ..OFF });
        assert!(OFF.and(OFF).are_all_off() && !first.are_all_off());
        let first = Wanted { actions: first, suspects: Suspects::Stop };
        let second = Wanted { actions: second, suspects: Suspects::Report };
        assert_eq!(first.and(second).suspects, Suspects::Stop);
        assert_eq!(first.and(second).actions, first.actions.and(second.actions));
    }

    #[test]
    fn outcomes_in_words() {
        assert_eq!(ActionOutcome::of(&[]).to_string(), "done");
        let failed = ActionOutcome::of(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(failed.to_string(), "failed: a; b");
        assert_eq!(failed.failure(), Some("a; b"));
        assert_eq!(ActionOutcome::NotLocal.failure(), None);
    }
}

//! Who is to be told of an event, when a message is tried again, and when it is given up.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use lockdown_config::{Glob, Rule, Settings};

use super::{
    event::{Action, Event},
    lock::Time,
};

/// How long messages are tried, in seconds.
pub const PATIENCE: Time = 24 * 60 * 60;

/// How long a burst is gathered before it is told of, in seconds.
pub const GATHERING: Time = 60;

/// Whether events with this action are gathered: many of them come in a burst, and say little each, so that those of one rule
/// become one message.
#[must_use]
pub fn is_gathered(action: Action) -> bool {
    matches!(action, Action::AttemptsFailed | Action::LoginDenied)
}

/// The rules of a configuration. A rule whose receiver wants nothing more is off until there are others.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<(Rule, AtomicBool)>,
    /// Messages that are kept at most.
    pub queue_max: u32,
}

impl Rules {
    /// Those of `settings`, none of them off.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let rules = settings.notify.iter().map(|rule| (rule.clone(), AtomicBool::new(false))).collect();
        Self { rules, queue_max: settings.notifications.queue_max }
    }

    /// The rules that an event matches, as far as that can be told without looking up groups.
    pub fn matching<'a>(&'a self, event: &'a Event) -> impl Iterator<Item = &'a Rule> {
        let on = self.rules.iter().filter(|(_, off)| !off.load(Ordering::Relaxed));
        on.map(|(rule, _)| rule).filter(|rule| matches(rule, event))
    }

    /// The rule with this name, whether it is off or not.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Rule> {
        self.all().find(|rule| rule.name == name)
    }

    /// All of them, in the order of the configuration.
    pub fn all(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|(rule, _)| rule)
    }

    /// Whether a rule is off.
    #[must_use]
    pub fn is_off(&self, name: &str) -> bool {
        self.rules.iter().any(|(rule, off)| rule.name == name && off.load(Ordering::Relaxed))
    }

    /// Switches a rule off.
    pub fn switch_off(&self, name: &str) {
        for (_, off) in self.rules.iter().filter(|(rule, _)| rule.name == name) {
            off.store(true, Ordering::Relaxed);
        }
    }
}

fn matches(rule: &Rule, event: &Event) -> bool {
    // A test is sent to whom it tests; that a rule's messages fail is no news that this rule could deliver.
    let is_about_itself = event.action == Action::NotificationTest
        || event.action == Action::NotificationFailed && event.input.get("rule") == Some(&rule.name);
    !is_about_itself
        && any(rule.actions.as_deref(), event.action.name())
        && any(rule.severities.as_deref(), event.severity().name())
        && any(rule.accounts.as_deref(), &event.account)
        && any(rule.owners.as_deref(), &event.owner)
        && (rule.groups.as_ref().is_none_or(|groups| !groups.is_empty() && !event.account.is_empty()))
}

/// Without patterns everything matches, with patterns nothing that is not there.
fn any(patterns: Option<&[Glob]>, name: &str) -> bool {
    patterns.is_none_or(|patterns| !name.is_empty() && patterns.iter().any(|pattern| pattern.matches(name)))
}

/// Whether one of the groups of an account is one that the rule is for.
#[must_use]
pub fn is_for_groups<'a>(rule: &Rule, mut groups: impl Iterator<Item = &'a String>) -> bool {
    rule.groups.is_none() || groups.any(|group| any(rule.groups.as_deref(), group))
}

/// How long to wait after this many attempts. `random` is from 0 to 1: many messages that failed together do not come back
/// together.
#[must_use]
pub fn pause(attempts: u32, random: f64) -> Duration {
    const PAUSES: [u64; 6] = [5, 30, 120, 600, 1800, 3600];
    let index = (attempts.saturating_sub(1) as usize).min(PAUSES.len() - 1);
    let seconds = PAUSES.get(index).copied().unwrap_or_default();
    Duration::from_secs(seconds).mul_f64(0.8 + 0.4 * random.clamp(0.0, 1.0))
}

/// What becomes of a message that could not be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is tried again at that time.
    At(Time),
    /// It has been tried for long enough.
    GivenUp,
}

/// The same for one that has been tried so often and is given up at that time; `wish` is how long the receiver wants to be left
/// alone at least, in seconds.
#[must_use]
pub fn next(now: Time, attempts: u32, give_up_at: Time, wish: Option<u64>, random: f64) -> Next {
    let seconds = |seconds: u64| Time::try_from(seconds).unwrap_or(Time::MAX);
    // A wish makes a pause no shorter: with Retry-After: 0, a receiver would keep a full queue going round and round.
    let wish = seconds(wish.unwrap_or_default()).min(PATIENCE);
    let at = now.saturating_add(seconds(pause(attempts, random).as_secs()).max(wish));
    if at > give_up_at { Next::GivenUp } else { Next::At(at) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::event::{Outcome, Severity};

    fn rules(text: &str) -> Rules {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("etc/lockdown");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("lockdown.toml"), text).unwrap();
        Rules::of(&Settings::load(&lockdown_config::Paths::under(root.path())).unwrap().settings)
    }

    fn rule(matches: &str) -> Rules {
        rules(&format!("[[notify]]\nname = 'a'\ntransport = 'wall'\nmatch = {{ {matches} }}"))
    }

    fn is_told(rules: &Rules, event: &Event) -> bool {
        rules.matching(event).count() > 0
    }

    #[test]
    fn every_action_and_severity_can_be_matched() {
        let names: Vec<_> = Action::ALL.iter().map(|action| action.name()).collect();
        let (mut known, mut names) = (lockdown_config::ACTIONS.to_vec(), names);
        known.sort_unstable();
        names.sort_unstable();
        assert_eq!(known, names, "keep config/src/actions.rs equal to the list of actions");
        assert_eq!(lockdown_config::SEVERITIES, Severity::ALL.map(Severity::name));
    }

    #[test]
    fn a_rule_matches_in_everything_that_it_names() {
        let mut lock = Event::new(1, Action::Lock, "alice");
        lock.owner = "config:/etc/x".into();
        let refused = Event { outcome: Outcome::Refused("no".into()), ..lock.clone() };
        for (matches, expected) in [
            ("", [true, true]),
            ("actions = ['lock*']", [true, true]),
            ("actions = ['unlock']", [false, false]),
            ("actions = []", [false, false]),
            ("severities = ['warning']", [false, true]),
            ("accounts = ['al*', 'bob']", [true, true]),
            ("accounts = ['bob']", [false, false]),
            ("owners = ['config:*']", [true, true]),
            ("owners = ['operator']", [false, false]),
            ("groups = ['staff']", [true, true]),
            ("groups = []", [false, false]),
            ("actions = ['lock'], owners = ['operator']", [false, false]),
        ] {
            let rules = rule(matches);
            assert_eq!([is_told(&rules, &lock), is_told(&rules, &refused)], expected, "{matches}");
        }
    }

    #[test]
    fn what_an_event_does_not_have_matches_no_pattern() {
        let reload = Event::new(1, Action::ConfigReload, "");
        for (matches, expected) in
            [("", true), ("accounts = ['*']", false), ("owners = ['*']", false), ("groups = ['*']", false)]
        {
            assert_eq!(is_told(&rule(matches), &reload), expected, "{matches}");
        }
    }

    #[test]
    fn a_rule_hears_neither_of_its_own_failures_nor_of_tests() {
        let rules =
            rules("[[notify]]\nname = 'a'\ntransport = 'wall'\n[[notify]]\nname = 'b'\ntransport = 'wall'");
        let mut failed = Event::new(1, Action::NotificationFailed, "");
        failed.input.insert("rule", "a".into());
        let told: Vec<_> = rules.matching(&failed).map(|rule| rule.name.as_str()).collect();
        assert_eq!(told, ["b"]);
        assert!(!is_told(&rules, &Event::new(1, Action::NotificationTest, "")));
        rules.switch_off("b");
        assert!(!is_told(&rules, &failed) && rules.is_off("b") && !rules.is_off("a"));
    }

    #[test]
    fn groups_of_an_account() {
        let rules = rule("groups = ['team-*']");
        let rule = rules.named("a").unwrap();
        assert!(is_for_groups(rule, ["users".to_owned(), "team-x".to_owned()].iter()));
        assert!(!is_for_groups(rule, ["users".to_owned()].iter()) && !is_for_groups(rule, [].iter()));
    }

    #[test]
    fn pauses_grow_to_an_hour_and_end_after_a_day() {
        let pauses: Vec<_> = (0..9).map(|attempts| pause(attempts, 0.5).as_secs()).collect();
        assert_eq!(pauses, [5, 5, 30, 120, 600, 1800, 3600, 3600, 3600]);
        assert_eq!((pause(2, 0.0).as_secs(), pause(2, 1.0).as_secs()), (24, 36));
        assert_eq!(next(1000, 1, 2000, None, 0.5), Next::At(1005));
        assert_eq!(next(1000, 1, 2000, Some(77), 0.5), Next::At(1077));
        assert_eq!(next(1000, 1, 2000, Some(0), 0.5), Next::At(1005));
        assert_eq!(next(1000, 2, 2000, Some(7), 0.5), Next::At(1030));
        assert_eq!(next(1000, 1, 2000, Some(u64::MAX), 0.5), Next::GivenUp);
        assert_eq!(next(1000, 9, 2000, None, 0.5), Next::GivenUp);
    }

    proptest! {
        #[test]
        fn any_pause_is_within_bounds(now: i32, attempts: u32, give_up_at: i32, wish: Option<u64>, random: f64) {
            let (now, give_up_at) = (Time::from(now), Time::from(give_up_at));
            if let Next::At(at) = next(now, attempts, give_up_at, wish, random) {
                prop_assert!(at > now && at <= give_up_at && at <= now + PATIENCE);
            }
        }
    }
}

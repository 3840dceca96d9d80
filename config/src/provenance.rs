//! What was loaded, and who set what: the merged configuration can be shown with the origin of every value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Write};
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::error::escape_path;
use crate::key::Key;
use crate::notify::{self, Rule};
use crate::settings::{SECTIONS, Settings, TOP, keys};
use crate::value::Value;

/// The configuration as it was read, with its sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The values that hold.
    pub settings: Settings,
    /// Where each of them was set.
    pub provenance: Provenance,
    /// The files that were read, each put over those before it. What another file masks is not among them.
    pub files: Vec<PathBuf>,
}

impl Loaded {
    /// Every setting in the order of the file, with where it was set; of the rules, what was set.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let of_settings = keys().map(|key| Entry {
            key: key.path.into(),
            value: (key.get)(&self.settings),
            origin: self.provenance.origin(key.path).clone(),
        });
        let of_rules = self.settings.notify.iter().flat_map(|rule| {
            self.rule_lines(rule).map(|(key, value, origin)| Entry {
                key: rule_key(&rule.name, key.name).into(),
                value,
                origin: origin.clone(),
            })
        });
        of_settings.chain(of_rules)
    }

    /// The merged configuration as one `lockdown.toml`, each line with where it was set as a comment:
    /// `duration = "2h"  # /etc/lockdown/lockdown.toml:3`.
    pub fn render(&self) -> String {
        let of_keys = |keys: &'static [Key<Settings>]| -> Vec<(String, &Origin)> {
            let line = |key: &Key<_>| format!("{} = {}", key.name, (key.get)(&self.settings));
            keys.iter().map(|key| (line(key), self.provenance.origin(key.path))).collect()
        };
        let mut parts = vec![(String::new(), of_keys(TOP))];
        parts.extend(SECTIONS.iter().map(|section| (format!("[{}]\n", section.name), of_keys(section.keys))));
        parts.extend(self.settings.notify.iter().map(|rule| {
            let lines = self.rule_lines(rule);
            let lines = lines.map(|(key, value, origin)| (format!("{} = {value}", key.name), origin));
            ("[[notify]]\n".to_owned(), lines.collect())
        }));

        // A longer line does not push the comments of the others away.
        const WIDEST: usize = 48;
        let lines = parts.iter().flat_map(|(_, lines)| lines);
        let widths = lines.map(|(line, _)| line.chars().count());
        let width = widths.filter(|width| *width <= WIDEST).max().unwrap_or(0);
        let texts = parts.into_iter().map(|(mut text, lines)| {
            for (line, origin) in lines {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{line:width$}  # {origin}");
            }
            text
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    /// The keys of a rule that were set.
    fn rule_lines<'a>(
        &'a self,
        rule: &'a Rule,
    ) -> impl Iterator<Item = (&'static Key<Rule>, Value, &'a Origin)> + 'a {
        notify::KEYS.iter().filter_map(|notify::RuleKey { key, .. }| {
            let origin = self.provenance.origins.get(rule_key(&rule.name, key.name).as_str())?;
            Some((key, (key.get)(rule), origin))
        })
    }

    /// Takes a rule in place of the one of the same name, with where its keys were set.
    pub(crate) fn put_rule(&mut self, rule: Rule, places: impl Iterator<Item = (&'static str, Origin)>) {
        let prefix = rule_key(&rule.name, "");
        self.provenance.origins.retain(|key, _| !key.starts_with(&prefix));
        for (key, origin) in places {
            self.provenance.set(rule_key(&rule.name, key).into(), origin);
        }
        match self.settings.notify.iter_mut().find(|known| known.name == rule.name) {
            Some(known) => *known = rule,
            None => self.settings.notify.push(rule),
        }
    }
}

/// `notify.NAME.key`
pub(crate) fn rule_key(rule: &str, key: &str) -> String {
    format!("notify.{rule}.{key}")
}

/// Where each value was set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// By `section.key`, and `notify.NAME.key`; what is not in here is a default.
    origins: BTreeMap<Cow<'static, str>, Origin>,
}

impl Provenance {
    /// Where the value of `section.key` was set. A key that does not exist was not set.
    pub fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }

    pub(crate) fn set(&mut self, key: Cow<'static, str>, origin: Origin) {
        self.origins.insert(key, origin);
    }
}

/// Where a value was set. Displayed and serialised as `default` or `FILE:LINE`, the file name escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In no file.
    Default,
    /// In this file.
    File {
        /// Its path.
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
    },
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", escape_path(path)),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One setting, with its value and where it was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// `section.key`, and `notify.NAME.key`.
    pub key: Cow<'static, str>,
    /// The value that holds.
    pub value: Value,
    /// Where it was set.
    pub origin: Origin,
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::document;
    use crate::settings::{
        AttackProtection, Email, Enforcement, Events, FollowKeys, Lock, Lockdown, Notifications, Nss,
        Protected, SelfService, Sessions, StateDocuments, Tls,
    };

    fn loaded(path: &str, text: &str) -> Loaded {
        let mut loaded = Loaded::default();
        assert_eq!(document::apply(Path::new(path), text, &mut loaded), []);
        loaded
    }

    #[test]
    fn shows_each_value_with_its_origin() {
        let text = "lock.message = \"Call\\n\\\"us\\\"\"\n\n[protected]\nusers = ['a', 'b']\n";
        let shown = loaded("/etc/x.toml", text).render();
        assert!(shown.contains("\n[lock]\nduration = \"1h\""), "{shown}");
        assert!(shown.contains("\nmessage = \"Call\\n\\\"us\\\"\""), "{shown}");
        let users = shown.lines().find(|line| line.starts_with("users")).unwrap();
        assert_eq!(users.split("  ").next(), Some("users = [\"a\", \"b\"]"));
        assert!(users.ends_with("  # /etc/x.toml:4"), "{users}");
        assert!(shown.contains("# default\n"), "{shown}");
    }

    #[test]
    fn entries_are_plain_json() {
        let entries: Vec<_> = loaded("/etc/x.toml", "lock.end_sessions = false").entries().collect();
        let json = serde_json::to_value(&entries).unwrap();
        assert_eq!(
            json[2],
            serde_json::json!({"key": "lock.end_sessions", "value": false, "origin": "/etc/x.toml:1"})
        );
        assert_eq!(json[1], serde_json::json!({"key": "lock.duration", "value": "1h", "origin": "default"}));
        let admin_groups =
            json.as_array().unwrap().iter().find(|entry| entry["key"] == "protected.admin_groups");
        assert_eq!(admin_groups.unwrap()["value"], serde_json::json!(["sudo", "wheel", "admin"]));
    }

    #[test]
    fn a_file_name_cannot_add_a_line() {
        let loaded = loaded("/etc/x\nenabled = false\n.toml", "lockdown.enabled = true");
        assert_eq!(self::loaded("y", &loaded.render()).settings, loaded.settings);
    }

    fn milliseconds(range: std::ops::RangeInclusive<u64>) -> impl Strategy<Value = Duration> {
        range.prop_map(Duration::from_millis)
    }

    fn names() -> impl Strategy<Value = Vec<String>> {
        let name = "[^\\pC: \\s]([^\\pC:]{0,20}[^\\pC:\\s])?";
        proptest::collection::vec(name, 0..4)
    }

    prop_compose! {
        fn lockdown()(
            flags: [bool; 6],
            follow_keys in prop_oneof![Just(FollowKeys::Report), Just(FollowKeys::Quarantine)],
            undo_window in milliseconds(60_000..=365 * 86_400_000),
            recovery_code_lifetime in milliseconds(60_000..=30 * 86_400_000),
            hook_timeout in milliseconds(1_000..=600_000),
        ) -> Lockdown {
            let [enabled, deactivate, unusable_password, end_sessions, revoke_tokens, follow_keys_of_root] = flags;
            Lockdown {
                enabled,
                deactivate,
                unusable_password,
                end_sessions,
                revoke_tokens,
                follow_keys,
                follow_keys_of_root,
                undo_window,
                recovery_code_lifetime,
                hook_timeout,
            }
        }
    }

    fn network() -> impl Strategy<Value = String> {
        let address = prop_oneof![
            any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
            any::<std::net::Ipv6Addr>().prop_map(|address| address.to_string()),
        ];
        (address, proptest::option::of(0..=32_u8)).prop_map(|(address, prefix)| match prefix {
            Some(prefix) => format!("{address}/{prefix}"),
            None => address,
        })
    }

    prop_compose! {
        fn attack_protection()(
            flags: [bool; 3],
            max_attempts in 1..=128_u32,
            max_attempts_total in 1..=128_u32,
            window in milliseconds(1_000..=365 * 86_400_000),
            duration in proptest::option::of(1..=3650 * 86_400_u64),
            ignore_services in names(),
            trusted_sources in proptest::collection::vec(network(), 0..4),
            warn_attempts_left in 0..=128_u32,
        ) -> AttackProtection {
            let [enabled, per_source, even_deny_root] = flags;
            AttackProtection {
                enabled,
                max_attempts,
                max_attempts_total,
                window,
                duration: duration.map(Duration::from_secs),
                per_source,
                even_deny_root,
                ignore_services,
                trusted_sources,
                warn_attempts_left,
            }
        }
    }

    prop_compose! {
        fn settings()(
            seconds in proptest::option::of(1..=3650 * 86_400u64),
            end_sessions: bool,
            message in proptest::option::of("([^\\pC\\s]([^\\pC]|\n){0,40})?[^\\pC\\s]"),
            lockdown in lockdown(),
            keep_password: bool,
            attack_protection in attack_protection(),
            phone in proptest::option::of("[0-9][-0-9 ]{0,20}[0-9]"),
            users in names(),
            groups in names(),
            admin_groups in names(),
            reconcile_interval in milliseconds(60_000..=86_400_000),
            timeout in milliseconds(100..=60_000),
            end_timeout in milliseconds(1_000..=300_000),
            groups_every in milliseconds(10_000..=86_400_000),
            security_email in proptest::option::of("[a-z]{1,9}@[a-z]{1,9}"),
            tls in prop_oneof![Just(Tls::Starttls), Just(Tls::Tls), Just(Tls::None)],
            queue_max in 100..=100_000u32,
        ) -> Settings {
            let from = security_email.clone();
            Settings {
                security_email,
                email: Email { tls, from, ..Email::default() },
                notifications: Notifications { queue_max },
                notify: Vec::new(),
                self_service: SelfService { message: message.clone(), url: None, phone, keep_password },
                lock: Lock { duration: seconds.map(Duration::from_secs), end_sessions, message },
                lockdown,
                attack_protection,
                protected: Protected { users, groups, admin_groups },
                enforcement: Enforcement { reconcile_interval },
                nss: Nss { timeout },
                sessions: Sessions { end_timeout },
                state: StateDocuments { groups_every },
                events: Events { keep: seconds.map(|seconds| Duration::from_secs(seconds.max(86_400))) },
            }
        }
    }

    const RULE: &str = "[[notify]]\nname = 'mail'\nmatch = { actions = ['lock*'], owners = [] }\ntransport = 'email'\n\
                        to = 'a@b'\n";

    #[test]
    fn shows_rules_as_they_were_set() {
        let loaded = loaded("/etc/x.toml", RULE);
        let shown = loaded.render();
        assert!(shown.starts_with("security_email = \"\" "), "{shown}");
        let (_, rule) = shown.split_once("[[notify]]\n").unwrap();
        let lines: Vec<_> =
            rule.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "name = \"mail\" # /etc/x.toml:2",
                "match.actions = [\"lock*\"] # /etc/x.toml:3",
                "match.owners = [] # /etc/x.toml:3",
                "transport = \"email\" # /etc/x.toml:4",
                "to = [\"a@b\"] # /etc/x.toml:5",
            ]
        );
        assert_eq!(self::loaded("y", &shown).settings, loaded.settings);
        let entries = serde_json::to_value(loaded.entries().collect::<Vec<_>>()).unwrap();
        let last = entries.as_array().unwrap().last().unwrap();
        let expected =
            serde_json::json!({"key": "notify.mail.to", "value": ["a@b"], "origin": "/etc/x.toml:5"});
        assert_eq!(*last, expected);
    }

    #[test]
    fn a_rule_of_the_same_name_is_replaced_whole() {
        let mut loaded = loaded("/etc/x.toml", RULE);
        let text =
            "[[notify]]\nname = 'mail'\ntransport = 'wall'\n[[notify]]\nname = 'b'\ntransport = 'wall'";
        assert_eq!(document::apply(Path::new("y"), text, &mut loaded), []);
        let names: Vec<_> = loaded.settings.notify.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names, ["mail", "b"]);
        assert!(loaded.settings.notify[0].to.is_empty() && loaded.settings.notify[0].actions.is_none());
        let keys: Vec<_> =
            loaded.entries().map(|entry| entry.key).filter(|key| key.starts_with("notify.")).collect();
        assert_eq!(
            keys,
            ["notify.mail.name", "notify.mail.transport", "notify.b.name", "notify.b.transport"]
        );
    }

    proptest! {
        #[test]
        fn reads_what_it_shows(settings in settings()) {
            let shown = Loaded { settings: settings.clone(), ..Loaded::default() }.render();
            let mut again = Loaded::default();
            prop_assert_eq!(document::apply(Path::new("x"), &shown, &mut again), []);
            prop_assert_eq!(&again.settings, &settings);
            prop_assert!(again.entries().all(|entry| entry.origin != Origin::Default));
        }
    }
}

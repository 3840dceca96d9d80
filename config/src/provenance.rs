//! What was loaded, and who set what: the merged configuration can be shown with the origin of every value.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Write};
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::error::escape_path;
use crate::settings::{Key, SECTIONS, Settings};
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
    /// Every setting in the order of the file, with where it was set.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        SECTIONS.iter().flat_map(|section| section.keys).map(|key| Entry {
            key: key.path,
            value: (key.get)(&self.settings),
            origin: self.provenance.origin(key.path).clone(),
        })
    }

    /// The merged configuration as one `lockdown.toml`, each line with where it was set as a comment:
    /// `duration = "2h"  # /etc/lockdown/lockdown.toml:3`.
    pub fn render(&self) -> String {
        // A longer line does not push the comments of the others away.
        const WIDEST: usize = 48;
        let line = |key: &Key| format!("{} = {}", key.name, (key.get)(&self.settings));
        let keys = SECTIONS.iter().flat_map(|section| section.keys);
        let width =
            keys.map(|key| line(key).chars().count()).filter(|width| *width <= WIDEST).max().unwrap_or(0);

        let sections = SECTIONS.iter().map(|section| {
            let mut text = format!("[{}]\n", section.name);
            for key in section.keys {
                let origin = self.provenance.origin(key.path);
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{:width$}  # {origin}", line(key));
            }
            text
        });
        sections.collect::<Vec<_>>().join("\n")
    }
}

/// Where each value was set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// By `section.key`; what is not in here is a default.
    origins: BTreeMap<&'static str, Origin>,
}

impl Provenance {
    /// Where the value of `section.key` was set. A key that does not exist was not set.
    pub fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }

    pub(crate) fn set(&mut self, key: &'static str, origin: Origin) {
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
    /// `section.key`
    pub key: &'static str,
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
        AttackProtection, Enforcement, FollowKeys, Lock, Lockdown, Nss, Protected, SelfService, Sessions,
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
        assert!(shown.starts_with("[lock]\nduration = \"1h\""), "{shown}");
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
            json[1],
            serde_json::json!({"key": "lock.end_sessions", "value": false, "origin": "/etc/x.toml:1"})
        );
        assert_eq!(json[0], serde_json::json!({"key": "lock.duration", "value": "1h", "origin": "default"}));
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
        ) -> Settings {
            Settings {
                self_service: SelfService { message: message.clone(), url: None, phone, keep_password },
                lock: Lock { duration: seconds.map(Duration::from_secs), end_sessions, message },
                lockdown,
                attack_protection,
                protected: Protected { users, groups, admin_groups },
                enforcement: Enforcement { reconcile_interval },
                nss: Nss { timeout },
                sessions: Sessions { end_timeout },
            }
        }
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

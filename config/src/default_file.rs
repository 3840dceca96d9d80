//! The commented default file, made from the settings.

use std::fmt::Write;

use crate::key::Key;
use crate::notify;
use crate::settings::{SECTIONS, Settings, TOP};

const HEADER: &str = "\
# Configuration of lockdown. Each setting is shown with its default and what it allows; to change one, take away
# the # before it.
#
# Rather than changing this file, put what is to be different into a file of its own below
# /etc/lockdown/lockdown.d/, such as 50-local.toml. Those files are read after this one, in the order of their
# names, and what a later one sets replaces what was set before, lists as well.
#
#   lockdownctl config check           finds mistakes
#   lockdownctl config show            shows what holds, and where it was set
#   systemctl reload lockdownd         puts it in force
#
# Durations are numbers with units, in quotes: \"90s\", \"1h30m\", \"500ms\". Units are d, h, m, s and ms.
";

const RULES: &str = "
# Rules of notifications: each says who is told of which events, and how. There are none by default, and there can be up to
# 100; each is a part of its own that begins with this line. What its keys can be is shown with examples.
#   [[notify]]
";

/// The text of `lockdown.toml` as it is installed: every setting explained, with its default, commented out.
pub fn default_file() -> String {
    let defaults = Settings::default();
    let mut text = HEADER.to_owned();
    // Writing to a String cannot fail.
    let write_keys = |text: &mut String, keys: &[Key<Settings>]| {
        for key in keys {
            text.push('\n');
            write_doc(text, key.doc);
            let _ = writeln!(text, "#{} = {}", key.name, (key.get)(&defaults));
        }
    };
    write_keys(&mut text, TOP);
    for section in SECTIONS {
        text.push('\n');
        write_doc(&mut text, section.doc);
        let _ = writeln!(text, "[{}]", section.name);
        write_keys(&mut text, section.keys);
    }
    text.push_str(RULES);
    for notify::RuleKey { key, example, .. } in notify::KEYS {
        text.push('\n');
        write_doc(&mut text, key.doc);
        let _ = writeln!(text, "#   {} = {example}", key.name);
    }
    text
}

fn write_doc(text: &mut String, doc: &[&str]) {
    for line in doc {
        let _ = writeln!(text, "#{line}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::document;
    use crate::provenance::{Loaded, Origin};

    const SHIPPED: &str = include_str!("../lockdown.toml");

    fn load(text: &str) -> Loaded {
        let mut loaded = Loaded::default();
        assert_eq!(document::apply(Path::new("lockdown.toml"), text, &mut loaded), []);
        loaded
    }

    #[test]
    fn the_shipped_file_is_up_to_date() {
        assert!(
            SHIPPED == default_file(),
            "make it anew: cargo run -p lockdown-config --example default-file > config/lockdown.toml"
        );
    }

    #[test]
    fn the_shipped_file_sets_nothing() {
        assert_eq!(load(SHIPPED), Loaded::default());
    }

    #[test]
    fn the_examples_of_rules_are_right() {
        for transport in ["email", "webhook", "alertmanager", "exec", "wall"] {
            let keys = notify::KEYS.iter().filter(|known| {
                known.transports.is_empty() || known.transports.iter().any(|one| one.name() == transport)
            });
            let lines = keys.map(|known| match known.key.name {
                "transport" => format!("transport = \"{transport}\"\n"),
                "to" if transport == "wall" => "to = \"alice\"\n".to_owned(),
                name => format!("{name} = {}\n", known.example),
            });
            let loaded = load(&format!("[[notify]]\n{}", lines.collect::<String>()));
            assert_eq!(loaded.settings.notify.len(), 1);
        }
    }

    #[test]
    fn uncommented_it_sets_every_key_to_its_default() {
        // A setting has no space after its #.
        let uncommented: String = SHIPPED
            .lines()
            .map(|line| {
                line.strip_prefix('#').filter(|rest| rest.starts_with(char::is_alphabetic)).unwrap_or(line)
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        let loaded = load(&uncommented);
        assert_eq!(loaded.settings, Settings::default());
        for entry in loaded.entries() {
            assert_ne!(entry.origin, Origin::Default, "{}", entry.key);
        }
    }
}

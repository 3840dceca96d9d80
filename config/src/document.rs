//! One file: its text is parsed, its keys are checked and put over what is set already.

use std::collections::BTreeSet;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::error::{Problem, escape};
use crate::key::Key;
use crate::notify;
use crate::provenance::{Loaded, Origin};
use crate::report::{Lines, Report, unknown};
use crate::settings::{SECTIONS, Section, Settings, TOP};
use crate::value::Given;

/// The name of the list of rules.
const RULES: &str = "notify";

/// Puts what the text sets over `loaded`. What is wrong is left out and given back, in the order of the text.
pub(crate) fn apply(path: &Path, text: &str, loaded: &mut Loaded) -> Vec<Problem> {
    let mut document = Document { path, lines: Lines::of(text), report: Report::new(path, text) };
    match DeTable::parse(text) {
        Ok(table) => document.apply(table.get_ref(), loaded),
        Err(error) => document.report.add_unparsable(0, &error),
    }
    document.report.into_problems()
}

struct Document<'a> {
    path: &'a Path,
    lines: Lines<'a>,
    report: Report<'a>,
}

impl Document<'_> {
    fn apply(&mut self, table: &DeTable<'_>, loaded: &mut Loaded) {
        for (name, given) in table {
            if let Some(key) = TOP.iter().find(|key| key.name == name.get_ref()) {
                self.apply_key(key, name, given, loaded);
                continue;
            }
            if name.get_ref() == RULES {
                self.apply_rules(given, loaded);
                continue;
            }
            match (SECTIONS.iter().find(|section| section.name == name.get_ref()), given.get_ref()) {
                (Some(section), DeValue::Table(keys)) => self.apply_section(section, keys, loaded),
                (Some(Section { name, .. }), other) => {
                    let of = other.type_str();
                    let message = format!(
                        "is a section, not a value of the type {of}; write its keys below a line [{name}]"
                    );
                    self.report.add(given.span().start, Some((*name).to_owned()), message);
                }
                (None, other) => {
                    let message = match section_of(name.get_ref()) {
                        Some(section) if !other.is_table() => {
                            format!("stands outside of its section; write it below a line [{section}]")
                        }
                        _ => {
                            let names = TOP.iter().map(|key| key.name);
                            let names =
                                names.chain(SECTIONS.iter().map(|section| section.name)).chain([RULES]);
                            unknown("section", name.get_ref(), names)
                        }
                    };
                    self.report.add(name.span().start, Some(escape(name.get_ref())), message);
                }
            }
        }
    }

    fn apply_section(&mut self, section: &Section, table: &DeTable<'_>, loaded: &mut Loaded) {
        for (name, given) in table {
            if let Some(key) = section.keys.iter().find(|key| key.name == name.get_ref()) {
                self.apply_key(key, name, given, loaded);
                continue;
            }
            let message = match section_of(name.get_ref()) {
                Some(other) => format!("belongs to the section [{other}]"),
                None => unknown("key", name.get_ref(), section.keys.iter().map(|key| key.name)),
            };
            let path = format!("{}.{}", section.name, escape(name.get_ref()));
            self.report.add(name.span().start, Some(path), message);
        }
    }

    fn apply_rules(&mut self, given: &Given<'_>, loaded: &mut Loaded) {
        let tables: Option<Vec<_>> = given.get_ref().as_array().and_then(|list| {
            list.iter().map(|one| one.get_ref().as_table().map(|table| (table, one.span().start))).collect()
        });
        let Some(tables) = tables else {
            let message = "is a list of rules; write the keys of each below a line [[notify]]".to_owned();
            return self.report.add(given.span().start, Some(RULES.to_owned()), message);
        };
        let mut names = BTreeSet::new();
        for (table, start) in tables {
            match notify::read(table, start) {
                Ok(read) if !names.insert(read.rule.name.clone()) => {
                    let place = read.places.iter().find(|(key, _)| *key == "name");
                    let message = format!("\"{}\" is the name of another rule in this file", read.rule.name);
                    let start = place.map_or(start, |(_, place)| *place);
                    self.report.add(start, Some("notify.name".to_owned()), message);
                }
                Ok(read) => {
                    let origin = |start| Origin::File {
                        path: self.path.to_owned(),
                        line: self.lines.position(start).line,
                    };
                    let places = read.places.into_iter().map(|(key, start)| (key, origin(start)));
                    loaded.put_rule(read.rule, places);
                }
                Err(wrong) => self.report.extend(wrong),
            }
        }
    }

    fn apply_key(
        &mut self,
        key: &Key<Settings>,
        name: &Spanned<DeString<'_>>,
        given: &Given<'_>,
        loaded: &mut Loaded,
    ) {
        match (key.set)(&mut loaded.settings, given) {
            Ok(()) => {
                let line = self.lines.position(name.span().start).line;
                loaded.provenance.set(key.path.into(), Origin::File { path: self.path.to_owned(), line });
            }
            Err(fault) => self.report.add(fault.span.start, Some(key.path.to_owned()), fault.message),
        }
    }
}

/// The section that has a key of this name, if it is only one.
fn section_of(key: &str) -> Option<&'static str> {
    let mut sections = SECTIONS.iter().filter(|section| section.keys.iter().any(|known| known.name == key));
    let section = sections.next()?;
    sections.next().is_none().then_some(section.name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Position;
    use crate::pieces::PIECES;
    use crate::report::MAX_PROBLEMS;
    use crate::settings::keys;

    fn problems(text: &str) -> Vec<String> {
        let mut loaded = Loaded::default();
        apply(Path::new("f"), text, &mut loaded).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn says_where_and_what_is_allowed() {
        let names: Vec<_> = SECTIONS.iter().map(|section| section.name).collect();
        let sections = format!("there are security_email, {}, notify", names.join(", "));
        const LOCK: &str = "must be a duration from 1s to 3650d in whole seconds, or \"never\"";
        const TIMEOUT: &str = "must be a duration from 100ms to 1m";
        const USERS: &str = "must be a list of user names, such as [\"a\", \"b\"]";
        const MESSAGE: &str =
            "must be text of at most 1024 bytes without control characters except line breaks";
        let no_value =
            |of| format!("is a section, not a value of the type {of}; write its keys below a line [lock]");
        for (text, expected) in [
            (
                "[lock]\nduratio = 1",
                "f:2:1: lock.duratio: is an unknown key; did you mean \"duration\"?".into(),
            ),
            (
                "[lock]\nx = 1",
                "f:2:1: lock.x: is an unknown key; there are duration, end_sessions, message".into(),
            ),
            ("[lok]", "f:1:2: lok: is an unknown section; did you mean \"lock\"?".into()),
            ("[x]", format!("f:1:2: x: is an unknown section; {sections}")),
            ("\u{feff}\"\\n\" = 1", format!("f:1:1: \\n: is an unknown section; {sections}")),
            (
                "timeout = 1",
                "f:1:1: timeout: stands outside of its section; write it below a line [nss]".into(),
            ),
            ("[lock]\ntimeout = 1", "f:2:1: lock.timeout: belongs to the section [nss]".into()),
            ("lock = 3", format!("f:1:8: lock: {}", no_value("integer"))),
            ("[[lock]]", format!("f:1:1: lock: {}", no_value("array"))),
            (
                "[lock]\nend_sessions = 'yes'",
                "f:2:16: lock.end_sessions: the string \"yes\" has the wrong type; must be true or false"
                    .into(),
            ),
            (
                "lock.duration = 60",
                format!("f:1:17: lock.duration: 60 needs a unit and quotes, as in \"90s\"; {LOCK}"),
            ),
            (
                "lock.duration = '1500ms'",
                format!("f:1:17: lock.duration: \"1s500ms\" has part of a second; {LOCK}"),
            ),
            ("lock.duration = '0s'", format!("f:1:17: lock.duration: \"0s\" is too short; {LOCK}")),
            (
                "nss.timeout = '5min'",
                format!(
                    "f:1:15: nss.timeout: \"5min\" has the unknown unit \"min\"; units are d, h, m, s and ms; {TIMEOUT}"
                ),
            ),
            (
                "attack_protection.max_attempts = 129",
                "f:1:34: attack_protection.max_attempts: 129 is out of range; must be an integer from 1 to 128".into(),
            ),
            (
                "attack_protection.max_attempts = '9'",
                "f:1:34: attack_protection.max_attempts: the string \"9\" has the wrong type; must be an integer from 1 to 128"
                    .into(),
            ),
            (
                "attack_protection.trusted_sources = ['::/129']",
                "f:1:38: attack_protection.trusted_sources: \"::/129\" is neither; must be a list of addresses and networks, \
                 such as [\"192.0.2.7\", \"2001:db8::/32\"]"
                    .into(),
            ),
            ("nss.timeout = '61s'", format!("f:1:15: nss.timeout: \"61s\" is too long; {TIMEOUT}")),
            ("nss.timeout = '99ms'", format!("f:1:15: nss.timeout: \"99ms\" is too short; {TIMEOUT}")),
            (
                "nss.timeout = 'never'",
                format!("f:1:15: nss.timeout: \"never\" needs a whole number before \"never\"; {TIMEOUT}"),
            ),
            (
                "[protected]\nusers = [\n  'a',\n  ' b']",
                format!("f:4:3: protected.users: \" b\" has white space around it; {USERS}"),
            ),
            (
                "protected.users = 'a'",
                format!("f:1:19: protected.users: the string \"a\" has the wrong type; {USERS}"),
            ),
            (
                "protected.users = ['uid:1']",
                format!("f:1:20: protected.users: \"uid:1\" has a colon or a control character; {USERS}"),
            ),
            (
                "lock.message = \"\\u001b[2J\"",
                format!("f:1:16: lock.message: \"\\u{{1b}}[2J\" has a control character; {MESSAGE}"),
            ),
            (
                "[lock]\nduration = 1h",
                "f:2:12: lock.duration: string values must be quoted, expected literal string".into(),
            ),
            ("[lock]\nduration = '1h'\nduration = '2h'", "f:3:1: lock.duration: duplicate key".into()),
            (
                "[nss] # ü\ntimeout = 'ü', x",
                "f:2:14: nss.timeout: unexpected key or value, expected newline, `#`".into(),
            ),
        ] {
            assert_eq!(problems(text), [expected], "{text}");
        }
    }

    #[test]
    fn reports_all_problems_in_the_order_of_the_text() {
        let text = "[nss]\ntimeout = 1\n[lock]\nmessage = 2\nduration = 3\n";
        let places: Vec<_> = problems(text).iter().map(|problem| problem[..4].to_owned()).collect();
        assert_eq!(places, ["f:2:", "f:4:", "f:5:"]);
    }

    #[test]
    fn a_flood_of_problems_is_cut() {
        let text: String = (0..20_000).map(|n| format!("{}{n} = 1\n", "x".repeat(40))).collect();
        let problems = problems(&text);
        assert_eq!(problems.len(), MAX_PROBLEMS + 1);
        assert_eq!(problems[MAX_PROBLEMS], "f: has 19980 more problems");
    }

    #[test]
    fn a_message_is_trimmed_and_the_empty_one_is_none() {
        let message = |text: &str| {
            let mut loaded = Loaded::default();
            loaded.settings.lock.message = Some("before".to_owned());
            assert_eq!(apply(Path::new("f"), text, &mut loaded), []);
            loaded.settings.lock.message
        };
        assert_eq!(message("lock.message = \"\"\"\nCall\nus.\n\"\"\"").as_deref(), Some("Call\nus."));
        assert_eq!(message("lock.message = ' '"), None);
        assert_eq!(
            message(&format!("lock.message = '{}'", "x".repeat(1024))).map(|text| text.len()),
            Some(1024)
        );
        assert_eq!(problems(&format!("lock.message = '{}'", "x".repeat(1025))).len(), 1);
    }

    #[test]
    fn bounds_are_allowed_themselves() {
        for text in
            ["nss.timeout = '100ms'", "nss.timeout = '1m'", "lock.duration = '1s'", "lock.duration = '3650d'"]
        {
            assert_eq!(problems(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_wrong_value_leaves_the_former_one() {
        let mut loaded = Loaded::default();
        apply(Path::new("f"), "nss.timeout = '5s'", &mut loaded);
        let before = loaded.clone();
        assert_eq!(apply(Path::new("g"), "nss.timeout = '5h'", &mut loaded).len(), 1);
        assert_eq!(loaded, before);
    }

    /// Texts made of pieces of TOML, so that many of them get far into the checks.
    fn toml_like() -> impl Strategy<Value = String> {
        let mut pieces = [PIECES, &["\\u00", "inf", "0x", "\"1h\""]].concat();
        pieces.extend(SECTIONS.iter().map(|section| section.name));
        pieces.extend(keys().flat_map(|key| [key.name, key.path]));
        pieces.extend(["[[notify]]\n", "match = {", "\"email\"", "['lock*']"]);
        pieces.extend(notify::KEYS.iter().map(|known| known.key.name));
        proptest::collection::vec(proptest::sample::select(pieces), 0..30).prop_map(|pieces| pieces.concat())
    }

    /// Assignments to existing keys of whatever value.
    fn assignments() -> impl Strategy<Value = String> {
        let keys: Vec<_> = keys().map(|key| key.path).collect();
        let value =
            prop_oneof!["'[^'\n]{0,80}'", "\\[('[^'\n]{0,9}', ?){0,3}\\]", "[0-9a-z.:-]{1,9}", "\\{\\}"];
        let line =
            (proptest::sample::select(keys), value).prop_map(|(key, value)| format!("{key} = {value}\n"));
        proptest::collection::vec(line, 0..4).prop_map(|lines| lines.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn takes_any_text(text in prop_oneof!["(?s).{0,80}", toml_like(), assignments()]) {
            for problem in apply(Path::new("f"), &text, &mut Loaded::default()) {
                let Position { line, column } = problem.position.unwrap();
                prop_assert!(line <= text.matches('\n').count() + 1 && column <= text.chars().count() + 1);
                let message = problem.to_string();
                prop_assert!(!message.contains(char::is_control) && message.len() < 1_500, "{message}");
            }
        }
    }
}

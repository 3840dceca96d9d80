//! What shadow(5) says of an account, read only.

use std::collections::HashMap;

const SHADOW: &str = "/etc/shadow";

/// A line of shadow(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Some password matches the hash (an empty field asks for none).
    pub password_usable: bool,
    /// Day of the last change of the password, in days since 1970-01-01.
    pub changed: Option<i64>,
    /// Day on which the account expires, in days since 1970-01-01.
    pub expires: Option<i64>,
}

/// The file as it was when it was read.
#[derive(Clone, Debug, Default)]
pub struct Shadow {
    entries: HashMap<String, Entry>,
}

impl Shadow {
    /// Reads the host's file; one that cannot be read has no entries.
    #[must_use]
    pub fn read() -> Self {
        std::fs::read(SHADOW).map(|bytes| Self::parse(&String::from_utf8_lossy(&bytes))).unwrap_or_default()
    }

    /// Reads the text of such a file.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut entries = HashMap::new();
        for line in text.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if let [name, hash, ..] = fields[..] {
                let day = |field: usize| fields.get(field).and_then(|day| day.parse().ok());
                // As for getspnam(3), the first line with a name counts.
                entries.entry(name.to_owned()).or_insert(Entry {
                    password_usable: !hash.starts_with(['!', '*']),
                    changed: day(2),
                    expires: day(7),
                });
            }
        }
        Self { entries }
    }

    /// The entry of this account; `None` if the file has none: a directory account.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }
}

/// The fields of the first line with this name in a file like passwd(5) or shadow(5): the line that getspnam(3) finds.
/// Names are compared byte by byte.
#[must_use]
pub fn fields<'t>(text: &'t [u8], name: &str) -> Option<Vec<&'t [u8]>> {
    text.split(|byte| *byte == b'\n')
        .map(|line| line.split(|byte| *byte == b':').collect::<Vec<_>>())
        .find(|fields| fields.len() > 1 && fields.first().is_some_and(|first| *first == name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "root:*:19000:0:99999:7:::\nalice:$y$j9T$x:19000:0:99999:7::20000:\nbob:!$y$j9T$x:19000::::::\n\
                        al:!:1::::::\n";

    #[test]
    fn entries_are_read_by_their_whole_name() {
        let shadow = Shadow::parse(FILE);
        let entry =
            |password_usable, changed, expires| Entry { password_usable, changed: Some(changed), expires };
        assert_eq!(shadow.entry("alice"), Some(&entry(true, 19000, Some(20000))));
        assert_eq!(shadow.entry("al"), Some(&entry(false, 1, None)));
        assert_eq!(shadow.entry("root"), Some(&entry(false, 19000, None)));
        assert_eq!(shadow.entry("bob"), Some(&entry(false, 19000, None)));
        assert_eq!(shadow.entry("carol"), None);
        assert!(Shadow::parse("broken\n\n").entry("broken").is_none());
    }

    #[test]
    fn fields_are_those_of_the_first_line_with_just_this_name() {
        let text = b"alicia:0\nal:1\nAlice:2\n\xff:3\nalice:4:5\nalice:6\nbroken\n:7";
        assert_eq!(fields(text, "alice").unwrap()[1..], [b"4", b"5"]);
        assert_eq!(fields(text, "al").unwrap()[1..], [b"1"]);
        for name in ["bob", "broken", "alice:4", "\u{ff}", "alice:4:5\nalice"] {
            assert_eq!(fields(text, name), None, "{name:?}");
        }
    }
}

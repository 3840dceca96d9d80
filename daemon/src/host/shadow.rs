//! What shadow(5) says of an account, read only.

use std::collections::HashMap;

const SHADOW: &str = "/etc/shadow";

/// A line of shadow(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Some password matches the hash (an empty field asks for none).
    pub password_usable: bool,
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
        std::fs::read_to_string(SHADOW).map(|text| Self::parse(&text)).unwrap_or_default()
    }

    fn parse(text: &str) -> Self {
        let mut entries = HashMap::new();
        for line in text.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if let [name, hash, ..] = fields[..] {
                let expires = fields.get(7).and_then(|day| day.parse().ok());
                // As for getspnam(3), the first line with a name counts.
                entries
                    .entry(name.to_owned())
                    .or_insert(Entry { password_usable: !hash.starts_with(['!', '*']), expires });
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

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "root:*:19000:0:99999:7:::\nalice:$y$j9T$x:19000:0:99999:7::20000:\nbob:!$y$j9T$x:19000::::::\n\
                        al:!:1::::::\n";

    #[test]
    fn entries_are_read_by_their_whole_name() {
        let shadow = Shadow::parse(FILE);
        let entry = |password_usable, expires| Entry { password_usable, expires };
        assert_eq!(shadow.entry("alice"), Some(&entry(true, Some(20000))));
        assert_eq!(shadow.entry("al"), Some(&entry(false, None)));
        assert_eq!(shadow.entry("root"), Some(&entry(false, None)));
        assert_eq!(shadow.entry("bob"), Some(&entry(false, None)));
        assert_eq!(shadow.entry("carol"), None);
        assert!(Shadow::parse("broken\n\n").entry("broken").is_none());
    }
}

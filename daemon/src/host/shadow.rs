//! What shadow(5) says of an account, read only.

use std::path::Path;

/// A line of shadow(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Some password matches the hash (an empty field asks for none).
    pub password_usable: bool,
    /// Day on which the account expires, in days since 1970-01-01.
    pub expires: Option<i64>,
}

/// The entry of this account; `None` if the file has none (a directory account) or cannot be read.
#[must_use]
pub fn entry(path: &Path, name: &str) -> Option<Entry> {
    parse(&std::fs::read_to_string(path).ok()?, name)
}

fn parse(text: &str, name: &str) -> Option<Entry> {
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    let fields: Vec<&str> = line.split(':').collect();
    let hash = fields.get(1)?;
    Some(Entry {
        password_usable: !hash.starts_with(['!', '*']),
        expires: fields.get(7).and_then(|day| day.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "root:*:19000:0:99999:7:::\nalice:$y$j9T$x:19000:0:99999:7::20000:\nbob:!$y$j9T$x:19000::::::\n\
                        al:!:1::::::\n";

    #[test]
    fn entries_are_read_by_their_whole_name() {
        assert_eq!(parse(FILE, "alice"), Some(Entry { password_usable: true, expires: Some(20000) }));
        assert_eq!(parse(FILE, "al"), Some(Entry { password_usable: false, expires: None }));
        assert_eq!(parse(FILE, "root"), Some(Entry { password_usable: false, expires: None }));
        assert_eq!(parse(FILE, "bob"), Some(Entry { password_usable: false, expires: None }));
        assert_eq!(parse(FILE, "carol"), None);
        assert_eq!(parse("broken", "broken"), None);
    }
}

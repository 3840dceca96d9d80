//! Text of others, made fit for a terminal.

/// `text` without anything that could move the cursor, end the line, change the direction of writing or hide: control
/// characters, line and paragraph separators, format characters (bidirectional overrides, zero-width ones), combining and
/// private characters are shown by their number, as in `\u{1b}`.
///
/// A backslash stays one: the daemon's messages come escaped already. JSON has the exact text.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '"' | '\'' => shown.push(character),
            other => shown.extend(other.escape_debug()),
        }
    }
    shown
}

/// The same with `…` after 100 characters: for lines in which a text is only named.
#[must_use]
pub fn brief(text: &str) -> String {
    const LONGEST: usize = 100;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", escape(&text[..end])),
        None => escape(text),
    }
}

/// `1 process`, `3 processes`.
#[must_use]
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_text_stays() {
        assert_eq!(escape("Müller's \"laptop\" C:\\ 盗難"), "Müller's \"laptop\" C:\\ 盗難");
    }

    #[test]
    fn what_acts_on_a_terminal_is_shown_by_number() {
        assert_eq!(escape("a\nb\r\tc"), "a\\nb\\r\\tc");
        assert_eq!(escape("\u{1b}[2J\u{9b}\u{7f}"), "\\u{1b}[2J\\u{9b}\\u{7f}");
        assert_eq!(
            escape("\u{202e}gpj\u{2066}\u{200b}\u{2028}\u{feff}"),
            "\\u{202e}gpj\\u{2066}\\u{200b}\\u{2028}\\u{feff}"
        );
        assert_eq!(escape("a\u{301}\u{e000}"), "a\\u{301}\\u{e000}");
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(brief(&"é".repeat(101)), format!("{}…", "é".repeat(100)));
        assert_eq!(brief("bob"), "bob");
    }

    #[test]
    fn numbers_and_things() {
        assert_eq!(
            [0, 1, 2].map(|number| count(number, "process", "processes")),
            ["0 processes", "1 process", "2 processes"]
        );
    }

    proptest! {
        #[test]
        fn nothing_unprintable_is_left(text: String) {
            let shown = escape(&text);
            let hidden = |c: char| matches!(u32::from(c), 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f);
            prop_assert!(!shown.contains(|c: char| c.is_control() || hidden(c)));
            prop_assert_eq!(escape(&shown), shown);
        }
    }
}

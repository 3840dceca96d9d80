//! Text of a stranger, made fit for people to read.

/// `text` on one line, with everything that could pose as something else shown by its number: line breaks, control
/// characters and terminal escapes, direction marks and other invisible characters, and backslash, doubled. Letters of
/// all scripts stay. Of more than `max` characters (as shown) the rest is cut, and `…` says so.
#[must_use]
pub fn visible(text: &str, max: usize) -> String {
    // Quotes are no harm in a text for people, where `str::escape_debug` would escape them too.
    shown(text, &['"', '\''], max)
}

/// The same for a text that is said to be [`visible`] already, by somebody who need not be believed: backslashes stay as
/// they are.
#[must_use]
pub fn still_visible(text: &str, max: usize) -> String {
    shown(text, &['"', '\'', '\\'], max)
}

fn shown(text: &str, kept: &[char], max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max));
    let mut length = 0;
    for piece in text.split_inclusive(kept) {
        let (plain, kept) = match piece.strip_suffix(kept) {
            Some(plain) => (plain, &piece[plain.len()..]),
            None => (piece, ""),
        };
        for character in plain.escape_debug().chain(kept.chars()) {
            if length == max {
                shown.push('…');
                return shown;
            }
            shown.push(character);
            length += 1;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_poses_as_something_else() {
        assert_eq!(visible("alice\r\nBcc: x", 99), r"alice\r\nBcc: x");
        assert_eq!(visible("\u{1b}[2J\u{9b}\u{7f}\0", 99), r"\u{1b}[2J\u{9b}\u{7f}\0");
        assert_eq!(
            visible("\u{202e}\u{2066}\u{200f}\u{2028}\u{feff}\u{ad}", 99),
            r"\u{202e}\u{2066}\u{200f}\u{2028}\u{feff}\u{ad}"
        );
        assert_eq!(visible(r"DOMAIN\alice", 99), r"DOMAIN\\alice");
    }

    #[test]
    fn what_is_visible_stays() {
        for text in ["alice\r\nBcc: x", "\u{1b}[2J \\ \"a\" \u{202e}"] {
            let once = visible(text, 99);
            assert_eq!(still_visible(&once, 99), once);
            assert!(!still_visible(text, 99).contains(['\n', '\u{1b}', '\u{202e}']));
        }
    }

    #[test]
    fn what_people_write_stays() {
        for text in ["Müller's \"Büro\"", "Ελένη", "数据", "नमस्ते", "<b>bold</b> & more"]
        {
            assert_eq!(visible(text, 99), text);
        }
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(visible("éééé", 4), "éééé");
        assert_eq!(visible("ééééé", 4), "éééé…");
        assert_eq!(visible("\"\"\"", 2), "\"\"…");
        assert_eq!(visible("", 0), "");
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_line(text: Vec<char>, max in 0_usize..64) {
            let text = String::from_iter(text);
            for shown in [visible(&text, max), still_visible(&text, max)] {
                let breaks = |character: char| character.is_control() || "\u{2028}\u{2029}\u{202e}\u{2066}".contains(character);
                prop_assert!(!shown.chars().any(breaks));
                prop_assert!(shown.chars().count() <= max + 1);
            }
        }

        #[test]
        fn different_texts_look_different(one: Vec<char>, other: Vec<char>) {
            let (one, other) = (String::from_iter(one), String::from_iter(other));
            prop_assert_eq!(one == other, visible(&one, usize::MAX) == visible(&other, usize::MAX));
        }
    }
}

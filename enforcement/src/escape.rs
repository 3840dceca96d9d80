//! Text of a stranger, made fit for a line of a log or a terminal.

use std::fmt;

/// How many bytes of the text are shown.
const SHOWN: usize = 256;

/// `text` as it may stand in a log line: printable ASCII as it is, except that backslash and double quote get a
/// backslash; everything else (control characters, newlines, all of Unicode with its direction marks and look-alikes,
/// bytes that are no UTF-8) by its number. Of more than 256 bytes the rest is only counted.
///
/// The result holds no newline and no bare double quote: between double quotes nothing can be mistaken for what follows.
pub fn escape<T: AsRef<[u8]> + ?Sized>(text: &T) -> Escaped<'_> {
    Escaped(text.as_ref())
}

/// What [`escape`] shows.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, rest) = self.0.split_at(self.0.len().min(SHOWN));
        for chunk in shown.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\\' | '"' => write!(out, "\\{character}")?,
                    ' '..='~' => fmt::Write::write_char(out, character)?,
                    '\n' => out.write_str("\\n")?,
                    _ => write!(out, "\\u{{{:x}}}", u32::from(character))?,
                }
            }
            for byte in chunk.invalid() {
                write!(out, "\\x{byte:02x}")?;
            }
        }
        if rest.is_empty() { Ok(()) } else { write!(out, "...({} more bytes)", rest.len()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shows_strangers_by_number() {
        assert_eq!(escape("alice").to_string(), "alice");
        assert_eq!(escape("a\nsshd: \"b\"\\").to_string(), r#"a\nsshd: \"b\"\\"#);
        assert_eq!(escape("\u{1b}[2J\u{202e}é").to_string(), r"\u{1b}[2J\u{202e}\u{e9}");
        assert_eq!(escape(b"\xff\0").to_string(), r"\xff\u{0}");
    }

    #[test]
    fn is_bounded() {
        let shown = escape(&"x".repeat(10_000)).to_string();
        assert!(shown.ends_with("...(9744 more bytes)"), "{shown}");
        assert_eq!(shown.len(), 256 + "...(9744 more bytes)".len());
    }

    proptest! {
        #[test]
        fn leaves_only_printable_ascii_and_no_bare_quote(bytes: Vec<u8>) {
            let shown = escape(&bytes).to_string();
            prop_assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert!(!shown.replace("\\\\", "").replace("\\\"", "").contains('"'));
        }
    }
}

//! JSON of bodies, fit for logs, terminals and pages that show it unread: ASCII, without what HTML is made of.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// The JSON of a value. Strings have `\u` in place of everything but printable ASCII, and of `<`, `>` and `&`; who reads it
/// as JSON gets the text as it was.
pub(crate) fn to_vec(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut json = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut json, Ascii))?;
    Ok(json)
}

struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        for piece in fragment.split_inclusive(is_special) {
            let plain = piece.trim_end_matches(is_special);
            out.write_all(plain.as_bytes())?;
            for unit in piece[plain.len()..].encode_utf16() {
                write!(out, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

fn is_special(character: char) -> bool {
    !matches!(character, ' '..='~') || matches!(character, '<' | '>' | '&')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn special_characters_are_numbers() {
        let json = to_vec(&"a<b>&\"\\\n\u{1b}\u{7f}\u{9b}ü\u{202e}\u{1f512}z").unwrap();
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#""a\u003cb\u003e\u0026\"\\\n\u001b\u007f\u009b\u00fc\u202e\ud83d\udd12z""#
        );
    }

    proptest! {
        #[test]
        fn any_text_is_ascii_and_comes_back(text: Vec<char>) {
            let text = String::from_iter(text);
            let json = to_vec(&text).unwrap();
            prop_assert!(json.iter().all(|byte| (b' '..=b'~').contains(byte)));
            prop_assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
        }
    }
}

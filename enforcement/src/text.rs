//! A short text that lies where it is, so that a hundred of them are read without asking for memory a hundred times.

use std::fmt;

/// UTF-8 of at most `MAX` bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<const MAX: usize> {
    bytes: [u8; MAX],
    length: u8,
}

impl<const MAX: usize> Text<MAX> {
    /// As much of it as there is room for.
    pub fn cut(text: &str) -> Self {
        let text = &text.as_bytes()[..text.floor_char_boundary(MAX.min(u8::MAX.into()))];
        let mut bytes = [0; MAX];
        bytes[..text.len()].copy_from_slice(text);
        Self { bytes, length: text.len() as u8 }
    }

    /// The first `length` bytes; `None` if they are not there, if they are no UTF-8, or if they are not all.
    pub(crate) fn read(bytes: &[u8; MAX], length: u8) -> Option<Self> {
        let (text, rest) = bytes.split_at_checked(length.into())?;
        std::str::from_utf8(text).ok()?;
        // memcmp(3), where a loop would take a byte at a time.
        let is_padding = *rest == [0; MAX][..rest.len()];
        is_padding.then_some(Self { bytes: *bytes, length })
    }

    /// All of its room, with zeros behind the text.
    pub(crate) fn padded(&self) -> &[u8; MAX] {
        &self.bytes
    }

    /// Its length in bytes.
    pub(crate) fn length(&self) -> u8 {
        self.length
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.bytes
            .get(..self.length.into())
            .and_then(|text| std::str::from_utf8(text).ok())
            .unwrap_or_default()
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_cut_between_characters() {
        assert_eq!(Text::<5>::cut("ééé").as_str(), "éé");
        assert_eq!(Text::<5>::cut("abcde").as_str(), "abcde");
        assert_eq!(Text::<5>::cut("").as_str(), "");
    }

    #[test]
    fn reads_only_what_it_writes() {
        let text = Text::<5>::cut("ab");
        assert_eq!(Text::read(text.padded(), 2), Some(text));
        assert_eq!(Text::read(text.padded(), 1), None);
        assert_eq!(Text::read(text.padded(), 6), None);
        assert_eq!(Text::<2>::read(b"\xc3\0", 1), None);
    }
}

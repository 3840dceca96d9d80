//! A long text is parsed in parts, so that what is parsed at a time stays small: a parsed table takes a hundred times its
//! text.

use crate::error::Position;
use crate::report::Lines;

/// Bytes of a part, at least; the last has fewer.
pub(super) const PART: usize = 64 << 10;

/// A part of a text, for the places in it.
pub(super) struct Part<'a> {
    /// The byte of the text at which it begins.
    pub(super) base: usize,
    /// Lines of the text before it.
    lines_before: usize,
    lines: Lines<'a>,
}

impl<'a> Part<'a> {
    pub(super) fn new(text: &'a str, base: usize, lines_before: usize) -> Self {
        Self { base, lines_before, lines: Lines::of(text) }
    }

    /// Where a byte of the part is in the whole text.
    pub(super) fn position(&self, byte: usize) -> Position {
        let Position { line, column } = self.lines.position(byte);
        Position { line: self.lines_before + line, column }
    }

    /// Lines of the text before the next part.
    pub(super) fn lines_before_next(&self) -> usize {
        self.lines_before + self.lines.count()
    }
}

/// The end of a part that begins at `base` and is at least so long: before the header of a table of a list, or the end of
/// the text. A line in a text of several lines can look like a header: such a part cannot be parsed, as that text has no
/// end. So a part that can be parsed ends where a table ends.
pub(super) fn end(text: &str, base: usize, length: usize) -> usize {
    const HEADER: &[u8] = b"\n[[";
    let from = base.saturating_add(length);
    let rest = text.as_bytes().get(from..).unwrap_or_default();
    // The bytes of a header are ASCII, so this is no part of a character.
    rest.windows(HEADER.len())
        .position(|window| window == HEADER)
        .map_or(text.len(), |newline| from + newline + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_before_a_header() {
        let text = "version = 1\n[[a]]\nb = 1\n\n[[a]]\n";
        assert_eq!(end(text, 0, 1), 12);
        assert_eq!(end(text, 0, 11), 12);
        assert_eq!(end(text, 0, 12), 25);
        assert_eq!(end(text, 12, 1), 25);
        assert_eq!(end(text, 25, 1), text.len());
        assert_eq!(end(text, 0, usize::MAX), text.len());
        assert_eq!(end("ü\n[[a]]", 0, 1), 3);
    }
}

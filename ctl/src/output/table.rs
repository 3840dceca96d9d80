//! Tables: no borders, a header, columns that give way to the width of the terminal.

use comfy_table::{ColumnConstraint, ContentArrangement, presets::NOTHING};

use super::Show;

/// The colour of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Wrong, or refused.
    Red,
    /// In order.
    Green,
    /// Worth a look.
    Yellow,
    /// A header.
    Bold,
}

impl Colour {
    /// A character that no escaped text has and that takes no room: it marks where the colour begins while the table is
    /// laid out, for the table's library measures escape sequences as text.
    fn mark(self) -> char {
        match self {
            Self::Red => '\u{2061}',
            Self::Green => '\u{2062}',
            Self::Yellow => '\u{2063}',
            Self::Bold => '\u{2064}',
        }
    }

    /// Select Graphic Rendition, ECMA-48 8.3.117.
    fn sequence(self) -> &'static str {
        match self {
            Self::Red => "\u{1b}[31m",
            Self::Green => "\u{1b}[32m",
            Self::Yellow => "\u{1b}[33m",
            Self::Bold => "\u{1b}[1m",
        }
    }

    const ALL: [Self; 4] = [Self::Red, Self::Green, Self::Yellow, Self::Bold];
}

const END_MARK: char = '\u{2060}';
const END_SEQUENCE: &str = "\u{1b}[0m";

/// A text between the marks of its colour. Only for text that is not broken over lines: one word, or a column that
/// [`Table::unbroken`] names.
#[must_use]
pub fn coloured(text: &str, colour: Colour) -> String {
    format!("{}{text}{END_MARK}", colour.mark())
}

/// Turns the marks of [`coloured`] into colours, or takes them away.
#[must_use]
pub fn paint(marked: &str, show: &Show) -> String {
    let mut painted = String::with_capacity(marked.len());
    for character in marked.chars() {
        let sequence = match Colour::ALL.into_iter().find(|colour| colour.mark() == character) {
            Some(colour) => colour.sequence(),
            None if character == END_MARK => END_SEQUENCE,
            None => {
                painted.push(character);
                continue;
            }
        };
        if show.colour {
            painted.push_str(sequence);
        }
    }
    painted
}

/// A table in the making. Cells are text that is fit for a terminal.
pub struct Table {
    inner: comfy_table::Table,
    unbroken: Vec<usize>,
}

impl Table {
    /// A table with these column headers.
    #[must_use]
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        let mut inner = comfy_table::Table::new();
        inner.load_style(NOTHING).set_header(header.map(|title| coloured(title, Colour::Bold)));
        Self { inner, unbroken: Vec::new() }
    }

    /// A table without headers.
    #[must_use]
    pub fn bare() -> Self {
        let mut inner = comfy_table::Table::new();
        inner.load_style(NOTHING);
        Self { inner, unbroken: Vec::new() }
    }

    /// Columns, counted from 0, that keep their width when room is short.
    #[must_use]
    pub fn unbroken(mut self, columns: &[usize]) -> Self {
        self.unbroken = columns.to_vec();
        self
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.inner.add_row(cells);
    }

    /// The table, each line ended by a newline.
    #[must_use]
    pub fn render(mut self, show: &Show) -> String {
        // Narrower than this, a broken line reads better than broken words.
        const NARROWEST: u16 = 60;
        if let Some(width) = show.width {
            self.inner.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.max(NARROWEST));
        }
        for (index, column) in self.inner.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if self.unbroken.contains(&index) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        let mut text = String::new();
        for line in self.inner.lines() {
            text.push_str(paint(&line, show).trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, tz::TimeZone};

    use super::*;

    fn show(colour: bool, width: Option<u16>) -> Show {
        Show { now: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC, colour, width }
    }

    fn table() -> Table {
        let mut table = Table::new(["USER", "STATE", "REASON"]).unbroken(&[0, 1]);
        table.row([
            "alice".into(),
            coloured("locked", Colour::Red),
            "stolen laptop, seen in another country ".repeat(2),
        ]);
        table.row(["bob".into(), "unlocked".into(), String::new()]);
        table
    }

    #[test]
    fn without_a_terminal_lines_are_not_broken() {
        insta::assert_snapshot!(table().render(&show(false, None)), @"
        USER   STATE     REASON
        alice  locked    stolen laptop, seen in another country stolen laptop, seen in another country
        bob    unlocked
        ");
    }

    #[test]
    fn a_narrow_terminal_breaks_the_long_column() {
        insta::assert_snapshot!(table().render(&show(false, Some(60))), @"
        USER   STATE     REASON
        alice  locked    stolen laptop, seen in another country
                         stolen laptop, seen in another country
        bob    unlocked
        ");
    }

    #[test]
    fn colours_take_no_room() {
        let coloured = table().render(&show(true, Some(60)));
        insta::assert_snapshot!(coloured.replace('\u{1b}', "ESC"), @"
        ESC[1mUSERESC[0m   ESC[1mSTATEESC[0m     ESC[1mREASONESC[0m
        alice  ESC[31mlockedESC[0m    stolen laptop, seen in another country
                         stolen laptop, seen in another country
        bob    unlocked
        ");
    }
}

//! Durations as the configuration writes them: `90s`, `1h30m`, `500ms`.

use std::fmt::Write;
use std::time::Duration;

use crate::error::quote;

/// The units, longest first, with their length in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is no duration. The texts in it are parts of the input, unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no text.
    Empty,
    /// A digit was expected where this rest of the text stands.
    NoNumber(String),
    /// A number at the end has no unit.
    NoUnit(String),
    /// What follows a number is not a unit.
    UnknownUnit(String),
    /// This unit comes after itself or after a shorter one.
    Order(&'static str),
    /// More than 2^64 - 1 milliseconds.
    TooLong,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::NoNumber(rest) => write!(f, "needs a whole number before {}", quote(rest)),
            Self::NoUnit(number) => write!(f, "needs a unit after {}: d, h, m, s or ms", quote(number)),
            Self::UnknownUnit(unit) => {
                write!(f, "has the unknown unit {}; units are d, h, m, s and ms", quote(unit))
            }
            Self::Order(unit) => {
                write!(
                    f,
                    "has the unit {unit:?} out of order; each unit stands once, longest first, as in 1h30m"
                )
            }
            Self::TooLong => f.write_str("is too long to count"),
        }
    }
}

impl std::error::Error for Error {}

/// Reads a duration: whole numbers, each with one of the units `d`, `h`, `m`, `s`, `ms`, longest unit first,
/// without spaces. A day has 24 hours.
///
/// # Errors
///
/// Whatever does not have that form, and more than 2^64 - 1 milliseconds.
pub fn parse(text: &str) -> Result<Duration, Error> {
    if text.is_empty() {
        return Err(Error::Empty);
    }
    let mut milliseconds: u64 = 0;
    let mut units = UNITS.iter();
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        if number.is_empty() {
            return Err(Error::NoNumber(rest.to_owned()));
        }
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        if unit.is_empty() {
            return Err(Error::NoUnit(number.to_owned()));
        }
        let Some((known, _)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(Error::UnknownUnit(unit.to_owned()));
        };
        // The iterator has passed the units that were used, so that none of them can come again.
        let (_, length) = units.find(|(name, _)| *name == unit).ok_or(Error::Order(known))?;
        milliseconds = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*length))
            .and_then(|part| milliseconds.checked_add(part))
            .ok_or(Error::TooLong)?;
        rest = after;
    }
    Ok(Duration::from_millis(milliseconds))
}

/// Writes a duration as [`parse`] reads it, in the longest units possible: 5400 seconds are `1h30m`.
/// What is below a millisecond is left out.
pub fn format(duration: Duration) -> String {
    let mut text = String::new();
    let mut rest = duration.as_millis();
    for (name, length) in UNITS {
        let count = rest / u128::from(length);
        rest %= u128::from(length);
        if count > 0 {
            // Writing to a String cannot fail.
            let _ = write!(text, "{count}{name}");
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_every_unit() {
        for (text, milliseconds) in [
            ("90s", 90_000),
            ("1h", 3_600_000),
            ("90m", 5_400_000),
            ("2d", 172_800_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("1d2h3m4s5ms", 93_784_005),
            ("0s", 0),
            ("007s", 7_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, error) in [
            ("", Error::Empty),
            ("h", Error::NoNumber("h".into())),
            ("-1h", Error::NoNumber("-1h".into())),
            (" 1h", Error::NoNumber(" 1h".into())),
            ("60", Error::NoUnit("60".into())),
            ("1h30", Error::NoUnit("30".into())),
            ("5min", Error::UnknownUnit("min".into())),
            ("1.5h", Error::UnknownUnit(".".into())),
            ("1h 30m", Error::UnknownUnit("h ".into())),
            ("1H", Error::UnknownUnit("H".into())),
            ("30m1h", Error::Order("h")),
            ("1h1h", Error::Order("h")),
            ("18446744073709551616ms", Error::TooLong),
            ("18446744073709551615s", Error::TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn writes_the_longest_units() {
        for (milliseconds, text) in [(0, "0s"), (1, "1ms"), (5_400_000, "1h30m"), (86_400_000, "1d")] {
            assert_eq!(format(Duration::from_millis(milliseconds)), text);
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(milliseconds: u64) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn takes_any_text(text in "(\\PC|[0-9dhms ]){0,40}") {
            if let Ok(duration) = parse(&text) {
                prop_assert_eq!(parse(&format(duration)), Ok(duration));
            }
        }
    }
}

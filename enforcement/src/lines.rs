//! The text in which records and settings are kept: a first line that names format and version, one `key value` a line,
//! and the checksum of all that as the last line. In values a backslash is written `\\`, a newline `\n` and every other
//! control character below U+0080 `\xHH`, so a value never ends its line.

use std::str::{FromStr, SplitTerminator};

use crate::crc32::crc32;

const CHECKSUM_KEY: &str = "crc32 ";
/// `crc32 ` + eight digits + newline.
const CHECKSUM_LINE: usize = CHECKSUM_KEY.len() + 9;

/// Why bytes are not such a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The checksum line is missing.
    Incomplete,
    /// The checksum does not fit.
    Checksum,
    /// The right format, and another version.
    Version,
    /// This line (counted from 1) is not what the format has there.
    Line(usize),
    /// Not UTF-8.
    NotText,
}

/// The text with its checksum line.
pub(crate) fn seal(mut text: String) -> Vec<u8> {
    let checksum = format!("{CHECKSUM_KEY}{:08x}\n", crc32(text.as_bytes()));
    text.push_str(&checksum);
    text.into_bytes()
}

/// The text without its checksum line, which has to fit.
pub(crate) fn unseal(bytes: &[u8]) -> Result<&str, Fault> {
    let split = bytes.len().checked_sub(CHECKSUM_LINE).ok_or(Fault::Incomplete)?;
    let (body, checksum) = bytes.split_at(split);
    let checksum = checksum.strip_prefix(CHECKSUM_KEY.as_bytes()).ok_or(Fault::Incomplete)?;
    if checksum != format!("{:08x}\n", crc32(body)).as_bytes() {
        return Err(Fault::Checksum);
    }
    std::str::from_utf8(body).map_err(|_| Fault::NotText)
}

pub(crate) fn put(text: &mut String, key: &str, value: &str) {
    text.push_str(key);
    text.push(' ');
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            control if control.is_ascii_control() => text.push_str(&format!("\\x{:02x}", control as u32)),
            other => text.push(other),
        }
    }
    text.push('\n');
}

pub(crate) fn put_option(text: &mut String, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        put(text, key, value);
    }
}

pub(crate) fn put_time(text: &mut String, key: &str, seconds: Option<i64>) {
    put_option(text, key, seconds.map(|seconds| seconds.to_string()).as_deref());
}

/// The lines of a text, taken one by one.
pub(crate) struct Lines<'a> {
    rest: std::iter::Peekable<SplitTerminator<'a, char>>,
    number: usize,
}

impl<'a> Lines<'a> {
    /// Those after the first, which has to be `first_line`: the name of the format, a space, and its version.
    pub(crate) fn of(body: &'a str, first_line: &str) -> Result<Self, Fault> {
        let mut rest = body.split_terminator('\n').peekable();
        let format = first_line.rsplit_once(' ').map_or(first_line, |(format, _)| format);
        match rest.next() {
            Some(line) if line == first_line => Ok(Self { rest, number: 2 }),
            Some(line) if line.strip_prefix(format).is_some_and(|version| version.starts_with(' ')) => {
                Err(Fault::Version)
            }
            _ => Err(Fault::Line(1)),
        }
    }

    /// The value of the next line if it has this key.
    pub(crate) fn optional(&mut self, key: &str) -> Result<Option<String>, Fault> {
        let value = |line: &&'a str| line.strip_prefix(key)?.strip_prefix(' ');
        let Some(value) = self.rest.peek().and_then(value) else { return Ok(None) };
        let value = unescape(value).ok_or(Fault::Line(self.number))?;
        self.rest.next();
        self.number += 1;
        Ok(Some(value))
    }

    /// The value of the next line, which has to have this key.
    pub(crate) fn required(&mut self, key: &str) -> Result<String, Fault> {
        self.optional(key)?.ok_or(Fault::Line(self.number))
    }

    /// As [`optional`](Self::optional), and has to read as a `T`.
    pub(crate) fn optional_number<T: FromStr>(&mut self, key: &str) -> Result<Option<T>, Fault> {
        let value = self.optional(key)?;
        value.map(|value| value.parse().map_err(|_| Fault::Line(self.number - 1))).transpose()
    }

    /// As [`required`](Self::required), and has to read as a `T`.
    pub(crate) fn number<T: FromStr>(&mut self, key: &str) -> Result<T, Fault> {
        self.optional_number(key)?.ok_or(Fault::Line(self.number))
    }

    /// Whether the next line is this word alone.
    pub(crate) fn flag(&mut self, word: &str) -> bool {
        let is_set = self.rest.next_if(|line| *line == word).is_some();
        self.number += usize::from(is_set);
        is_set
    }

    /// Nothing may follow.
    pub(crate) fn end(mut self) -> Result<(), Fault> {
        if self.rest.next().is_none() { Ok(()) } else { Err(Fault::Line(self.number)) }
    }
}

fn unescape(value: &str) -> Option<String> {
    let mut plain = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, escaped)) = rest.split_once('\\') {
        plain.push_str(before);
        rest = if let Some(after) = escaped.strip_prefix('\\') {
            plain.push('\\');
            after
        } else if let Some(after) = escaped.strip_prefix('n') {
            plain.push('\n');
            after
        } else {
            let digits = escaped.strip_prefix('x')?.get(..2)?;
            plain.push(char::from(u8::from_str_radix(digits, 16).ok()?));
            escaped.get(3..)?
        };
    }
    plain.push_str(rest);
    Some(plain)
}

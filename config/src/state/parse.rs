//! From a text to a document.

use std::path::Path;

use toml::de::DeTable;

use super::conflicts;
use super::document::Document;
use super::entry::{self, check_account, check_authenticator};
use super::keys::{ACCOUNT, AUTHENTICATOR, DOCUMENT, Key};
use super::parts::{self, PART, Part};
use crate::error::{Error, escape};
use crate::report::{Report, Wrong, unknown};
use crate::value::Given;

/// The lists of tables.
const ACCOUNTS: &str = "account";
const AUTHENTICATORS: &str = "authenticator";

/// Parses and checks a document. `origin` is its file, or what stands for it in messages.
///
/// # Errors
///
/// Everything that is wrong with it, in the order of the text.
pub fn parse(name: &str, origin: &Path, text: &str) -> Result<Document, Error> {
    parse_in_parts(name, origin, text, PART)
}

fn parse_in_parts(name: &str, origin: &Path, text: &str, length: usize) -> Result<Document, Error> {
    let empty = Document::new(name, origin).map_err(|problem| Error::new(vec![problem]))?;
    let mut reader = Reader::new(origin, text, empty.clone());
    if !reader.read(length) {
        reader = Reader::new(origin, text, empty);
        reader.read(usize::MAX);
    }
    let Reader { document, report, .. } = reader;
    let mut problems = report.into_problems();
    if problems.is_empty() {
        problems = conflicts::within(&document);
    }
    if problems.is_empty() { Ok(document) } else { Err(Error::new(problems)) }
}

struct Reader<'a> {
    text: &'a str,
    document: Document,
    report: Report<'a>,
    /// Lists that the first part has as values: they cannot go on below headers.
    closed: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    fn new(origin: &'a Path, text: &'a str, document: Document) -> Self {
        Self { text, document, report: Report::new(origin, text), closed: Vec::new() }
    }

    /// Reads the text in parts of at least so many bytes. False if it means something else in parts.
    fn read(&mut self, length: usize) -> bool {
        let (mut base, mut lines_before) = (0, 0);
        loop {
            let (end, parsed) = parse_part(self.text, base, length);
            let table = match parsed {
                Ok(table) => table,
                Err(_) if base > 0 && has_single_table(&self.text[base..end]) => return false,
                Err(error) => {
                    self.report.add_unparsable(base, &error);
                    return true;
                }
            };
            let part = Part::new(&self.text[base..end], base, lines_before);
            if base == 0 && !self.read_version(&table, &part) {
                return true;
            }
            let is_whole = base == 0 && end == self.text.len();
            for (name, given) in &table {
                let of_parent = matches!(name.get_ref().as_ref(), ACCOUNTS | AUTHENTICATORS)
                    && given.get_ref().is_table();
                if of_parent && !is_whole {
                    // A table of the last one of a list, which another part has.
                    return false;
                }
                match name.get_ref().as_ref() {
                    ACCOUNTS => self.read_accounts(given, &part),
                    AUTHENTICATORS => self.read_authenticators(given, &part),
                    other => self.read_key(other, name.span().start, given, &part),
                }
            }
            if end == self.text.len() {
                return true;
            }
            (base, lines_before) = (end, part.lines_before_next());
        }
    }

    /// Whether what follows is of a format that is known.
    fn read_version(&mut self, table: &DeTable<'_>, part: &Part<'_>) -> bool {
        const VERSION: &str = "version";
        let Some(key) = DOCUMENT.iter().find(|key| key.name == VERSION) else { return true };
        let Some(given) = table.get(VERSION) else {
            let message = "is needed: write version = 1 above everything else".to_owned();
            self.report.add(0, Some(VERSION.to_owned()), message);
            return true;
        };
        match (key.set)(&mut self.document, given, part) {
            Ok(()) => true,
            Err(fault) => {
                self.report.add(fault.span.start, Some(VERSION.to_owned()), fault.message);
                false
            }
        }
    }

    fn read_key(&mut self, name: &str, start: usize, given: &Given<'_>, part: &Part<'_>) {
        let Some(key) = DOCUMENT.iter().find(|key| key.name == name) else {
            let names = DOCUMENT.iter().map(|key| key.name).chain([ACCOUNTS, AUTHENTICATORS]);
            let message = match list_of(name) {
                Some(list) if !given.get_ref().is_table() && !given.get_ref().is_array() => {
                    format!("stands outside of its list; write it below a line [[{list}]]")
                }
                _ => unknown("key", name, names),
            };
            return self.report.add(part.base + start, Some(escape(name)), message);
        };
        if let Err(fault) = (key.set)(&mut self.document, given, part) {
            self.report.add(part.base + fault.span.start, Some(key.path.to_owned()), fault.message);
        }
    }

    fn read_accounts(&mut self, given: &Given<'_>, part: &Part<'_>) {
        let (read, wrong) = self.read_list(ACCOUNTS, ACCOUNT, given, part, check_account);
        self.document.entries.extend(read);
        self.report.extend(wrong);
    }

    fn read_authenticators(&mut self, given: &Given<'_>, part: &Part<'_>) {
        let (read, wrong) = self.read_list(AUTHENTICATORS, AUTHENTICATOR, given, part, check_authenticator);
        self.document.authenticators.extend(read);
        self.report.extend(wrong);
    }

    fn read_list<T: Default>(
        &mut self,
        list: &'static str,
        keys: &'static [Key<T>],
        given: &Given<'_>,
        part: &Part<'_>,
        check: entry::Check<T>,
    ) -> (Vec<T>, Vec<Wrong>) {
        let start = part.base + given.span().start;
        let refuse = |message: String| (Vec::new(), vec![(start, Some(list.to_owned()), message)]);
        let tables: Option<Vec<_>> = given.get_ref().as_array().and_then(|tables| {
            tables.iter().map(|one| one.get_ref().as_table().map(|table| (table, one.span().start))).collect()
        });
        let Some(tables) = tables else {
            return refuse(format!("is a list; write the keys of each below a line [[{list}]]"));
        };
        if self.closed.contains(&list) {
            return refuse("duplicate key".to_owned());
        }
        if !self.text[start..].starts_with("[[") {
            self.closed.push(list);
        }
        let (mut read, mut wrong) = (Vec::with_capacity(tables.len()), Vec::new());
        for (table, start) in tables {
            match entry::read(list, keys, table, start, part, check) {
                Ok(entry) => read.push(entry),
                Err(faults) => {
                    wrong.extend(
                        faults.into_iter().map(|(start, key, fault)| (part.base + start, key, fault)),
                    );
                }
            }
        }
        (read, wrong)
    }
}

/// Parses a part, and says where it ends.
fn parse_part(text: &str, base: usize, length: usize) -> (usize, Result<DeTable<'_>, toml::de::Error>) {
    let place = |error: &toml::de::Error| error.span().map(|span| span.start);
    let mut end = parts::end(text, base, length);
    let mut parsed = DeTable::parse(&text[base..end]);
    while let Err(error) = &parsed
        && end < text.len()
    {
        // What looked like a header may stand in a text that goes on. If it does not, more text changes nothing.
        let longer = parts::end(text, end, length);
        let again = DeTable::parse(&text[base..longer]);
        let is_the_same = again.as_ref().err().is_some_and(|again| place(again) == place(error));
        (end, parsed) = (longer, again);
        if is_the_same {
            break;
        }
    }
    (end, parsed.map(toml::Spanned::into_inner))
}

/// Whether a part may have a table such as `[account.metadata]`, which can be that of an account in an earlier part.
fn has_single_table(part: &str) -> bool {
    part.lines().map(str::trim_start).any(|line| line.starts_with('[') && !line.starts_with("[["))
}

/// The list whose tables have a key of this name, if it is only one.
fn list_of(key: &str) -> Option<&'static str> {
    let of_account = ACCOUNT.iter().any(|known| known.name == key);
    let of_authenticator = AUTHENTICATOR.iter().any(|known| known.name == key);
    match (of_account, of_authenticator) {
        (true, false) => Some(ACCOUNTS),
        (false, true) => Some(AUTHENTICATORS),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

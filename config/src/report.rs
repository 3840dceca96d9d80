//! What is wrong with one text, with the places in it.

use std::path::Path;

use crate::error::{Position, Problem, escape};

/// A file with more problems than this is something else than a configuration.
pub(crate) const MAX_PROBLEMS: usize = 20;

/// What is wrong: at which byte, with which key.
pub(crate) type Wrong = (usize, Option<String>, String);

/// Gathers what is wrong with a text.
pub(crate) struct Report<'a> {
    path: &'a Path,
    text: &'a str,
    problems: Vec<Wrong>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, problems: Vec::new() }
    }

    pub(crate) fn add(&mut self, start: usize, key: Option<String>, message: String) {
        self.problems.push((start, key, message));
    }

    pub(crate) fn extend(&mut self, problems: impl IntoIterator<Item = Wrong>) {
        self.problems.extend(problems);
    }

    /// What the parser says of a part of the text that begins at `base`.
    pub(crate) fn add_unparsable(&mut self, base: usize, error: &toml::de::Error) {
        let start = error.span().map_or(self.text.len(), |span| base + span.start);
        self.add(start, self.key_at(start), error.message().to_owned());
    }

    /// In the order of the text.
    pub(crate) fn into_problems(mut self) -> Vec<Problem> {
        if self.problems.is_empty() {
            return Vec::new();
        }
        // The parser gives the keys in the order of the alphabet.
        self.problems.sort_by_key(|(start, ..)| *start);
        let lines = Lines::of(self.text);
        let located = self.problems.into_iter().map(|(start, key, message)| Problem {
            file: self.path.to_owned(),
            position: Some(lines.position(start)),
            key,
            message,
        });
        cut(self.path, located)
    }

    /// The key in whose line the text cannot be parsed, as far as that can be told.
    fn key_at(&self, start: usize) -> Option<String> {
        let plain = |text: &str| {
            let text = text.trim();
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            (!text.is_empty() && text.chars().all(allowed)).then(|| escape(text))
        };
        let before = self.text.get(..start)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let key = self.text[line_start..].lines().next()?.split('=').next().and_then(plain)?;
        let header = before[..line_start].lines().rev().find_map(|line| line.trim().strip_prefix('['));
        let header = header.map(|header| header.trim_start_matches('['));
        match header.and_then(|header| header.split(']').next()).and_then(plain) {
            Some(section) => Some(format!("{section}.{key}")),
            None => Some(key),
        }
    }
}

/// The first problems of a file, and how many more it has.
pub(crate) fn cut(path: &Path, problems: impl IntoIterator<Item = Problem>) -> Vec<Problem> {
    let mut problems = problems.into_iter();
    let mut shown: Vec<_> = problems.by_ref().take(MAX_PROBLEMS).collect();
    let more = problems.count();
    if more > 0 {
        shown.push(Problem::whole(path, format!("has {more} more problems")));
    }
    shown
}

/// What is wrong with a name that is none of the known ones: the nearest of them, or all.
pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    // Longer than any name, and the comparison is quadratic.
    const MAX_BYTES: usize = 64;
    let known: Vec<_> = known.collect();
    let candidates = if name.len() <= MAX_BYTES { known.as_slice() } else { &[] };
    match candidates.iter().map(|near| (strsim::damerau_levenshtein(name, near), near)).min() {
        Some((distance, near)) if distance <= 1 + near.len() / 4 => {
            format!("is an unknown {what}; did you mean \"{near}\"?")
        }
        _ => format!("is an unknown {what}; there are {}", known.join(", ")),
    }
}

/// Finds lines and columns in a text.
pub(crate) struct Lines<'a> {
    text: &'a str,
    /// The byte at which each line begins.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(newline, _)| newline + 1);
        Self { text, starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// How many there are, apart from what follows the last line break.
    pub(crate) fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// Where a byte is; any number will do.
    pub(crate) fn position(&self, byte: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= byte).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..byte.min(self.text.len())).unwrap_or_default();
        Position { line, column: before.trim_start_matches('\u{feff}').chars().count() + 1 }
    }
}

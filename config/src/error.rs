//! What is wrong with the configuration, said so that an administrator can mend it.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// Everything that is wrong in the files; there is at least one problem. Displayed one problem a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Error {
    problems: Vec<Problem>,
}

impl Error {
    /// Takes what is wrong; at least one problem.
    #[must_use]
    pub fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// The problems, to go with others.
    #[must_use]
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The problems, file by file in the order in which the files are read, and by position within a file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index > 0 { "\n" } else { "" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// One thing that is wrong in one file. Displayed as `FILE:LINE:COLUMN: KEY: MESSAGE`, on one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file or directory.
    #[serde(serialize_with = "escaped_path")]
    pub file: PathBuf,
    /// Where in the file; none if the file could not be read.
    #[serde(flatten)]
    pub position: Option<Position>,
    /// The key, as `section.key`, if the problem has to do with one. Escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What is wrong and what is allowed. Parts of the file in it are escaped.
    pub message: String,
}

/// A place in a file. Both numbers count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl Problem {
    /// A problem with a file or directory as a whole.
    pub(crate) fn whole(file: &Path, message: String) -> Self {
        Self { file: file.to_owned(), position: None, key: None, message }
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&escape_path(&self.file))?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The start of a text from a file, escaped, so that it can neither end a line nor change a terminal.
pub(crate) fn escape(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        None => text.escape_debug().to_string(),
        Some((end, _)) => format!("{}…", text[..end].escape_debug()),
    }
}

/// The same in quotes.
pub(crate) fn quote(text: &str) -> String {
    format!("\"{}\"", escape(text))
}

/// A whole path, escaped.
pub(crate) fn escape_path(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}

pub(crate) fn escaped_path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&escape_path(path))
}

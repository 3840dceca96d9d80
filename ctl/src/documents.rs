//! Files that are named on the command line, state documents above all: read here, also for another host.

use std::{
    ffi::OsStr,
    io::{self, Read},
    path::{Path, PathBuf},
};

use lockdown_config::{Error, state};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// What stands for standard input as a FILE.
pub const STDIN: &str = "-";
/// What stands for it in messages.
const STDIN_IN_MESSAGES: &str = "<stdin>";
/// Most that is read from standard input, in bytes; a file has as much at most.
const MOST: u64 = 64 << 20;

/// A text that was read.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its file, as an absolute path; none: standard input.
    pub path: Option<PathBuf>,
    /// Its text.
    pub text: String,
}

impl Source {
    /// The file, or what stands for it in messages.
    #[must_use]
    pub fn origin(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(STDIN_IN_MESSAGES))
    }

    /// The stem of the file's name.
    #[must_use]
    pub fn stem(&self) -> Option<&str> {
        self.path.as_deref().and_then(Path::file_stem).and_then(OsStr::to_str)
    }
}

/// Reads `files`, of which `-` is standard input.
///
/// # Errors
///
/// One cannot be read, or is no text.
pub fn read(files: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    if files.iter().filter(|file| file.as_os_str() == STDIN).count() > 1 {
        return Err(Failure::Usage("standard input is given twice: give `-` once".to_owned()));
    }
    let (mut sources, mut problems) = (Vec::new(), Vec::new());
    for file in files {
        match read_one(file) {
            Ok(source) => sources.push(source),
            Err(Failure::Problems(lines)) => problems.extend(lines),
            Err(other) => return Err(other),
        }
    }
    if problems.is_empty() { Ok(sources) } else { Err(Failure::Problems(problems)) }
}

/// Reads a file; `-` is standard input.
///
/// # Errors
///
/// It cannot be read, or is no text.
pub fn read_one(file: &Path) -> Result<Source, Failure> {
    if file.as_os_str() == STDIN {
        return Ok(Source { path: None, text: text(io::stdin().lock())? });
    }
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let text = state::read_file(&path).map_err(|error| Failure::Problems(lines(&error)))?;
    Ok(Source { path: Some(path), text })
}

/// Reads from standard input what [`bundle`] made, or somebody else.
///
/// # Errors
///
/// It is something else.
pub fn read_bundle() -> Result<Vec<Source>, Failure> {
    // Every byte of a text takes six at most in JSON.
    serde_json::from_reader(io::stdin().lock().take(MOST * 6)).map_err(|error| {
        Failure::Local(format!("standard input is no JSON array of {{\"path\", \"text\"}}: {error}"))
    })
}

/// All of them as one text, for `--bundle` on another host.
///
/// # Errors
///
/// A path is no UTF-8.
pub fn bundle(sources: &[Source]) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(sources)
        .map_err(|error| Failure::Local(format!("the documents cannot be sent: {error}: rename the file")))
}

/// What is wrong, a line each.
#[must_use]
pub fn lines(error: &Error) -> Vec<String> {
    error.problems().iter().map(ToString::to_string).collect()
}

fn text(input: impl Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    input
        .take(MOST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::Local(format!("standard input cannot be read: {error}")))?;
    if bytes.len() as u64 > MOST {
        return Err(Failure::Local(format!("standard input has more than {} MiB", MOST >> 20)));
    }
    String::from_utf8(bytes)
        .map_err(|_| Failure::Local("standard input is not UTF-8: give it as text".to_owned()))
}

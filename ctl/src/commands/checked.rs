//! What a check of files answers, that of settings and that of state documents.

use std::path::PathBuf;

use lockdown_config::Error;
use serde_json::json;

use super::Context;
use crate::{documents, exit::Failure, output::json};

/// Answers with an object of "valid", "files" and "problems", or with what is `said` of files without problems. Problems are
/// told on standard error as well, and people are told of them there alone.
///
/// # Errors
///
/// Something is wrong with the files, or the answer cannot be printed.
pub fn conclude(
    files: &[PathBuf],
    result: Result<(), Error>,
    said: impl FnOnce() -> String,
    context: &mut Context,
) -> Result<(), Failure> {
    if context.json || result.is_ok() {
        let problems = result.as_ref().err().map_or(&[][..], Error::problems);
        let shown: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
        let value = || Ok(json!({"valid": result.is_ok(), "files": shown, "problems": json::own(problems)?}));
        context.answer(value, |_| said())?;
    }
    result.map_err(|error| Failure::Problems(documents::lines(&error)))
}

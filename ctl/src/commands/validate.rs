//! `lockdownctl validate`

use std::{collections::BTreeSet, ffi::OsString, path::PathBuf};

use lockdown_config::{
    Error, Paths,
    state::{self, Documents},
};

use super::{Context, checked};
use crate::{
    documents::{self, Source},
    exit::Failure,
    output::text::count,
};

/// Check state documents without putting them in force
///
/// Checks each FILE by itself and all of them together; "-" is standard input. Without FILE, those of /etc/lockdown/state.d.
/// It needs neither root nor the daemon, so that it can run where documents are written; which accounts there are only
/// `lockdownctl apply --check` knows, on the host.
///
/// Names everything that is wrong, a line each on stderr, as FILE:LINE:COLUMN: KEY: MESSAGE, and exits with 1. What a FILE is
/// called does not matter. With --json, prints an object with the keys "valid", "files" and "problems".
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl validate web.toml people.toml
  lockdownctl validate && systemctl reload lockdownd

As Ansible checks a file before it puts it in its place:
  - ansible.builtin.copy:
      src: web.toml
      dest: /etc/lockdown/state.d/web.toml
      validate: lockdownctl validate %s")]
pub struct Args {
    /// Documents to check; "-" for standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Read any number of documents from standard input
    ///
    /// A JSON array of {"path", "text"}.
    #[arg(long, conflicts_with = "files")]
    pub bundle: bool,
}

impl Args {
    /// The same, of documents that come with `--bundle`.
    #[must_use]
    pub fn words_with_bundle(&self) -> Vec<OsString> {
        ["validate", "--bundle"].map(OsString::from).into()
    }
}

/// Runs it.
///
/// # Errors
///
/// Something is wrong with them.
pub fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let (files, result) = if args.bundle {
        check(&documents::read_bundle()?)
    } else if args.files.is_empty() {
        check_directory(&Paths::default())
    } else {
        check(&documents::read(&args.files)?)
    };
    let said = || match files.len() {
        0 => "no state documents\n".to_owned(),
        number => format!("{} checked, no problems\n", count(number, "document", "documents")),
    };
    checked::conclude(&files, result, said, context)
}

/// Their files, and what is wrong with them.
fn check(sources: &[Source]) -> (Vec<PathBuf>, Result<(), Error>) {
    let files = sources.iter().map(|source| source.origin().to_owned()).collect();
    let (mut parsed, mut problems, mut names) = (Vec::new(), Vec::new(), BTreeSet::new());
    for source in sources {
        let name = name(source, &names);
        match state::parse(&name, source.origin(), &source.text) {
            Ok(document) => parsed.push(document),
            Err(error) => problems.extend(error.into_problems()),
        }
        names.insert(name);
    }
    let result =
        if problems.is_empty() { Documents::new(parsed).map(drop) } else { Err(Error::new(problems)) };
    (files, result)
}

/// What a document is called here. Those who check a file before they put it in its place call it what they like.
fn name(source: &Source, taken: &BTreeSet<String>) -> String {
    let own = source.stem().filter(|stem| state::check_name(stem).is_ok()).map(str::to_owned);
    let others = (0..).map(|number| format!("document.{number}"));
    own.into_iter().chain(others).find(|name| !taken.contains(name)).unwrap_or_default()
}

fn check_directory(paths: &Paths) -> (Vec<PathBuf>, Result<(), Error>) {
    match Documents::read(paths) {
        Ok(documents) => (documents.iter().map(|document| document.origin.clone()).collect(), Ok(())),
        Err(error) => (Vec::new(), Err(error)),
    }
}

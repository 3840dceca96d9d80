//! `lockdownctl apply`

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{Write, stderr},
    path::{Path, PathBuf},
};

use lockdown_config::state;
use lockdown_dbus_api::{options::ApplyState, views::StateApplied};

use super::{Context, tags};
use crate::{
    client::Client,
    documents::{self, Source},
    exit::{CHANGED, Failure},
    output::{
        applied::{self, Applied},
        text::escape,
    },
};

/// Most bytes of documents that are given: the bus carries messages of 32 MiB, see "max_message_size" in dbus-daemon(1).
const MOST: usize = 31 << 20;

/// Make accounts what state documents say
///
/// Puts the documents in force as a whole, or changes nothing and says where they are wrong. Doing it again changes nothing.
/// See lockdown-state(5) for what documents say.
///
/// Without FILE, reads /etc/lockdown/state.d anew, as `systemctl reload lockdownd` does, but tells what came of it.
///
/// With FILE, or "-" for standard input, gives the daemon a document, which is in force besides those of state.d until one
/// of the same name is given again. Its name is that of the file without ".toml", or what --name says. --remove takes a
/// given document away, and with it what it has put in force; where there is none of this name, there is nothing to do.
/// A file of state.d is changed there; with --check, FILE says what its new version would change.
///
/// Exits with 0 if it was done or there was nothing to do, with 1 if a document is wrong or something could not be done, and
/// otherwise as lockdownctl(1) says.
/// With --detailed-exitcode, exits with 2 if something changed, or with --check would, and a failure never exits with 2.
///
/// With --json, prints an object with the keys of a result of Ansible: "changed", "failed", "msg", "diff" ("before", "after",
/// "before_header", "after_header"), and besides "check", "changes", "changes_left_out", "errors", "warnings",
/// "sessions_ended", "problems", as ApplyState has them, and "error" ("name", "message") if it came to no result.
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl apply
  lockdownctl apply --check --diff
  lockdownctl apply contractors.toml
  lockdownctl apply --remove contractors
  generate-state | lockdownctl apply - --name generated --json --detailed-exitcode
  lockdownctl apply contractors.toml --host web1,web2,web3")]
pub struct Args {
    /// Documents to give; "-" for standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Name of the document; needed for standard input
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub name: Option<String>,

    /// Take this given document away; may be repeated
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub remove: Vec<String>,

    /// Say what would change, and change nothing
    #[arg(long)]
    pub check: bool,

    /// Show what changes, as a difference
    #[arg(long)]
    pub diff: bool,

    /// Exit with 2 if something changed, or would
    #[arg(long)]
    pub detailed_exitcode: bool,

    /// Read any number of documents from standard input
    ///
    /// A JSON array of {"path", "text"}; the name of each is that of the path without ".toml".
    #[arg(long, conflicts_with = "files")]
    pub bundle: bool,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub tags: tags::Tagged,
}

/// The option that gives 2 a meaning of its own.
pub const DETAILED: &str = "--detailed-exitcode";

impl Args {
    /// The same, of documents that come with `--bundle`.
    #[must_use]
    pub fn words_with_bundle(&self) -> Vec<OsString> {
        let mut words = ["apply", "--bundle"].map(str::to_owned).to_vec();
        words.extend(self.name.iter().map(|name| format!("--name={name}")));
        words.extend(self.remove.iter().map(|name| format!("--remove={name}")));
        let switches = [("--check", self.check), ("--diff", self.diff), (DETAILED, self.detailed_exitcode)];
        words.extend(switches.iter().filter(|(_, is_on)| *is_on).map(|(word, _)| (*word).to_owned()));
        words.extend(self.tags.words());
        words.into_iter().map(OsString::from).collect()
    }

    /// Refuses documents that cannot be given, by their names and as texts.
    ///
    /// # Errors
    ///
    /// What is wrong.
    pub fn check_given(&self, sources: &[Source]) -> Result<(), Failure> {
        given(self, sources).map(drop)
    }
}

fn name(text: &str) -> Result<String, String> {
    state::check_name(text).map(|()| text.to_owned())
}

/// Runs it.
///
/// # Errors
///
/// A document is wrong, or something could not be done.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let result = match apply(args).await {
        Ok(result) => result,
        Err(failure) => {
            if context.json {
                context.answer(|| Ok(applied::failure(&failure, args.check)), |_| String::new())?;
            }
            return Err(failure);
        }
    };
    conclude(args, &result, context)
}

async fn apply(args: &Args) -> Result<StateApplied, Failure> {
    let tags = args.tags.option()?;
    let sources = if args.bundle { documents::read_bundle()? } else { documents::read(&args.files)? };
    let given = given(args, &sources)?;
    let options = ApplyState { check: args.check.then_some(true), tags, ..given };
    Client::connect().await?.apply_state(&options).await
}

/// The documents by name, and where they come from.
fn given(args: &Args, sources: &[Source]) -> Result<ApplyState, Failure> {
    let usage = |message: String| Err(Failure::Usage(message));
    let (mut texts, mut paths) = (BTreeMap::new(), BTreeMap::new());
    if args.name.is_some() && sources.len() != 1 {
        return usage("--name is the name of one document: give one FILE, or \"-\"".to_owned());
    }
    let mut problems = Vec::new();
    for source in sources {
        let name = match (&args.name, source.stem()) {
            (Some(name), _) => name,
            (None, Some(stem)) => stem,
            (None, None) if source.path.is_none() => {
                return usage("a document from standard input needs a name: give --name NAME".to_owned());
            }
            (None, None) => "",
        };
        if let Err(why) = state::check_name(name) {
            return usage(format!("{}: {why}: give --name NAME", source.origin().display()));
        }
        problems.extend(unsendable(name, source));
        if texts.insert(name.to_owned(), source.text.clone()).is_some() {
            return usage(format!("two documents have the name {name}: rename one of the files"));
        }
        paths.extend(source.path.as_deref().map(|path| (name.to_owned(), shown(path))));
    }
    if !problems.is_empty() {
        return Err(Failure::Problems(problems));
    }
    let size: usize = texts.values().map(String::len).sum();
    if size > MOST {
        return Err(Failure::Local(format!(
            "the documents have more than {} MiB, which the bus does not carry: put them into /etc/lockdown/state.d",
            MOST >> 20
        )));
    }
    for name in &args.remove {
        if texts.insert(name.clone(), String::new()).is_some_and(|text| !text.is_empty()) {
            return usage(format!("{name} is given and removed: choose one"));
        }
    }
    // No documents in a bundle are none, and not those of state.d.
    let is_given = args.bundle || !texts.is_empty();
    let given = |map: BTreeMap<String, String>| is_given.then_some(map);
    Ok(ApplyState { paths: given(paths), documents: given(texts), ..ApplyState::default() })
}

/// What the bus would not carry, or as something else: an empty text takes a document away. No document is like that.
fn unsendable(name: &str, source: &Source) -> Vec<String> {
    if !source.text.is_empty() && !source.text.contains('\0') {
        return Vec::new();
    }
    let parsed = state::parse(name, source.origin(), &source.text);
    parsed.err().map(|error| documents::lines(&error)).unwrap_or_default()
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn conclude(args: &Args, result: &StateApplied, context: &mut Context) -> Result<(), Failure> {
    let applied = Applied { result, is_check: args.check };
    let failure = applied.failure();
    if context.json || result.success {
        context.answer(|| applied.json(failure.as_ref()), |show| applied.text(args.diff, show))?;
    }
    if !context.json && !context.quiet {
        // What was done is to be read first.
        context.flush()?;
        for warning in &result.warnings {
            let _ = writeln!(stderr(), "lockdownctl: warning: {}", escape(&applied::place(warning)));
        }
    }
    if args.detailed_exitcode && result.changed {
        context.exit = CHANGED;
    }
    failure.map_or(Ok(()), Err)
}

//! `lockdownctl config`

use std::{ffi::OsString, path::PathBuf};

use clap::Subcommand;
use lockdown_config::{Candidate, Error, Loaded, Paths, Settings};

use super::{Context, checked};
use crate::{
    documents,
    exit::Failure,
    output::{
        json,
        text::{count, escape},
    },
};

/// Check or show the configuration
///
/// Reads the files on this host: /etc/lockdown/lockdown.toml and lockdown.d/*.toml of /etc/lockdown, /run/lockdown and
/// /usr/lib/lockdown. The daemon goes by what it read last: at its start, or at `systemctl reload lockdownd`.
#[derive(clap::Args, Debug, PartialEq)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, PartialEq, Subcommand)]
enum Command {
    /// Check the configuration
    ///
    /// With FILE, checks what the configuration would be with it, before it is put in its place.
    ///
    /// Names everything that is wrong, a line each on stderr, with file, line and key, and exits with 1. With --json,
    /// prints an object with the keys "valid", "files" (those that were read, the weakest first) and "problems".
    #[command(after_long_help = "\
Examples:
  lockdownctl config check && systemctl reload lockdownd
  lockdownctl config check --at /etc/lockdown/lockdown.d/50-site.toml site.toml

As Ansible checks a file before it puts it in its place:
  - ansible.builtin.copy:
      src: site.toml
      dest: /etc/lockdown/lockdown.d/50-site.toml
      validate: lockdownctl config check --at /etc/lockdown/lockdown.d/50-site.toml %s")]
    Check(CheckArgs),
    /// Show the merged configuration, and where each value was set
    ///
    /// With --json, prints an array of {"key", "value", "origin"}.
    #[command(after_long_help = "\
Examples:
  lockdownctl config show
  lockdownctl config show --json | jq '.[] | select(.origin != \"default\")'")]
    Show,
}

#[derive(clap::Args, Clone, Debug, Default, PartialEq)]
struct CheckArgs {
    /// A file that is not in its place yet; "-" for standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Where FILE will be: what is there now is not read
    ///
    /// A main file or a drop-in; mistakes are named by this place. Without it, FILE goes over all other files.
    #[arg(long, value_name = "PLACE", requires = "file")]
    at: Option<PathBuf>,
}

impl Args {
    /// For another host, to which FILE goes along: the words of the command, and what it reads on standard input.
    ///
    /// # Errors
    ///
    /// FILE cannot be read.
    pub fn words_with_stdin(&self) -> Result<Option<(Vec<OsString>, String)>, Failure> {
        let Command::Check(CheckArgs { file: Some(file), at }) = &self.command else { return Ok(None) };
        let mut words = ["config", "check", documents::STDIN].map(OsString::from).to_vec();
        words.extend(at.iter().flat_map(|place| ["--at".into(), place.clone().into_os_string()]));
        Ok(Some((words, documents::read_one(file)?.text)))
    }
}

/// Runs it.
///
/// # Errors
///
/// The configuration is not valid.
pub fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let paths = Paths::default();
    match &args.command {
        Command::Check(args) => {
            check(Settings::load_with(&paths, candidate(args, &paths)?.as_ref()), context)
        }
        Command::Show => show(&Settings::load(&paths).map_err(|error| invalid(&error))?, context),
    }
}

fn candidate(args: &CheckArgs, paths: &Paths) -> Result<Option<Candidate>, Failure> {
    let Some(file) = &args.file else { return Ok(None) };
    if let Some(place) = &args.at
        && !paths.has_place(place)
    {
        return Err(Failure::Usage(format!(
            "{} is no place for settings: name lockdown.toml or lockdown.d/NAME.toml of /etc/lockdown, /run/lockdown or \
             /usr/lib/lockdown",
            escape(&place.to_string_lossy())
        )));
    }
    let source = documents::read_one(file)?;
    let path = args.at.clone().unwrap_or_else(|| source.origin().to_owned());
    Ok(Some(Candidate { path, text: source.text }))
}

fn check(result: Result<Loaded, Error>, context: &mut Context) -> Result<(), Failure> {
    let (files, result) = match result {
        Ok(loaded) => (loaded.files, Ok(())),
        Err(error) => (Vec::new(), Err(error)),
    };
    let said = || match files.len() {
        0 => "no configuration files: the defaults hold\n".to_owned(),
        files => format!("{} read, no problems\n", count(files, "file", "files")),
    };
    checked::conclude(&files, result, said, context)
}

fn show(loaded: &Loaded, context: &mut Context) -> Result<(), Failure> {
    context.answer(
        || json::own(&loaded.entries().collect::<Vec<_>>()),
        |_| loaded.render().lines().map(|line| escape(line) + "\n").collect(),
    )
}

fn invalid(error: &Error) -> Failure {
    Failure::Problems(documents::lines(error))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn load(text: &str) -> (tempfile::TempDir, Result<Loaded, Error>) {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("etc/lockdown");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("lockdown.toml"), text).unwrap();
        let result = Settings::load(&Paths::under(Path::new(root.path())));
        (root, result)
    }

    #[test]
    fn every_problem_is_a_line() {
        let (_root, result) = load("[lock]\nduration = \"soon\"\n[lok]\nx = 1\n");
        let failure = invalid(&result.unwrap_err());
        assert_eq!(failure.code(), 1);
        assert!(failure.lines().len() >= 2, "{:?}", failure.lines());
        assert!(failure.lines()[0].contains("lockdown.toml:2:"), "{:?}", failure.lines());
    }
}

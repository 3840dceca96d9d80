//! `lockdownctl config`

use clap::Subcommand;
use lockdown_config::{Error, Loaded, Paths, Settings};
use serde_json::{Value, json};

use super::Context;
use crate::{
    exit::Failure,
    output::text::{count, escape},
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

#[derive(Clone, Copy, Debug, PartialEq, Subcommand)]
enum Command {
    /// Check the configuration
    ///
    /// Names everything that is wrong, a line each on stderr, with file, line and key, and exits with 1. With --json,
    /// prints an object with the keys "valid", "files" (those that were read, the weakest first) and "problems".
    #[command(after_long_help = "\
Examples:
  lockdownctl config check && systemctl reload lockdownd")]
    Check,
    /// Show the merged configuration, and where each value was set
    ///
    /// With --json, prints an array of {"key", "value", "origin"}.
    #[command(after_long_help = "\
Examples:
  lockdownctl config show
  lockdownctl config show --json | jq '.[] | select(.origin != \"default\")'")]
    Show,
}

/// Runs it.
///
/// # Errors
///
/// The configuration is not valid.
pub fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let result = Settings::load(&Paths::default());
    match args.command {
        Command::Check => check(result, context),
        Command::Show => show(&result.map_err(|error| invalid(&error))?, context),
    }
}

fn check(result: Result<Loaded, Error>, context: &mut Context) -> Result<(), Failure> {
    match result {
        Ok(loaded) => context.answer(
            || {
                let files: Vec<_> = loaded.files.iter().map(|file| file.to_string_lossy()).collect();
                Ok(json!({"valid": true, "files": files, "problems": []}))
            },
            |_| match loaded.files.len() {
                0 => "no configuration files: the defaults hold\n".to_owned(),
                files => format!("{} read, no problems\n", count(files, "file", "files")),
            },
        ),
        Err(error) => {
            if context.json {
                let problems = to_value(error.problems())?;
                context.answer(
                    || Ok(json!({"valid": false, "files": [], "problems": problems})),
                    |_| String::new(),
                )?;
            }
            Err(invalid(&error))
        }
    }
}

fn show(loaded: &Loaded, context: &mut Context) -> Result<(), Failure> {
    context.answer(
        || to_value(&loaded.entries().collect::<Vec<_>>()),
        |_| loaded.render().lines().map(|line| escape(line) + "\n").collect(),
    )
}

fn invalid(error: &Error) -> Failure {
    Failure::Problems(error.problems().iter().map(ToString::to_string).collect())
}

fn to_value(shown: &(impl serde::Serialize + ?Sized)) -> Result<Value, Failure> {
    serde_json::to_value(shown)
        .map_err(|error| Failure::Local(format!("cannot write JSON: {error}: report this as a bug")))
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

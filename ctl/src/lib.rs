//! The operator's command of lockdown: what `lockdownctl` does, as a library, so that man pages and completions are
//! generated from the same definition ([`command`]) and the tests reach every part.
//!
//! The way of a call: [`cli`] parses it → with `--host` [`remote`] hands it to ssh, otherwise `commands/` has one file
//! per subcommand → [`client`] asks the daemon → `output/` shows the answer → [`exit`] turns a failure into the line on
//! stderr and the exit code.

pub mod agent;
pub mod cli;
pub mod client;
pub mod commands;
pub mod exit;
pub mod moment;
pub mod output;
pub mod pairs;
pub mod remote;
pub mod shell;
pub mod target;
pub mod terminal;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, Parser};
use jiff::Zoned;

use crate::{cli::Cli, commands::Context, exit::Failure};

/// The definition of the command line, for man pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line `args`, the program's name first, and gives its exit code.
#[must_use]
pub fn main(args: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return exit::report_parse(&error),
    };
    match &cli.global.host {
        Some(host) => match remote::run(host, &cli, &args) {
            Ok(code) => ExitCode::from(code),
            Err(failure) => exit::report(&failure, cli.global.json),
        },
        None => local(&cli),
    }
}

fn local(cli: &Cli) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::Local(format!("cannot start: {error}: raise the limit of open files"));
            return exit::report(&failure, cli.global.json);
        }
    };
    let mut context = Context::of_process(&cli.global, Zoned::now());
    let result = runtime.block_on(commands::run(&cli.command, &mut context));
    // What was printed before a failure is to be seen, too.
    let flushed = context.flush();
    match result.and(flushed) {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(failure) => exit::report(&failure, context.json && !context.answered),
    }
}

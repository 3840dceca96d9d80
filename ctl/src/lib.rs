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
pub mod documents;
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

use crate::{
    cli::Cli,
    commands::{Context, apply},
    exit::Failure,
};

/// The definition of the command line, for man pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line `args`, the program's name first, and gives its exit code.
#[must_use]
pub fn main(args: Vec<OsString>) -> ExitCode {
    let result = Cli::try_parse_from(&args).map_err(|error| exit::report_parse(&error)).and_then(|cli| {
        let hosts = &cli.global.hosts;
        if hosts.is_empty() { local(&cli) } else { remote::run(&cli, &args) }
    });
    ExitCode::from(match result {
        Ok(code) => code,
        // Of this, 2 says that something changed.
        Err(exit::USAGE) if args.iter().any(|arg| arg == apply::DETAILED) => exit::FAILED,
        Err(code) => code,
    })
}

/// Runs it on this host. An error is the exit code of a failure that was reported.
fn local(cli: &Cli) -> Result<u8, u8> {
    let runtime = runtime().map_err(|failure| exit::report(&failure, cli.global.json))?;
    let mut context = Context::of_process(&cli.global, Zoned::now());
    let result = runtime.block_on(commands::run(&cli.command, &mut context));
    // What was printed before a failure is to be seen, too.
    let flushed = context.flush();
    match result.and(flushed) {
        Ok(()) => Ok(context.exit),
        Err(failure) => Err(exit::report(&failure, context.json && !context.answered)),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Local(format!("cannot start: {error}: raise the limit of open files")))
}

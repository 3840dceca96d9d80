//! `--host`: the same command on another host, or on several, over ssh(1).
//!
//! [`hosts`] says where, `order` what is sent there; `one` hands this terminal to ssh, `several` runs many at a time and
//! `report` shows what came of each.

pub mod hosts;
mod one;
mod order;
mod report;
mod several;

use std::{
    ffi::OsString,
    io::{Write, stdout},
    process::ExitStatus,
};

use jiff::Zoned;

use self::{hosts::Targets, order::Order};
use crate::{
    cli::{Cli, Command},
    commands::Context,
    exit::{self, Failure},
    output::applied,
};

/// ssh's own failure, ssh(1) "EXIT STATUS".
const SSH_FAILED: i32 = 255;
/// The shell could not run the command or did not find it, POSIX "Exit Status for Commands".
const NOT_RUN: [i32; 2] = [126, 127];

/// Runs the command line `args`, which was parsed to `cli`, on its hosts, and gives the exit code.
///
/// # Errors
///
/// The exit code of a failure that was reported.
pub fn run(cli: &Cli, args: &[OsString]) -> Result<u8, u8> {
    let mut context = Context::of_process(&cli.global, Zoned::now());
    match Targets::of(&cli.global.hosts).and_then(|targets| run_on(&targets, cli, args, &mut context)) {
        Ok(code) => Ok(code),
        Err(failure) => Err(report(&failure, cli, &context)),
    }
}

fn run_on(targets: &Targets, cli: &Cli, args: &[OsString], context: &mut Context) -> Result<u8, Failure> {
    let hosts = match targets {
        Targets::One(host) => return one::run(host, Order::for_one(cli, args)?),
        Targets::Several(hosts) => hosts,
    };
    let order = Order::for_several(cli, args)?;
    let is_detailed = matches!(&cli.command, Command::Apply(args) if args.detailed_exitcode);
    let result = crate::runtime()?.block_on(several::run(hosts, &order, is_detailed, context));
    // What was printed before a failure is to be seen, too.
    let flushed = context.flush();
    result.and(flushed).map(|()| context.exit)
}

fn report(failure: &Failure, cli: &Cli, context: &Context) -> u8 {
    let is_object = context.json && !context.answered;
    match &cli.command {
        // With the keys that it has always.
        Command::Apply(args) if is_object => {
            let _ = writeln!(stdout(), "{}", applied::failure(failure, args.check));
            exit::report(failure, false)
        }
        _ => exit::report(failure, is_object),
    }
}

/// How it ended on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// lockdownctl ran, and had this exit code.
    Exit(u8),
    /// ssh could not reach the host, or sign in there.
    Unreachable,
    /// There is no lockdownctl.
    NotInstalled,
    /// ssh was ended by a signal.
    Killed,
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        match status.code() {
            Some(SSH_FAILED) => Self::Unreachable,
            Some(code) if NOT_RUN.contains(&code) => Self::NotInstalled,
            Some(code) => Self::Exit(u8::try_from(code).unwrap_or(exit::FAILED)),
            None => Self::Killed,
        }
    }
}

//! `lockdownctl completions`

use clap_complete::Shell;

use super::Context;
use crate::exit::Failure;

/// Print the completion script of a shell
///
/// The package installs those of bash, fish and zsh already.
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl completions bash > ~/.local/share/bash-completion/completions/lockdownctl")]
pub struct Args {
    /// Shell to print the script for
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs it.
///
/// # Errors
///
/// It cannot be printed.
pub fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::command(), "lockdownctl", &mut script);
    context.print(&String::from_utf8_lossy(&script))
}

//! `lockdownctl notify`

mod queue;
mod retry;
mod test;

use super::Context;
use crate::exit::Failure;

/// Try notifications out, and see what has not arrived
///
/// Whom lockdown tells of what, and how, is in the configuration: see [[notify]] in lockdown.toml(5). What cannot be delivered
/// is tried again, for a day; then it is kept for a month, as dead.
#[derive(clap::Args, Debug, PartialEq)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug, PartialEq)]
enum Command {
    Test(test::Args),
    Queue(queue::Args),
    Retry(retry::Args),
}

/// Runs it.
///
/// # Errors
///
/// The daemon does not do it, or a test was not delivered.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    match &args.command {
        Command::Test(args) => test::run(args, context).await,
        Command::Queue(args) => queue::run(args, context).await,
        Command::Retry(args) => retry::run(args, context).await,
    }
}

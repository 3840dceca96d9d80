//! `lockdownctl sessions`

use super::Context;
use crate::{
    client::Client,
    exit::Failure,
    output::{json, views},
    target,
};

/// List open sessions
///
/// Lists the sessions that PAM opened or logind knows, of all accounts or of one, oldest first.
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl sessions
  lockdownctl sessions alice --json")]
pub struct Args {
    /// Account whose sessions to list
    #[arg(value_name = "USER", value_parser = target::user)]
    user: Option<String>,
}

/// Runs it.
///
/// # Errors
///
/// There is no such account.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let sessions = Client::connect().await?.sessions(args.user.clone()).await?;
    context.answer(
        || json::array(&sessions),
        |show| match sessions.as_slice() {
            [] => "no sessions\n".to_owned(),
            sessions => views::sessions(sessions, show),
        },
    )
}

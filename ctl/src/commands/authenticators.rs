//! `lockdownctl authenticators`

use super::Context;
use crate::{
    client::Client,
    exit::Failure,
    output::{authenticators, json},
    target,
};

/// List what an account can sign in with
///
/// Lists the authenticators that the account has on this host: its password, SSH keys, authorities whose certificates sshd takes,
/// U2F tokens, fingerprints, faces, PINs and one-time passwords, and which of them are locked. Without USER, your own.
///
/// A certificate by itself is known once it was used; one that was not can be locked as AUTHORITY:KEY ID.
///
/// One that has been removed is listed for as long as it is locked: when it is added again, it still is. ADDED is when the file
/// with it was last written, if nothing tells more; LAST USED is known of sessions over ssh, for 30 days.
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl authenticators alice
  lockdownctl authenticators alice --json | jq -r '.[] | select(.type == \"ssh\").id'")]
pub struct Args {
    /// Account whose authenticators to list
    #[arg(value_name = "USER", value_parser = target::user)]
    user: Option<String>,
}

/// Runs it.
///
/// # Errors
///
/// There is no such account.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let user = args.user.clone().unwrap_or_else(target::oneself);
    let authenticators = Client::connect().await?.authenticators(&user).await?;
    context.answer(
        || json::array(&authenticators),
        |show| match authenticators.as_slice() {
            [] => "no authenticators\n".to_owned(),
            authenticators => authenticators::list(authenticators, show),
        },
    )
}

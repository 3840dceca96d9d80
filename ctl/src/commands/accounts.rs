//! `lockdownctl accounts`

use lockdown_dbus_api::options::AccountFilter;

use super::Context;
use crate::{
    client::Client,
    exit::Failure,
    output::{json, views},
};

/// List accounts
///
/// Lists the accounts that the host enumerates and those that lockdown knows something about, without the accounts of
/// the system. A directory service often enumerates nothing: `lockdownctl status USER` finds its accounts all the same.
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl accounts
  lockdownctl accounts --locked --json | jq -r '.[].name'")]
pub struct Args {
    /// Only those that are locked
    #[arg(long, group = "which")]
    locked: bool,

    /// Only those that have expired
    #[arg(long, group = "which")]
    expired: bool,

    /// Only those that a lockdown or a state document has deactivated
    #[arg(long, group = "which")]
    deactivated: bool,

    /// With the accounts of the system
    #[arg(long)]
    system: bool,
}

/// Runs it.
///
/// # Errors
///
/// The daemon does not say.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let filter = AccountFilter {
        locked: args.locked.then_some(true),
        expired: args.expired.then_some(true),
        deactivated: args.deactivated.then_some(true),
        system: args.system.then_some(true),
    };
    let accounts = Client::connect().await?.accounts(&filter).await?;
    context.answer(
        || json::array(&accounts),
        |show| match accounts.as_slice() {
            [] => "no accounts\n".to_owned(),
            accounts => views::accounts(accounts, show),
        },
    )
}

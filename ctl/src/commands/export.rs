//! `lockdownctl export`

use lockdown_dbus_api::options::ExportState;
use serde_json::json;

use super::Context;
use crate::{client::Client, exit::Failure};

/// Print the present state of accounts as a state document
///
/// Prints expiry, identifiers and metadata that no document has set: what was set by hand comes under configuration management
/// with it. Applied to this host, it changes nothing. Locks of operators, of attack protection and of lockdowns are not in
/// it: they are not configuration's to lift.
///
/// With --document, what this one has put in force: groups as their members are now, identifiers as the accounts that have
/// them.
///
/// With --json, prints an object with the keys "document" (null without --document) and "text".
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl export > people.toml && lockdownctl apply --check people.toml
  lockdownctl export --document web
  lockdownctl export --host web1 > web1.toml")]
pub struct Args {
    /// What this document has put in force
    #[arg(long, value_name = "NAME")]
    document: Option<String>,
}

/// Runs it.
///
/// # Errors
///
/// There is no such document, or the daemon cannot be reached.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let options = ExportState { document: args.document.clone() };
    let text = Client::connect().await?.export_state(&options).await?;
    context.answer(|| Ok(json!({"document": args.document, "text": text})), |_| text.clone())
}

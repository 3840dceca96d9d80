//! `lockdownctl notify retry`

use lockdown_dbus_api::options::RetryNotifications;
use serde_json::json;

use super::Context;
use crate::{client::Client, commands::tags, exit::Failure, output::text::count};

/// Send messages again that could not be delivered
///
/// Without ID, all that are dead. They are tried at once, and for another day. With --json, prints {"retried": NUMBER}.
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl notify retry
  lockdownctl notify retry msg_0123456789abcdef0123456789abcdef")]
pub struct Args {
    /// Messages to send again, as `lockdownctl notify queue` lists them
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    #[command(flatten)]
    tags: tags::Tagged,
}

pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let ids = (!args.ids.is_empty()).then(|| args.ids.clone());
    let wanted = args.ids.iter().collect::<std::collections::BTreeSet<_>>().len();
    let options = RetryNotifications { ids, tags: args.tags.option()? };
    let retried = Client::connect().await?.retry_notifications(&options).await?;
    context.answer(
        || Ok(json!({ "retried": retried })),
        |_| match retried {
            0 => "there is nothing to send again\n".to_owned(),
            retried => format!("{} will be sent again\n", count(retried as usize, "message", "messages")),
        },
    )?;
    match wanted.saturating_sub(retried as usize) {
        0 => Ok(()),
        missing => Err(Failure::Incomplete(format!(
            "{} of {wanted} not found, or being sent just now: see `lockdownctl notify queue`",
            missing
        ))),
    }
}

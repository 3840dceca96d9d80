//! `lockdownctl notify queue`

use lockdown_dbus_api::{options::NotificationFilter, views::Notification};

use super::Context;
use crate::{
    client::Client,
    exit::Failure,
    output::{
        Show, json,
        table::{Colour, Table, coloured},
        text::escape,
        time,
        views::or_dash,
    },
};

/// Most that one call returns, as the daemon has it.
const MOST: u32 = 10_000;

/// List messages that have not arrived
///
/// Oldest first, 1000 if --limit does not say otherwise. A message that is "dead" is not tried any more. With --json, prints an
/// array of objects with the keys of ListNotifications.
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl notify queue
  lockdownctl notify queue --dead --rule on-call --json | jq -r .[].error")]
pub struct Args {
    /// Only those that could not be delivered
    #[arg(long)]
    dead: bool,

    /// Only those of this rule
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,

    /// At most this many
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)))]
    limit: Option<u32>,
}

pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let filter =
        NotificationFilter { dead: args.dead.then_some(true), rule: args.rule.clone(), limit: args.limit };
    let messages = Client::connect().await?.notifications(&filter).await?;
    context.answer(
        || json::array(&messages),
        |show| match messages.as_slice() {
            [] => "no messages\n".to_owned(),
            messages => text(messages, show),
        },
    )
}

fn text(messages: &[Notification], show: &Show) -> String {
    let header =
        ["ID", "RULE", "CREATED", "EVENT", "USER", "STATE", "NEXT ATTEMPT", "ATTEMPTS", "LAST ERROR"];
    let mut table = Table::new(header).unbroken(&[0, 1, 5]);
    for message in messages {
        let state = match message.state.as_str() {
            "dead" => coloured("dead", Colour::Red),
            other => escape(other),
        };
        let event = match message.total {
            0 | 1 => escape(&message.action),
            total => format!("{total} × {}", escape(&message.action)),
        };
        let next = match (message.state.as_str(), message.next_attempt) {
            ("queued", next) if next > 0 => time::when(next, show),
            _ => "-".to_owned(),
        };
        table.row([
            escape(&message.id),
            escape(&message.rule),
            time::when(message.created, show),
            event,
            or_dash(&message.user),
            state,
            next,
            message.attempts.to_string(),
            or_dash(&message.error),
        ]);
    }
    table.render(show)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::views::tests::{at, show};

    #[test]
    fn messages_with_what_becomes_of_them() {
        let queued = Notification {
            id: "msg_0123456789abcdef0123456789abcdef".into(),
            rule: "on-call".into(),
            transport: "webhook".into(),
            severity: "critical".into(),
            action: "lockdown".into(),
            user: "alice".into(),
            state: "queued".into(),
            created: at(-90),
            next_attempt: at(30),
            attempts: 2,
            error: "hooks.example.org: 503".into(),
            total: 1,
        };
        let dead = Notification {
            state: "dead".into(),
            next_attempt: 0,
            action: "login-denied".into(),
            user: String::new(),
            error: "no such\u{1b}[2J host".into(),
            total: 412,
            ..queued.clone()
        };
        insta::assert_snapshot!("notify-queue", text(&[queued, dead], &show()));
    }
}

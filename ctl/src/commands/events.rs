//! `lockdownctl events`

mod verify;

use std::{collections::BTreeMap, io::Write, time::Duration};

use clap::builder::PossibleValuesParser;
use futures_util::StreamExt;
use jiff::Zoned;
use lockdown_config::SEVERITIES;
use lockdown_dbus_api::{options::EventFilter, views::Event};

use super::Context;
use crate::{
    client::Client,
    exit::{Failure, UNREACHABLE},
    moment,
    output::{
        Show, json,
        table::{Colour, Table, coloured, paint},
        text::escape,
        time,
        views::or_dash,
    },
    target,
};

/// How long a follower waits for a signal before it looks by itself: not every event has one.
const POLL: Duration = Duration::from_secs(2);
/// Events shown before those that are followed.
const BEFORE_FOLLOWING: u32 = 10;
/// Most that one call returns, as the daemon has it.
const MOST: u32 = 10_000;

/// Show the audit trail
///
/// Lists what lockdown did, refused and failed to do, oldest first, the newest 1000 if --limit does not say otherwise. What is
/// asked for combines: only events of which all of it holds.
#[derive(clap::Args, Debug, Default, PartialEq)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_long_help = "\
Examples:
  lockdownctl events --user alice --since 2d
  lockdownctl events --action lock --action unlock --since '2026-12-01 14:00' --until 1h
  lockdownctl events --caller carol --severity warning
  lockdownctl events --limit 100 --before 4711
  lockdownctl events --follow --json | jq -c 'select(.outcome != \"success\")'")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// Only events about this account, by its login name
    #[arg(long, value_name = "USER", value_parser = target::user)]
    user: Option<String>,

    /// Only events with this action, such as lock or unlock; given again, also with that one
    #[arg(long, value_name = "ACTION")]
    action: Vec<String>,

    /// Only events of at least this severity
    #[arg(long, value_name = "SEVERITY", value_parser = PossibleValuesParser::new(SEVERITIES))]
    severity: Option<String>,

    /// Only events about locks of this owner, such as operator, lockdown or attack-protection
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,

    /// Only what this account asked for: a login name, or uid:1000
    #[arg(long, value_name = "USER", value_parser = target::user)]
    caller: Option<String>,

    /// Only events since then: a time such as '2026-12-01 14:00', or how long ago, such as 1h
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Only events until then: a time, or how long ago
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    until: Option<String>,

    /// Only events that come before the one with this number: the page before
    #[arg(long, value_name = "ID", conflicts_with = "follow", value_parser = clap::value_parser!(i64).range(1..))]
    before: Option<i64>,

    /// Go on with new events as they come, until interrupted
    ///
    /// Begins with the last ten if neither --since nor --limit is given. With --json, every event is an object on a line
    /// of its own.
    #[arg(long, short)]
    follow: bool,

    /// At most this many, the newest ones
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)))]
    limit: Option<u32>,
}

#[derive(clap::Subcommand, Debug, PartialEq)]
enum Command {
    Verify(verify::Args),
}

impl Args {
    /// Whether it goes on until it is stopped.
    #[must_use]
    pub fn is_endless(&self) -> bool {
        self.follow
    }

    fn filter(&self, now: &Zoned) -> Result<EventFilter, Failure> {
        let since = moment_of("--since", self.since.as_deref(), now)?;
        let last_few = (self.follow && since.is_none()).then_some(BEFORE_FOLLOWING);
        let (action, actions) = match self.action.as_slice() {
            [] => (None, None),
            [action] => (Some(action.clone()), None),
            actions => (None, Some(actions.to_vec())),
        };
        Ok(EventFilter {
            user: self.user.clone(),
            action,
            actions,
            severity: self.severity.clone(),
            owner: self.owner.clone(),
            caller: self.caller.clone(),
            since,
            until: moment_of("--until", self.until.as_deref(), now)?,
            before: self.before,
            after: None,
            order: None,
            limit: self.limit.or(last_few),
        })
    }
}

/// The time that an option names, Unix seconds.
fn moment_of(option: &str, text: Option<&str>, now: &Zoned) -> Result<Option<i64>, Failure> {
    let read = |text: &str| {
        moment::since(text, now)
            .map(|moment| moment.as_second())
            .map_err(|error| Failure::Usage(format!("{option} {text}: {error}")))
    };
    text.map(read).transpose()
}

/// Runs it. A follower returns only with an error.
///
/// # Errors
///
/// The daemon does not say, or nobody reads what is printed any more.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    if let Some(Command::Verify(args)) = &args.command {
        return verify::run(args, context).await;
    }
    let filter = args.filter(&context.now)?;
    let client = Client::connect().await?;
    if args.follow {
        return follow(&client, filter, context).await;
    }
    let events = client.events(&filter).await?;
    context.answer(
        || json::array(&events),
        |show| match events.as_slice() {
            [] => "no events\n".to_owned(),
            events => table(events, show),
        },
    )
}

async fn follow(client: &Client, mut filter: EventFilter, context: &mut Context) -> Result<(), Failure> {
    // Before the first look, so that what happens meanwhile wakes us up.
    let mut signals = client.announcements().await?;
    let mut events = client.events(&filter).await?;
    // Where to go on when nothing matches yet: after what there is at all.
    if events.is_empty() && filter.since.is_none() {
        let newest = client.events(&EventFilter { limit: Some(1), ..EventFilter::default() }).await?;
        filter.after = newest.last().map(|event| event.id);
    }
    // From here on by number, from the oldest on: nothing is left out, however much comes at once.
    filter.limit = Some(MOST);
    filter.order = Some("oldest".to_owned());
    let mut away = false;
    loop {
        for event in &events {
            filter.after = filter.after.max(Some(event.id));
            let line = if context.json {
                json::text(&json::object(event)?, true)?
            } else {
                line(event, &context.show)
            };
            if !context.quiet {
                context.print(&(line + "\n"))?;
            }
        }
        context.flush()?;
        if events.len() == MOST as usize {
            events = client.events(&filter).await?;
            continue;
        }
        if let Ok(None) = tokio::time::timeout(POLL, signals.next()).await {
            let gone = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            return Err(zbus::Error::InputOutput(gone.into()).into());
        }
        // A signal comes for every session and lock: those that came meanwhile are one reason to look, not many.
        while tokio::time::timeout(Duration::ZERO, signals.next()).await.is_ok_and(|signal| signal.is_some())
        {
        }
        events = match client.events(&filter).await {
            Ok(events) => {
                away = false;
                events
            }
            // The daemon is being restarted: the next look starts it or finds it.
            Err(failure) if failure.code() == UNREACHABLE => {
                if !away {
                    let _ = writeln!(std::io::stderr(), "lockdownctl: {}; still trying", failure.line());
                }
                away = true;
                tokio::time::sleep(POLL).await;
                Vec::new()
            }
            Err(failure) => return Err(failure),
        };
    }
}

fn table(events: &[Event], show: &Show) -> String {
    let mut table =
        Table::new(["ID", "TIME", "ACTION", "USER", "BY", "OUTCOME", "DETAILS"]).unbroken(&[0, 1, 2, 3, 5]);
    for event in events {
        table.row([
            event.id.to_string(),
            time::stamp(event.time, show),
            escape(&event.action),
            or_dash(&event.user),
            caller(event),
            outcome(event),
            details(event),
        ]);
    }
    table.render(show)
}

/// An event of a follower: nobody knows how wide the next ones will be.
fn line(event: &Event, show: &Show) -> String {
    let mut words = vec![time::stamp(event.time, show), escape(&event.action)];
    words.extend([&event.user].into_iter().filter(|user| !user.is_empty()).map(|user| escape(user)));
    words.push(format!("by {}", caller(event)));
    words.push(outcome(event));
    words.extend(Some(details(event)).filter(|details| !details.is_empty()));
    paint(&words.join("  "), show)
}

fn caller(event: &Event) -> String {
    let known = |key: &str| event.caller.get(key).filter(|value| !value.is_empty());
    let name = known("name").cloned().or_else(|| known("uid").map(|uid| format!("uid:{uid}")));
    let name = name.unwrap_or_else(|| "lockdownd".to_owned());
    match known("remote_host") {
        Some(host) => escape(&format!("{name} from {host}")),
        None => escape(&name),
    }
}

fn outcome(event: &Event) -> String {
    let colour = match event.outcome.as_str() {
        "success" => Colour::Green,
        "refused" => Colour::Yellow,
        _ => Colour::Red,
    };
    coloured(&escape(&event.outcome), colour)
}

fn details(event: &Event) -> String {
    let mut details = Vec::new();
    if !event.target.is_empty() {
        details.push(escape(&event.target));
    }
    if !event.owner.is_empty() && event.owner != "operator" {
        details.push(format!("owner {}", escape(&event.owner)));
    }
    if !event.reason.is_empty() {
        details.push(format!("\"{}\"", escape(&event.reason)));
    }
    if !event.error.is_empty() {
        details.push(escape(&event.error));
    }
    let tags: BTreeMap<_, _> = event.tags.iter().collect();
    details.extend(tags.into_iter().map(|(key, value)| escape(&format!("{key}={value}"))));
    details.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::views::tests::{at, show};

    fn args() -> Args {
        Args::default()
    }

    fn events() -> [Event; 3] {
        let root = [("uid", "0"), ("name", "root"), ("remote_host", "192.0.2.9")];
        let locked = Event {
            id: 1,
            time: at(-60),
            action: "lock".into(),
            user: "alice".into(),
            target: "lock 7".into(),
            owner: "operator".into(),
            reason: "stolen\nlaptop".into(),
            outcome: "success".into(),
            caller: root.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            tags: [("ticket", "INC-4711"), ("shift", "night\u{1b}")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            ..Event::default()
        };
        let refused = Event {
            id: 2,
            time: at(-30),
            user: "root".into(),
            outcome: "refused".into(),
            error: "root is protected".into(),
            reason: String::new(),
            target: String::new(),
            caller: [("uid".to_owned(), "1001".to_owned())].into(),
            tags: [].into(),
            ..locked.clone()
        };
        let expired = Event {
            id: 3,
            time: at(0),
            action: "lock-expired".into(),
            owner: "attack-protection".into(),
            reason: String::new(),
            caller: [].into(),
            tags: [].into(),
            ..locked.clone()
        };
        [locked, refused, expired]
    }

    #[test]
    fn the_trail_as_a_table_and_as_lines() {
        insta::assert_snapshot!("events", table(&events(), &show()));
        let lines: Vec<_> = events().iter().map(|event| line(event, &show())).collect();
        insta::assert_snapshot!("events-followed", lines.join("\n"));
    }

    #[test]
    fn a_follower_begins_with_the_last_few() {
        let now = show().now.to_zoned(show().zone);
        let limit = |args: Args| args.filter(&now).unwrap().limit;
        assert_eq!(limit(args()), None);
        assert_eq!(limit(Args { follow: true, ..args() }), Some(BEFORE_FOLLOWING));
        assert_eq!(limit(Args { follow: true, since: Some("1h".into()), ..args() }), None);
        assert_eq!(limit(Args { follow: true, limit: Some(3), ..args() }), Some(3));
    }

    #[test]
    fn since_looks_back() {
        let now = show().now.to_zoned(show().zone);
        let since =
            |text: &str| Args { since: Some(text.into()), ..args() }.filter(&now).map(|filter| filter.since);
        assert_eq!(since("1h").unwrap(), Some(at(-3600)));
        assert!(matches!(since("soon"), Err(Failure::Usage(_))));
    }
}

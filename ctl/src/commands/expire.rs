//! `lockdownctl expire`

use jiff::Zoned;
use lockdown_dbus_api::options;

use super::{Context, tags};
use crate::{
    client::Client,
    exit::Failure,
    moment,
    output::{json, text::escape, time},
    target,
};

/// Set when an account expires
///
/// From that moment on, logins are denied and running sessions end, with or without locks. A time that has passed
/// expires the account at once. With --json, prints the account.
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl expire alice --at 2026-12-31
  lockdownctl expire alice --at now
  lockdownctl expire alice --never")]
pub struct Args {
    /// Account that expires
    #[arg(value_name = "USER", value_parser = target::user)]
    user: String,

    /// When it expires, such as 2026-12-31 or '2026-12-31 18:00'
    #[arg(long, value_name = "TIME", required_unless_present = "never", conflicts_with = "never")]
    at: Option<String>,

    /// It does not expire
    #[arg(long)]
    never: bool,

    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    #[command(flatten)]
    tags: tags::Tagged,
}

impl Args {
    /// Unix seconds; 0 = never.
    fn unix_seconds(&self, now: &Zoned) -> Result<i64, Failure> {
        let Some(text) = &self.at else { return Ok(0) };
        let wrong = |error: &str| Failure::Usage(format!("--at {text}: {error}"));
        match moment::moment(text, now).map_err(|error| wrong(&error))?.as_second() {
            // On the bus, 0 is never.
            ..=0 => Err(wrong("is before 1970: give a later time")),
            seconds => Ok(seconds),
        }
    }
}

/// Runs it.
///
/// # Errors
///
/// There is no such account, or it is protected.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let seconds = args.unix_seconds(&context.now)?;
    let options = options::SetAccount {
        valid_until: Some(seconds),
        reason: args.reason.clone(),
        tags: args.tags.option()?,
        ..options::SetAccount::default()
    };
    let account = Client::connect().await?.set_account(&args.user, &options).await?;
    context.answer(
        || json::object(&account),
        |show| {
            let user = escape(&account.name);
            match seconds {
                0 => format!("{user} does not expire\n"),
                _ if seconds <= show.now.as_second() => format!("{user} has expired\n"),
                _ => format!("{user} expires {}\n", time::when(seconds, show)),
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::views::tests::{at, show};

    fn seconds(text: Option<&str>) -> Result<i64, Failure> {
        let args = Args {
            user: "alice".into(),
            at: text.map(String::from),
            never: text.is_none(),
            reason: None,
            tags: tags::Tagged::default(),
        };
        args.unix_seconds(&show().now.to_zoned(show().zone))
    }

    #[test]
    fn never_is_zero_and_nothing_else_is() {
        assert_eq!(seconds(None).unwrap(), 0);
        assert_eq!(seconds(Some("now")).unwrap(), at(0));
        assert_eq!(seconds(Some("2026-11-21 12:31")).unwrap(), at(60));
        assert!(matches!(seconds(Some("1970-01-01T00:00:00Z")), Err(Failure::Usage(_))));
        assert!(matches!(seconds(Some("1969-01-01")), Err(Failure::Usage(_))));
    }
}

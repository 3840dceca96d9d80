//! `lockdownctl failures`

use jiff::Zoned;
use lockdown_dbus_api::{
    options::{FailureFilter, ResetFailures},
    views::{Account, Failure as FailedAttempt},
};

use super::{Context, tags};
use crate::{
    client::Client,
    exit::Failure,
    moment,
    output::{
        Show, json,
        table::{Colour, Table, coloured},
        text::escape,
        time,
        views::or_dash,
    },
    target,
};

/// Show failed attempts to sign in, or end their count
///
/// Lists the attempts that attack protection has seen fail, of all accounts or of one, oldest first: when, from where, by
/// which service, whether it counted towards a lock, and whether it brought one about. From where is a remote host,
/// "user:NAME" for who asked on this host (su, sudo), or "local" for a console. A success from there clears what counted; what came
/// from a trusted source, for root, or while a lock stood never did.
///
/// With --reset, the count of the account is ended instead, and the locks of attack protection that it brought about are
/// lifted, for one source or all. Locks of others stay. With --json, prints the account.
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl failures --since 1h
  lockdownctl failures alice --source 192.0.2.7
  lockdownctl failures alice --reset --reason 'called from the new phone'")]
pub struct Args {
    /// Account whose failed attempts to show
    #[arg(value_name = "USER", value_parser = target::user, required_if_eq("reset", "true"))]
    user: Option<String>,

    /// Only attempts from there: a remote host, user:NAME or local
    #[arg(long, value_name = "SOURCE", value_parser = source)]
    source: Option<String>,

    /// Only attempts since then: a time such as '2026-12-01 14:00', or how long ago, such as 1h
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// At most this many, the newest ones
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: Option<u32>,

    /// End the count, and lift the locks that it brought about
    #[arg(long, conflicts_with_all = ["since", "limit"])]
    reset: bool,

    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", requires = "reset")]
    reason: Option<String>,

    #[command(flatten)]
    tags: tags::Tagged,
}

fn source(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        Err("is empty: name a remote host, user:NAME or local")
    } else {
        Ok(text.to_owned())
    }
}

impl Args {
    fn filter(&self, now: &Zoned) -> Result<FailureFilter, Failure> {
        let since = self.since.as_ref().map(|text| {
            moment::since(text, now)
                .map(|since| since.as_second())
                .map_err(|error| Failure::Usage(format!("--since {text}: {error}")))
        });
        Ok(FailureFilter { source: self.source.clone(), since: since.transpose()?, limit: self.limit })
    }
}

/// Runs it.
///
/// # Errors
///
/// There is no such account, or its count could not be ended.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    match &args.user {
        Some(user) if args.reset => reset(user, args, context).await,
        user => list(user.as_deref(), args, context).await,
    }
}

async fn list(user: Option<&str>, args: &Args, context: &mut Context) -> Result<(), Failure> {
    if args.tags.option()?.is_some() {
        return Err(Failure::Usage("--tag goes with --reset: a list changes nothing".to_owned()));
    }
    let filter = args.filter(&context.now)?;
    let failures = Client::connect().await?.failures(user.unwrap_or_default(), &filter).await?;
    context.answer(
        || json::array(&failures),
        |show| match failures.as_slice() {
            [] => "no failed attempts\n".to_owned(),
            failures => table(failures, show),
        },
    )
}

async fn reset(user: &str, args: &Args, context: &mut Context) -> Result<(), Failure> {
    let options =
        ResetFailures { source: args.source.clone(), reason: args.reason.clone(), tags: args.tags.option()? };
    let account = Client::connect().await?.reset_failures(user, &options).await?;
    context.answer(|| json::object(&account), |_| reset_text(&account, args.source.as_deref()))
}

fn table(failures: &[FailedAttempt], show: &Show) -> String {
    let mut table = Table::new(["TIME", "USER", "FROM", "SERVICE", "COUNTED", "NOTE"]).unbroken(&[0, 1, 2]);
    for failure in failures {
        let counted = match (failure.counted, failure.cleared) {
            (false, _) => "no",
            (true, true) => "cleared",
            (true, false) => "yes",
        };
        table.row([
            time::stamp(failure.time, show),
            escape(&failure.user),
            or_dash(&failure.source),
            or_dash(&failure.service),
            counted.to_owned(),
            if failure.locked { coloured("led to a lock", Colour::Red) } else { String::new() },
        ]);
    }
    table.render(show)
}

/// What still stands is said, too.
fn reset_text(account: &Account, source: Option<&str>) -> String {
    let name = escape(&account.name);
    let from = source.map_or_else(String::new, |source| format!(" from {}", escape(source)));
    let mut text = format!("failed attempts{from} on {name} count no more");
    match account.failed_attempts {
        0 => {}
        1 => text.push_str("; 1 from elsewhere still counts"),
        others => text.push_str(&format!("; {others} from elsewhere still count")),
    }
    if account.locked {
        let owners: Vec<_> = account.locks.iter().map(|lock| escape(&lock.owner)).collect();
        text.push_str(&format!("; the account stays locked by {}", owners.join(", ")));
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::views::tests::{alice, at, show};

    #[test]
    fn attempts_as_a_table() {
        let attempt = |number: u64, source: &str| FailedAttempt {
            user: "alice".into(),
            number,
            time: at(-60),
            service: "sshd".into(),
            source: source.into(),
            counted: true,
            ..FailedAttempt::default()
        };
        let attempts = [
            FailedAttempt { cleared: true, ..attempt(1, "192.0.2.7") },
            FailedAttempt { locked: true, ..attempt(2, "2001:db8::1") },
            FailedAttempt { counted: false, service: "su\u{1b}".into(), ..attempt(3, "user:bob\n") },
        ];
        insta::assert_snapshot!("failures", table(&attempts, &show()));
    }

    #[test]
    fn what_a_reset_has_left_is_said() {
        let free = Account { name: "bob".into(), ..Account::default() };
        let still = Account { failed_attempts: 1, ..alice() };
        let texts = [reset_text(&free, None), reset_text(&still, Some("192.0.2.7"))];
        insta::assert_snapshot!("failures-reset", texts.concat());
    }
}

//! `lockdownctl lock`

use jiff::Zoned;
use lockdown_dbus_api::{options, views::Account};

use super::{
    Context,
    batch::{self, Row},
    tags,
    term::Term,
};
use crate::{
    client::Client,
    exit::Failure,
    output::{
        Show,
        table::{Colour, Table, coloured},
        text::{count, escape},
        views,
    },
    target,
};

/// Lock accounts and end their sessions
///
/// Denies the accounts every login from now on, and ends their running sessions. When the command returns, the locks
/// are on disk and hold without the daemon. A lock that an operator has set before is updated; locks of other owners
/// stand beside it.
///
/// How long the lock stands is said by --for, --until or --indefinite; otherwise by the configuration
/// (lock.duration, one hour if nothing is configured).
///
/// All of several accounts are attempted, whatever becomes of the others. With --json, one USER prints the account,
/// several print an array of {"user", "success", "error" if it failed, "account" if it was locked}.
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl lock alice --reason 'stolen laptop' --for 2d
  lockdownctl lock alice bob --until '2026-12-01 14:00' --message 'Call the help desk, 555-0123'
  lockdownctl lock uid:1000 --indefinite --keep-sessions")]
pub struct Args {
    /// Accounts to lock
    #[arg(required = true, value_name = "USER", value_parser = target::user)]
    users: Vec<String>,

    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// What the locked user is told at a login
    ///
    /// It is shown only after the user has proved who they are.
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,

    #[command(flatten)]
    term: Term,

    /// Leave running sessions alone
    #[arg(long)]
    keep_sessions: bool,

    #[command(flatten)]
    tags: tags::Tagged,
}

impl Args {
    fn options(&self, now: &Zoned) -> Result<options::Lock, Failure> {
        Ok(options::Lock {
            reason: self.reason.clone(),
            message: self.message.clone(),
            duration: self.term.option(now)?,
            end_sessions: self.keep_sessions.then_some(false),
            owner: None,
            tags: self.tags.option()?,
        })
    }
}

/// Runs it.
///
/// # Errors
///
/// An account could not be locked, or something it runs could not be ended.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let options = args.options(&context.now)?;
    let client = Client::connect().await?;
    let mut rows = batch::call(&client, &target::distinct(&args.users), async |user| {
        client.lock_account(user, &options).await
    })
    .await;
    for row in &mut rows {
        row.failure = row.failure.take().or_else(|| row.account.as_ref().and_then(survivors));
    }
    batch::conclude(rows, context, text)
}

/// The account is locked, but something goes on running.
fn survivors(account: &Account) -> Option<Failure> {
    let survivors = account.survivors.as_ref().filter(|survivors| !survivors.is_empty())?;
    Some(Failure::Incomplete(format!(
        "{} is locked, but {} could not be ended: {}: end them by hand, or lock again",
        account.name,
        count(survivors.len(), "process", "processes"),
        survivors.join(", ")
    )))
}

fn text(rows: &[Row], show: &Show) -> String {
    let mut table = Table::new(["USER", "RESULT", "UNTIL", "NOTE"]).unbroken(&[0, 1]);
    for row in rows {
        let (name, result, until) = match &row.account {
            Some(account) => {
                (&account.name, coloured("locked", Colour::Green), views::locked_until(account, show))
            }
            None => (&row.user, coloured("failed", Colour::Red), String::new()),
        };
        let note = match (&row.failure, &row.account) {
            (Some(failure), _) => failure.line(),
            (None, Some(account)) => {
                views::ended(account.sessions_ended.unwrap_or(0), account.processes_ended.unwrap_or(0))
            }
            (None, None) => String::new(),
        };
        table.row([escape(name), result, until, note]);
    }
    table.render(show)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use lockdown_dbus_api::Error;

    use super::*;
    use crate::{
        cli::{Cli, Command},
        output::views::tests::{alice, show},
    };

    fn options(line: &str) -> options::Lock {
        let words = ["lockdownctl", "lock"].into_iter().chain(line.split(' '));
        let Command::Lock(args) = Cli::try_parse_from(words).unwrap().command else { panic!("{line}") };
        args.options(&show().now.to_zoned(show().zone)).unwrap()
    }

    #[test]
    fn sessions_are_kept_only_on_demand() {
        assert_eq!(options("alice").end_sessions, None);
        assert_eq!(options("alice --keep-sessions").end_sessions, Some(false));
    }

    #[test]
    fn a_table_with_a_row_for_each() {
        let locked = Account { sessions_ended: Some(2), processes_ended: Some(5), ..alice() };
        let stubborn = Account {
            name: "bob".into(),
            locked_until: Some(0),
            survivors: Some(vec!["4711 (cc)".into(), "4712".into()]),
            ..alice()
        };
        let rows = [
            Row { user: "uid:1000".into(), account: Some(locked), failure: None },
            Row { user: "bob".into(), failure: survivors(&stubborn), account: Some(stubborn) },
            Row {
                user: "ghost\n".into(),
                account: None,
                failure: Some(Failure::Call(Error::NoSuchAccount("no such account: check the name".into()))),
            },
        ];
        insta::assert_snapshot!("lock-several", text(&rows, &show()));
    }
}

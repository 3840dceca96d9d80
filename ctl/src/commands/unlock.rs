//! `lockdownctl unlock`

use lockdown_dbus_api::{
    options,
    views::{Account, Lock},
};

use super::{
    Context,
    batch::{self, Row},
    tags,
};
use crate::{
    client::Client,
    exit::Failure,
    output::{
        Show,
        table::{Colour, Table, coloured},
        text::escape,
        views,
    },
    target,
};

/// Lift the locks of accounts
///
/// Lifts the lock that an operator set and those of attack protection, whose count of failed attempts ends with them; with
/// --owner, only those of that owner. A lock of another owner stays, and the
/// account stays locked with it: the answer says which, and who lifts it. The locks of an account that was removed from the
/// host can be lifted all the same, and those of its lockdown with --owner lockdown.
///
/// All of several accounts are attempted, whatever becomes of the others. With --json, one USER prints the account,
/// several print an array of {"user", "success", "error" if it failed, "account" if locks were lifted}.
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl unlock alice
  lockdownctl unlock alice bob --reason 'laptop was found'
  lockdownctl unlock alice --owner operator")]
pub struct Args {
    /// Accounts to unlock
    #[arg(required = true, value_name = "USER", value_parser = target::user)]
    users: Vec<String>,

    /// Lift only the lock of this owner
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,

    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    #[command(flatten)]
    tags: tags::Tagged,
}

/// Runs it.
///
/// # Errors
///
/// An account had no lock that could be lifted.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let options =
        options::Unlock { reason: args.reason.clone(), owner: args.owner.clone(), tags: args.tags.option()? };
    let client = Client::connect().await?;
    let users = target::distinct(&args.users);
    let rows = batch::call(&client, &users, async |user| client.unlock_account(user, &options).await).await;
    batch::conclude(rows, context, text)
}

fn text(rows: &[Row], show: &Show) -> String {
    let mut table = Table::new(["USER", "RESULT", "NOTE"]).unbroken(&[0, 1]);
    for row in rows {
        let (name, result, note) = match (&row.account, &row.failure) {
            (Some(account), _) if account.locked => {
                (&account.name, coloured("still locked", Colour::Yellow), remaining(account, show))
            }
            (Some(account), _) => {
                (&account.name, coloured("unlocked", Colour::Green), expired(account, show))
            }
            (None, failure) => {
                let line = failure.as_ref().map(Failure::line).unwrap_or_default();
                (&row.user, coloured("failed", Colour::Red), line)
            }
        };
        table.row([escape(name), result, note]);
    }
    table.render(show)
}

/// The locks that still stand, a line each, with how each of them is lifted.
fn remaining(account: &Account, show: &Show) -> String {
    let line = |lock: &Lock| {
        let reason =
            if lock.reason.is_empty() { String::new() } else { format!(", \"{}\"", escape(&lock.reason)) };
        let end = views::lock_end(lock.expires_at, show);
        format!(
            "lock {} of {} ({end}{reason}): {}",
            lock.id,
            escape(&lock.owner),
            views::remedy(&lock.owner, &account.name)
        )
    };
    account.locks.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// An account without locks can be denied logins all the same.
fn expired(account: &Account, show: &Show) -> String {
    if !account.expired {
        return String::new();
    }
    let name = escape(&account.name);
    format!(
        "but it expired {}: logins are denied until `lockdownctl expire {name} --never`",
        views::when_or(account.valid_until, "already", show)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::views::tests::{alice, at, show};

    #[test]
    fn what_still_stands_is_named_with_its_remedy() {
        let lock = |id, owner: &str| Lock { id, owner: owner.into(), ..alice().locks.remove(0) };
        let still = Account {
            locks: vec![lock(3, "config:leavers"), lock(4, "fleet:hq"), lock(5, "lockdown")],
            ..alice()
        };
        let free = Account { name: "bob".into(), ..Account::default() };
        let expired =
            Account { name: "carol".into(), expired: true, valid_until: at(-60), ..Account::default() };
        let rows = [still, free, expired].map(|account| Row {
            user: "x".into(),
            account: Some(account),
            failure: None,
        });
        insta::assert_snapshot!("unlock-several", text(&rows, &show()));
    }
}

//! `lockdownctl account`

use lockdown_dbus_api::{options, views::Account};

use super::{Context, tags};
use crate::{
    client::Client,
    exit::Failure,
    output::{
        Show, json,
        table::{Colour, coloured, paint},
        text::escape,
        views,
    },
    pairs, target,
};

/// Set what lockdown keeps about an account
///
/// `lockdownctl status` shows it.
#[derive(clap::Args, Debug, PartialEq)]
#[command(arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug, PartialEq)]
enum Command {
    Set(SetArgs),
}

/// Set identifiers and metadata of an account
///
/// Wherever a USER is asked for, an identifier names the account: "email:…", "phone:…", "id:…", or the kind of your own with
/// which it was given ("badge:…"). Each is one account's alone. Metadata is kept and shown, and means nothing to lockdown;
/// the account's own user can see it.
///
/// An empty value removes what is there; what is not named stays. All of it is set, or nothing. With --json, prints the
/// account.
#[derive(clap::Args, Debug, PartialEq)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
#[command(override_usage = "lockdownctl account set [OPTIONS] <USER>")]
#[command(after_long_help = "\
Examples:
  lockdownctl account set alice --email alice@example.org --phone '+1 555 0100' --id 00u1x7
  lockdownctl account set alice --identifier badge=B-17 --metadata team=blue --tag ticket=INC-4711
  lockdownctl account set email:alice@example.org --email ''
  lockdownctl lock badge:B-17")]
struct SetArgs {
    /// Account to set it for
    #[arg(value_name = "USER", value_parser = target::user)]
    user: String,

    /// Its mail address, which is compared without case
    #[arg(long, value_name = "ADDRESS", group = "what")]
    email: Option<String>,

    /// Its telephone number, of which the digits are compared
    #[arg(long, value_name = "NUMBER", group = "what")]
    phone: Option<String>,

    /// What another system knows it by
    #[arg(long, value_name = "ID", group = "what")]
    id: Option<String>,

    /// An identifier of a kind of your own, such as badge=B-17; may be repeated
    #[arg(long = "identifier", value_name = "KIND=VALUE", group = "what", value_parser = pairs::pair)]
    identifiers: Vec<(String, String)>,

    /// Anything else to keep with it, such as team=blue; may be repeated
    #[arg(long, value_name = "KEY=VALUE", group = "what", value_parser = pairs::pair)]
    metadata: Vec<(String, String)>,

    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    #[command(flatten)]
    tags: tags::Tagged,
}

impl SetArgs {
    fn options(&self) -> Result<options::SetAccount, Failure> {
        Ok(options::SetAccount {
            email: self.email.clone(),
            phone: self.phone.clone(),
            id: self.id.clone(),
            identifiers: pairs::distinct("--identifier", &self.identifiers)?,
            metadata: pairs::distinct("--metadata", &self.metadata)?,
            valid_until: None,
            reason: self.reason.clone(),
            tags: self.tags.option()?,
        })
    }
}

/// Runs it.
///
/// # Errors
///
/// There is no such account, another one has the identifier, or it is none.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let Command::Set(args) = &args.command;
    let options = args.options()?;
    let account = Client::connect().await?.set_account(&args.user, &options).await?;
    context.answer(|| json::object(&account), |show| text(&account, show))
}

fn text(account: &Account, show: &Show) -> String {
    let title = format!("{} (uid {})\n", coloured(&escape(&account.name), Colour::Bold), account.uid);
    let rows = match views::kept(account) {
        rows if rows.is_empty() => vec![("Nothing is kept about it", String::new())],
        rows => rows,
    };
    paint(&title, show) + &views::property_list(rows, show)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::views::tests::{alice, identified, show};

    #[test]
    fn what_is_kept_is_shown() {
        insta::assert_snapshot!("account-set", text(&identified(), &show()));
        insta::assert_snapshot!("account-set-nothing", text(&alice(), &show()));
    }
}

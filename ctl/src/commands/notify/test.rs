//! `lockdownctl notify test`

use lockdown_dbus_api::views::NotificationTest;

use super::Context;
use crate::{
    client::Client,
    exit::Failure,
    output::{
        Show, json,
        table::{Colour, Table, coloured},
        text::escape,
    },
};

/// Send a test by one rule, or by all
///
/// Goes by the configuration that the daemon has read last, and waits until it is known what became of each. Nothing is tried a
/// second time. With --json, prints an array of {"rule", "transport", "success", "error" if it failed}.
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl config check && systemctl reload lockdownd && lockdownctl notify test
  lockdownctl notify test on-call")]
pub struct Args {
    /// Rule to test
    #[arg(value_name = "RULE")]
    rule: Option<String>,
}

pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let client = Client::connect().await?;
    let results = client.test_notification(args.rule.as_deref().unwrap_or_default()).await?;
    context.answer(|| json::array(&results), |show| text(&results, show))?;
    let failed: Vec<_> =
        results.iter().filter(|result| !result.success).map(|result| result.rule.as_str()).collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::Incomplete(format!(
        "not delivered by {} of {}: {}",
        failed.len(),
        results.len(),
        failed.join(", ")
    )))
}

fn text(results: &[NotificationTest], show: &Show) -> String {
    let mut table = Table::new(["RULE", "TRANSPORT", "TEST"]).unbroken(&[0, 1]);
    for result in results {
        let outcome = match (&result.error, result.success) {
            (_, true) => coloured("delivered", Colour::Green),
            (Some(error), false) => escape(error),
            (None, false) => "failed".to_owned(),
        };
        table.row([escape(&result.rule), escape(&result.transport), outcome]);
    }
    table.render(show)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::views::tests::show;

    #[test]
    fn what_became_of_each() {
        let result = |rule: &str, error: Option<&str>| NotificationTest {
            rule: rule.into(),
            transport: "email".into(),
            success: error.is_none(),
            error: error.map(str::to_owned),
        };
        let results =
            [result("on-call", None), result("audit", Some("mail.example.org: 550 no such user\n"))];
        insta::assert_snapshot!("notify-test", text(&results, &show()));
    }
}

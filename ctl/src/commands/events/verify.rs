//! `lockdownctl events verify`

use lockdown_dbus_api::{options::VerifyEvents, views::Verification};

use super::{Context, moment_of};
use crate::{
    client::Client,
    exit::Failure,
    output::{
        json,
        text::{count, escape},
    },
};

/// Find out whether somebody has changed the audit trail
///
/// Every event carries a hash over what it says and over the event before it. This goes through all of them, and names what was
/// changed, removed, moved or put in. What the journal knows of the trail is compared as well: it tells of an end that was cut off.
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl events verify
  lockdownctl events verify --since 7d --quiet || echo 'look at the audit trail'

Exit status:
  0  the trail is whole
  1  it is not")]
pub struct Args {
    /// Only from the first event on that is not older: a time such as '2026-12-01 14:00', or how long ago, such as 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

/// Runs it.
///
/// # Errors
///
/// The daemon does not say, or the trail is not whole.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let since = moment_of("--since", args.since.as_deref(), &context.now)?;
    let found = Client::connect().await?.verify_events(&VerifyEvents { since }).await?;
    context.answer(|| json::object(&found), |_| text(&found))?;
    if found.ok {
        return Ok(());
    }
    let number = found.problems.len() + found.more as usize;
    let see = if context.quiet { "; `lockdownctl events verify` names them" } else { "" };
    let problems = count(number, "problem", "problems");
    Err(Failure::Incomplete(format!("the audit trail is not whole: {problems}{see}")))
}

fn text(found: &Verification) -> String {
    let mut text = match found.checked {
        0 => "no events\n".to_owned(),
        checked => format!(
            "{checked} events ({} to {}), {} compared with the journal\nhash of the last: {}\n",
            found.first,
            found.last,
            found.compared,
            escape(&found.head)
        ),
    };
    for problem in &found.problems {
        let about = if problem.id == 0 { String::new() } else { format!("event {} ", problem.id) };
        text.push_str(&format!("{about}{}\n", escape(&problem.problem)));
    }
    if found.more > 0 {
        text.push_str(&format!("and {} more\n", found.more));
    }
    if let Some(note) = &found.note {
        text.push_str(&format!("note: {}\n", escape(note)));
    }
    if found.ok {
        text.push_str("the audit trail is whole\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use lockdown_dbus_api::views::EventProblem;

    use super::*;

    #[test]
    fn what_was_found() {
        let whole = Verification {
            ok: true,
            checked: 1200,
            first: 1,
            last: 1200,
            head: "00ff".into(),
            compared: 7,
            ..Verification::default()
        };
        let problem = |id, problem: &str| EventProblem { id, problem: problem.into() };
        let broken = Verification {
            ok: false,
            problems: vec![problem(0, "the trigger x is gone"), problem(5, "is missing: removed\n")],
            more: 3,
            note: Some("the journal cannot be compared with".into()),
            ..whole.clone()
        };
        let nothing = Verification { ok: true, ..Verification::default() };
        let texts = [whole, broken, nothing].map(|found| text(&found));
        insta::assert_snapshot!("events-verify", texts.join("\n"));
    }
}

//! What is asked on the terminal before a lockdown.

use lockdown_dbus_api::views::{LockdownPreview, LockdownResult};

use super::{Args, failure, reason};
use crate::{
    client::Client,
    exit::Failure,
    output::{
        Show, lockdown,
        text::{count, escape},
    },
    target,
    terminal::Terminal,
};

const UNCHANGED: &str = "nothing was changed";

/// Who and what, why, and whether. Gives the reason.
pub(super) async fn ask(
    args: &Args,
    users: &[String],
    client: &Client,
    terminal: &mut Terminal,
    show: &Show,
) -> Result<String, Failure> {
    if args.yes {
        return ask_reason(args, terminal).await;
    }
    let previews = terminal.unless_interrupted(UNCHANGED, client.preview_lockdown(users)).await?;
    terminal.say(&lockdown::previews(&previews, show));
    let possible: Vec<_> = previews.iter().filter(|preview| preview.error.is_none()).collect();
    if possible.is_empty() {
        return Err(refused(&previews));
    }
    terminal.say(&format!("\n{}\n`lockdownctl restore` takes it back.\n\n", args.actions()));
    let reason = ask_reason(args, terminal).await?;
    let (question, expected) = match possible.as_slice() {
        [one] => (format!("Type {} to lock it down: ", escape(&one.user)), one.user.clone()),
        several => {
            let accounts = count(several.len(), "account", "accounts");
            (format!("Type {} to lock {accounts} down: ", several.len()), several.len().to_string())
        }
    };
    confirm(&question, &expected, terminal).await?;
    Ok(reason)
}

/// The same for the caller's own account.
pub(super) async fn ask_about_oneself(
    args: &Args,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<String, Failure> {
    if args.yes {
        return ask_reason(args, terminal).await;
    }
    let user = target::oneself();
    let name = terminal.unless_interrupted(UNCHANGED, client.account(&user)).await?.name;
    terminal.say(&format!(
        "This locks your own account down, {}: your sessions end, this one too,\n\
         and you cannot log in until somebody restores the account.\n\n",
        escape(&name)
    ));
    let reason = ask_reason(args, terminal).await?;
    confirm(&format!("Type {} to lock it down: ", escape(&name)), &name, terminal).await?;
    Ok(reason)
}

async fn ask_reason(args: &Args, terminal: &mut Terminal) -> Result<String, Failure> {
    match &args.reason {
        Some(reason) => Ok(reason.clone()),
        None => terminal.ask("Reason, for the audit trail: ", reason).await,
    }
}

async fn confirm(question: &str, expected: &str, terminal: &mut Terminal) -> Result<(), Failure> {
    let accept = |answer: &str| {
        if answer == expected { Ok(()) } else { Err("That was something else; Ctrl-C gives up.".to_owned()) }
    };
    terminal.ask(question, accept).await
}

/// None of them can be locked down.
fn refused(previews: &[LockdownPreview]) -> Failure {
    let results = previews.iter().map(|preview| LockdownResult {
        user: preview.user.clone(),
        error: preview.error.clone(),
        error_name: preview.error_name.clone(),
        ..LockdownResult::default()
    });
    failure(&results.collect::<Vec<_>>()).unwrap_or_else(|| {
        Failure::Local("the daemon knows none of these accounts: check the names".to_owned())
    })
}

//! `lockdownctl end-sessions`

use lockdown_dbus_api::{options, views::Session};

use super::{Context, tags};
use crate::{
    client::Client,
    exit::Failure,
    output::{
        Show, json,
        table::{Colour, Table, coloured},
        text::escape,
        views::or_dash,
    },
    target,
};

/// End the sessions of an account
///
/// Ends everything the account runs, or one of its sessions. It does not lock the account: who is logged out can log in
/// again. With --json, prints an array of the sessions, each with the key "ended".
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl end-sessions alice
  lockdownctl end-sessions alice --session c2 --reason 'left open in the lab'")]
pub struct Args {
    /// Account whose sessions to end
    #[arg(value_name = "USER", value_parser = target::user)]
    user: String,

    /// Only this session, by its id in `lockdownctl sessions`
    #[arg(long, value_name = "ID", value_parser = session_id)]
    session: Option<String>,

    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    #[command(flatten)]
    tags: tags::Tagged,
}

fn session_id(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("is empty: name a session") } else { Ok(text.to_owned()) }
}

/// Runs it.
///
/// # Errors
///
/// There is no such account or session, or one could not be ended.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let options = options::EndSessions {
        session: args.session.clone(),
        reason: args.reason.clone(),
        tags: args.tags.option()?,
    };
    let sessions = Client::connect().await?.end_sessions(&args.user, &options).await?;
    context.answer(|| json::array(&sessions), |show| text(&sessions, show))?;
    survivors(&sessions).map_or(Ok(()), Err)
}

fn survivors(sessions: &[Session]) -> Option<Failure> {
    let open: Vec<_> = sessions
        .iter()
        .filter(|session| session.ended == Some(false))
        .map(|session| session.id.as_str())
        .collect();
    if open.is_empty() {
        return None;
    }
    Some(Failure::Incomplete(format!(
        "{} of {} sessions could not be ended: {}: look at `journalctl -u lockdownd`",
        open.len(),
        sessions.len(),
        open.join(", ")
    )))
}

fn text(sessions: &[Session], show: &Show) -> String {
    if sessions.is_empty() {
        return "no sessions\n".to_owned();
    }
    let mut table = Table::new(["SESSION", "USER", "SERVICE", "FROM", "RESULT"]).unbroken(&[0, 1, 4]);
    for session in sessions {
        let result = match session.ended {
            Some(false) => coloured("still open", Colour::Red),
            _ => coloured("ended", Colour::Green),
        };
        table.row([
            escape(&session.id),
            escape(&session.user),
            or_dash(&session.service),
            or_dash(&session.remote_host),
            result,
        ]);
    }
    table.render(show)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::views::tests::{session, show};

    #[test]
    fn what_is_still_open_is_a_failure() {
        let gone = Session { ended: Some(true), ..session() };
        let stubborn = Session { id: "pam-9".into(), service: "su".into(), ended: Some(false), ..session() };
        assert!(survivors(std::slice::from_ref(&gone)).is_none());
        let sessions = [gone, stubborn];
        assert_eq!(
            survivors(&sessions).unwrap().line(),
            "1 of 2 sessions could not be ended: pam-9: look at `journalctl -u lockdownd`"
        );
        insta::assert_snapshot!("end-sessions", text(&sessions, &show()));
    }
}

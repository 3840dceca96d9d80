//! `lockdownctl authenticator`

use jiff::Zoned;
use lockdown_dbus_api::{Error, options, views::Authenticator};

use super::{Context, tags, term::Term};
use crate::{
    client::Client,
    exit::Failure,
    output::{Show, authenticators, json, text::escape, time},
    target,
    terminal::Terminal,
};

const UNCHANGED: &str = "nothing was changed";

/// Lock one authenticator of an account, or unlock it
///
/// A locked authenticator does not let anybody in, while the account's other ones go on working.
#[derive(clap::Args, Debug, PartialEq)]
#[command(arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug, PartialEq)]
enum Command {
    Lock(LockArgs),
    Unlock(UnlockArgs),
}

/// Lock one authenticator and end the sessions that it opened
///
/// When the command returns, the lock is on disk and holds without the daemon. It stands until it is lifted, if nothing else is
/// said; a lock that an operator has set before is updated. A key that is removed and added again stays locked.
///
/// ID is one that `lockdownctl authenticators` lists, or a type by itself ("ssh"): all of that type, those to come included.
/// One-time passwords cannot be locked by themselves. With --json, prints the authenticator.
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl authenticator lock alice ssh:SHA256:2kf… --reason 'stolen laptop'
  lockdownctl authenticator lock alice password --for 2d
  lockdownctl authenticator lock alice ssh")]
struct LockArgs {
    /// Account whose authenticator to lock
    #[arg(value_name = "USER", value_parser = target::user)]
    user: String,

    /// Authenticator to lock
    #[arg(value_name = "ID", value_parser = id)]
    id: String,

    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// What the user is told at a login, where that can be said
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,

    #[command(flatten)]
    term: Term,

    /// Also where this host, as it is configured now, would not heed the lock
    #[arg(long)]
    unenforced: bool,

    /// Also the last authenticator with which an administrator gets in
    ///
    /// On a terminal, this is asked.
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    tags: tags::Tagged,
}

/// Lift the lock on one authenticator, or on all of a type
///
/// Lifts the lock that an operator set; a lock of another owner stays. With --json, prints the authenticator, with the ids of
/// those that were unlocked.
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl authenticator unlock alice ssh:SHA256:2kf…
  lockdownctl authenticator unlock alice --type ssh --reason 'laptop was found'")]
struct UnlockArgs {
    /// Account whose authenticator to unlock
    #[arg(value_name = "USER", value_parser = target::user)]
    user: String,

    /// Authenticator to unlock
    #[arg(value_name = "ID", value_parser = id, required_unless_present = "kind", conflicts_with = "kind")]
    id: Option<String>,

    /// Unlock all of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = ["password", "ssh", "u2f", "fingerprint", "face", "pin"])]
    kind: Option<String>,

    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    #[command(flatten)]
    tags: tags::Tagged,
}

fn id(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("is empty: name an authenticator") } else { Ok(text.to_owned()) }
}

/// Runs it.
///
/// # Errors
///
/// It could not be locked or unlocked, or a session that it opened could not be ended.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    match &args.command {
        Command::Lock(args) => lock(args, context).await,
        Command::Unlock(args) => unlock(args, context).await,
    }
}

impl LockArgs {
    fn options(&self, now: &Zoned) -> Result<options::LockAuthenticator, Failure> {
        Ok(options::LockAuthenticator {
            reason: self.reason.clone(),
            message: self.message.clone(),
            duration: self.term.option(now)?,
            owner: None,
            unenforced: self.unenforced.then_some(true),
            force: self.force.then_some(true),
            tags: self.tags.option()?,
        })
    }
}

async fn lock(args: &LockArgs, context: &mut Context) -> Result<(), Failure> {
    let mut options = args.options(&context.now)?;
    let client = Client::connect().await?;
    let locked = match client.lock_authenticator(&args.user, &args.id, &options).await {
        Err(Failure::Call(Error::LastAuthenticator(why))) => {
            confirm(why).await?;
            options.force = Some(true);
            client.lock_authenticator(&args.user, &args.id, &options).await?
        }
        other => other?,
    };
    context.answer(|| json::object(&locked), |show| locked_text(&args.user, &locked, show))?;
    survivors(&locked).map_or(Ok(()), Err)
}

/// Locking an administrator out is asked about, where somebody is there to say so.
async fn confirm(why: String) -> Result<(), Failure> {
    let Some(mut terminal) = Terminal::of_process()? else {
        return Err(Failure::Call(Error::LastAuthenticator(format!("{why}: give --force"))));
    };
    terminal.say(&format!("{}.\n", escape(&why)));
    let accept = |answer: &str| match answer {
        "yes" => Ok(true),
        "" | "n" | "no" => Ok(false),
        _ => Err("Type yes or no.".to_owned()),
    };
    if terminal.ask("Lock it all the same? (yes/no) ", accept).await? {
        return Ok(());
    }
    Err(Failure::Interrupted(UNCHANGED.to_owned()))
}

fn survivors(locked: &Authenticator) -> Option<Failure> {
    let survivors = locked.survivors.as_ref().filter(|survivors| !survivors.is_empty())?;
    Some(Failure::Incomplete(format!(
        "{} is locked, but what it opened goes on: {}: end it by `lockdownctl end-sessions`",
        locked.id,
        survivors.join(", ")
    )))
}

fn locked_text(user: &str, locked: &Authenticator, show: &Show) -> String {
    let end = match locked.locked_until {
        Some(0) | None => "until it is lifted".to_owned(),
        Some(until) => format!("until {}", time::stamp(until, show)),
    };
    let mut text = format!("{} of {} is locked {end}", escape(&locked.id), escape(user));
    match locked.sessions_ended.unwrap_or(0) {
        0 => text.push('\n'),
        1 => text.push_str("; 1 session that it opened was ended\n"),
        sessions => text.push_str(&format!("; {sessions} sessions that it opened were ended\n")),
    }
    text.push_str(&authenticators::unenforced(std::slice::from_ref(locked)));
    text
}

async fn unlock(args: &UnlockArgs, context: &mut Context) -> Result<(), Failure> {
    let options = options::UnlockAuthenticator {
        reason: args.reason.clone(),
        owner: None,
        kind: args.kind.clone(),
        tags: args.tags.option()?,
    };
    let id = args.id.as_deref().unwrap_or_default();
    let unlocked = Client::connect().await?.unlock_authenticator(&args.user, id, &options).await?;
    context.answer(|| json::object(&unlocked), |_| unlocked_text(&args.user, &unlocked))
}

fn unlocked_text(user: &str, unlocked: &Authenticator) -> String {
    let line = |id: &String| format!("{} of {} is unlocked\n", escape(id), escape(user));
    let mut text: String = unlocked.unlocked.iter().flatten().map(line).collect();
    let owners: Vec<_> = unlocked.locks.iter().map(|lock| escape(&lock.owner)).collect();
    match (unlocked.locked, owners.as_slice()) {
        (false, _) => {}
        (true, []) => text.push_str(&format!("but others of type {} stay locked\n", escape(&unlocked.kind))),
        (true, owners) => text.push_str(&format!("but it stays locked by {}\n", owners.join(", "))),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::views::tests::{at, show};

    #[test]
    fn what_was_locked_is_said_with_what_it_brought() {
        let locked = Authenticator {
            id: "ssh:SHA256:x".into(),
            kind: "ssh".into(),
            locked: true,
            locked_until: Some(at(7200)),
            enforced: true,
            sessions_ended: Some(2),
            ..Authenticator::default()
        };
        insta::assert_snapshot!("lock-authenticator", locked_text("alice", &locked, &show()));
        let why = Some("nothing guards pam_unix.so in /etc/pam.d of su".to_owned());
        let forever = Authenticator {
            id: "password".into(),
            kind: "password".into(),
            locked_until: Some(0),
            sessions_ended: Some(0),
            lockable: true,
            enforced: false,
            unenforced_reason: why,
            ..locked.clone()
        };
        insta::assert_snapshot!("lock-authenticator-unenforced", locked_text("alice\n", &forever, &show()));
        assert!(survivors(&locked).is_none());
        let own = Authenticator { survivors: Some(vec!["session 4 (it is your own)".into()]), ..locked };
        assert!(survivors(&own).unwrap().line().contains("session 4"));
    }

    #[test]
    fn what_stays_locked_is_said() {
        let unlocked = Authenticator {
            kind: "ssh".into(),
            locked: true,
            unlocked: Some(vec!["ssh:SHA256:x".into(), "ssh".into()]),
            ..Authenticator::default()
        };
        insta::assert_snapshot!("unlock-authenticator", unlocked_text("alice", &unlocked));
    }
}

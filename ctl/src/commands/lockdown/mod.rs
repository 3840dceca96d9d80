//! `lockdownctl lockdown`

mod dialog;
mod watch;

use std::io::{Write, stderr};

use clap::ValueEnum;
use lockdown_dbus_api::{
    options::{self, MAX_TEXT},
    tags::Tags,
    views::LockdownResult,
};

use self::watch::Lines;
use super::{Context, tags};
use crate::{
    client::Client,
    exit::{Failure, UNREACHABLE},
    output::{
        Show, json, lockdown,
        text::{brief, escape},
    },
    target,
    terminal::Terminal,
};

/// The step of a lockdown's progress that brings the text which a user who locks themselves down is left with.
const COMPLETION: &str = "completion";

/// Lock compromised accounts down
///
/// Deactivates the accounts: they are locked until they are restored, and have expired for what goes by shadow(5) instead
/// of PAM. Makes their passwords unusable, ends everything they run, and takes away what would let somebody act as them
/// without signing in: authorized keys, tickets of sudo and Kerberos, jobs of cron and at. Passwords, keys and jobs are kept
/// for `lockdownctl restore`. The configuration can switch each of the four off, and so can the options. Then it follows the accounts' keys into other
/// accounts, and names units that they may have had systemd start as root.
///
/// On a terminal it shows what each account has, asks why, and asks for confirmation: with one account for its name, with
/// several for their number. Without a terminal, --reason and --yes are needed.
///
/// All of several accounts are attempted, whatever becomes of the others, unless --on-error says otherwise. It is safe to
/// run it again: that finishes what was left. With --json, prints an array of the results, also for one account.
#[derive(clap::Args, Debug, PartialEq)]
#[command(override_usage = "\
lockdownctl lockdown [OPTIONS] <USER>...
       lockdownctl lockdown --self [OPTIONS]")]
#[command(after_long_help = "\
Examples:
  lockdownctl lockdown alice
  lockdownctl lockdown alice bob --reason 'phished' --message 'Call the help desk, 555-0123' --yes
  lockdownctl lockdown alice --reason 'left the company' --no-tokens --yes --json
  lockdownctl lockdown --self --reason 'my laptop was stolen'")]
pub struct Args {
    /// Accounts to lock down
    #[arg(required_unless_present = "own", value_name = "USER", value_parser = target::user)]
    users: Vec<String>,

    /// Lock your own account down
    ///
    /// Your sessions end, this one too, and somebody else has to restore the account. The configuration has to name whom
    /// you can turn to ([self_service]): it is shown before the sessions end, and at later logins.
    #[arg(long = "self", id = "own", conflicts_with_all = [
        "users", "message", "no_deactivate", "no_password", "no_sessions", "no_tokens", "on_error", "force", "suspects",
    ])]
    own: bool,

    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Option<String>,

    /// What the user is told at a login
    ///
    /// It is shown only after the user has proved who they are.
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,

    /// Do not deactivate: no lock, no account expiry
    #[arg(long)]
    no_deactivate: bool,

    /// Leave the password as it is
    #[arg(long)]
    no_password: bool,

    /// Leave what runs alone
    #[arg(long)]
    no_sessions: bool,

    /// Leave keys, tickets and jobs alone
    #[arg(long)]
    no_tokens: bool,

    /// What to do when an account cannot be locked down
    #[arg(long, value_enum, value_name = "WHAT")]
    on_error: Option<OnError>,

    /// What to do with units that the account may have had systemd start as root
    #[arg(long, value_enum, value_name = "WHAT")]
    suspects: Option<Suspects>,

    /// Also the last account that can administer the host; only root may
    #[arg(long)]
    force: bool,

    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    tags: tags::Tagged,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum OnError {
    /// Go on with the others
    Continue,
    /// Leave those after it alone
    Abort,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Suspects {
    /// Name them, with the evidence
    Report,
    /// Stop them as well
    Stop,
}

/// A reason, as an option or typed. White space alone is none.
fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("A reason is needed: the audit trail keeps it.".to_owned()),
        text if text.len() > MAX_TEXT => {
            Err(format!("This has {} bytes: at most {MAX_TEXT} are kept.", text.len()))
        }
        text => Ok(text.to_owned()),
    }
}

impl Args {
    /// What would have to be asked for.
    #[must_use]
    pub fn missing(&self) -> Option<&'static str> {
        match (&self.reason, self.yes) {
            (Some(_), true) => None,
            (None, true) => Some("--reason"),
            (Some(_), false) => Some("--yes"),
            (None, false) => Some("--reason and --yes"),
        }
    }

    fn options(&self, reason: String, tags: Option<Tags>) -> options::Lockdown {
        let off = |switch: bool| switch.then_some(false);
        options::Lockdown {
            reason: Some(reason),
            message: self.message.clone(),
            deactivate: off(self.no_deactivate),
            unusable_password: off(self.no_password),
            end_sessions: off(self.no_sessions),
            revoke_tokens: off(self.no_tokens),
            on_error: self.on_error.map(word),
            force: self.force.then_some(true),
            suspects: self.suspects.map(word),
            tags,
        }
    }

    /// What is done to the accounts, for whoever is about to confirm it.
    fn actions(&self) -> String {
        let actions = [
            ("deactivate", self.no_deactivate),
            ("unusable password", self.no_password),
            ("end sessions", self.no_sessions),
            ("revoke tokens", self.no_tokens),
        ];
        let kept: Vec<_> = actions.iter().filter_map(|(action, off)| (!off).then_some(*action)).collect();
        if kept.is_empty() {
            "Every action is switched off: it is only recorded.".to_owned()
        } else {
            format!("Actions, as far as the configuration has them: {}.", kept.join(", "))
        }
    }
}

/// The word of a value, as on the command line so on the bus.
fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Runs it.
///
/// # Errors
///
/// It was not confirmed, or an account could not be locked down, or not wholly.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    if let Some(missing) = args.missing().filter(|_| !Terminal::is_there()) {
        return Err(Failure::Usage(format!("without a terminal to ask on, {missing} must be given")));
    }
    let tags = args.tags.option()?;
    let client = Client::connect().await?;
    let mut terminal = Terminal::of_process()?;
    if args.own {
        return own(args, tags, &client, terminal, context).await;
    }
    let users = target::distinct(&args.users);
    let reason = match &mut terminal {
        Some(terminal) => dialog::ask(args, &users, &client, terminal, &watch::on_stderr(context)).await?,
        None => args.reason.clone().unwrap_or_default(),
    };
    let options = args.options(reason, tags);
    let mut lines = Lines::new(users.len() > 1, context);
    // Without it, the lockdown is no less wanted.
    let progress = if lines.are_seen() { client.progress().await.ok() } else { None };
    let answer = client.lockdown(&users, &options);
    let results =
        watch::follow(progress, answer, terminal, |user, progress| lines.heard(user, progress)).await;
    lines.close();
    conclude(results?, context)
}

/// `--self`.
async fn own(
    args: &Args,
    tags: Option<Tags>,
    client: &Client,
    mut terminal: Option<Terminal>,
    context: &mut Context,
) -> Result<(), Failure> {
    let reason = match &mut terminal {
        Some(terminal) => dialog::ask_about_oneself(args, client, terminal).await?,
        None => args.reason.clone().unwrap_or_default(),
    };
    let options = options::LockdownSelf { reason: Some(reason), tags };
    // Before the call, for it brings the text that the user is left with.
    let progress = client.progress().await.ok();
    let mut lines = Lines::new(false, context);
    let mut completed = false;
    let answer = watch::follow(progress, client.lockdown_self(&options), terminal, |user, progress| {
        if progress.step != COMPLETION {
            return lines.heard(user, progress);
        }
        completed = true;
        lines.close();
        // Whatever becomes of standard output, the lockdown goes on.
        let _ = complete(&progress.outcome, context);
    })
    .await;
    lines.close();
    match answer {
        Ok(result) => conclude(vec![result], context),
        // The session has ended, and with it the connection or the terminal, as it had to.
        Err(failure) if completed && is_the_end(&failure) => conclude(Vec::new(), context),
        Err(failure) => Err(failure),
    }
}

fn is_the_end(failure: &Failure) -> bool {
    matches!(failure, Failure::Interrupted(_)) || failure.code() == UNREACHABLE
}

/// Shows the text that the user is left with, at once: there may be no later.
fn complete(text: &str, context: &mut Context) -> Result<(), Failure> {
    if context.quiet {
        return Ok(());
    }
    let text: String = text.lines().map(|line| escape(line) + "\n").collect();
    if context.json {
        return stderr().write_all(text.as_bytes()).map_err(Failure::Output);
    }
    context.print(&text)?;
    context.flush()
}

/// Prints the results and sums their failures up.
fn conclude(results: Vec<LockdownResult>, context: &mut Context) -> Result<(), Failure> {
    let shown = |show: &Show| match results.as_slice() {
        [] => String::new(),
        results => lockdown::results(results, show),
    };
    context.answer(|| json::array(&results), shown)?;
    failure(&results).map_or(Ok(()), Err)
}

/// What failed: one account's failure is its own, with its code; of several it is that some of them failed.
fn failure(results: &[LockdownResult]) -> Option<Failure> {
    let of_result = |result: &LockdownResult| {
        let message =
            result.error.clone().unwrap_or_else(|| "failed, and the daemon does not say why".to_owned());
        Failure::of_result(result.error_name.as_deref().unwrap_or_default(), message)
    };
    let failed: Vec<_> = results.iter().filter(|result| !result.success).collect();
    match (failed.as_slice(), results) {
        ([], _) => None,
        ([one], [_]) => Some(of_result(one)),
        (several, _) => {
            let each: Vec<_> = several
                .iter()
                .map(|result| format!("{}: {}", brief(&result.user), of_result(result).line()))
                .collect();
            let total = results.len();
            Some(Failure::Incomplete(format!("failed for {} of {total}: {}", several.len(), each.join("; "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Parser, error::ErrorKind};

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(line: &str) -> Result<Args, clap::Error> {
        let words = ["lockdownctl", "lockdown"].into_iter().chain(line.split(' '));
        Cli::try_parse_from(words).map(|cli| match cli.command {
            Command::Lockdown(args) => args,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn what_is_not_said_is_the_configurations() {
        let options = parse("alice --reason r").unwrap().options("r".into(), None);
        assert_eq!(options, options::Lockdown { reason: Some("r".into()), ..Default::default() });
        let line = "alice --message m --no-deactivate --no-password --no-sessions --no-tokens --on-error abort --force \
                    --suspects stop";
        assert_eq!(
            parse(line).unwrap().options("r".into(), None),
            options::Lockdown {
                reason: Some("r".into()),
                message: Some("m".into()),
                deactivate: Some(false),
                unusable_password: Some(false),
                end_sessions: Some(false),
                revoke_tokens: Some(false),
                on_error: Some("abort".into()),
                force: Some(true),
                suspects: Some("stop".into()),
                tags: None,
            }
        );
    }

    #[test]
    fn oneself_or_others() {
        assert!(parse("--self --reason r --yes").unwrap().own);
        for line in [
            "--self alice",
            "alice --self",
            "--self --message m",
            "--self --no-deactivate",
            "--self --no-password",
            "--self --no-sessions",
            "--self --no-tokens",
            "--self --on-error abort",
            "--self --suspects stop",
            "--self --force",
        ] {
            assert_eq!(parse(line).unwrap_err().kind(), ErrorKind::ArgumentConflict, "{line}");
        }
        assert_eq!(parse("--yes").unwrap_err().kind(), ErrorKind::MissingRequiredArgument);
    }

    #[test]
    fn a_reason_is_something_and_not_endless() {
        assert_eq!(reason(" stolen laptop ").unwrap(), "stolen laptop");
        assert!(reason(" \t").unwrap_err().contains("is needed"));
        assert!(reason(&"x".repeat(MAX_TEXT)).is_ok());
        assert!(reason(&"x".repeat(MAX_TEXT + 1)).unwrap_err().contains("1025 bytes"));
        assert_eq!(parse("alice --reason ").unwrap_err().kind(), ErrorKind::ValueValidation);
    }

    #[test]
    fn what_is_missing_without_a_terminal_is_named() {
        let missing = |line: &str| parse(line).unwrap().missing();
        assert_eq!(missing("a"), Some("--reason and --yes"));
        assert_eq!(missing("a --yes"), Some("--reason"));
        assert_eq!(missing("a --reason r"), Some("--yes"));
        assert_eq!(missing("a --reason r --yes"), None);
    }

    #[test]
    fn what_is_confirmed_is_what_is_done() {
        assert!(
            parse("a --no-sessions")
                .unwrap()
                .actions()
                .ends_with("deactivate, unusable password, revoke tokens.")
        );
        let none = parse("a --no-deactivate --no-password --no-sessions --no-tokens").unwrap();
        assert!(none.actions().contains("only recorded"));
    }

    #[test]
    fn one_failure_is_itself_and_several_are_a_failure_of_some() {
        let result = |user: &str, error: Option<&str>| LockdownResult {
            user: user.into(),
            success: error.is_none(),
            error: error.map(|_| "why".into()),
            error_name: error.map(|name| format!("org.lockdown1.Error.{name}")),
            ..LockdownResult::default()
        };
        let code = |results: &[LockdownResult]| failure(results).map(|failure| failure.code());
        assert_eq!(code(&[]), None);
        assert_eq!(code(&[result("a", None)]), None);
        assert_eq!(code(&[result("a", Some("Protected"))]), Some(6));
        assert_eq!(code(&[result("a", Some("Failed"))]), Some(1));
        assert_eq!(code(&[result("a", Some("Protected")), result("b", None)]), Some(1));
        let both = [result("a\n", Some("Protected")), result("b", Some("Protected"))];
        assert_eq!(code(&both), Some(1));
        assert_eq!(failure(&both).unwrap().line(), "failed for 2 of 2: a\\n: why; b: why");
        // A daemon that does not say why failed all the same.
        let mute = LockdownResult { user: "a".into(), ..LockdownResult::default() };
        assert_eq!(code(&[mute]), Some(1));
    }
}

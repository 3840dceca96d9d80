//! The command line: what can be asked for, and the help texts, from which the man pages are generated.

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    account, accounts, apply, authenticator, authenticators, completions, config, doctor, end_sessions,
    events, expire, export, facts, failures, lock, lockdown, metrics, monitor, notify, restore, sessions,
    status, unlock, validate,
};
use crate::remote::hosts::Hosts;

/// Lock compromised accounts down and keep them out.
///
/// lockdownctl talks to lockdownd, the daemon that locks accounts, over the system bus. What it locks stays locked while
/// the daemon is stopped, across reboots, and for every way into the host that runs PAM.
///
/// USER is a login name, "uid:1000", or an identifier that was given to the account by `lockdownctl account set` ("email:…",
/// "phone:…", "id:…", or of a kind of your own). TIME is
/// "2026-12-01T14:00:00Z", "2026-12-01", "2026-12-01 14:00", "14:00" (today), "today", "tomorrow", "yesterday" (each
/// with or without a time of day) or "now"; without an offset it is in the local time zone. DURATION is a number and a
/// unit, or several: "4s", "90m", "1h30m", "2d".
#[derive(Debug, Parser, PartialEq)]
#[command(name = "lockdownctl", version, arg_required_else_help = true, after_long_help = AFTER_HELP)]
#[command(disable_help_subcommand = true)]
pub struct Cli {
    /// What holds for every subcommand.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every subcommand.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct Global {
    /// Print JSON instead of text
    ///
    /// A list is an array, a single thing an object, with the keys of the D-Bus interface org.lockdown1.Manager. Times
    /// are Unix seconds. A failure prints {"error": {"name": …, "message": …}} beside the line on stderr.
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,

    /// Print nothing on success
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    pub quiet: bool,

    /// Run on another host, or on several, over ssh
    ///
    /// Runs lockdownctl there with the same arguments; documents that are given as files go along. Several hosts are
    /// separated by commas, or come from a file, one on a line. The option may be repeated. See "Several hosts" in
    /// lockdownctl(1).
    #[arg(long = "host", short = 'H', global = true, help_heading = GLOBAL)]
    #[arg(value_name = "[USER@]HOST[,…]|@FILE", value_parser = crate::remote::hosts::parse)]
    pub hosts: Vec<Hosts>,
}

/// The subcommands.
#[derive(Debug, PartialEq, Subcommand)]
pub enum Command {
    #[allow(missing_docs)]
    Lock(lock::Args),
    #[allow(missing_docs)]
    Unlock(unlock::Args),
    #[allow(missing_docs)]
    Lockdown(lockdown::Args),
    #[allow(missing_docs)]
    Restore(restore::Args),
    #[allow(missing_docs)]
    Status(status::Args),
    #[allow(missing_docs)]
    Account(account::Args),
    #[allow(missing_docs)]
    Accounts(accounts::Args),
    #[allow(missing_docs)]
    Expire(expire::Args),
    #[allow(missing_docs)]
    Sessions(sessions::Args),
    #[allow(missing_docs)]
    EndSessions(end_sessions::Args),
    #[allow(missing_docs)]
    Authenticators(authenticators::Args),
    #[allow(missing_docs)]
    Authenticator(authenticator::Args),
    #[allow(missing_docs)]
    Failures(failures::Args),
    #[allow(missing_docs)]
    Events(events::Args),
    #[allow(missing_docs)]
    Monitor(monitor::Args),
    #[allow(missing_docs)]
    Notify(notify::Args),
    #[allow(missing_docs)]
    Metrics(metrics::Args),
    #[allow(missing_docs)]
    Apply(apply::Args),
    #[allow(missing_docs)]
    Validate(validate::Args),
    #[allow(missing_docs)]
    Export(export::Args),
    #[allow(missing_docs)]
    Facts(facts::Args),
    #[allow(missing_docs)]
    Config(config::Args),
    #[allow(missing_docs)]
    Doctor(doctor::Args),
    #[allow(missing_docs)]
    Completions(completions::Args),
}

const GLOBAL: &str = "Options of every subcommand";

const AFTER_HELP: &str = "\
Several hosts:
  Up to 16 are worked on at a time. ssh asks nobody for a password (BatchMode), and gives a host up that does not answer
  within 10 s. A command that would ask has to be told not to (--yes), and one that goes on for ever takes one host. What is
  on standard input, if the command reads it, goes to every host.
  A file, @FILE, has one host on a line; what follows a # says nothing.
  What each host printed is shown together, and at the end a table says what came of each. With --json, that is an array of
  {\"host\", \"exit\" (its exit code), \"result\" (what that means), \"output\" (what it printed; JSON as such), \"stderr\"}.
  The exit code is 0 if it was done on all, that of a failure if it failed on all with the same, otherwise 1; with
  `apply --detailed-exitcode` 2 if it failed on none and changed something on one or more.
  One host that is named by itself is as this one: ssh asks on this terminal, and its output and exit code are passed on.

Exit status:
  0  done
  1  failed, or failed for some of several
  2  wrong usage; with `apply --detailed-exitcode`: something changed
  3  no such account, session or authenticator
  4  not authorised
  5  the daemon (or, with --host, the other host) cannot be reached
  6  refused: the account is protected, the authenticator cannot be locked, the identifier is taken, or the configuration switches this off

Environment:
  NO_COLOR                 if set and not empty, no colour on a terminal either
  DBUS_SYSTEM_BUS_ADDRESS  address of the system bus
  TZ                       the local time zone

Files:
  /etc/lockdown/lockdown.toml, /etc/lockdown/lockdown.d/*.toml  the configuration
  /etc/lockdown/state.d/*.toml                                  state documents, see lockdown-state(5)
  /etc/lockdown/revoke.d/                                       hooks that a lockdown runs";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    fn help(path: &[&str]) -> String {
        let mut command = Cli::command().term_width(100);
        command.build();
        let command =
            path.iter().fold(&mut command, |command, name| command.find_subcommand_mut(name).unwrap());
        command.render_long_help().to_string()
    }

    #[test]
    fn help_of_every_subcommand() {
        insta::assert_snapshot!("help", help(&[]));
        let mut command = Cli::command();
        command.build();
        for subcommand in command.get_subcommands() {
            let name = subcommand.get_name();
            insta::assert_snapshot!(format!("help-{name}"), help(&[name]));
            for inner in subcommand.get_subcommands() {
                insta::assert_snapshot!(
                    format!("help-{name}-{}", inner.get_name()),
                    help(&[name, inner.get_name()])
                );
            }
        }
    }
}

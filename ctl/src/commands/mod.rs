//! The subcommands, one file each.

pub mod account;
pub mod accounts;
pub mod apply;
pub mod authenticator;
pub mod authenticators;
pub mod batch;
mod checked;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod end_sessions;
pub mod events;
pub mod expire;
pub mod export;
pub mod facts;
pub mod failures;
pub mod lock;
pub mod lockdown;
pub mod metrics;
pub mod monitor;
pub mod notify;
pub mod restore;
pub mod sessions;
pub mod several;
pub mod status;
pub mod tags;
pub mod term;
pub mod unlock;
pub mod validate;

use std::io::{self, Write};

use jiff::Zoned;
use serde_json::Value;

use crate::{
    cli::{Command, Global},
    exit::{DONE, Failure},
    output::{Show, json},
};

/// What a subcommand works in: when it is, and how to answer.
pub struct Context {
    /// Answer in JSON.
    pub json: bool,
    /// Answer nothing on success.
    pub quiet: bool,
    /// The time of the call, in the local time zone.
    pub now: Zoned,
    /// How text is shown.
    pub show: Show,
    /// Standard output.
    pub out: Box<dyn Write>,
    /// Whether something has been printed: an error is then no answer of its own.
    pub answered: bool,
    /// The exit code of a success.
    pub exit: u8,
}

impl Context {
    /// The context of this process.
    #[must_use]
    pub fn of_process(global: &Global, now: Zoned) -> Self {
        let show = Show::on(&io::stdout(), now.timestamp(), now.time_zone().clone());
        let out = Box::new(io::BufWriter::new(io::stdout()));
        Self { json: global.json, quiet: global.quiet, now, show, out, answered: false, exit: DONE }
    }

    /// Prints the answer, as JSON or as text.
    ///
    /// # Errors
    ///
    /// It cannot be made or printed.
    pub fn answer(
        &mut self,
        value: impl FnOnce() -> Result<Value, Failure>,
        text: impl FnOnce(&Show) -> String,
    ) -> Result<(), Failure> {
        if self.quiet {
            return Ok(());
        }
        let text = if self.json { json::text(&value()?, false)? + "\n" } else { text(&self.show) };
        self.print(&text)
    }

    /// Prints `text` as it is.
    ///
    /// # Errors
    ///
    /// It cannot be printed.
    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        self.answered = true;
        self.out.write_all(text.as_bytes()).map_err(Failure::Output)
    }

    /// Sends on what was printed.
    ///
    /// # Errors
    ///
    /// It cannot be printed.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::Output)
    }
}

/// Runs a subcommand.
///
/// # Errors
///
/// What it was asked was not done, or not wholly.
pub async fn run(command: &Command, context: &mut Context) -> Result<(), Failure> {
    match command {
        Command::Lock(args) => lock::run(args, context).await,
        Command::Unlock(args) => unlock::run(args, context).await,
        Command::Lockdown(args) => lockdown::run(args, context).await,
        Command::Restore(args) => restore::run(args, context).await,
        Command::Status(args) => status::run(args, context).await,
        Command::Apply(args) => apply::run(args, context).await,
        Command::Validate(args) => validate::run(args, context),
        Command::Export(args) => export::run(args, context).await,
        Command::Facts(args) => facts::run(args, context).await,
        Command::Account(args) => account::run(args, context).await,
        Command::Accounts(args) => accounts::run(args, context).await,
        Command::Expire(args) => expire::run(args, context).await,
        Command::Sessions(args) => sessions::run(args, context).await,
        Command::EndSessions(args) => end_sessions::run(args, context).await,
        Command::Authenticators(args) => authenticators::run(args, context).await,
        Command::Authenticator(args) => authenticator::run(args, context).await,
        Command::Failures(args) => failures::run(args, context).await,
        Command::Events(args) => events::run(args, context).await,
        Command::Monitor(args) => monitor::run(args, context).await,
        Command::Notify(args) => notify::run(args, context).await,
        Command::Metrics(args) => metrics::run(args, context).await,
        Command::Config(args) => config::run(args, context),
        Command::Doctor(args) => doctor::run(args, context).await,
        Command::Completions(args) => completions::run(args, context),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::output::views::tests::show;

    /// A context whose output nobody sees.
    pub(crate) fn context() -> Context {
        let now = show().now.to_zoned(show().zone);
        Context {
            json: false,
            quiet: false,
            now,
            show: show(),
            out: Box::new(io::sink()),
            answered: false,
            exit: DONE,
        }
    }
}

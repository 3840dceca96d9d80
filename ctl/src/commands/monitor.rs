//! `lockdownctl monitor`

use std::io::{IsTerminal, Write, stderr};

use futures_util::StreamExt;
use jiff::Timestamp;
use lockdown_dbus_api::Dict;
use serde_json::{Map, Value, json};

use super::Context;
use crate::{
    client::Client,
    exit::Failure,
    output::{Show, json, table::paint, text::escape, time},
};

/// Keys of which the value is a time.
const TIMES: [&str; 3] = ["expires_at", "valid_until", "started"];

/// Show what lockdownd announces, as it happens
///
/// Prints the signals of the D-Bus interface org.lockdown1.Manager until interrupted: locks, lockdowns, restored and expired
/// accounts, sessions. Everybody may listen, so reasons and messages are not among it: `lockdownctl events --follow` has them.
///
/// With --json, every signal is an object on a line of its own, with the keys "time" (when it arrived), "signal", "user" and
/// "details".
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl monitor
  lockdownctl monitor --json | jq -r 'select(.signal == \"LockdownTriggered\").user'")]
pub struct Args {}

/// A signal that has arrived.
#[derive(Debug, PartialEq)]
struct Announcement {
    time: i64,
    signal: String,
    user: String,
    details: Map<String, Value>,
}

/// Runs it. Returns only with an error.
///
/// # Errors
///
/// The daemon cannot be reached, the bus goes away, or nobody reads what is printed any more.
pub async fn run(_args: &Args, context: &mut Context) -> Result<(), Failure> {
    let client = Client::connect().await?;
    let mut signals = client.announcements().await?;
    if !context.quiet && stderr().is_terminal() {
        // Nothing may happen for long: whoever has started this sees that it listens.
        let _ = writeln!(stderr(), "listening; end it with Ctrl-C");
    }
    while let Some(message) = signals.next().await {
        let header = message.header();
        let Some(signal) = header.member() else { continue };
        // What a later version announces in another way is not for this one.
        let Ok((user, details)) = message.body().deserialize::<(String, Dict)>() else { continue };
        let Value::Object(details) = json::object(&details)? else { continue };
        let time = Timestamp::now().as_second();
        let announcement = Announcement { time, signal: signal.to_string(), user, details };
        let line = if context.json {
            json::text(&announcement.json(), true)?
        } else {
            announcement.line(&context.show)
        };
        if !context.quiet {
            context.print(&(line + "\n"))?;
        }
        context.flush()?;
    }
    let gone = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    Err(zbus::Error::InputOutput(gone.into()).into())
}

impl Announcement {
    fn json(&self) -> Value {
        json!({"time": self.time, "signal": self.signal, "user": self.user, "details": self.details})
    }

    fn line(&self, show: &Show) -> String {
        let mut words = vec![time::stamp(self.time, show), escape(&self.signal)];
        words.extend([&self.user].into_iter().filter(|user| !user.is_empty()).map(|user| escape(user)));
        let details: Vec<String> = self
            .details
            .iter()
            .filter_map(|(key, value)| Some(format!("{}={}", escape(key), said(key, value, show)?)))
            .collect();
        words.extend(Some(details.join(" ")).filter(|details| !details.is_empty()));
        paint(&words.join("  "), show)
    }
}

/// A value for people; `None` if it says nothing.
fn said(key: &str, value: &Value, show: &Show) -> Option<String> {
    match value {
        Value::Number(number) if TIMES.contains(&key) => match number.as_i64() {
            None | Some(0) => Some("never".to_owned()),
            Some(seconds) => Some(format!("\"{}\"", time::clock(seconds, show))),
        },
        Value::String(text) if text.is_empty() => None,
        Value::String(text) if text.contains([' ', '"', '=']) => Some(format!("\"{}\"", escape(text))),
        Value::String(text) => Some(escape(text)),
        other => Some(escape(&other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::views::tests::{at, show};

    #[test]
    fn announcements_as_lines() {
        let of = |signal: &str, user: &str, details: Value| {
            let Value::Object(details) = details else { panic!("{details}") };
            Announcement { time: at(0), signal: signal.into(), user: user.into(), details }.line(&show())
        };
        let lines = [
            of(
                "AccountLocked",
                "alice",
                json!({"id": 7, "owner": "operator", "expires_at": 0, "still_locked": true}),
            ),
            of("AccountExpired", "bob", json!({"valid_until": at(-60)})),
            of(
                "SessionStarted",
                "x\n\u{1b}[2J",
                json!({"id": "c1", "tty": "", "service": "a b", "started": at(0)}),
            ),
        ];
        insta::assert_snapshot!("monitor", lines.join("\n"));
    }
}

//! Failures: the exit code and the one line on stderr that says what to do.

use std::io::{self, Write};

use clap::error::ErrorKind;
use lockdown_dbus_api::Error;
use zbus::{DBusError, fdo};

use crate::output::text;

/// Done.
pub const DONE: u8 = 0;
/// Failed, or failed for some of several.
pub const FAILED: u8 = 1;
/// Wrong usage.
pub const USAGE: u8 = 2;
/// Something changed, or would: of `apply --detailed-exitcode`, which has no other 2.
pub const CHANGED: u8 = 2;
/// No such account, session or authenticator.
pub const NOT_FOUND: u8 = 3;
/// Not authorised.
pub const NOT_AUTHORIZED: u8 = 4;
/// The daemon cannot be reached.
pub const UNREACHABLE: u8 = 5;
/// Refused: protected, disabled, not lockable, an administrator's last authenticator, another account's identifier.
pub const REFUSED: u8 = 6;

/// What an exit code means, in a word or two; none if lockdownctl has no such code.
#[must_use]
pub fn meaning(code: u8) -> Option<&'static str> {
    Some(match code {
        DONE => "done",
        FAILED => "failed",
        USAGE => "wrong usage",
        NOT_FOUND => "not found",
        NOT_AUTHORIZED => "not authorised",
        UNREACHABLE => "daemon unreachable",
        REFUSED => "refused",
        _ => return None,
    })
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// The daemon said no, or could not be asked.
    Call(Error),
    /// The daemon did not answer in this many seconds.
    NoAnswer(u64),
    /// The command line makes no sense.
    Usage(String),
    /// Something on this host, with what to do about it.
    Local(String),
    /// The other host of `--host` cannot be reached.
    Host(String),
    /// Some of several, or all, with what each failed of.
    Several {
        /// Of how many.
        total: usize,
        /// Which, and why.
        failed: Vec<(String, Self)>,
    },
    /// On another host, which has said why.
    Elsewhere {
        /// The exit code there.
        code: u8,
        /// What it means, in a word or two.
        result: String,
    },
    /// Done, but not wholly; what is left, and what to do about it.
    Incomplete(String),
    /// Ctrl-C, or a terminal that went away; what that means.
    Interrupted(String),
    /// Several things are wrong, each on a line of its own, fit for a terminal but for escaping.
    Problems(Vec<String>),
    /// What was to be printed could not be.
    Output(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl From<zbus::Error> for Failure {
    fn from(error: zbus::Error) -> Self {
        Self::Call(error.into())
    }
}

impl Failure {
    /// The error that the daemon put into a result, rather than into the answer to the call.
    #[must_use]
    pub fn of_result(name: &str, message: String) -> Self {
        Self::Call(match name.strip_prefix("org.lockdown1.Error.") {
            Some("NoSuchAccount") => Error::NoSuchAccount(message),
            Some("Protected") => Error::Protected(message),
            Some("Disabled") => Error::Disabled(message),
            Some("NotAuthorized") => Error::NotAuthorized(message),
            Some("InvalidArgument") => Error::InvalidArgument(message),
            Some("AlreadyLocked") => Error::AlreadyLocked(message),
            Some("NotLocked") => Error::NotLocked(message),
            _ => Error::Failed(message),
        })
    }

    /// The object that stands for it in JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({"name": self.name(), "message": self.line()})
    }

    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Call(error) => call_code(error),
            Self::NoAnswer(_) | Self::Host(_) => UNREACHABLE,
            Self::Usage(_) => USAGE,
            Self::Elsewhere { code, .. } => *code,
            Self::Local(_)
            | Self::Incomplete(_)
            | Self::Interrupted(_)
            | Self::Problems(_)
            | Self::Output(_) => FAILED,
            Self::Several { total, failed } => match failed.first() {
                // All for the same reason: that reason.
                Some((_, first))
                    if failed.len() == *total && failed.iter().all(|(_, one)| one.code() == first.code()) =>
                {
                    first.code()
                }
                _ => FAILED,
            },
        }
    }

    /// The name of the error on the bus, or that of the error which is nearest to it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Call(error) => call_name(error),
            Self::NoAnswer(_) => "org.freedesktop.DBus.Error.NoReply".to_owned(),
            Self::Host(_) => "org.freedesktop.DBus.Error.NoServer".to_owned(),
            Self::Usage(_) => "org.lockdown1.Error.InvalidArgument".to_owned(),
            Self::Local(_)
            | Self::Incomplete(_)
            | Self::Interrupted(_)
            | Self::Problems(_)
            | Self::Output(_)
            | Self::Elsewhere { .. }
            | Self::Several { .. } => "org.lockdown1.Error.Failed".to_owned(),
        }
    }

    /// What failed and what to do about it, on one line, fit for a terminal.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::Call(error) => text::escape(&call_line(error)),
            Self::NoAnswer(seconds) => format!(
                "lockdownd did not answer within {seconds} s: what was asked for may still be done; look at \
                 `lockdownctl status` and `journalctl -u lockdownd`"
            ),
            Self::Usage(message) | Self::Local(message) | Self::Host(message) | Self::Incomplete(message) => {
                text::escape(message)
            }
            Self::Elsewhere { result, .. } => text::escape(result),
            Self::Interrupted(then) => format!("interrupted: {}", text::escape(then)),
            Self::Several { total, failed } => {
                let each: Vec<_> = failed
                    .iter()
                    .map(|(user, one)| format!("{}: {}", text::brief(user), one.line()))
                    .collect();
                format!("failed for {} of {total}: {}", failed.len(), each.join("; "))
            }
            Self::Problems(problems) => text::escape(&problems.join("; ")),
            Self::Output(error) => format!("cannot write to standard output: {error}"),
        }
    }

    /// The lines for stderr: one, but for [`Self::Problems`].
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Problems(problems) => problems.iter().map(|problem| text::escape(problem)).collect(),
            other => vec![other.line()],
        }
    }

    /// Whether nobody reads the output any more, as in `lockdownctl events | head`. Not worth a word.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

fn call_code(error: &Error) -> u8 {
    match error {
        Error::NoSuchAccount(_) | Error::NoSuchSession(_) | Error::NoSuchAuthenticator(_) => NOT_FOUND,
        Error::NotAuthorized(_) => NOT_AUTHORIZED,
        Error::Protected(_)
        | Error::Disabled(_)
        | Error::NotLockable(_)
        | Error::LastAuthenticator(_)
        | Error::IdentifierTaken(_) => REFUSED,
        Error::InvalidArgument(_) => USAGE,
        Error::AlreadyLocked(_) | Error::NotLocked(_) | Error::Failed(_) => FAILED,
        Error::ZBus(error) => bus_code(error),
    }
}

fn bus_code(error: &zbus::Error) -> u8 {
    use zbus::Error as Bus;
    match error {
        Bus::Connection(..)
        | Bus::InputOutput(_)
        | Bus::Handshake(_)
        | Bus::Address(_)
        | Bus::InvalidGUID => UNREACHABLE,
        Bus::FDO(error) => name_code(error.name().as_str()),
        Bus::MethodError(name, ..) => name_code(name.as_str()),
        _ => FAILED,
    }
}

/// The codes of the errors that the bus or systemd give in the daemon's place:
/// D-Bus specification, "Standard error names"; org.freedesktop.systemd1(5), "Errors".
fn name_code(name: &str) -> u8 {
    const STANDARD: &str = "org.freedesktop.DBus.Error.";
    match name.strip_prefix(STANDARD) {
        Some("AccessDenied" | "AuthFailed" | "InteractiveAuthorizationRequired") => NOT_AUTHORIZED,
        Some(
            "ServiceUnknown" | "NameHasNoOwner" | "NoReply" | "NoServer" | "Timeout" | "TimedOut"
            | "Disconnected" | "NoNetwork" | "IOError",
        ) => UNREACHABLE,
        Some(other) if other.starts_with("Spawn.") => UNREACHABLE,
        None if name.starts_with("org.freedesktop.systemd1.") => UNREACHABLE,
        _ => FAILED,
    }
}

fn call_name(error: &Error) -> String {
    match error {
        Error::ZBus(zbus::Error::MethodError(name, ..)) => name.to_string(),
        Error::ZBus(zbus::Error::FDO(error)) if !matches!(**error, fdo::Error::ZBus(_)) => {
            error.name().to_string()
        }
        Error::ZBus(error) if bus_code(error) == UNREACHABLE => {
            "org.freedesktop.DBus.Error.NoServer".to_owned()
        }
        Error::ZBus(_) => "org.lockdown1.Error.Failed".to_owned(),
        other => other.name().to_string(),
    }
}

fn call_line(error: &Error) -> String {
    let message = match error {
        Error::ZBus(zbus::Error::FDO(error)) => error.description().unwrap_or("no reason given").to_owned(),
        other => other.message(),
    };
    let message = message.trim_end_matches('.');
    match error {
        Error::ZBus(_) if call_code(error) == UNREACHABLE => format!(
            "lockdownd cannot be reached: {message}: see `systemctl status lockdownd dbus`; locks hold without it"
        ),
        Error::ZBus(_) if call_code(error) == NOT_AUTHORIZED => {
            format!("not authorised: {message}: run it as root, or on a terminal as an administrator")
        }
        _ => message.to_owned(),
    }
}

/// Says on stderr what failed, with `object` as a JSON object on stdout as well, and gives the exit code.
pub fn report(failure: &Failure, object: bool) -> u8 {
    if failure.is_closed_pipe() {
        return DONE;
    }
    // If neither stream takes it, the exit code is all there is.
    if object {
        let object = serde_json::json!({ "error": failure.json() });
        let _ = writeln!(io::stdout(), "{object}");
    }
    for line in failure.lines() {
        let _ = writeln!(io::stderr(), "lockdownctl: {line}");
    }
    failure.code()
}

/// The same for what clap says: help and version go out as they are, an error becomes one line.
pub fn report_parse(error: &clap::Error) -> u8 {
    let rendered = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let written = write!(io::stdout(), "{rendered}");
            if written.is_ok() { DONE } else { FAILED }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = write!(io::stderr(), "{rendered}");
            USAGE
        }
        _ => {
            let _ = writeln!(io::stderr(), "lockdownctl: {}", parse_line(&rendered));
            USAGE
        }
    }
}

/// The one line of a clap error: its first paragraph. Tips, usage and the pointer to the help follow it.
fn parse_line(rendered: &str) -> String {
    let message = rendered.split("\n\n").next().unwrap_or(rendered);
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let words: Vec<_> = message.split(['\n', ' ']).filter(|word| !word.is_empty()).collect();
    format!("{}: see `lockdownctl --help`", text::escape(&words.join(" ")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn fdo(error: fdo::Error) -> Failure {
        Failure::from(zbus::Error::FDO(Box::new(error)))
    }

    fn method_error(name: &str, text: &str) -> Failure {
        let call = zbus::message::Message::method_call("/a", "B").build(&()).unwrap();
        let name = zbus::names::ErrorName::try_from(name.to_owned()).unwrap();
        let reply = zbus::message::Message::error(&call.header(), name.clone()).build(&text).unwrap();
        Failure::from(zbus::Error::MethodError(name.into(), Some(text.to_owned()), reply))
    }

    #[test]
    fn the_daemons_errors() {
        for (error, code) in [
            (Error::NoSuchAccount(String::new()), 3),
            (Error::NoSuchSession(String::new()), 3),
            (Error::NoSuchAuthenticator(String::new()), 3),
            (Error::NotAuthorized(String::new()), 4),
            (Error::Protected(String::new()), 6),
            (Error::Disabled(String::new()), 6),
            (Error::NotLockable(String::new()), 6),
            (Error::InvalidArgument(String::new()), 2),
            (Error::AlreadyLocked(String::new()), 1),
            (Error::NotLocked(String::new()), 1),
            (Error::Failed(String::new()), 1),
        ] {
            let name = error.name().to_string();
            let failure = Failure::Call(error);
            assert_eq!(failure.code(), code, "{name}");
            assert_eq!(failure.name(), name);
        }
    }

    #[test]
    fn an_error_of_a_result_is_as_one_of_a_call() {
        for (name, code) in [
            ("NoSuchAccount", 3),
            ("Protected", 6),
            ("Disabled", 6),
            ("NotAuthorized", 4),
            ("InvalidArgument", 2),
            ("AlreadyLocked", 1),
            ("NotLocked", 1),
            ("Failed", 1),
        ] {
            let name = format!("org.lockdown1.Error.{name}");
            let failure = Failure::of_result(&name, "why".into());
            assert_eq!((failure.code(), failure.name(), failure.line()), (code, name, "why".to_owned()));
        }
        assert_eq!(Failure::of_result("Protected", "why".into()).code(), 1);
    }

    #[test]
    fn errors_in_the_daemons_place() {
        let refused = Arc::new(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(Failure::from(zbus::Error::InputOutput(refused)).code(), 5);
        assert_eq!(Failure::from(zbus::Error::Handshake("closed".into())).code(), 5);
        assert_eq!(Failure::from(zbus::Error::Address("what".into())).code(), 5);
        assert_eq!(fdo(fdo::Error::ServiceUnknown("no".into())).code(), 5);
        assert_eq!(fdo(fdo::Error::NameHasNoOwner("no".into())).code(), 5);
        assert_eq!(fdo(fdo::Error::NoReply("no".into())).code(), 5);
        assert_eq!(fdo(fdo::Error::SpawnFailed("no".into())).code(), 5);
        assert_eq!(fdo(fdo::Error::AccessDenied("no".into())).code(), 4);
        assert_eq!(fdo(fdo::Error::InteractiveAuthorizationRequired("no".into())).code(), 4);
        assert_eq!(fdo(fdo::Error::UnknownMethod("no".into())).code(), 1);
        assert_eq!(method_error("org.freedesktop.systemd1.UnitMasked", "masked").code(), 5);
        assert_eq!(method_error("org.freedesktop.DBus.Error.Spawn.ExecFailed", "no").code(), 5);
        assert_eq!(method_error("org.example.Else", "no").code(), 1);
        assert_eq!(Failure::NoAnswer(90).code(), 5);
    }

    #[test]
    fn the_line_says_what_to_do() {
        let masked = method_error("org.freedesktop.systemd1.UnitMasked", "Unit lockdownd.service is masked.");
        assert_eq!(
            masked.line(),
            "lockdownd cannot be reached: Unit lockdownd.service is masked: see `systemctl status lockdownd dbus`; \
             locks hold without it"
        );
        assert_eq!(masked.name(), "org.freedesktop.systemd1.UnitMasked");
        let denied = fdo(fdo::Error::AccessDenied("Sender is not authorized".into()));
        assert!(denied.line().starts_with("not authorised: Sender is not authorized: run it as root"));
    }

    #[test]
    fn a_line_stays_one() {
        let failure = Failure::Call(Error::Failed("a\nlockdownctl: alice is unlocked\u{1b}[2K".into()));
        assert_eq!(failure.line(), "a\\nlockdownctl: alice is unlocked\\u{1b}[2K");
    }

    #[test]
    fn several_have_a_code_of_their_own() {
        let protected = || ("root".to_owned(), Failure::Call(Error::Protected("no".into())));
        let unknown = || ("ghost\n".to_owned(), Failure::Call(Error::NoSuchAccount("none".into())));
        let code = |total, failed| Failure::Several { total, failed }.code();
        assert_eq!(code(3, vec![protected(), protected()]), 1);
        assert_eq!(code(2, vec![protected(), unknown()]), 1);
        assert_eq!(code(2, vec![protected(), protected()]), 6);
        let failure = Failure::Several { total: 3, failed: vec![protected(), unknown()] };
        assert_eq!(failure.line(), "failed for 2 of 3: root: no; ghost\\n: none");
    }

    #[test]
    fn what_clap_says_becomes_one_line() {
        let rendered = "error: the following required arguments were not provided:\n  <USER>...\n\nUsage: x\n\nFor more \
                        information, try '--help'.\n";
        assert_eq!(
            parse_line(rendered),
            "the following required arguments were not provided: <USER>...: see `lockdownctl --help`"
        );
    }
}

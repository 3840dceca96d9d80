//! How answers are shown: as text for people ([`table`], [`time`], [`text`], [`views`]) or as [`json`] for programs.

pub mod json;
pub mod table;
pub mod text;
pub mod time;
pub mod views;

use std::io::{self, IsTerminal};

use jiff::{Timestamp, tz::TimeZone};

/// What showing text depends on.
#[derive(Clone, Debug)]
pub struct Show {
    /// The time that relative times refer to.
    pub now: Timestamp,
    /// The time zone of absolute times.
    pub zone: TimeZone,
    /// Whether to colour.
    pub colour: bool,
    /// Columns of the terminal; none if it is not one: then lines are as long as they need.
    pub width: Option<u16>,
}

impl Show {
    /// What suits standard output: colour only on a terminal, and not if NO_COLOR (no-color.org) is set.
    #[must_use]
    pub fn on_stdout(now: Timestamp, zone: TimeZone) -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let width =
            rustix::termios::tcgetwinsize(&stdout).ok().map(|size| size.ws_col).filter(|width| *width > 0);
        Self { now, zone, colour: terminal && !dumb && !set("NO_COLOR"), width: width.filter(|_| terminal) }
    }
}

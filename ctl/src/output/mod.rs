//! How answers are shown: as text for people ([`table`], [`time`], [`text`], [`views`], [`lockdown`], [`progress`],
//! [`applied`]) or as [`json`] for programs.

pub mod applied;
pub mod authenticators;
pub mod json;
pub mod lockdown;
pub mod progress;
pub mod prometheus;
pub mod table;
pub mod text;
pub mod time;
pub mod views;

use std::{io::IsTerminal, os::fd::AsFd};

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
    /// What suits a stream: colour only on a terminal, and not if NO_COLOR (no-color.org) is set.
    #[must_use]
    pub fn on(stream: &(impl AsFd + IsTerminal), now: Timestamp, zone: TimeZone) -> Self {
        let terminal = stream.is_terminal();
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let width =
            rustix::termios::tcgetwinsize(stream).ok().map(|size| size.ws_col).filter(|width| *width > 0);
        Self { now, zone, colour: terminal && !dumb && !set("NO_COLOR"), width: width.filter(|_| terminal) }
    }
}

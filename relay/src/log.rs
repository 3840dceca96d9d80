//! Lines for the journal: on standard error, with the priority in front as sd-daemon(3) says.

use std::{
    fmt,
    io::{self, Write},
};

/// Somebody should look.
pub fn warning(text: impl fmt::Display) {
    line(4, &text);
}

/// Ordinary.
pub fn info(text: impl fmt::Display) {
    line(6, &text);
}

/// One write, so that the lines of several threads do not mix. A log that takes nothing holds up no message.
fn line(priority: u8, text: &dyn fmt::Display) {
    let _ = io::stderr().write_all(format!("<{priority}>{text}\n").as_bytes());
}

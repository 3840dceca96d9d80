//! `lockdown-relay local`: delivers one item on this host, in the unit that the daemon has made for it.

use std::{
    io::{self, Read, Write},
    time::SystemTime,
};

use lockdown_delivery::{Item, MAX_FRAME, Outcome, Transport, Verdict, frame};

use crate::{exec, sendmail, wall};

/// An item as JSON from standard input, its verdict as a line of JSON to standard output.
///
/// # Errors
/// `InvalidData` for what is no item; those of reading and writing.
pub fn run() -> io::Result<()> {
    let mut json = Vec::new();
    io::stdin().take(MAX_FRAME as u64 + 1).read_to_end(&mut json)?;
    if json.len() > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the item is too large"));
    }
    let item: Item =
        frame::decode(&json).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let outcome = match item.check() {
        Ok(()) => deliver(&item, SystemTime::now()),
        Err(error) => Outcome::refused(error.to_string()),
    };
    let mut line = serde_json::to_vec(&Verdict { id: item.id, outcome })?;
    line.push(b'\n');
    io::stdout().write_all(&line)
}

fn deliver(item: &Item, now: SystemTime) -> Outcome {
    match &item.transport {
        Transport::Sendmail { from, to } => sendmail::deliver(item, from, to, now),
        Transport::Exec { command } => exec::deliver(item, command),
        Transport::Wall { users } => wall::deliver(item, users),
        Transport::Email { .. } | Transport::Webhook { .. } => {
            Outcome::refused("this is delivered over the relay's socket, not on this host")
        }
    }
}

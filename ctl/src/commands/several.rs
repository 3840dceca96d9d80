//! What a command on several hosts at once must be like: nobody can be asked, and it ends.

use crate::{cli::Command, exit::Failure};

/// Refuses what would ask, or not end.
///
/// # Errors
///
/// What is missing.
pub fn check(command: &Command) -> Result<(), Failure> {
    let missing = match command {
        Command::Lockdown(args) => args.missing(),
        Command::Restore(args) => args.missing(),
        Command::Monitor(_) => return Err(endless()),
        Command::Events(args) if args.is_endless() => return Err(endless()),
        _ => None,
    };
    missing.map_or(Ok(()), |missing| {
        Err(Failure::Usage(format!("several hosts cannot ask at once: {missing} must be given")))
    })
}

fn endless() -> Failure {
    Failure::Usage("this goes on until it is stopped: give one host".to_owned())
}

/// Whether the command reads standard input.
#[must_use]
pub fn reads_stdin(command: &Command) -> bool {
    match command {
        Command::Apply(args) => args.bundle,
        Command::Validate(args) => args.bundle,
        Command::Restore(args) => args.reads_password(),
        _ => false,
    }
}

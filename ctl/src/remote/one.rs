//! One other host, as if it were this one.

use std::{
    io::{IsTerminal, Write, stdin, stdout},
    process::{Child, Command, Stdio},
    thread,
};

use super::{
    Ending,
    order::{Input, Order},
};
use crate::exit::Failure;

/// Runs it there with the terminal of this process, and gives the exit code it has there.
///
/// # Errors
///
/// ssh is missing, or could not reach the host, or there is no lockdownctl there.
pub fn run(host: &str, order: Order) -> Result<u8, Failure> {
    let mut ssh = Command::new("ssh");
    match order.input {
        Input::Inherited => {
            if stdin().is_terminal() && stdout().is_terminal() {
                ssh.arg("-t");
            }
        }
        Input::Text(_) => _ = ssh.stdin(Stdio::piped()),
    }
    ssh.arg("--").arg(host).args(order.command());
    let failed = |error| {
        Failure::Host(format!("cannot run ssh: {error}: install an ssh client, or run this on {host}"))
    };
    let mut child = ssh.spawn().map_err(failed)?;
    send(&mut child, order.input);
    match Ending::from(child.wait().map_err(failed)?) {
        Ending::Exit(code) => Ok(code),
        Ending::Unreachable => Err(Failure::Host(format!(
            "{host} cannot be reached with ssh, which says why above: see that `ssh {host}` works"
        ))),
        Ending::NotInstalled => Err(Failure::Host(format!(
            "{host} has no lockdownctl in its PATH: install the package lockdown there"
        ))),
        Ending::Killed => Err(Failure::Host(format!("ssh to {host} was ended by a signal: try again"))),
    }
}

/// Sends the text. What of it nobody reads shows in how the command ends.
fn send(child: &mut Child, input: Input) {
    if let (Some(mut stdin), Input::Text(text)) = (child.stdin.take(), input) {
        thread::spawn(move || _ = stdin.write_all(&text));
    }
}

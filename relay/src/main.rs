//! `lockdown-relay`: see lockdown-relay(8).

use std::process::ExitCode;

use lockdown_relay::{local, serve};

/// The command line is wrong, or standard input is not what it has to be.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => ended(serve::run()),
        ["local"] => ended(local::run()),
        ["--version"] => {
            println!("lockdown-relay {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!(
                "lockdown-relay takes no arguments but `local` and `--version`; it is started by systemd and by \
                 lockdownd. See lockdown-relay(8)."
            );
            ExitCode::from(USAGE)
        }
    }
}

fn ended(result: std::io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("<3>lockdown-relay: {error}");
            if error.kind() == std::io::ErrorKind::InvalidInput {
                ExitCode::from(USAGE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

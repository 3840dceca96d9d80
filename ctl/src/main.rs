//! `lockdownctl`: the operator's command of lockdown.

use std::process::ExitCode;

fn main() -> ExitCode {
    lockdownctl::main(std::env::args_os().collect())
}

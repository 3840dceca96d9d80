//! `--host`: the same command on another host, over ssh(1).

use std::{
    ffi::OsString,
    io::{IsTerminal, stdin, stdout},
    os::unix::{ffi::OsStrExt, process::ExitStatusExt},
    process::Command,
};

use clap::Parser;

use crate::{cli::Cli, exit::Failure, shell::quote};

/// ssh's own failure, ssh(1) "EXIT STATUS".
const SSH_FAILED: i32 = 255;
/// The shell could not run the command or did not find it, POSIX "Exit Status for Commands".
const NOT_RUN: [i32; 2] = [126, 127];

/// Runs the command line `args`, which was parsed to `cli`, on `host`, and gives the exit code it has there.
///
/// # Errors
///
/// ssh is missing, or could not reach the host, or there is no lockdownctl there.
pub fn run(host: &str, cli: &Cli, args: &[OsString]) -> Result<u8, Failure> {
    let args = without_host(args);
    let expected = clap_equal(cli, &args);
    if !expected {
        return Err(Failure::Usage("write --host by itself: `lockdownctl --host HOST …`".to_owned()));
    }
    let mut ssh = Command::new("ssh");
    if stdin().is_terminal() && stdout().is_terminal() {
        ssh.arg("-t");
    }
    ssh.arg("--").arg(host).arg("lockdownctl").args(args.iter().skip(1).map(|arg| quote(arg)));
    let status = ssh.status().map_err(|error| {
        Failure::Host(format!("cannot run ssh: {error}: install an ssh client, or run this on {host}"))
    })?;
    match (status.code(), status.signal()) {
        (Some(SSH_FAILED), _) => Err(Failure::Host(format!(
            "{host} cannot be reached with ssh, which says why above: see that `ssh {host}` works"
        ))),
        (Some(code), _) if NOT_RUN.contains(&code) => Err(Failure::Host(format!(
            "{host} has no lockdownctl in its PATH: install the package lockdown there"
        ))),
        (Some(code), _) => Ok(u8::try_from(code).unwrap_or(crate::exit::FAILED)),
        (None, signal) => {
            Err(Failure::Host(format!("ssh was ended by signal {}", signal.unwrap_or_default())))
        }
    }
}

/// Whether `args` ask for what `cli` asks for, without a host.
fn clap_equal(cli: &Cli, args: &[OsString]) -> bool {
    Cli::try_parse_from(args).is_ok_and(|remote| {
        remote.global.host.is_none()
            && remote.global.json == cli.global.json
            && remote.global.quiet == cli.global.quiet
            && remote.command == cli.command
    })
}

/// The arguments without `-H HOST`, `-HHOST`, `--host HOST` and `--host=HOST`.
fn without_host(args: &[OsString]) -> Vec<OsString> {
    let mut kept = Vec::with_capacity(args.len());
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_bytes() {
            b"--" => {
                kept.push(arg.clone());
                kept.extend(rest.cloned());
                break;
            }
            b"-H" | b"--host" => _ = rest.next(),
            glued if glued.starts_with(b"-H") || glued.starts_with(b"--host=") => {}
            _ => kept.push(arg.clone()),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &str) -> Vec<OsString> {
        words.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_host_is_taken_out_however_it_is_written() {
        for line in [
            "lockdownctl -H web1 lock alice --json",
            "lockdownctl -Hweb1 lock alice --json",
            "lockdownctl lock --host web1 alice --json",
            "lockdownctl lock alice --host=web1 --json",
        ] {
            let cli = Cli::try_parse_from(args(line)).unwrap();
            assert_eq!(cli.global.host.as_deref(), Some("web1"), "{line}");
            let rest = without_host(&args(line));
            assert_eq!(rest, args("lockdownctl lock alice --json"), "{line}");
            assert!(clap_equal(&cli, &rest), "{line}");
        }
    }

    #[test]
    fn what_follows_two_dashes_is_no_option() {
        let line = args("lockdownctl -H web1 lock -- -H");
        assert_eq!(without_host(&line), args("lockdownctl lock -- -H"));
    }

    #[test]
    fn a_host_that_is_not_found_among_the_arguments_is_noticed() {
        let line = args("lockdownctl -qHweb1 status");
        let cli = Cli::try_parse_from(&line).unwrap();
        assert_eq!(cli.global.host.as_deref(), Some("web1"));
        assert!(!clap_equal(&cli, &without_host(&line)));
    }
}

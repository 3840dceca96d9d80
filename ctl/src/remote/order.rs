//! What another host is to run, and what it reads there.

use std::{
    ffi::OsString,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
};

use clap::Parser;

use super::hosts::{self, Hosts};
use crate::{
    cli::{Cli, Command, Global},
    commands::several,
    documents,
    exit::Failure,
    shell::quote,
};

/// Most that is read from standard input to be sent, in bytes.
const MOST: u64 = 512 << 20;

/// A command for another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The words after `lockdownctl`.
    words: Vec<OsString>,
    /// What it reads.
    pub input: Input,
}

/// What the command reads on its standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// That of this process.
    Inherited,
    /// This.
    Text(Vec<u8>),
}

impl Order {
    /// The order for a host that takes the place of this one.
    ///
    /// # Errors
    ///
    /// A file that is to go along cannot be read; the host is not found among the arguments.
    pub fn for_one(cli: &Cli, args: &[OsString]) -> Result<Self, Failure> {
        match Self::with_files(cli)? {
            Some(order) => Ok(order),
            None => Ok(Self { words: without_host(cli, args)?, input: Input::Inherited }),
        }
    }

    /// The order for several, none of which can ask anybody: what this process has on standard input is read once.
    ///
    /// # Errors
    ///
    /// As [`Self::for_one`], and a command that would have to ask, or that does not end.
    pub fn for_several(cli: &Cli, args: &[OsString]) -> Result<Self, Failure> {
        several::check(&cli.command)?;
        if let Some(order) = Self::with_files(cli)? {
            return Ok(order);
        }
        let words = without_host(cli, args)?;
        let mut text = Vec::new();
        if several::reads_stdin(&cli.command) {
            let read = io::stdin().lock().take(MOST).read_to_end(&mut text);
            read.map_err(|error| Failure::Local(format!("standard input cannot be read: {error}")))?;
        }
        Ok(Self { words, input: Input::Text(text) })
    }

    /// The order, if files of this host have to go along.
    fn with_files(cli: &Cli) -> Result<Option<Self>, Failure> {
        let (mut words, input) = match &cli.command {
            Command::Apply(args) if !args.files.is_empty() => {
                let sources = documents::read(&args.files)?;
                args.check_given(&sources)?;
                (args.words_with_bundle(), documents::bundle(&sources)?)
            }
            Command::Validate(args) if !args.files.is_empty() => {
                (args.words_with_bundle(), documents::bundle(&documents::read(&args.files)?)?)
            }
            Command::Config(args) => match args.words_with_stdin()? {
                Some((words, text)) => (words, text.into_bytes()),
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        let switches = [("--json", cli.global.json), ("--quiet", cli.global.quiet)];
        let switches = switches.iter().filter(|(_, is_on)| *is_on).map(|(word, _)| (*word).into());
        words.extend(switches);
        Ok(Some(Self { words, input: Input::Text(input) }))
    }

    /// The words for ssh(1), of which the shell there makes a command.
    pub fn command(&self) -> impl Iterator<Item = OsString> {
        std::iter::once("lockdownctl".into()).chain(self.words.iter().map(|word| quote(word)))
    }
}

/// The arguments after the program's name without `-H HOST`, `-HHOST`, `--host HOST` and `--host=HOST`.
fn without_host(cli: &Cli, args: &[OsString]) -> Result<Vec<OsString>, Failure> {
    let (mut kept, mut found) = (Vec::with_capacity(args.len()), Vec::new());
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let bytes = arg.as_bytes();
        match bytes {
            b"--" => {
                kept.push(arg.clone());
                kept.extend(rest.cloned());
                break;
            }
            b"-H" | b"--host" => found.extend(rest.next().map(|host| host.as_bytes())),
            _ => match bytes.strip_prefix(b"-H").or_else(|| bytes.strip_prefix(b"--host=")) {
                Some(host) => found.push(host),
                None => kept.push(arg.clone()),
            },
        }
    }
    let hosts: Option<Vec<Hosts>> =
        found.iter().map(|host| hosts::parse(str::from_utf8(host).ok()?).ok()).collect();
    // Those before the subcommand are forgotten when there are some after it, too.
    let is_whole = hosts.as_ref() == Some(&cli.global.hosts);
    let global = Global { hosts: Vec::new(), ..cli.global.clone() };
    let is_same = Cli::try_parse_from(&kept)
        .is_ok_and(|remote| remote.global == global && remote.command == cli.command);
    if !is_whole || !is_same {
        let message = "write --host by itself, and all of them in one place: `lockdownctl --host HOST …`";
        return Err(Failure::Usage(message.to_owned()));
    }
    kept.remove(0);
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &str) -> Vec<OsString> {
        words.split(' ').map(OsString::from).collect()
    }

    fn left(line: &str) -> Result<Vec<OsString>, Failure> {
        let args = args(line);
        without_host(&Cli::try_parse_from(&args).unwrap(), &args)
    }

    #[test]
    fn the_host_is_taken_out_however_it_is_written() {
        for line in [
            "lockdownctl -H web1 lock alice --json",
            "lockdownctl -Hweb1 lock alice --json",
            "lockdownctl lock --host web1 alice --json",
            "lockdownctl lock alice --host=web1 --json",
            "lockdownctl -H web1,web2 -H@hosts lock alice --json",
            "lockdownctl lock -H web1 alice --json --host=@hosts",
        ] {
            assert_eq!(left(line).unwrap(), args("lock alice --json"), "{line}");
        }
    }

    #[test]
    fn what_follows_two_dashes_is_no_option() {
        assert_eq!(left("lockdownctl -H web1 lock -- -H").unwrap(), args("lock -- -H"));
    }

    #[test]
    fn a_host_that_is_not_found_among_the_arguments_is_noticed() {
        let line = "lockdownctl -qHweb1 status";
        let cli = Cli::try_parse_from(args(line)).unwrap();
        assert_eq!(cli.global.hosts, [Hosts::Named(vec!["web1".into()])]);
        assert_eq!(left(line).unwrap_err().code(), 2);
    }

    #[test]
    fn a_host_that_would_be_forgotten_is_noticed() {
        let failure = left("lockdownctl -H web1 status -H web2").unwrap_err();
        assert!(failure.line().contains("all of them in one place"), "{failure:?}");
    }

    #[test]
    fn files_go_along_and_everything_else_is_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.toml");
        std::fs::write(&path, "version = 1\n").unwrap();
        for command in
            ["apply FILE --name it's --check --diff", "validate FILE", "apply FILE --tag a=b --remove db"]
        {
            let line = format!("lockdownctl -H web1 {command} --quiet").replace("it's", "its");
            let line = line.replace("FILE", path.to_str().unwrap());
            let cli = Cli::try_parse_from(args(&line)).unwrap();
            let order = Order::for_one(&cli, &args(&line)).unwrap();
            let remote = std::iter::once(OsString::from("lockdownctl")).chain(order.words.clone());
            let remote = Cli::try_parse_from(remote).unwrap();
            let expected = line.replace("-H web1 ", "").replace(path.to_str().unwrap(), "--bundle");
            assert_eq!(remote, Cli::try_parse_from(args(&expected)).unwrap(), "{line}");
            let Input::Text(text) = order.input else { panic!("{line}") };
            let sources: Vec<documents::Source> = serde_json::from_slice(&text).unwrap();
            assert_eq!(sources[0].path.as_ref(), Some(&path));
            assert_eq!((sources.len(), sources[0].text.as_str()), (1, "version = 1\n"));
        }
    }

    #[test]
    fn settings_go_along_as_standard_input() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("site.toml");
        std::fs::write(&path, "nss.timeout = '2s'\n").unwrap();
        let path = path.to_str().unwrap();
        for options in ["", " --at /etc/lockdown/lockdown.d/50-site.toml --json"] {
            let line = format!("lockdownctl -H web1 config check {path}{options}");
            let cli = Cli::try_parse_from(args(&line)).unwrap();
            let order = Order::for_several(&cli, &args(&line)).unwrap();
            assert_eq!(order.words, args(&format!("config check -{options}")));
            assert_eq!(order.input, Input::Text(b"nss.timeout = '2s'\n".into()));
        }
    }
}

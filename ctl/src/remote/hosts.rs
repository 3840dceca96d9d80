//! Which hosts `--host` names.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use crate::{exit::Failure, target};

/// Longest list of hosts, in bytes.
const LONGEST: u64 = 16 << 20;

/// One `--host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// These.
    Named(Vec<String>),
    /// Those that the file has, one on a line.
    File(PathBuf),
}

/// Reads `HOST`, `HOST,HOST` or `@FILE`.
///
/// # Errors
///
/// One is no host: see [`target::host`].
pub fn parse(text: &str) -> Result<Hosts, String> {
    match text.strip_prefix('@') {
        Some("") => Err("names no file: give @FILE".to_owned()),
        Some(file) => Ok(Hosts::File(file.into())),
        None => Ok(Hosts::Named(text.split(',').map(target::host).collect::<Result<_, _>>()?)),
    }
}

/// Where a command is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// On one host, as if it were this one.
    One(String),
    /// On each of these, which can be one: the answer has a row for each. In the order in which they were named, each once.
    Several(Vec<String>),
}

impl Targets {
    /// Reads the files among `hosts`. Several are what is written as several.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or has a line that is no host.
    pub fn of(hosts: &[Hosts]) -> Result<Self, Failure> {
        if let [Hosts::Named(named)] = hosts
            && let [host] = named.as_slice()
        {
            return Ok(Self::One(host.clone()));
        }
        let mut all = Vec::new();
        for one in hosts {
            match one {
                Hosts::Named(named) => all.extend_from_slice(named),
                Hosts::File(path) => all.extend(read(path)?),
            }
        }
        if all.is_empty() {
            return Err(Failure::Usage("--host names no host: the file has none".to_owned()));
        }
        Ok(Self::Several(target::distinct(&all)))
    }
}

fn read(path: &Path) -> Result<Vec<String>, Failure> {
    let unreadable = |error| Failure::Local(format!("{} cannot be read: {error}", path.display()));
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text)).map_err(unreadable)?;
    if text.len() as u64 == LONGEST {
        return Err(Failure::Local(format!("{} has more than {} MiB", path.display(), LONGEST >> 20)));
    }
    list(&text).map_err(|(line, why)| Failure::Usage(format!("{}:{line}: {why}", path.display())))
}

/// One host a line; empty lines, and what follows a `#`, say nothing. An error has the number of its line.
fn list(text: &str) -> Result<Vec<String>, (usize, &'static str)> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let named = (1..).zip(lines).filter(|(_, line)| !line.is_empty());
    named.map(|(number, line)| target::host(line).map_err(|why| (number, why))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(hosts: &[&str]) -> Hosts {
        Hosts::Named(hosts.iter().map(|host| (*host).to_owned()).collect())
    }

    #[test]
    fn hosts_and_files_are_told_apart() {
        assert_eq!(parse("web1"), Ok(named(&["web1"])));
        assert_eq!(parse("root@web1,web2,::1"), Ok(named(&["root@web1", "web2", "::1"])));
        assert_eq!(parse("@web.hosts"), Ok(Hosts::File("web.hosts".into())));
        for text in ["", "@", ",", "web1,", "web1,,web2", "web1, web2", "web1,-oProxyCommand=x", "web1,@file"]
        {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn one_host_is_one_and_a_list_of_one_is_a_list() {
        let one = Targets::One("web1".into());
        let list = |hosts: &[&str]| Targets::Several(hosts.iter().map(|host| (*host).to_owned()).collect());
        assert_eq!(Targets::of(&[named(&["web1"])]).unwrap(), one);
        assert_eq!(Targets::of(&[named(&["web1"]), named(&["web1"])]).unwrap(), list(&["web1"]));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hosts");
        let of_file = || Targets::of(&[named(&["web1"]), Hosts::File(path.clone())]);
        assert_eq!(of_file().unwrap_err().code(), 1);
        std::fs::write(&path, "# all\n\nweb2 # of the second rack\n\troot@web1\r\nweb2").unwrap();
        assert_eq!(of_file().unwrap(), list(&["web1", "web2", "root@web1"]));
        std::fs::write(&path, "web1\n\n-oProxyCommand=x\n").unwrap();
        let failure = of_file().unwrap_err();
        assert_eq!(failure.code(), 2);
        assert!(failure.line().contains("hosts:3: is no host"), "{failure:?}");
        std::fs::write(&path, "#\n").unwrap();
        assert_eq!(Targets::of(&[Hosts::File(path.clone())]).unwrap_err().code(), 2);
    }

    const HOST: &str = "([a-z][a-z0-9]{0,6}@)?[a-z0-9][a-z0-9.:-]{0,12}";

    proptest! {
        #[test]
        fn what_is_listed_is_what_is_read(
            hosts in proptest::collection::vec(HOST, 0..20),
            separators in proptest::collection::vec("[ \t]{0,3}(#[^\n]{0,9})?\r?\n([ \t]*(#[^\n]{0,9})?\n){0,2}", 20),
        ) {
            let text: String = hosts.iter().zip(&separators).map(|(host, end)| format!("{host}{end}")).collect();
            prop_assert_eq!(list(&text), Ok(hosts.clone()));
            if !hosts.is_empty() {
                prop_assert_eq!(parse(&hosts.join(",")), Ok(Hosts::Named(hosts)));
            }
        }

        #[test]
        fn no_host_is_one_that_ssh_could_misread(text in "[-@,# \ta-z\n\r\u{0}=]{0,12}") {
            let found = match parse(&text) {
                Ok(Hosts::Named(named)) => named,
                _ => Vec::new(),
            };
            for host in found.into_iter().chain(list(&text).unwrap_or_default()) {
                prop_assert!(!host.is_empty() && !host.starts_with(['-', '@']), "{host:?}");
                prop_assert!(!host.contains([' ', '\t', '\n', '\r', '\0', ',']), "{host:?}");
            }
        }
    }
}

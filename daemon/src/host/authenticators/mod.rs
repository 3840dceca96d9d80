//! What an account has to authenticate with on this host: one file for each type.

mod counts;
pub mod enforced;
mod face;
mod fingerprint;
mod keys_command;
mod password;
mod pin;
mod ssh;
mod totp;
mod u2f;
mod user_file;

pub use counts::{Counts, count};

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use lockdown_enforcement::escape::escape;
use lockdown_pam_stacks::{Line, lines};
use tokio::{task::spawn_blocking, time::timeout};
use zbus::Connection;

use super::{
    pam_stacks::{DIRECTORIES, Service, services},
    shadow::Shadow,
};
use crate::domain::{
    account::Account,
    authenticator::{Authenticator, Kind},
};
use ssh::Sshd;

/// How long reading the files of an account may take: its home directory may lie on a server that is away.
const LIMIT: Duration = Duration::from_secs(10);
/// Longest label, in characters.
const MAX_LABEL: usize = 128;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Each once, by type.
    pub authenticators: Vec<Authenticator>,
    /// What could not be looked at, in words for an administrator.
    pub problems: Vec<String>,
    obstacles: BTreeMap<Kind, String>,
}

impl Found {
    /// Why this host would not heed a lock on an authenticator of this type; `None` if it would.
    #[must_use]
    pub fn obstacle(&self, kind: Kind) -> Option<&str> {
        self.obstacles.get(&kind).map(String::as_str)
    }

    fn add(&mut self, (authenticators, problems): (Vec<Authenticator>, Vec<String>)) {
        for new in authenticators {
            // A key may stand in two files.
            if !self.authenticators.iter().any(|known| known.id == new.id) {
                self.authenticators.push(new);
            }
        }
        self.problems.extend(problems);
    }
}

/// Looks for everything that the account has. What cannot be looked at is named, and hides nothing else.
pub async fn find(bus: &Connection, account: &Account) -> Found {
    let (sshd, problem) = Sshd::ask(account).await;
    let (of_command, fingers) =
        tokio::join!(keys_command::find(sshd.keys_command(), account), fingerprint::find(bus, account));
    let owner = account.clone();
    let reading = timeout(LIMIT, spawn_blocking(move || read_files(&owner, &sshd)));
    let mut found = match reading.await {
        Ok(Ok(found)) => found,
        _ => Found {
            problems: vec![format!(
                "the files of {} could not be read in time: is its file server reachable?",
                escape(&account.name)
            )],
            ..Found::default()
        },
    };
    found.problems.extend(problem);
    found.add(of_command);
    found.add(fingers);
    found.authenticators.sort_by_key(|authenticator| authenticator.kind);
    found
}

fn read_files(account: &Account, sshd: &Sshd) -> Found {
    let services = services(&DIRECTORIES.map(Path::new));
    let lines: Vec<&Line> = services.iter().flat_map(|service| lines(&service.auth)).collect();
    let mut found = Found { obstacles: obstacles(&services, sshd), ..Found::default() };
    found.add((password::find(account, &Shadow::read()).into_iter().collect(), Vec::new()));
    found.add(sshd.keys(account));
    found.add(u2f::find(account, &lines));
    found.add(face::find(account));
    found.add(pin::find(account, &lines));
    found.add(totp::find(account));
    found
}

fn obstacles(services: &[Service], sshd: &Sshd) -> BTreeMap<Kind, String> {
    let obstacle = |kind| enforced::obstacle(kind, services, sshd).map(|why| (kind, why));
    Kind::ALL.into_iter().filter_map(obstacle).collect()
}

fn problem(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", escape(path.as_os_str().as_encoded_bytes()))
}

/// A text that users write, as a label: on one line, of bounded length.
fn label(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let text: String = text.chars().filter(|character| !character.is_control()).take(MAX_LABEL).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_one_bounded_line() {
        assert_eq!(label(b" alice\x1b[2J\n@work "), "alice[2J@work");
        assert_eq!(label("ä".repeat(1000).as_bytes()).chars().count(), MAX_LABEL);
        assert_eq!(label(b"\xff"), "\u{fffd}");
    }

    #[test]
    fn what_is_in_two_files_is_listed_once() {
        let key = |label: &str| Authenticator {
            id: "ssh:SHA256:x".into(),
            kind: Kind::Ssh,
            label: label.into(),
            passkey: false,
            added: None,
        };
        let mut found = Found::default();
        found.add((vec![key("first"), key("again")], vec!["a problem".into()]));
        found.add((vec![key("elsewhere")], Vec::new()));
        assert_eq!((found.authenticators, found.problems), (vec![key("first")], vec!["a problem".into()]));
    }
}

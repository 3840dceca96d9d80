//! What an account has beside its password, in numbers: less than a listing, for what is asked often.

use std::{collections::BTreeSet, io, path::Path, time::Duration};

use lockdown_pam_stacks::{Line, lines};
use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use super::{keys_command, ssh::Sshd, totp, u2f};
use crate::{
    domain::{account::Account, authenticator::Authenticator},
    host::pam_stacks::{DIRECTORIES, services},
};

/// How long it may take: whoever locks an account waits for it.
const LIMIT: Duration = Duration::from_secs(2);
/// Threads that home directories on a server that is away may keep.
static PLACES: Semaphore = Semaphore::const_new(8);

/// Numbers; `None` where it could not be looked at in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `sk-` keys of SSH and enrolments of pam_u2f, as a listing has them.
    pub passkeys: Option<u32>,
    /// Whether there are one-time passwords.
    pub totp: Option<bool>,
    /// Backup codes that are left.
    pub backup_codes: Option<u32>,
}

/// Counts what the account has.
pub async fn count(account: &Account) -> Counts {
    let end = Instant::now() + LIMIT;
    let Ok((sshd, _)) = timeout_at(end, Sshd::ask(account)).await else { return Counts::default() };
    let (owner, of_owner) = (account.clone(), sshd.clone());
    let of_command = timeout_at(end, keys_command::find(sshd.keys_command(), account));
    let of_files = timeout_at(end, async {
        let place = PLACES.try_acquire().ok()?;
        let reading = spawn_blocking(move || {
            let _place = place;
            let services = services(&DIRECTORIES.map(Path::new));
            let lines: Vec<&Line> = services.iter().flat_map(|service| lines(&service.auth)).collect();
            let keys = [of_owner.keys(&owner), u2f::find(&owner, &lines)];
            (keys, totp::find(&owner), totp::backup_codes(&owner))
        });
        reading.await.ok()
    });
    let (of_command, of_files) = tokio::join!(of_command, of_files);
    let of_command = of_command.unwrap_or_else(|_| (Vec::new(), vec!["it takes too long".to_owned()]));
    let Ok(Some(([keys, enrolments], totp, backup_codes))) = of_files else { return Counts::default() };
    numbers(&[of_command, keys, enrolments], totp, backup_codes)
}

/// Authenticators, and what could not be looked at.
type Found = (Vec<Authenticator>, Vec<String>);

fn numbers(keys: &[Found], (codes, problems): Found, backup_codes: io::Result<u32>) -> Counts {
    let passkeys: BTreeSet<&str> = keys
        .iter()
        .flat_map(|(found, _)| found)
        .filter(|found| found.passkey)
        .map(|found| found.id.as_str())
        .collect();
    let all_seen = keys.iter().all(|(_, problems)| problems.is_empty());
    Counts {
        passkeys: u32::try_from(passkeys.len()).ok().filter(|_| all_seen),
        totp: Some(!codes.is_empty()).filter(|found| *found || problems.is_empty()),
        backup_codes: backup_codes.ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::authenticator::Kind;

    fn one(id: &str, passkey: bool) -> Authenticator {
        Authenticator { id: id.into(), kind: Kind::Ssh, label: String::new(), passkey, added: None }
    }

    #[test]
    fn each_passkey_counts_once_and_other_keys_do_not() {
        let files = (vec![one("ssh:SHA256:a", true), one("ssh:SHA256:b", false)], Vec::new());
        let command = (vec![one("ssh:SHA256:a", true), one("u2f:SHA256:c", true)], Vec::new());
        let counts = numbers(&[files, command], (vec![one("totp:oath", false)], Vec::new()), Ok(5));
        assert_eq!(counts, Counts { passkeys: Some(2), totp: Some(true), backup_codes: Some(5) });
    }

    #[test]
    fn what_could_not_be_looked_at_is_not_taken_for_none() {
        let problem = || (Vec::new(), vec!["a link".to_owned()]);
        let counts = numbers(&[problem()], problem(), Err(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(counts, Counts::default());
        let seen = (vec![one("totp:oath", false)], vec!["a link".to_owned()]);
        assert_eq!(numbers(&[], seen, Ok(0)).totp, Some(true));
    }
}

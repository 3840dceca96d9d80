//! Kerberos credential caches: files and directories in /tmp, and what sssd's KCM keeps. Those in the kernel's
//! keyrings go with [the keyrings](super::keyring), those in /run/user with the account's last session.

use std::{path::Path, process::Stdio, time::Duration};

use lockdown_enforcement::escape::escape;
use tokio::process::Command;

use super::{Counted, owned};
use crate::domain::account::Account;

const KLIST: &str = "/usr/bin/klist";
const KDESTROY: &str = "/usr/bin/kdestroy";
/// sssd-kcm(8)
const KCM_SOCKET: &str = "/run/.heim_org.h5l.kcm-socket";
/// How long a tool may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Removes an account's caches in /tmp.
pub fn revoke_files(account: &Account) -> Counted {
    let mut counted = Counted::default();
    // krb5cc_1000, krb5cc_1000_Xy12ab, krb5cc_pam_Xy12ab: by whom it belongs to, not by its name.
    let (names, problems) = owned::remove(account, Path::new("/tmp"), |name| name.starts_with(b"krb5cc_"));
    counted.add("kerberos_caches", names.len());
    counted.problems.extend(problems);
    counted
}

/// Destroys an account's caches in KCM, where there is one.
pub async fn revoke_kcm(account: &Account) -> Counted {
    let mut counted = Counted::default();
    if !Path::new(KDESTROY).exists() || !Path::new(KCM_SOCKET).exists() {
        return counted;
    }
    let caches = match run(account, KLIST, "-l").await {
        Ok(list) => count(&list),
        Err(_) => 0,
    };
    match run(account, KDESTROY, "-A").await {
        Ok(_) => counted.add("kerberos_caches", caches),
        Err(why) => counted.problems.push(format!("kdestroy -A: {why}")),
    }
    counted
}

/// KCM knows whose caches are meant by the uid of who asks.
async fn run(account: &Account, program: &str, option: &str) -> Result<String, String> {
    let mut command = Command::new(program);
    command.arg(option).env_clear().env("KRB5CCNAME", "KCM:").current_dir("/").stdin(Stdio::null());
    // With a uid and no groups set, std drops all supplementary groups.
    command.uid(account.uid).gid(account.gid).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output())
        .await
        .map_err(|_| "it did not end in time".to_owned())?
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(escape(output.stderr.trim_ascii()).to_string())
    }
}

/// Caches that klist(1) lists: after a heading, principal and name of the cache.
fn count(list: &str) -> usize {
    list.lines()
        .filter(|line| line.split_whitespace().nth(1).is_some_and(|name| name.starts_with("KCM:")))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_are_counted_without_the_heading() {
        let list = "Principal name                 Cache name\n--------------                 ----------\n\
                    alice@EXAMPLE.ORG              KCM:1000\nalice@OTHER                    KCM:1000:42 (Expired)\n";
        assert_eq!(count(list), 2);
        assert_eq!(count(""), 0);
    }
}

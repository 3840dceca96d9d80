//! Tables of cron.

use std::path::{Path, PathBuf};

use super::Found;
use crate::{
    domain::account::Account,
    host::quarantine::{KeptKind, QuarantineError, examine},
};

/// Debian, Fedora, SUSE.
const SPOOLS: [&str; 3] = ["/var/spool/cron/crontabs", "/var/spool/cron", "/var/spool/cron/tabs"];

/// Looks for an account's table. cron reads it again when it is back: renaming it into the spool directory changes the
/// time by which cron knows that there is something new (cron(8)).
pub fn find(account: &Account) -> Found {
    find_in(&SPOOLS.map(PathBuf::from), account)
}

fn find_in(spools: &[PathBuf], account: &Account) -> Found {
    let mut found = Found::default();
    if Path::new(&account.name).file_name() != Some(account.name.as_ref()) {
        return found;
    }
    for spool in spools {
        match examine(KeptKind::Crontab, account, &spool.join(&account.name)) {
            // An account may be called `crontabs`; cron takes nothing else than a file for a table.
            Ok(None) | Err(QuarantineError::NoFile(..)) => {}
            Ok(Some(kept)) => {
                found.jobs += jobs(&kept.content);
                found.kept.push(kept);
            }
            Err(error) => found.problems.push(error.to_string()),
        }
    }
    found
}

/// How many lines of crontab(5) are jobs.
fn jobs(content: &[u8]) -> u32 {
    let starts_job = |line: &&[u8]| {
        let first = line.iter().find(|byte| !byte.is_ascii_whitespace());
        first.is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'*' | b'@' | b'-' | b'~'))
    };
    let jobs = content.split(|byte| *byte == b'\n').filter(starts_job).count();
    u32::try_from(jobs).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn jobs_are_told_from_comments_and_variables() {
        let table = b"# m h\n\nMAILTO=a\n*/5 * * * * x\n 1 2 3 4 5 y\n@reboot z\n-*/2 * * * * quiet\n";
        assert_eq!(jobs(table), 4);
    }

    #[test]
    fn only_a_file_of_her_name_is_her_table() {
        let spool = tempfile::tempdir().unwrap();
        let account = |name: &str| Account::without_nss(name.to_owned(), 61_000);
        let find = |name: &str| find_in(&[spool.path().to_owned()], &account(name));
        std::fs::write(spool.path().join("alice"), "@reboot x\n").unwrap();
        std::fs::create_dir(spool.path().join("crontabs")).unwrap();
        let found = find("alice");
        assert_eq!((found.kept.len(), found.jobs), (1, 1));
        assert_eq!(found.kept[0].content, b"@reboot x\n");
        for name in ["crontabs", "bob", "", ".", "..", "../alice"] {
            assert_eq!(find(name), Found::default(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_table_has_more_jobs_than_lines(content: Vec<u8>) {
            let lines = content.split(|byte| *byte == b'\n').count();
            prop_assert!(usize::try_from(jobs(&content)).unwrap() <= lines);
        }
    }
}

//! PINs: files of pam_pwdfile, with which a host takes a second, shorter secret.

use std::path::{Path, PathBuf};

use lockdown_pam_stacks::Line;

use super::user_file::read_system;
use crate::{
    domain::{
        account::Account,
        authenticator::{Authenticator, Kind},
    },
    host::shadow::fields,
};

/// The module that checks them.
pub const MODULE: &str = "pam_pwdfile.so";

/// The PINs of an account, and what could not be looked at. `lines` are those of the authentication of all services.
pub fn find(account: &Account, lines: &[&Line]) -> (Vec<Authenticator>, Vec<String>) {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for path in files(lines) {
        match read_system(&path) {
            Ok(Some(content)) if is_enrolled(&content.bytes, &account.name) => found.push(Authenticator {
                id: format!("pin:{}", path.display()),
                kind: Kind::Pin,
                label: path.display().to_string(),
                passkey: false,
                added: content.written,
            }),
            Ok(_) => {}
            Err(error) => problems.push(super::problem(&path, &error)),
        }
    }
    (found, problems)
}

/// The files that the module is told of, as `pwdfile=PATH` or `pwdfile PATH`.
fn files(lines: &[&Line]) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for line in lines.iter().filter(|line| line.module == MODULE) {
        let after = || {
            let at = line.arguments.iter().position(|argument| argument == "pwdfile")?;
            line.arguments.get(at + 1).map(String::as_str)
        };
        if let Some(path) = line.argument("pwdfile").or_else(after).map(Path::new)
            && path.is_absolute()
            && !files.iter().any(|known| known == path)
        {
            files.push(path.to_owned());
        }
    }
    files
}

fn is_enrolled(content: &[u8], name: &str) -> bool {
    fields(content, name)
        .and_then(|fields| fields.get(1).copied())
        .is_some_and(|hash| !hash.is_empty() && !hash.starts_with(b"!") && !hash.starts_with(b"*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(module: &str, arguments: &[&str]) -> Line {
        Line {
            control: "sufficient".into(),
            module: module.into(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            ..Line::default()
        }
    }

    #[test]
    fn an_account_with_a_hash_in_the_modules_file_has_a_pin() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pins");
        std::fs::write(&path, "bob:$5$x\nalice:$5$y\ncarol:!$5$z\n").unwrap();
        let text = path.to_str().unwrap();
        let equals = line(MODULE, &["nodelay", &format!("pwdfile={text}")]);
        let blank = line(MODULE, &["pwdfile", text]);
        let find = |name: &str| find(&Account::without_nss(name.into(), 1000), &[&equals, &blank]).0;
        assert_eq!(find("alice")[0].id, format!("pin:{text}"));
        assert_eq!(find("alice").len(), 1);
        assert_eq!(find("carol").len() + find("dave").len(), 0);
    }

    #[test]
    fn other_modules_and_relative_paths_have_no_files() {
        let lines =
            [line("pam_u2f.so", &["pwdfile=/a"]), line(MODULE, &["pwdfile=a"]), line(MODULE, &["pwdfile"])];
        assert_eq!(files(&lines.iter().collect::<Vec<_>>()), Vec::<PathBuf>::new());
    }
}

//! Mail by this host's own mail transfer agent: sendmail(8), as postfix, exim and others have it.

use std::{
    io,
    process::Command,
    time::{Duration, SystemTime},
};

use lockdown_delivery::{Item, Outcome};

use crate::{child, email};

const SENDMAIL: &str = "/usr/sbin/sendmail";
/// It only queues.
const LIMIT: Duration = Duration::from_secs(45);

/// What will be no better the next time (sysexits.h): EX_USAGE, EX_DATAERR, EX_NOUSER, EX_NOHOST.
const FOR_GOOD: [i32; 4] = [64, 65, 67, 68];

pub(crate) fn deliver(item: &Item, from: &str, to: &[String], now: SystemTime) -> Outcome {
    deliver_by(SENDMAIL, item, from, to, now)
}

fn deliver_by(program: &str, item: &Item, from: &str, to: &[String], now: SystemTime) -> Outcome {
    let mail = match email::build(item, from, to, now) {
        Ok(mail) => mail,
        Err(why) => return Outcome::retry(why),
    };
    let mut command = Command::new(program);
    // A line with a single dot ends no mail; what follows "--" is no option.
    command.args(["-i", "-f", AsRef::<str>::as_ref(&mail.from), "--"]).args(&mail.to);
    command.env_clear().env("PATH", child::PATH);
    // It takes a text file of this host's, with this host's ends of lines.
    let text: Vec<u8> = mail.bytes.into_iter().filter(|byte| *byte != b'\r').collect();
    let ended = match child::run(&mut command, &text, LIMIT) {
        Ok(ended) => ended,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Outcome::retry(format!(
                "{program} is missing: install a mail transfer agent, or set server in [email]"
            ));
        }
        Err(error) => return Outcome::retry(format!("{program} cannot be run: {error}")),
    };
    match ended.problem(LIMIT) {
        None => Outcome::Delivered,
        Some(problem) => {
            let error = format!("sendmail: {problem}");
            let code = ended.status.and_then(|status| status.code());
            if code.is_some_and(|code| FOR_GOOD.contains(&code)) {
                Outcome::refused(error)
            } else {
                Outcome::retry(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path};

    use super::*;
    use crate::samples::{HOSTILE, hostile, wall};

    fn program(directory: &Path, script: &str) -> String {
        let path = directory.join("sendmail");
        fs::write(&path, format!("#!/bin/sh\ncd '{}'\n{script}\n", directory.display())).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    fn sent(program: &str) -> Outcome {
        let to = ["root".to_owned(), "Security <security@example.org>".to_owned()];
        deliver_by(program, &hostile(wall(), HOSTILE), "lockdown@example.org", &to, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn the_mail_is_on_standard_input_and_recipients_are_arguments() {
        let directory = tempfile::tempdir().unwrap();
        let script = "printf '%s\\n' \"$@\" > arguments; cat > mail; env > environment";
        assert_eq!(sent(&program(directory.path(), script)), Outcome::Delivered);
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(read("arguments"), "-i\n-f\nlockdown@example.org\n--\nroot\nsecurity@example.org\n");
        assert!(read("mail").contains("\nTo: root, Security <security@example.org>\n"), "{}", read("mail"));
        assert!(!read("mail").contains('\r') && !read("mail").replace("=\n", "").contains("\nBcc"));
        assert!(
            read("environment").lines().all(|line| ["PATH=", "PWD=", "OLDPWD=", "SHLVL=", "_="]
                .iter()
                .any(|it| line.starts_with(it)))
        );
    }

    #[test]
    fn how_it_ends_is_the_verdict() {
        let directory = tempfile::tempdir().unwrap();
        let ended = |script: &str| sent(&program(directory.path(), script));
        assert_eq!(ended("exit 67"), Outcome::refused("sendmail: exit status: 67"));
        assert_eq!(ended("echo full >&2; exit 75"), Outcome::retry("sendmail: exit status: 75: full"));
        let Outcome::Retry { error, .. } = sent("/nonexistent/sendmail") else { panic!() };
        assert!(error.contains("install a mail transfer agent"), "{error}");
    }
}

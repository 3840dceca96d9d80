//! Keys that sshd gets from a program: sshd_config(5), AuthorizedKeysCommand.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use lockdown_enforcement::escape::escape;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    task::spawn_blocking,
    time::timeout,
};

use crate::{
    domain::{account::Account, authenticator::Authenticator},
    host::nss::Nss,
};

/// How long the program may take.
const LIMIT: Duration = Duration::from_secs(5);
/// How much it may print, in bytes.
const MAX: u64 = 1024 * 1024;

/// The keys that the program (command line, user to run it as) has for an account, and what went wrong.
pub async fn find(command: Option<(&str, &str)>, account: &Account) -> (Vec<Authenticator>, Vec<String>) {
    let Some((command, user)) = command else { return (Vec::new(), Vec::new()) };
    match ask(command, user, account).await {
        Ok(output) => (super::ssh::authenticators(&output, None), Vec::new()),
        Err(why) => (Vec::new(), vec![format!("AuthorizedKeysCommand of sshd: {why}")]),
    }
}

async fn ask(command: &str, user: &str, account: &Account) -> Result<Vec<u8>, String> {
    let (program, arguments) = expand(command, account)?;
    let nss = Nss::new(LIMIT);
    let user = nss.by_name(user).await.map_err(|error| error.to_string())?;
    let user = user.ok_or("there is no such AuthorizedKeysCommandUser")?;
    let path = program.clone();
    spawn_blocking(move || check(&path)).await.map_err(|error| error.to_string())??;
    timeout(LIMIT, run(&program, &arguments, &user))
        .await
        .map_err(|_| {
            format!(
                "{} took longer than {} s",
                escape(program.as_os_str().as_encoded_bytes()),
                LIMIT.as_secs()
            )
        })?
        .map_err(|error| format!("{}: {error}", escape(program.as_os_str().as_encoded_bytes())))
}

async fn run(program: &Path, arguments: &[String], user: &Account) -> io::Result<Vec<u8>> {
    let mut command = Command::new(program);
    // As sshd starts it, subprocess() of auth.c: no groups but the user's own, and a clean environment.
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("USER", &user.name)
        .env("LOGNAME", &user.name)
        .env("HOME", &user.home)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if rustix::process::geteuid().is_root() {
        command.gid(user.gid).uid(user.uid);
    }
    let mut child = command.spawn()?;
    let output = bounded(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?).await?;
    let status = child.wait().await?;
    if status.success() { Ok(output) } else { Err(io::Error::other(format!("it ended with {status}"))) }
}

async fn bounded(stream: impl AsyncRead + Unpin) -> io::Result<Vec<u8>> {
    let mut output = Vec::new();
    stream.take(MAX + 1).read_to_end(&mut output).await?;
    if output.len() as u64 > MAX {
        return Err(io::Error::other(format!("it printed more than {MAX} bytes")));
    }
    Ok(output)
}

/// Program and arguments, with the account in them. One without arguments gets the account's name.
fn expand(command: &str, account: &Account) -> Result<(PathBuf, Vec<String>), String> {
    if command.contains(['"', '\'', '\\']) {
        return Err(
            "its command line has quotation marks, which `sshd -T` does not print as they were".to_owned()
        );
    }
    let mut words = command.split_ascii_whitespace().map(|word| tokens(word, account));
    let program = PathBuf::from(words.next().ok_or("it is empty")??);
    let mut arguments = words.collect::<Result<Vec<_>, _>>()?;
    if arguments.is_empty() {
        arguments.push(account.name.clone());
    }
    Ok((program, arguments))
}

fn tokens(word: &str, account: &Account) -> Result<String, String> {
    let mut expanded = String::with_capacity(word.len());
    let mut characters = word.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            expanded.push(character);
            continue;
        }
        match characters.next() {
            Some('%') => expanded.push('%'),
            Some('u') => expanded.push_str(&account.name),
            Some('U') => expanded.push_str(&account.uid.to_string()),
            Some('h') => expanded.push_str(&account.home.to_string_lossy()),
            token => {
                let token = token.map(String::from).unwrap_or_default();
                return Err(format!(
                    "it is asked about one key (%{token}) or connection at a time: its keys cannot be listed"
                ));
            }
        }
    }
    Ok(expanded)
}

/// The rule of sshd: the program and every directory on the way to it belong to root, and nobody else may write there.
fn check(program: &Path) -> Result<(), String> {
    let named = || escape(program.as_os_str().as_encoded_bytes()).to_string();
    if !program.is_absolute() {
        return Err(format!("{}: the path is not absolute", named()));
    }
    let real = program.canonicalize().map_err(|error| format!("{}: {error}", named()))?;
    for path in real.ancestors() {
        let metadata = path.metadata().map_err(|error| format!("{}: {error}", named()))?;
        if metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
            return Err(format!(
                "{}: {} belongs to others than root, or others may write there: sshd does not run it",
                named(),
                escape(path.as_os_str().as_encoded_bytes())
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn alice() -> Account {
        Account { name: "alice".into(), uid: 1000, gid: 1000, home: "/home/alice".into() }
    }

    fn nobody() -> Account {
        Account { name: "nobody".into(), uid: 65534, gid: 65534, home: "/nonexistent".into() }
    }

    #[test]
    fn the_account_is_put_into_the_command_line() {
        let (program, arguments) = expand("/usr/bin/keys --user=%u %U %h 100%%", &alice()).unwrap();
        assert_eq!(program, Path::new("/usr/bin/keys"));
        assert_eq!(arguments, ["--user=alice", "1000", "/home/alice", "100%"]);
        assert_eq!(expand("/usr/bin/keys", &alice()).unwrap().1, ["alice"]);
        for command in ["/usr/bin/keys %f", "/usr/bin/keys %", "/usr/bin/keys \"a b\"", ""] {
            assert!(expand(command, &alice()).is_err(), "{command}");
        }
    }

    #[test]
    fn only_what_root_alone_can_write_is_run() {
        assert_eq!(check(Path::new("/usr/bin/env")), Ok(()));
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("keys");
        std::fs::write(&program, "").unwrap();
        // /tmp is everybody's.
        assert!(check(&program).unwrap_err().contains("sshd does not run it"));
        assert!(check(Path::new("bin/env")).unwrap_err().contains("not absolute"));
        assert!(check(Path::new("/nonexistent")).is_err());
    }

    #[tokio::test]
    async fn the_program_runs_as_its_user_with_nothing_of_ours() {
        let output = run(Path::new("/usr/bin/id"), &["-u".into()], &nobody()).await.unwrap();
        let output = String::from_utf8(output).unwrap();
        if rustix::process::geteuid().is_root() {
            assert_eq!(output.trim(), "65534");
        }
        let environment = run(Path::new("/usr/bin/env"), &[], &nobody()).await.unwrap();
        assert_eq!(String::from_utf8(environment).unwrap().lines().count(), 4);
        assert!(run(Path::new("/bin/false"), &[], &nobody()).await.is_err());
    }

    #[tokio::test]
    async fn what_it_prints_is_bounded() {
        assert!(bounded(tokio::io::repeat(b'x')).await.is_err());
        assert_eq!(bounded(&b"key"[..]).await.unwrap(), b"key");
    }

    proptest! {
        #[test]
        fn no_command_line_makes_it_panic(command: String) {
            let _ = expand(&command, &alice());
        }
    }
}

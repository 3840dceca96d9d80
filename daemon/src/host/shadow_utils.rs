//! Changes of shadow(5), through the programs of shadow-utils only: they take the locks, keep the other lines as they
//! are, tell the caches, and leave their traces in the host's log.

use std::{
    ffi::OsStr,
    fmt, io,
    process::{Output, Stdio},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::AsyncWriteExt,
    process::Command,
    time::{Instant, sleep, timeout_at},
};

use lockdown_enforcement::escape::escape;

use super::{random, shadow};

const USERMOD: &str = "/usr/sbin/usermod";
const CHPASSWD: &str = "/usr/sbin/chpasswd";
const CHAGE: &str = "/usr/bin/chage";

/// No password has this hash: crypt(3) makes none that begins with `!` or `*`. The `!` is what sshd without PAM takes for
/// a locked account, to refuse keys as well (sshd_config(5), UsePAM). What is left when `passwd -u` or `usermod -U` takes
/// it away, `*`, matches nothing either.
pub const UNUSABLE_HASH: &str = "!*";
/// 1970-01-02. Day 0 is not used: to some readers of shadow(5) it means that the account never expires.
const EXPIRED: &str = "1";
/// As the day of the last change (shadow(5)).
const CHANGE_AT_LOGIN: &str = "0";

/// For one change. The programs themselves wait 15 s for /etc/.pwd.lock (lckpwdf(3)).
const LIMIT: Duration = Duration::from_secs(20);
/// Before the next attempt when somebody holds /etc/shadow.lock, for which the programs do not wait.
const PAUSE: Duration = Duration::from_millis(100);
/// `PAM_MAX_RESP_SIZE` of pam.h, less the terminator.
const MAX_PASSWORD: usize = 511;

/// Crockford's base 32: nothing in it is mistaken for something else when it is read out.
const CODE_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Of five characters each: 125 bits in all.
const CODE_GROUPS: usize = 5;

/// What a lockdown changes in a line of shadow(5), as the text of its fields.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowState {
    /// Field 2: the hash, or what stands in its place.
    pub hash: String,
    /// Field 3: day of the last change of the password; `0`: it has to be changed at the next login.
    pub last_change: String,
    /// Field 8: day on which the account expires; empty: never.
    pub expires: String,
}

impl fmt::Debug for ShadowState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The hash is a secret.
        out.debug_struct("ShadowState")
            .field("last_change", &self.last_change)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl ShadowState {
    /// Whether the password has to be changed at the next login.
    #[must_use]
    pub fn must_change(&self) -> bool {
        self.last_change == CHANGE_AT_LOGIN
    }
}

/// Which parts of a [`ShadowState`] are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    expires: bool,
    /// And with it the day of its last change.
    hash: bool,
}

/// Why a line of shadow(5) is not as it should be. Fit for a caller; names no secret.
#[derive(Debug, thiserror::Error)]
pub enum ShadowError {
    /// A directory account.
    #[error("{0} is not in /etc/shadow: its directory has to be told")]
    NotLocal(String),
    /// The line cannot be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// Somebody else changes the file all the time.
    #[error("/etc/shadow is kept locked by another program, so {0} could not be changed: try again")]
    Busy(String),
    /// A program did not do it.
    #[error("{program} did not change /etc/shadow for {account}: {said}")]
    Failed {
        /// Its path.
        program: &'static str,
        /// Escaped.
        account: String,
        /// What it wrote, or how it ended; escaped.
        said: String,
    },
    /// A program has said that it did, and the line is another.
    #[error(
        "/etc/shadow does not have what was written for {0}: has another program changed it? See pwck(8)"
    )]
    NotAsWanted(String),
    /// The password cannot be one.
    #[error("the password {0}")]
    BadPassword(&'static str),
    /// The host's PAM rules do not take the password. What stood there stands there still.
    #[error("the password was refused: {0}")]
    Refused(String),
}

/// What shadow(5) has for the account; `None` for one that is not in the host's own files: a directory account.
///
/// # Errors
/// Those of reading; a line that shadow-utils would not understand; an account that only passwd(5) has.
pub fn state_of(name: &str) -> io::Result<Option<ShadowState>> {
    ShadowUtils::HOST.state_of(name)
}

/// Makes the account expired, its password unusable, or both: one call of usermod(8). Does nothing where that is so.
///
/// # Errors
/// [`ShadowError`]
pub async fn shut(name: &str, expire: bool, unusable: bool) -> Result<(), ShadowError> {
    ShadowUtils::HOST.shut(name, Parts { expires: expire, hash: unusable }).await
}

/// Puts back the expiry, the hash with the day of its last change, or both. Does nothing where that is so.
///
/// # Errors
/// [`ShadowError`]
pub async fn put_back(name: &str, state: &ShadowState, expires: bool, hash: bool) -> Result<(), ShadowError> {
    ShadowUtils::HOST.put_back(name, state, Parts { expires, hash }).await
}

/// Puts back the account's `own` expiry alone. Where that is not known, the one that [`shut`] sets goes, and no other.
///
/// # Errors
/// [`ShadowError`]
pub async fn lift_expiry(name: &str, own: Option<&ShadowState>) -> Result<(), ShadowError> {
    ShadowUtils::HOST.lift_expiry(name, own).await
}

/// Sets a password, as far as the host's PAM stack for chpasswd(8) takes it. PAM lets root do what it complains about
/// (pam_pwquality(8)); here a complaint counts as a refusal, and what stood there before is put back.
///
/// # Errors
/// [`ShadowError`]
pub async fn set_password(name: &str, password: &str) -> Result<(), ShadowError> {
    ShadowUtils::HOST.set_password(name, password).await
}

/// Sets a random one-time code as the password and returns it. For as long as the account
/// [must change it](ShadowState::must_change), nobody has used it.
///
/// # Errors
/// [`ShadowError`]
pub async fn set_recovery_code(name: &str) -> Result<String, ShadowError> {
    ShadowUtils::HOST.set_recovery_code(name).await
}

/// The programs, on the files of one root directory.
struct ShadowUtils<'r> {
    root: &'r str,
}

impl ShadowUtils<'static> {
    const HOST: Self = Self { root: "/" };
}

impl ShadowUtils<'_> {
    fn state_of(&self, name: &str) -> io::Result<Option<ShadowState>> {
        let read = |file: &str| match std::fs::read(format!("{}{file}", self.root)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(io::Error::new(error.kind(), format!("/{file} cannot be read: {error}"))),
            read => read,
        };
        let file = read("etc/shadow")?;
        if let Some(fields) = shadow::fields(&file, name) {
            return state(&fields).map(Some).ok_or_else(|| {
                let name = escape(name);
                io::Error::other(format!("the line of {name} in /etc/shadow is damaged: see pwck(8)"))
            });
        }
        if shadow::fields(&read("etc/passwd")?, name).is_some() {
            let name = escape(name);
            return Err(io::Error::other(format!(
                "{name} is in /etc/passwd and not in /etc/shadow: pwconv(8) puts it there"
            )));
        }
        Ok(None)
    }

    fn local(&self, name: &str) -> Result<ShadowState, ShadowError> {
        self.state_of(name)?.ok_or_else(|| ShadowError::NotLocal(escape(name).to_string()))
    }

    async fn shut(&self, name: &str, parts: Parts) -> Result<(), ShadowError> {
        let before = self.local(name)?;
        let wanted = ShadowState {
            hash: UNUSABLE_HASH.to_owned(),
            last_change: before.last_change.clone(),
            expires: EXPIRED.to_owned(),
        };
        let expire = parts.expires && before.expires != wanted.expires;
        let unusable = parts.hash && before.hash != wanted.hash;
        let mut arguments = Vec::new();
        if expire {
            arguments.extend(["--expiredate", EXPIRED]);
        }
        if unusable {
            arguments.extend(["--password", UNUSABLE_HASH]);
        }
        if arguments.is_empty() {
            return Ok(());
        }
        arguments.extend(["--", name]);
        self.run(USERMOD, name, &arguments, "").await?;
        let after = self.local(name)?;
        if (!expire || after.expires == EXPIRED) && (!unusable || after.hash == UNUSABLE_HASH) {
            Ok(())
        } else {
            Err(ShadowError::NotAsWanted(escape(name).to_string()))
        }
    }

    async fn put_back(&self, name: &str, state: &ShadowState, parts: Parts) -> Result<(), ShadowError> {
        let now = self.local(name)?;
        // chpasswd(8) does not take a line apart that has another one in it.
        if state.hash.contains([':', '\n', '\0']) {
            return Err(ShadowError::NotAsWanted(escape(name).to_string()));
        }
        if parts.hash && now.hash != state.hash {
            self.run(CHPASSWD, name, &["--encrypted"], &format!("{name}:{}\n", state.hash)).await?;
        }
        let mut arguments = Vec::new();
        // Asked anew: chpasswd has set it to today.
        if parts.hash && self.local(name)?.last_change != state.last_change {
            arguments.extend(["--lastday", day(&state.last_change)]);
        }
        if parts.expires && now.expires != state.expires {
            arguments.extend(["--expiredate", day(&state.expires)]);
        }
        if !arguments.is_empty() {
            arguments.extend(["--", name]);
            self.run(CHAGE, name, &arguments, "").await?;
        }
        let after = self.local(name)?;
        let hash_back = after.hash == state.hash && same_day(&after.last_change, &state.last_change);
        if (!parts.hash || hash_back) && (!parts.expires || same_day(&after.expires, &state.expires)) {
            Ok(())
        } else {
            Err(ShadowError::NotAsWanted(escape(name).to_string()))
        }
    }

    async fn lift_expiry(&self, name: &str, own: Option<&ShadowState>) -> Result<(), ShadowError> {
        let now = self.local(name)?;
        let own = match own {
            Some(own) => own.clone(),
            None if now.expires == EXPIRED => ShadowState { expires: String::new(), ..now },
            None => return Ok(()),
        };
        self.put_back(name, &own, Parts { expires: true, hash: false }).await
    }

    async fn set_password(&self, name: &str, password: &str) -> Result<(), ShadowError> {
        if let Some(fault) = fault(password) {
            return Err(ShadowError::BadPassword(fault));
        }
        let before = self.local(name)?;
        let said = match self.run(CHPASSWD, name, &[], &format!("{name}:{password}\n")).await {
            Ok(said) => said,
            Err(ShadowError::Failed { said, .. }) => return Err(ShadowError::Refused(said)),
            Err(other) => return Err(other),
        };
        if let Some(complaint) = complaint(&said) {
            self.put_back(name, &before, Parts { expires: false, hash: true }).await?;
            return Err(ShadowError::Refused(complaint));
        }
        if self.local(name)?.hash == before.hash {
            return Err(ShadowError::NotAsWanted(escape(name).to_string()));
        }
        Ok(())
    }

    async fn set_recovery_code(&self, name: &str) -> Result<String, ShadowError> {
        let before = self.local(name)?;
        let code = recovery_code()?;
        // With a method given, chpasswd asks no PAM rules: they are for what people think of. SHA512 every crypt(3) has,
        // and to a random code of this length it makes no difference.
        let line = format!("{name}:{code}\n");
        self.run(CHPASSWD, name, &["--crypt-method", "SHA512"], &line).await?;
        self.run(CHAGE, name, &["--lastday", CHANGE_AT_LOGIN, "--", name], "").await?;
        let after = self.local(name)?;
        if after.hash == before.hash || !after.must_change() {
            return Err(ShadowError::NotAsWanted(escape(name).to_string()));
        }
        Ok(code)
    }

    /// Runs a program until it gets at the file; returns what it wrote.
    async fn run(
        &self,
        program: &'static str,
        name: &str,
        arguments: &[&str],
        input: &str,
    ) -> Result<String, ShadowError> {
        let deadline = Instant::now() + LIMIT;
        let failed = |said: String| {
            let account = escape(name).to_string();
            ShadowError::Failed { program, account, said }
        };
        let busy = || ShadowError::Busy(escape(name).to_string());
        loop {
            let run = timeout_at(deadline, self.run_once(program, arguments, input)).await;
            let output = run.map_err(|_| busy())?.map_err(|error| failed(error.to_string()))?;
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            if output.status.success() {
                return Ok(said.into_owned());
            }
            if !said.contains("cannot lock") {
                let said = if said.trim().is_empty() { output.status.to_string() } else { one_line(&said) };
                return Err(failed(said));
            }
            if Instant::now() + PAUSE >= deadline {
                return Err(busy());
            }
            sleep(PAUSE).await;
        }
    }

    async fn run_once(
        &self,
        program: &'static str,
        arguments: &[impl AsRef<OsStr>],
        input: &str,
    ) -> io::Result<Output> {
        let mut command = Command::new(program);
        if self.root != "/" {
            command.args(["--root", self.root]);
        }
        command
            .args(arguments)
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", "/usr/sbin:/usr/bin")
            .kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that reads nothing has its reason, and says it.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        child.wait_with_output().await
    }
}

/// The state in the fields of a line; `None` if shadow-utils would not take it for a line: they would then add another
/// one behind it, which nobody reads.
fn state(fields: &[&[u8]]) -> Option<ShadowState> {
    let text = |field: &[u8]| str::from_utf8(field).map(str::to_owned).ok();
    let is_day = |field: &&[u8]| field.len() < 10 && field.iter().all(u8::is_ascii_digit);
    match fields {
        [_, hash, days @ .., _] if days.len() == 6 && days.iter().all(is_day) => Some(ShadowState {
            hash: text(hash)?,
            last_change: text(days.first()?)?,
            expires: text(days.last()?)?,
        }),
        _ => None,
    }
}

/// A day as chage(1) wants it: -1 empties the field.
fn day(field: &str) -> &str {
    if field.is_empty() { "-1" } else { field }
}

/// The programs write numbers without leading zeros.
fn same_day(one: &str, other: &str) -> bool {
    one.parse::<u32>().ok() == other.parse().ok()
}

/// Why this cannot be a password.
fn fault(password: &str) -> Option<&'static str> {
    if password.is_empty() {
        Some("is empty")
    } else if password.len() > MAX_PASSWORD {
        Some("has more than 511 bytes, which is the most that PAM takes")
    } else if password.chars().any(char::is_control) {
        Some("has control characters or line breaks in it, which cannot be typed at a login")
    } else {
        None
    }
}

/// PAM's complaint of a password, in its words.
fn complaint(said: &str) -> Option<String> {
    let lines: Vec<&str> =
        said.lines().filter_map(|line| line.trim().strip_prefix("BAD PASSWORD: ")).collect();
    (!lines.is_empty()).then(|| one_line(&lines.join("\n")))
}

/// What a program wrote, fit for one line of a report.
fn one_line(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    escape(&lines.join("; ")).to_string()
}

fn recovery_code() -> io::Result<String> {
    let random: [u8; CODE_GROUPS * 5] = random::bytes()?;
    let letter = |byte: &u8| char::from(CODE_ALPHABET[usize::from(byte % 32)]);
    let groups: Vec<String> = random.chunks(5).map(|group| group.iter().map(letter).collect()).collect();
    Ok(groups.join("-"))
}

#[cfg(test)]
mod tests;

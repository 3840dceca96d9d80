//! Programs in transient units of their own, so not in the daemon's sandbox and with none of its descriptors, which end with
//! what they leave behind.

use std::{
    collections::BTreeSet,
    io,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::{Instant, sleep, timeout_at},
};

use lockdown_enforcement::escape::escape;

use super::random;

/// What starts them.
pub const SYSTEMD_RUN: &str = "/usr/bin/systemd-run";

/// What systemd says of a program that cannot be started (systemd.exec(5)): EXIT_EXEC.
pub const NOT_EXECUTABLE: i32 = 203;

/// After its time, a unit ends within this, and counts as the daemon's for so long.
const GRACE: Duration = Duration::from_secs(5);
/// Of what a program writes to each of stdout and stderr, the end is kept.
const MAX_OUTPUT: usize = 8192;

/// Units that run now. Their names say nothing: anybody could call a unit so.
static RUNNING: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Whether this unit is one of this daemon's.
#[must_use]
pub fn is_own(unit: &str) -> bool {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).contains(unit)
}

/// What a unit may do: for every one of them, whatever it runs.
const SANDBOX: &[&str] = &[
    // SIGTERM at RuntimeMaxSec=, and this much later SIGKILL to whatever is left.
    "TimeoutStopSec=1s",
    // A program that goes wild takes nothing from the host that is being secured.
    "TasksMax=64",
    "MemoryMax=512M",
    "LimitCORE=0",
    "UMask=0077",
    // Not the names that others have planted in /tmp.
    "PrivateTmp=yes",
    // /usr, /boot and /etc are read-only.
    "ProtectSystem=full",
    "KeyringMode=private",
    "LockPersonality=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
];

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// The end of what it wrote to stdout.
    pub stdout: Vec<u8>,
    /// The same of stderr.
    pub stderr: Vec<u8>,
}

/// Why there is no [`Ended`].
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// It was not started.
    #[error("not run: {0}")]
    NotRun(String),
    /// Its time was up.
    #[error("was ended: it took too long")]
    TookTooLong,
    /// Its end could not be seen.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A unit that is about to run.
#[derive(Debug)]
pub struct TransientUnit {
    name: String,
    properties: &'static [&'static str],
}

impl TransientUnit {
    /// `NAME-RANDOM.service`; `properties` of systemd.exec(5) go over those that all have.
    ///
    /// # Errors
    /// If the kernel has no random number.
    pub fn new(name: &str, properties: &'static [&'static str]) -> Result<Self, UnitError> {
        let random = random::bytes().map_err(|error| UnitError::NotRun(error.to_string()))?;
        let name = format!("{name}-{:016x}.service", u64::from_ne_bytes(random));
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        Ok(Self { name, properties })
    }

    /// Runs a program with `input` on its stdin, until `deadline` at the latest.
    ///
    /// # Errors
    /// [`UnitError`]; a status other than 0 is none.
    pub async fn run(
        self,
        program: &Path,
        arguments: &[&str],
        input: &[u8],
        deadline: Instant,
    ) -> Result<Ended, UnitError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let child = self
            .start(program, arguments, left)
            .map_err(|error| UnitError::NotRun(format!("{SYSTEMD_RUN}: {error}")))?;
        let Ok(ended) = timeout_at(deadline, finish(child, input)).await else {
            // systemd ends it by itself; nobody waits for that.
            tokio::spawn(async move {
                sleep(GRACE).await;
                drop(self);
            });
            return Err(UnitError::TookTooLong);
        };
        Ok(ended?)
    }

    fn start(&self, program: &Path, arguments: &[&str], limit: Duration) -> io::Result<Child> {
        let mut command = Command::new(SYSTEMD_RUN);
        command.args(["--pipe", "--wait", "--collect", "--quiet", "--service-type=exec"]);
        command.arg(format!("--unit={}", self.name));
        // Command lines of clouds look for their credentials there.
        command.arg("--setenv=HOME=/root");
        command.arg(format!("--property=RuntimeMaxSec={}ms", limit.as_millis().max(1)));
        command.args(SANDBOX.iter().chain(self.properties).map(|property| format!("--property={property}")));
        command.arg("--").arg(program).args(arguments).env_clear().kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }
}

impl Drop for TransientUnit {
    fn drop(&mut self) {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

async fn finish(mut child: Child, input: &[u8]) -> io::Result<Ended> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let writing = async {
        if let Some(mut stdin) = stdin {
            // A program need not read it.
            let _ = stdin.write_all(input).await;
        }
    };
    let ((), stdout, stderr) = tokio::join!(writing, end_of(stdout), end_of(stderr));
    Ok(Ended { status: child.wait().await?, stdout, stderr })
}

async fn end_of(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let (mut end, mut chunk) = (Vec::new(), [0; MAX_OUTPUT]);
    if let Some(mut stream) = stream {
        while let Ok(length @ 1..) = stream.read(&mut chunk).await {
            end.extend(chunk.iter().take(length));
            end.drain(..end.len().saturating_sub(MAX_OUTPUT));
        }
    }
    end
}

/// The last line that is not empty, escaped.
#[must_use]
pub fn last_line(output: &[u8]) -> Option<String> {
    let line = output.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).rfind(|line| !line.is_empty())?;
    Some(escape(line).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_what_a_child_writes_is_kept_and_what_it_does_not_read_holds_nothing_up() {
        const SCRIPT: &str =
            "head -c 300000 /dev/zero >&2; printf '\\nlast\\033[2J line \\n\\n' >&2; echo out; exit 3";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT]);
        let child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let ended = finish(child, "x".repeat(300_000).as_bytes()).await.unwrap();
        assert_eq!((ended.status.code(), ended.stderr.len()), (Some(3), MAX_OUTPUT));
        assert_eq!(last_line(&ended.stderr).as_deref(), Some(r"last\u{1b}[2J line"));
        assert_eq!((ended.stdout.as_slice(), last_line(b" \n\n")), (&b"out\n"[..], None));
    }

    #[test]
    fn a_unit_is_known_while_it_runs() {
        let unit = TransientUnit::new("lockdown-revoke-50-vpn", &[]).unwrap();
        let name = unit.name.clone();
        assert!(is_own(&name) && !is_own("lockdown-revoke-50-vpn-0.service"));
        drop(unit);
        assert!(!is_own(&name));
    }
}

//! Hooks of the site's: executables that revoke credentials of which only the site knows (cloud keys, VPN certificates).
//!
//! Each runs in a transient unit of its own, so not in the daemon's sandbox and with none of its descriptors, and ends
//! with it, whatever it leaves behind. What one needs beyond the sandbox below, an administrator allows it in a drop-in,
//! systemd.unit(5): `/etc/systemd/system/lockdown-revoke-NAME-.service.d/`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::{Instant, sleep, timeout_at},
};

use lockdown_enforcement::escape::escape;

/// Where the hooks lie.
pub const DIRECTORY: &str = "/etc/lockdown/revoke.d";

const SYSTEMD_RUN: &str = "/usr/bin/systemd-run";
/// Hooks that run at the same time.
const AT_ONCE: usize = 16;
/// After its time, a hook's unit ends within this, and counts as a hook's for so long.
const GRACE: Duration = Duration::from_secs(5);
/// Of what a hook writes to stderr, the end is kept.
const MAX_STDERR: usize = 4096;
/// What systemd says of a program that cannot be started (systemd.exec(5)): EXIT_EXEC.
const NOT_EXECUTABLE: i32 = 203;

/// A hook needs the network and root's files for the command line of a cloud: not ProtectHome= and no namespace for the
/// network. It has no business in the system itself.
const SANDBOX: &[&str] = &[
    // SIGTERM at RuntimeMaxSec=, and this much later SIGKILL to whatever is left.
    "TimeoutStopSec=1s",
    // A hook that goes wild takes nothing from the host that is being secured.
    "TasksMax=64",
    "MemoryMax=512M",
    "LimitCORE=0",
    "UMask=0077",
    // Not the names that others have planted in /tmp.
    "PrivateTmp=yes",
    // /usr, /boot and /etc are read-only.
    "ProtectSystem=full",
    "NoNewPrivileges=yes",
    "KeyringMode=private",
    "LockPersonality=yes",
    "PrivateDevices=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
];

/// Units of hooks that run now. Their names say nothing: anybody could call a unit so.
static RUNNING: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Whether this unit runs a hook of this daemon's.
#[must_use]
pub fn is_hook(unit: &str) -> bool {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).contains(unit)
}

/// Runs the hooks of a directory side by side, with `input` as JSON on stdin; the outcome of each by its name. A
/// hook fails by its exit status: the reason is the last line that it wrote to stderr, escaped. What is still running
/// after `limit` is ended.
///
/// Names are as for run-parts(8), with dots; files that begin with a dot, that packages put aside and that are not
/// executable are no hooks. A file that others than root could have written is not run, and fails.
pub async fn run_all(
    directory: &Path,
    input: &serde_json::Value,
    limit: Duration,
) -> BTreeMap<String, Result<(), String>> {
    let deadline = Instant::now() + limit;
    let input = format!("{input}\n");
    let found = match find(directory) {
        Ok(found) => found,
        Err(why) => {
            return BTreeMap::from([(escape(&directory.display().to_string()).to_string(), Err(why))]);
        }
    };
    let input = &input;
    let hooks = found.into_iter().map(|(name, checked)| async move {
        let outcome = match checked {
            Ok(path) => run(&name, &path, input, deadline).await,
            Err(why) => Err(why.to_owned()),
        };
        (escape(&name).to_string(), outcome)
    });
    stream::iter(hooks.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await
}

type Hooks = BTreeMap<String, Result<PathBuf, &'static str>>;

/// The hooks by name, and why one is not to be run.
fn find(directory: &Path) -> Result<Hooks, String> {
    let said = |error: io::Error| format!("the hooks cannot be listed: {error}");
    let status = match std::fs::metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Hooks::new()),
        status => status.map_err(said)?,
    };
    if let Some(why) = not_trusted(status.uid(), status.mode()) {
        return Err(format!("no hook was run: the directory {why}"));
    }
    let mut found = Hooks::new();
    for entry in std::fs::read_dir(directory).map_err(said)? {
        let entry = entry.map_err(said)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Gone meanwhile.
        let Ok(status) = entry.metadata() else { continue };
        let is_link = status.file_type().is_symlink();
        let is_executable = status.is_file() && status.permissions().mode() & 0o111 != 0;
        if is_put_aside(&name) || !(is_link || is_executable) {
            continue;
        }
        let checked = if !is_name(&name) {
            Err("not run: its name may have letters, digits, `.`, `_` and `-` only")
        } else if is_link {
            Err("not run: it is a symbolic link")
        } else if not_trusted(status.uid(), status.mode()).is_some() {
            Err("not run: it is not root's, or others may write to it: chown root, chmod go-w")
        } else {
            Ok(entry.path())
        };
        found.insert(name, checked);
    }
    Ok(found)
}

fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Left by editors and by package managers.
fn is_put_aside(name: &str) -> bool {
    let marks = [".dpkg-", ".rpmsave", ".rpmnew", ".rpmorig"];
    name.starts_with('.') || name.ends_with('~') || marks.iter().any(|mark| name.contains(mark))
}

fn not_trusted(uid: u32, mode: u32) -> Option<&'static str> {
    (uid != 0 || mode & 0o022 != 0)
        .then_some("is not root's, or others may write to it: chown root, chmod go-w")
}

async fn run(name: &str, path: &Path, input: &str, deadline: Instant) -> Result<(), String> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err("not run: the hooks before it took all the time".to_owned());
    }
    let unit = Unit::named(name).map_err(|error| format!("not run: {error}"))?;
    let child = unit.start(path, left).map_err(|error| format!("not run: {SYSTEMD_RUN}: {error}"))?;
    let Ok(outcome) = timeout_at(deadline, finish(child, input)).await else {
        // systemd ends it by itself; nobody waits for that.
        tokio::spawn(async move {
            sleep(GRACE).await;
            drop(unit);
        });
        return Err("was ended: it took too long".to_owned());
    };
    let (status, stderr) = outcome.map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(());
    }
    match last_line(&stderr) {
        Some(line) => Err(line),
        None if status.code() == Some(NOT_EXECUTABLE) => {
            Err("cannot be executed: does its first line name its interpreter?".to_owned())
        }
        None => Err(format!("{status}, without a word on stderr")),
    }
}

/// A transient unit, for as long as it runs.
struct Unit(String);

impl Unit {
    fn named(hook: &str) -> io::Result<Self> {
        let mut random = [0; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let unit = format!("lockdown-revoke-{hook}-{:016x}.service", u64::from_ne_bytes(random));
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).insert(unit.clone());
        Ok(Self(unit))
    }

    fn start(&self, path: &Path, limit: Duration) -> io::Result<Child> {
        let mut command = Command::new(SYSTEMD_RUN);
        command.args(["--pipe", "--wait", "--collect", "--quiet", "--service-type=exec"]);
        command.arg(format!("--unit={}", self.0));
        // Command lines of clouds look for their credentials there.
        command.arg("--setenv=HOME=/root");
        command.arg(format!("--property=RuntimeMaxSec={}ms", limit.as_millis().max(1)));
        command.args(SANDBOX.iter().map(|property| format!("--property={property}")));
        command.arg("--").arg(path).env_clear().kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// How a child ended, and the end of what it wrote to stderr.
async fn finish(mut child: Child, input: &str) -> io::Result<(std::process::ExitStatus, Vec<u8>)> {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let writing = async {
        if let Some(mut stdin) = stdin {
            // A hook need not read it.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let reading = async {
        let (mut end, mut chunk) = (Vec::new(), [0; MAX_STDERR]);
        if let Some(mut stderr) = stderr {
            while let Ok(length @ 1..) = stderr.read(&mut chunk).await {
                end.extend(chunk.iter().take(length));
                end.drain(..end.len().saturating_sub(MAX_STDERR));
            }
        }
        end
    };
    let ((), end) = tokio::join!(writing, reading);
    Ok((child.wait().await?, end))
}

fn last_line(stderr: &[u8]) -> Option<String> {
    let line = stderr.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).rfind(|line| !line.is_empty())?;
    Some(escape(line).to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn hook(directory: &Path, name: &str, mode: u32) {
        let path = directory.join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn hooks_are_roots_executables_by_their_names() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for name in ["50-vpn", "10_cloud.sh", ".hidden", "50-vpn.dpkg-old", "50-vpn~", "a b", "x\ny"] {
            hook(path, name, 0o755);
        }
        hook(path, "README", 0o644);
        hook(path, "writable", 0o775);
        hook(path, "of-nobody", 0o755);
        std::os::unix::fs::chown(path.join("of-nobody"), Some(65534), None).unwrap();
        std::os::unix::fs::symlink("50-vpn", path.join("link")).unwrap();
        fs::create_dir(path.join("directory")).unwrap();
        let found = find(path).unwrap();
        let runs: Vec<_> =
            found.iter().filter(|(_, checked)| checked.is_ok()).map(|(name, _)| name).collect();
        assert_eq!(runs, ["10_cloud.sh", "50-vpn"]);
        let fails: Vec<_> =
            found.iter().filter(|(_, checked)| checked.is_err()).map(|(name, _)| name).collect();
        assert_eq!(fails, ["a b", "link", "of-nobody", "writable", "x\ny"]);
    }

    #[tokio::test]
    async fn a_directory_of_others_runs_nothing_and_a_missing_one_has_no_hooks() {
        let directory = tempfile::tempdir().unwrap();
        let input = serde_json::json!({});
        let run_all = |path: PathBuf| {
            let input = input.clone();
            async move { run_all(&path, &input, Duration::from_secs(1)).await }
        };
        assert!(run_all(directory.path().join("missing")).await.is_empty());
        hook(directory.path(), "hook", 0o755);
        fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let outcomes = run_all(directory.path().to_owned()).await;
        assert!(outcomes.len() == 1 && outcomes.values().all(Result::is_err), "{outcomes:?}");
    }

    #[tokio::test]
    async fn the_end_of_what_a_child_writes_is_kept_and_what_it_does_not_read_holds_nothing_up() {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "head -c 300000 /dev/zero >&2; printf '\\nlast\\033[2J line \\n\\n' >&2; exit 3"]);
        let child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (status, stderr) = finish(child, &"x".repeat(300_000)).await.unwrap();
        assert_eq!((status.code(), stderr.len()), (Some(3), MAX_STDERR));
        assert_eq!(last_line(&stderr).as_deref(), Some(r"last\u{1b}[2J line"));
        assert_eq!(last_line(b" \n\n"), None);
    }

    #[test]
    fn a_unit_is_known_while_it_runs() {
        let unit = Unit::named("50-vpn").unwrap();
        let name = unit.0.clone();
        assert!(is_hook(&name) && !is_hook("lockdown-revoke-50-vpn-0.service"));
        drop(unit);
        assert!(!is_hook(&name));
    }
}

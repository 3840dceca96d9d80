//! Hooks of the site's: executables that revoke credentials of which only the site knows (cloud keys, VPN certificates).
//!
//! Each runs in a transient unit of its own, so not in the daemon's sandbox and with none of its descriptors, and ends
//! with it, whatever it leaves behind. What one needs beyond the sandbox below, an administrator allows it in a drop-in,
//! systemd.unit(5): `/etc/systemd/system/lockdown-revoke-NAME-.service.d/`.

use std::{
    collections::BTreeMap,
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use lockdown_enforcement::escape::escape;

use super::transient_unit::{NOT_EXECUTABLE, TransientUnit, last_line};

/// Where the hooks lie.
pub const DIRECTORY: &str = "/etc/lockdown/revoke.d";

/// Hooks that run at the same time.
const AT_ONCE: usize = 16;

/// A hook needs the network and root's files for the command line of a cloud: not ProtectHome= and no namespace for the
/// network. It has no business in the system itself.
const SANDBOX: &[&str] = &["NoNewPrivileges=yes", "PrivateDevices=yes"];

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
    let unit =
        TransientUnit::new(&format!("lockdown-revoke-{name}"), SANDBOX).map_err(|error| error.to_string())?;
    let ended = unit.run(path, &[], input.as_bytes(), deadline).await.map_err(|error| error.to_string())?;
    let status = ended.status;
    if status.success() {
        return Ok(());
    }
    match last_line(&ended.stderr) {
        Some(line) => Err(line),
        None if status.code() == Some(NOT_EXECUTABLE) => {
            Err("cannot be executed: does its first line name its interpreter?".to_owned())
        }
        None => Err(format!("{status}, without a word on stderr")),
    }
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
}

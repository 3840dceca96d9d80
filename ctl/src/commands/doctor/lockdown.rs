//! What a lockdown needs of the host: hooks that it can run and trust, and words for those who lock themselves down.

use std::{
    ffi::OsStr,
    io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

use lockdown_config::Settings;

use super::{
    Finding, Level,
    host::{HOOKS, Host, Program},
};
use crate::shell::quote;

const CHECK: &str = "hooks";
const SELF_SERVICE: &str = "self-service";
/// May be written by the group or by others, inode(7).
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// May be executed by somebody, inode(7).
const EXECUTABLE: u32 = 0o111;
/// In the names of what package managers put aside.
const PUT_ASIDE: [&str; 4] = [".dpkg-", ".rpmsave", ".rpmnew", ".rpmorig"];

/// The hooks that revoke credentials which only the site knows, by the rules that the daemon goes by.
pub(super) fn hooks(host: &Host) -> Vec<Finding> {
    let (directory, programs) = match host.hooks() {
        Ok(hooks) => hooks,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return vec![Finding::ok(CHECK, format!("no hooks in {HOOKS}"))];
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let message = format!("only root can look at {HOOKS}");
            return vec![Finding::new(CHECK, Level::Skipped, message, "run it as root")];
        }
        Err(error) => {
            let message = format!("{HOOKS} cannot be read: {error}");
            return vec![Finding::new(CHECK, Level::Error, message, format!("ls -l {HOOKS}"))];
        }
    };
    let directory = others_may_write(&directory, host).map(|mend| {
        let message = format!("a lockdown runs no hook: {HOOKS} is not root's, or others may write to it");
        Finding::new(CHECK, Level::Error, message, mend)
    });
    let hooks: Vec<_> = programs.iter().filter(|program| is_meant(program)).collect();
    let of_hooks = hooks.iter().filter_map(|program| hook(program, host));
    let findings: Vec<_> = directory.into_iter().chain(of_hooks).collect();
    match (findings.is_empty(), hooks.len()) {
        (true, 0) => vec![Finding::ok(CHECK, format!("no hooks in {HOOKS}"))],
        (true, 1) => vec![Finding::ok(CHECK, format!("the hook in {HOOKS} can be run"))],
        (true, several) => vec![Finding::ok(CHECK, format!("the {several} hooks in {HOOKS} can be run"))],
        (false, _) => findings,
    }
}

/// Whether somebody may have put it there as a hook.
fn is_meant(program: &Program) -> bool {
    let name = program.path.file_name().unwrap_or_default().to_string_lossy();
    let aside =
        name.starts_with('.') || name.ends_with('~') || PUT_ASIDE.iter().any(|mark| name.contains(mark));
    !aside && (program.metadata.is_file() || program.metadata.is_symlink())
}

/// What keeps it from being run.
fn hook(program: &Program, host: &Host) -> Option<Finding> {
    let (path, word) = (program.path.display(), quoted(&program.path));
    let not_run = |why: &str, mend: String| {
        Some(Finding::new(CHECK, Level::Error, format!("a lockdown does not run {path}: {why}"), mend))
    };
    let name = program.path.file_name().unwrap_or_default();
    if !name.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte)) {
        let mend = format!("mv {word} to a name of letters, digits, `.`, `_` and `-`");
        return not_run("a hook's name has letters, digits, `.`, `_` and `-` only", mend);
    }
    if program.metadata.is_symlink() {
        let mend = format!("cp --remove-destination \"$(readlink -f {word})\" {word}");
        return not_run("it is a symbolic link", mend);
    }
    if program.metadata.mode() & EXECUTABLE == 0 {
        let message = format!("a lockdown passes over {path}: it is not executable");
        return Some(Finding::new(CHECK, Level::Warning, message, format!("chmod +x {word}")));
    }
    others_may_write(program, host)
        .and_then(|mend| not_run("it is not root's, or others may write to it", mend))
}

/// What takes the right to write from others than root, if they have it.
fn others_may_write(program: &Program, host: &Host) -> Option<String> {
    let word = quoted(&program.path);
    if program.metadata.uid() != host.owner() {
        return Some(format!("chown root:root {word} && chmod go-w {word}"));
    }
    (program.metadata.mode() & WRITABLE_BY_OTHERS != 0).then(|| format!("chmod go-w {word}"))
}

/// One word for a shell, whatever is in the name.
fn quoted(path: &Path) -> String {
    quote(OsStr::new(path)).to_string_lossy().into_owned()
}

/// Whether users can lock their own account down, by the configuration.
pub(super) fn self_service(host: &Host) -> Finding {
    let loaded = match Settings::load(&host.configuration()) {
        Ok(loaded) => loaded,
        Err(error) => {
            let message = format!("the configuration cannot be used: {error}");
            return Finding::new("configuration", Level::Error, message, "lockdownctl config check");
        }
    };
    let texts = loaded.settings.self_service;
    if [texts.message, texts.url, texts.phone].iter().any(Option::is_some) {
        return Finding::ok(SELF_SERVICE, "users can lock their own account down");
    }
    Finding::new(
        SELF_SERVICE,
        // Nothing is open: it is for the administrator to want.
        Level::Ok,
        "users cannot lock their own account down: nobody is named whom they could turn to then",
        "set message, url or phone of [self_service] in /etc/lockdown/lockdown.toml, then systemctl reload lockdownd",
    )
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::{super::host::tests::host, *};

    const HOOK: &str = "etc/lockdown/revoke.d/vault";

    /// What is found with these modes of the directory and of a hook in it.
    fn found(directory: u32, hook: u32) -> (Level, String) {
        let (root, host) = host(&[(HOOK, "#!/bin/sh\n")]);
        let set = |path: &str, mode| {
            fs::set_permissions(root.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
        };
        set(HOOK, hook);
        set("etc/lockdown/revoke.d", directory);
        let mut found = hooks(&host);
        assert_eq!(found.len(), 1, "{found:?}");
        let found = found.remove(0);
        let mend = found.mend.map(|mend| format!(" → {mend}")).unwrap_or_default();
        (found.level, (found.message + &mend).replace(&format!("{}/", root.path().display()), "/"))
    }

    #[test]
    fn hooks_that_can_be_run_and_trusted() {
        assert_eq!(found(0o755, 0o750), (Level::Ok, "the hook in /etc/lockdown/revoke.d can be run".into()));
        let (_root, none) = host(&[("etc/lockdown/lockdown.toml", "")]);
        assert_eq!(hooks(&none), [Finding::ok("hooks", "no hooks in /etc/lockdown/revoke.d")]);
    }

    #[test]
    fn a_hook_that_cannot_be_run() {
        assert_eq!(
            found(0o755, 0o644),
            (
                Level::Warning,
                "a lockdown passes over /etc/lockdown/revoke.d/vault: it is not executable → chmod +x \
                 '/etc/lockdown/revoke.d/vault'"
                    .into()
            )
        );
        let (root, host) = host(&[("etc/lockdown/revoke.d/it's; $(id)", "")]);
        let directory = root.path().join("etc/lockdown/revoke.d");
        std::os::unix::fs::symlink("nowhere", directory.join("vault")).unwrap();
        let found = hooks(&host);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|finding| finding.level == Level::Error), "{found:?}");
        assert!(found[0].mend.as_ref().unwrap().contains(r"it'\''s; $(id)' to"), "{found:?}");
        assert!(found[1].message.ends_with("vault: it is a symbolic link"), "{found:?}");
    }

    #[test]
    fn what_is_no_hook_is_passed_over() {
        let names = [".hidden", "vault~", "vault.dpkg-old", "folder/file"];
        let files: Vec<_> = names.iter().map(|name| format!("etc/lockdown/revoke.d/{name}")).collect();
        let files: Vec<_> = files.iter().map(|path| (path.as_str(), "")).collect();
        let (_root, host) = host(&files);
        assert_eq!(hooks(&host), [Finding::ok("hooks", "no hooks in /etc/lockdown/revoke.d")]);
    }

    #[test]
    fn a_hook_that_others_can_change_is_an_error() {
        for mode in [0o775, 0o757] {
            let (level, text) = found(0o755, mode);
            assert_eq!(level, Level::Error);
            assert!(
                text.ends_with("others may write to it → chmod go-w '/etc/lockdown/revoke.d/vault'"),
                "{text}"
            );
            let (level, text) = found(mode, 0o755);
            assert_eq!(level, Level::Error);
            assert!(text.ends_with("others may write to it → chmod go-w '/etc/lockdown/revoke.d'"), "{text}");
        }
    }

    #[test]
    fn a_hook_of_another_account_is_an_error() {
        // Only root can give files away.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (root, host) = host(&[(HOOK, "#!/bin/sh\n")]);
        let path = root.path().join(HOOK);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(&path, Some(1000), None).unwrap();
        let found = hooks(&host);
        assert_eq!((found.len(), found[0].level), (1, Level::Error), "{found:?}");
        assert!(found[0].mend.as_ref().unwrap().starts_with("chown root:root "), "{found:?}");
    }

    #[test]
    fn words_for_those_who_lock_themselves_down() {
        let of = |text: &str| {
            let (_root, host) = host(&[("etc/lockdown/lockdown.toml", text)]);
            let finding = self_service(&host);
            (finding.check, finding.level, finding.mend.is_some())
        };
        assert_eq!(of("[self_service]\nphone = \"555-0100\"\n"), ("self-service", Level::Ok, false));
        assert_eq!(of(""), ("self-service", Level::Ok, true));
        assert_eq!(of("[self_service]\nfax = \"555-0100\"\n"), ("configuration", Level::Error, true));
    }
}

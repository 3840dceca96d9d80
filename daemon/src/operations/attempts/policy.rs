//! The settings of attack protection, written down for the login path.

use std::{
    fs::{DirBuilder, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use lockdown_config as config;
use lockdown_enforcement::{AttackProtection, Network};

/// What the login path goes by; `None`: attack protection is off.
///
/// # Errors
/// `InvalidInput` for a source that is no network, which the configuration does not let through.
pub fn of(settings: &config::AttackProtection) -> io::Result<Option<AttackProtection>> {
    if !settings.enabled {
        return Ok(None);
    }
    let network = |text: &String| {
        text.parse::<Network>().map_err(|error| {
            io::Error::new(ErrorKind::InvalidInput, format!("trusted_sources: {text:?} is {error}"))
        })
    };
    Ok(Some(AttackProtection {
        max_attempts: settings.max_attempts,
        max_attempts_total: settings.max_attempts_total,
        window: seconds(settings.window),
        duration: settings.duration.map(seconds),
        per_source: settings.per_source,
        even_deny_root: settings.even_deny_root,
        ignore_services: settings.ignore_services.clone(),
        trusted_sources: settings.trusted_sources.iter().map(network).collect::<io::Result<_>>()?,
        warn_attempts_left: settings.warn_attempts_left,
    }))
}

/// Rounded up: nothing ends before the time that was asked for.
fn seconds(duration: Duration) -> u32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// Puts the settings in force for the login path, at [`ATTACK_PROTECTION`](lockdown_enforcement::ATTACK_PROTECTION) in an
/// installed system.
///
/// # Errors
/// What the file system says; the settings that were there stay in force.
pub fn write(settings: &config::AttackProtection, path: &Path) -> io::Result<()> {
    let settings = of(settings)?;
    // A file that is right is not written again: a daemon starts on a full disk, too.
    if AttackProtection::read(path).is_ok_and(|found| found == settings) {
        return Ok(());
    }
    AttackProtection::write(settings.as_ref(), path)
}

/// Sees to the directory of the tallies, mode 0700: while it is missing, the login path counts nothing.
///
/// # Errors
/// What the file system says.
pub fn make_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => return made,
    }
    let status = std::fs::symlink_metadata(path)?;
    if !status.is_dir() {
        return Err(io::Error::new(ErrorKind::NotADirectory, "is not a directory: move it away"));
    }
    if status.permissions().mode() & 0o7777 != 0o700 {
        std::fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> config::AttackProtection {
        config::Settings::default().attack_protection
    }

    #[test]
    fn both_ends_have_the_same_defaults() {
        assert_eq!(of(&settings()).unwrap(), Some(AttackProtection::default()));
    }

    #[test]
    fn the_longest_times_that_can_be_set_are_in_range() {
        let longest = config::AttackProtection {
            duration: Some(Duration::from_hours(24 * 3650)),
            window: Duration::from_hours(24 * 365) - Duration::from_millis(1),
            trusted_sources: vec!["192.0.2.9/24".into(), "2001:db8::1".into()],
            ..settings()
        };
        let written = of(&longest).unwrap().unwrap();
        assert!(written.is_in_range());
        assert_eq!(written.window, 365 * 86_400);
        assert_eq!(written.trusted_sources[0].to_string(), "192.0.2.0/24");
        let wrong = config::AttackProtection { trusted_sources: vec!["a\n".into()], ..settings() };
        assert!(!of(&wrong).unwrap_err().to_string().contains('\n'));
    }

    #[test]
    fn is_written_only_if_it_differs_and_removed_if_it_is_off() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("attack-protection");
        let inode = || std::os::unix::fs::MetadataExt::ino(&path.metadata().unwrap());
        write(&settings(), &path).unwrap();
        let first = inode();
        if nix::unistd::geteuid().is_root() {
            write(&settings(), &path).unwrap();
            assert_eq!(inode(), first);
        }
        std::fs::write(&path, "damaged").unwrap();
        write(&settings(), &path).unwrap();
        assert_ne!(std::fs::read(&path).unwrap(), b"damaged");
        write(&config::AttackProtection { enabled: false, ..settings() }, &path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn the_directory_is_root_s_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("tally");
        make_directory(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        make_directory(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
        std::fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink("/tmp", &path).unwrap();
        assert!(make_directory(&path).unwrap_err().to_string().contains("not a directory"));
    }
}

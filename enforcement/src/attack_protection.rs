//! The settings of attack protection, as the login path reads them; the daemon writes them down from `lockdown.toml`.
//!
//! A text in the manner of the [deny record](crate::record), in this order and in no other:
//!
//! ```text
//! lockdown-attack-protection 1      format and its version
//! max-attempts 10                   1 to 128
//! max-attempts-total 100            max-attempts to 128
//! window 900                        seconds, 1 to 2^31
//! duration 3600                     seconds, 1 to 2^31; absent: a lock does not end by itself
//! warn-attempts-left 3              absent: nobody is told of failed attempts
//! per-source                        absent: all attempts on an account count together
//! even-deny-root                    absent: root's are not counted
//! ignore-service cron               as often as there are such services
//! trusted-source 192.0.2.0/24       as often as there are such networks
//! crc32 5a0c93e1
//! ```
//!
//! No file: no attack protection.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::process;

use crate::lines::{Fault, Lines, put, seal, unseal};
use crate::source::{Network, Source};

const FIRST_LINE: &str = "lockdown-attack-protection 1";
const MAX_BYTES: usize = 64 * 1024;
/// 68 years.
const MAX_SECONDS: u32 = 1 << 31;

/// More failed attempts than this a tally has no details of.
pub const MAX_ATTEMPTS: u32 = 128;

/// `[attack_protection]` of `lockdown.toml`, enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttackProtection {
    /// As many failed attempts lock: from one source, or in all without `per_source`. 1 to [`MAX_ATTEMPTS`].
    pub max_attempts: u32,
    /// As many failed attempts from remote hosts lock the account for all remote hosts. `max_attempts` to [`MAX_ATTEMPTS`].
    pub max_attempts_total: u32,
    /// How far back they count, in seconds.
    pub window: u32,
    /// How long a lock lasts, in seconds; `None`: until it is lifted.
    pub duration: Option<u32>,
    /// Count by source, and lock the account for that source first.
    pub per_source: bool,
    /// Lock root, too.
    pub even_deny_root: bool,
    /// `PAM_SERVICE`s that are not looked at.
    pub ignore_services: Vec<String>,
    /// From there nothing counts, and no lock is in force.
    pub trusted_sources: Vec<Network>,
    /// Who succeeds is told of the failed attempts before if so many or fewer more would have locked; 0: never.
    pub warn_attempts_left: u32,
}

impl Default for AttackProtection {
    fn default() -> Self {
        Self {
            max_attempts: 10,
            max_attempts_total: 100,
            window: 15 * 60,
            duration: Some(60 * 60),
            per_source: true,
            even_deny_root: false,
            ignore_services: Vec::new(),
            trusted_sources: Vec::new(),
            warn_attempts_left: 3,
        }
    }
}

/// Why the settings cannot be read.
#[derive(Debug)]
pub enum AttackProtectionError {
    /// The file cannot be opened or read.
    Io(io::Error),
    /// Something else than a regular file that belongs to root and that nobody else may write.
    NotTrusted,
    /// The content is damaged, or of another version.
    Damaged,
}

impl fmt::Display for AttackProtectionError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(out, "cannot be read: {error}"),
            Self::NotTrusted => out.write_str("is not a regular file that only root may write"),
            Self::Damaged => out.write_str("is damaged, or not of version 1"),
        }
    }
}

impl std::error::Error for AttackProtectionError {}

impl From<Fault> for AttackProtectionError {
    fn from(_: Fault) -> Self {
        Self::Damaged
    }
}

impl AttackProtection {
    /// Whether a failed attempt on the account of `uid` counts.
    pub fn counts(&self, uid: u32, service: &str, source: &Source) -> bool {
        (uid != 0 || self.even_deny_root) && !self.ignores(service) && !self.trusts(source)
    }

    /// Whether the service is not looked at.
    pub fn ignores(&self, service: &str) -> bool {
        self.ignore_services.iter().any(|ignored| ignored == service)
    }

    /// Whether the source is in `trusted_sources`.
    pub fn trusts(&self, source: &Source) -> bool {
        self.trusted_sources.iter().any(|network| network.contains(source))
    }

    /// The settings as the bytes of their file.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("{FIRST_LINE}\n");
        put(&mut text, "max-attempts", &self.max_attempts.to_string());
        put(&mut text, "max-attempts-total", &self.max_attempts_total.to_string());
        put(&mut text, "window", &self.window.to_string());
        if let Some(duration) = self.duration {
            put(&mut text, "duration", &duration.to_string());
        }
        if self.warn_attempts_left > 0 {
            put(&mut text, "warn-attempts-left", &self.warn_attempts_left.to_string());
        }
        for (_, flag) in [(self.per_source, "per-source"), (self.even_deny_root, "even-deny-root")]
            .iter()
            .filter(|(set, _)| *set)
        {
            text.push_str(flag);
            text.push('\n');
        }
        self.ignore_services.iter().for_each(|service| put(&mut text, "ignore-service", service));
        self.trusted_sources
            .iter()
            .for_each(|network| put(&mut text, "trusted-source", &network.to_string()));
        seal(text)
    }

    /// Reads the bytes of the file.
    ///
    /// # Errors
    /// [`AttackProtectionError::Damaged`] for what does not fit its checksum or the format, and for values out of their
    /// range.
    pub fn decode(bytes: &[u8]) -> Result<Self, AttackProtectionError> {
        let mut lines = Lines::of(unseal(bytes)?, FIRST_LINE)?;
        let mut settings = Self {
            max_attempts: lines.number("max-attempts")?,
            max_attempts_total: lines.number("max-attempts-total")?,
            window: lines.number("window")?,
            duration: lines.optional_number("duration")?,
            warn_attempts_left: lines.optional_number("warn-attempts-left")?.unwrap_or(0),
            per_source: lines.flag("per-source"),
            even_deny_root: lines.flag("even-deny-root"),
            ..Self::default()
        };
        while let Some(service) = lines.optional("ignore-service")? {
            settings.ignore_services.push(service);
        }
        while let Some(network) = lines.optional_number("trusted-source")? {
            settings.trusted_sources.push(network);
        }
        lines.end()?;
        if settings.is_in_range() { Ok(settings) } else { Err(AttackProtectionError::Damaged) }
    }

    /// Whether every number is in the range that the format gives.
    pub fn is_in_range(&self) -> bool {
        let seconds = 1..=MAX_SECONDS;
        (1..=self.max_attempts_total).contains(&self.max_attempts)
            && self.max_attempts_total <= MAX_ATTEMPTS
            && seconds.contains(&self.window)
            && self.duration.is_none_or(|duration| seconds.contains(&duration))
    }

    /// The settings at `path`, [`ATTACK_PROTECTION`](crate::ATTACK_PROTECTION) in an installed system; `None`: there is no
    /// attack protection.
    ///
    /// # Errors
    /// See [`AttackProtectionError`]; the caller decides in which direction that fails.
    pub fn read(path: &Path) -> Result<Option<Self>, AttackProtectionError> {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(AttackProtectionError::Io(error)),
        };
        let status = file.metadata().map_err(AttackProtectionError::Io)?;
        if !status.is_file() || status.uid() != 0 || status.mode() & 0o022 != 0 {
            return Err(AttackProtectionError::NotTrusted);
        }
        // What is larger has been cut here and does not read.
        let length = (status.size() as usize).min(MAX_BYTES);
        let mut bytes = vec![0; length];
        (&file).read_exact(&mut bytes).map_err(AttackProtectionError::Io)?;
        Self::decode(&bytes).map(Some)
    }

    /// Puts the settings at `path` durably in force; `None` takes them away. For the one writer.
    ///
    /// # Errors
    /// What the file system says, or `InvalidInput` for values out of range or too many; the settings that were there stay.
    pub fn write(settings: Option<&Self>, path: &Path) -> io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        let Some(settings) = settings else {
            return match std::fs::remove_file(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
                Ok(()) => File::open(directory)?.sync_all(),
            };
        };
        let bytes = settings.encode();
        if !settings.is_in_range() || bytes.len() > MAX_BYTES {
            let message = "the settings of attack protection are out of their range, or too many";
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        let temporary = path.with_extension(format!("{}.tmp", process::id()));
        let written = (|| {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&temporary, path)
        })();
        if written.is_err() {
            // What is left of it is written over the next time.
            let _ = std::fs::remove_file(&temporary);
            return written;
        }
        File::open(directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole() -> AttackProtection {
        AttackProtection {
            even_deny_root: true,
            ignore_services: vec!["cron".into(), "a\nb".into()],
            trusted_sources: vec!["192.0.2.0/24".parse().unwrap(), "::1".parse().unwrap()],
            ..AttackProtection::default()
        }
    }

    #[test]
    fn is_written_as_drawn() {
        let text = String::from_utf8(whole().encode()).unwrap();
        let drawn = "lockdown-attack-protection 1\nmax-attempts 10\nmax-attempts-total 100\nwindow 900\nduration 3600\n\
                     warn-attempts-left 3\nper-source\neven-deny-root\nignore-service cron\nignore-service a\\nb\n\
                     trusted-source 192.0.2.0/24\ntrusted-source ::1/128\ncrc32 ";
        assert!(text.starts_with(drawn), "{text}");
        assert_eq!(AttackProtection::decode(text.as_bytes()).unwrap(), whole());
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_refused() {
        let bytes = whole().encode();
        for end in 0..bytes.len() {
            assert!(AttackProtection::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(AttackProtection::decode(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let wrong: [fn(&mut AttackProtection); 6] = [
            |settings| settings.max_attempts = 0,
            |settings| settings.max_attempts = 101,
            |settings| settings.max_attempts_total = 129,
            |settings| settings.window = 0,
            |settings| settings.duration = Some(0),
            |settings| settings.duration = Some(MAX_SECONDS + 1),
        ];
        for (number, change) in wrong.iter().enumerate() {
            let mut settings = whole();
            change(&mut settings);
            assert!(AttackProtection::decode(&settings.encode()).is_err(), "{number}");
        }
    }

    #[test]
    fn is_kept_in_a_file_that_is_trusted_only_if_root_s() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("attack-protection");
        assert!(AttackProtection::read(&path).unwrap().is_none());
        AttackProtection::write(Some(&whole()), &path).unwrap();
        if path.metadata().unwrap().uid() != 0 {
            return assert!(matches!(AttackProtection::read(&path), Err(AttackProtectionError::NotTrusted)));
        }
        assert_eq!(AttackProtection::read(&path).unwrap(), Some(whole()));
        let wrong = AttackProtection { window: 0, ..whole() };
        assert_eq!(AttackProtection::write(Some(&wrong), &path).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(AttackProtection::read(&path).unwrap(), Some(whole()));
        assert_eq!(scratch.path().read_dir().unwrap().count(), 1);
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o620)).unwrap();
        assert!(matches!(AttackProtection::read(&path), Err(AttackProtectionError::NotTrusted)));
        AttackProtection::write(None, &path).unwrap();
        AttackProtection::write(None, &path).unwrap();
        std::os::unix::fs::symlink("other", &path).unwrap();
        assert!(matches!(AttackProtection::read(&path), Err(AttackProtectionError::Io(_))));
    }

    #[test]
    fn says_what_counts() {
        let source = Source::new(Some("203.0.113.1"), None);
        let defaults = AttackProtection::default();
        assert!(whole().counts(0, "sshd", &source) && defaults.counts(1, "cron", &source));
        assert!(!defaults.counts(0, "sshd", &source));
        assert!(!whole().counts(1, "cron", &source));
        assert!(!whole().counts(1, "sshd", &Source::new(Some("192.0.2.9"), None)));
    }

    proptest! {
        #[test]
        fn reads_back_what_was_written(
            total in 1..=128_u32, max in 1..=128_u32, window in 1..=MAX_SECONDS,
            duration in proptest::option::of(1..=MAX_SECONDS), flags: (bool, bool), warn_attempts_left: u32, ignore_services: Vec<String>,
            addresses: Vec<(u32, u8)>,
        ) {
            let networks = addresses.iter().map(|(bits, prefix)| format!("{}/{}", std::net::Ipv4Addr::from(*bits), prefix % 33));
            let settings = AttackProtection {
                max_attempts: max.min(total), max_attempts_total: total, window, duration,
                per_source: flags.0, even_deny_root: flags.1, ignore_services, warn_attempts_left,
                trusted_sources: networks.map(|network| network.parse().unwrap()).collect(),
            };
            prop_assert_eq!(AttackProtection::decode(&settings.encode()).unwrap(), settings);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, body in "lockdown-attack-protection 1\n((max-attempts|window|duration|per-source|trusted-source|ignore-service)( [0-9/.:x]{0,4})?\n){0,6}") {
            let _ = AttackProtection::decode(&bytes);
            let sealed = seal(body);
            if let Ok(settings) = AttackProtection::decode(&sealed) {
                prop_assert_eq!(AttackProtection::decode(&settings.encode()).unwrap(), settings);
            }
        }
    }
}

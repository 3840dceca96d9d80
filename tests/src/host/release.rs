//! The Debian releases that hosts run.

use std::fmt;

/// A release to boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Release {
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
    /// Debian 13 with dbus-broker as the system bus instead of dbus-daemon.
    TrixieBroker,
}

impl Release {
    /// The name of the suite in the archive.
    pub fn suite(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie | Self::TrixieBroker => "trixie",
        }
    }

    /// The packages of its image, beyond the essential ones and apt.
    pub fn packages(self) -> Vec<&'static str> {
        let mut packages = vec![
            "at",
            "ca-certificates",
            "cracklib-runtime",
            "cron",
            "dbus",
            "dbus-user-session",
            "libpam-fprintd",
            "libpam-google-authenticator",
            "libpam-pwdfile",
            "libpam-pwquality",
            "libpam-systemd",
            "libpam-u2f",
            "login",
            "openssh-client",
            "openssh-server",
            "openssh-sftp-server",
            "openssl",
            "pamtester",
            "passwd",
            "perl",
            "pkexec",
            "podman",
            "polkitd",
            "procps",
            "python3-aiosmtpd",
            "python3-dbusmock",
            "screen",
            "sqlite3",
            "sudo",
            "systemd",
            "systemd-sysv",
            "tmux",
            "uidmap",
            "util-linux",
        ];
        if self == Self::TrixieBroker {
            packages.push("dbus-broker");
        }
        packages
    }

    /// What configures fleets, for the hosts of [`Host::with_tools`](super::Host::with_tools): as Debian has it.
    pub fn tools() -> Vec<&'static str> {
        vec!["ansible-core", "cloud-init", "nix-bin", "puppet-agent", "python3-apt"]
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::TrixieBroker => "trixie-broker",
        })
    }
}

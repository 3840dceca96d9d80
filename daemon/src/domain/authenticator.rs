//! What an account authenticates with: types, and ids that stay the same.
//!
//! The id of a type by itself (`ssh`, `fingerprint`) stands for all of that type, those to come included. The login path
//! knows the same ids (`lockdown_enforcement::ssh::used`, and the guards of pam_lockdown(8)).

use std::{fmt, str::FromStr};

use super::lock::Time;

/// Longest id, in bytes.
pub const MAX_ID: usize = 512;

/// A type of authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The password. There is one, and its id is `password`.
    Password,
    /// A public key that sshd takes: `ssh:SHA256:…`, a certificate counting as the key that it certifies. And certificates by
    /// their authority, `ssh-ca:SHA256:…`, or by that and their key id, `ssh-ca:SHA256:…:KEY ID`.
    Ssh,
    /// An enrolment of pam_u2f(8): `u2f:SHA256:…`, the hash of its key handle.
    U2f,
    /// A finger that fprintd knows: `fingerprint:right-index-finger`.
    Fingerprint,
    /// A model of howdy: `face:0`.
    Face,
    /// A PIN, kept by pam_pwdfile: `pin:/etc/pins`.
    Pin,
    /// One-time passwords: `totp:oath`, `totp:google-authenticator`.
    Totp,
}

impl Kind {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 7] =
        [Self::Password, Self::Ssh, Self::U2f, Self::Fingerprint, Self::Face, Self::Pin, Self::Totp];

    /// The name on the bus and on the command line, and the beginning of ids.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Ssh => "ssh",
            Self::U2f => "u2f",
            Self::Fingerprint => "fingerprint",
            Self::Face => "face",
            Self::Pin => "pin",
            Self::Totp => "totp",
        }
    }

    /// Whether one of this type can be locked by itself. A one-time password is asked for beside another authenticator: a
    /// stack that passed over it would want less of who logs in, not more.
    #[must_use]
    pub fn is_lockable(self) -> bool {
        self != Self::Totp
    }

    /// The type of the authenticator with this id; `None` if no authenticator can have it.
    #[must_use]
    pub fn of_id(id: &str) -> Option<Self> {
        if id.len() > MAX_ID || id.chars().any(char::is_control) {
            return None;
        }
        match id.split_once(':') {
            None => id.parse().ok(),
            Some((_, "")) | Some(("password", _)) => None,
            Some((AUTHORITY, _)) => Some(Self::Ssh),
            Some((name, _)) => name.parse().ok(),
        }
    }

    /// Whether a lock on `locked` is one on the authenticator with this id, too: it is the same, all of its type, or the
    /// authority of the certificate.
    #[must_use]
    pub fn covers(locked: &str, id: &str) -> bool {
        let whole = locked.parse::<Self>().is_ok_and(|kind| Self::of_id(id) == Some(kind));
        locked == id || whole || Self::is_of_authority(locked, id)
    }

    /// Whether `authority` is the id of an authority, and `id` that of certificates of its by their key id.
    #[must_use]
    pub fn is_of_authority(authority: &str, id: &str) -> bool {
        let is_authority = authority.strip_prefix("ssh-ca:SHA256:").is_some_and(|hash| !hash.contains(':'));
        is_authority && id.strip_prefix(authority).is_some_and(|rest| rest.starts_with(':'))
    }
}

/// What the ids of authorities begin with.
const AUTHORITY: &str = "ssh-ca";

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A type that is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no authenticator is of that type: use password, ssh, u2f, fingerprint, face, pin or totp")]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(UnknownKind)
    }
}

/// One means of an account to authenticate, as the host has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticator {
    /// Stable name.
    pub id: String,
    /// Its type.
    pub kind: Kind,
    /// What tells it from others, for people; may be empty. Users write it: to be escaped.
    pub label: String,
    /// A key that lives in a FIDO2 authenticator.
    pub passkey: bool,
    /// When the host got it, at the latest.
    pub added: Option<Time>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn types_are_written_as_they_are_read() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert_eq!("SSH".parse::<Kind>(), Err(UnknownKind));
    }

    #[test]
    fn an_id_tells_its_type() {
        assert_eq!(Kind::of_id("password"), Some(Kind::Password));
        assert_eq!(Kind::of_id("ssh:SHA256:x"), Some(Kind::Ssh));
        assert_eq!(Kind::of_id("fingerprint:left-thumb"), Some(Kind::Fingerprint));
        assert_eq!(Kind::of_id("ssh-ca:SHA256:x:key id"), Some(Kind::Ssh));
        assert_eq!(Kind::of_id("ssh"), Some(Kind::Ssh));
        for id in
            ["", "ssh:", "ssh-ca", "ssh-ca:", "password:x", "password\n", "ssh:a\nb", "key:x", "SHA256:x"]
        {
            assert_eq!(Kind::of_id(id), None, "{id:?}");
        }
        assert_eq!(Kind::of_id(&format!("ssh:{}", "x".repeat(MAX_ID))), None);
    }

    #[test]
    fn a_lock_covers_what_it_names_its_whole_type_and_an_authoritys_certificates() {
        assert!(Kind::covers("ssh:SHA256:a", "ssh:SHA256:a"));
        assert!(Kind::covers("ssh", "ssh:SHA256:a") && Kind::covers("ssh", "ssh-ca:SHA256:a"));
        assert!(Kind::covers("ssh-ca:SHA256:a", "ssh-ca:SHA256:a:web 1"));
        for (locked, id) in [
            ("ssh:SHA256:a", "ssh:SHA256:ab"),
            ("ssh:SHA256:a", "ssh:SHA256:a:b"),
            ("ssh:SHA256:a", "ssh"),
            ("ssh-ca:SHA256:a", "ssh-ca:SHA256:ab"),
            ("ssh-ca:SHA256:a:web 1", "ssh-ca:SHA256:a"),
            ("ssh-ca:SHA256:a:web", "ssh-ca:SHA256:a:web:1"),
            ("face", "fingerprint:left-thumb"),
            ("password", "pin:/etc/pins"),
        ] {
            assert!(!Kind::covers(locked, id), "{locked} {id}");
        }
    }

    proptest! {
        #[test]
        fn no_id_makes_it_panic_or_pass_a_control_character(id: String) {
            if Kind::of_id(&id).is_some() {
                prop_assert!(!id.chars().any(char::is_control));
            }
        }
    }
}

//! What sshd says about how somebody authenticated.

use lockdown_enforcement::ssh::key_id;
use ssh_key::{HashAlg, PublicKey};

/// The authenticator in `SSH_AUTH_INFO_0` (sshd_config(5), ExposeAuthInfo): `password`, or `ssh:SHA256:…` for a public
/// key, a certificate counting as the key that it certifies. Of several methods the key says most. Empty if there
/// is none that can be told.
#[must_use]
pub fn authenticator(auth_info: &str) -> String {
    let mut found = String::new();
    for line in auth_info.lines() {
        match line.split_once(' ') {
            Some(("publickey", key)) => {
                if let Some(id) = key_id(key) {
                    return id;
                }
            }
            _ if line.starts_with("password") || line.starts_with("keyboard-interactive") => {
                found = "password".to_owned();
            }
            _ => {}
        }
    }
    found
}

/// `SHA256:…` of a public key as `ssh-ed25519 AAAA… comment`, of a certificate that of the key that it certifies.
#[must_use]
pub fn fingerprint(key: &str) -> Option<String> {
    if key.split(' ').next()?.contains("-cert-v01@") {
        // The crate reads none that is valid for ever, as ssh-keygen(1) makes them.
        return key_id(key)?.strip_prefix("ssh:").map(str::to_owned);
    }
    Some(PublicKey::from_openssh(key).ok()?.fingerprint(HashAlg::Sha256).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    /// One without an end, and the fingerprint of its key; by ssh-keygen(1).
    const CERTIFICATE: &str = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIJVPBJkCay2dUX4f3J7GxUFzsVLn/zBSokXJZkbJ/jYSAAAAIOsPk9KdRn1hZyGuB0X4PhyB8dtuLyFcIESspabs9CE7AAAAAAAAAAAAAAABAAAABGlkIDEAAAAFAAAAAWEAAAAAAAAAAP//////////AAAAAAAAAIIAAAAVcGVybWl0LVgxMS1mb3J3YXJkaW5nAAAAAAAAABdwZXJtaXQtYWdlbnQtZm9yd2FyZGluZwAAAAAAAAAWcGVybWl0LXBvcnQtZm9yd2FyZGluZwAAAAAAAAAKcGVybWl0LXB0eQAAAAAAAAAOcGVybWl0LXVzZXItcmMAAAAAAAAAAAAAADMAAAALc3NoLWVkMjU1MTkAAAAgC2XbMrXc8IgMuRCHERi9NfeXl8LWQ2w8m6m/L4qglL8AAABTAAAAC3NzaC1lZDI1NTE5AAAAQIjtmbc10YBXxr/mO6hphw8VjHKpsC9o8nVy3fYuIbEWWhF+HLtSZSNbrcJ56dyJWPGTrGi8byrN6M82gg6W8g4=";
    const FINGERPRINT: &str = "SHA256:pvRtA7YpeyHrmV9NhW67djAYmDPFlJgo4vXaJsCXg3A";

    #[test]
    fn a_key_is_its_fingerprint() {
        let id = authenticator(&format!("publickey {KEY}\n"));
        assert!(id.starts_with("ssh:SHA256:"), "{id}");
        assert_eq!(id.len(), "ssh:SHA256:".len() + 43);
    }

    #[test]
    fn a_certificate_is_the_key_that_it_certifies() {
        let (certificate, fingerprint) = (CERTIFICATE, FINGERPRINT);
        assert_eq!(authenticator(&format!("publickey {certificate}\n")), format!("ssh:{fingerprint}"));
        assert_eq!(super::fingerprint(certificate).as_deref(), Some(fingerprint));
    }

    #[test]
    fn the_key_says_more_than_the_password_beside_it() {
        assert!(authenticator(&format!("password\npublickey {KEY}\n")).starts_with("ssh:"));
        assert_eq!(authenticator("password\n"), "password");
        assert_eq!(authenticator("keyboard-interactive/pam\n"), "password");
    }

    #[test]
    fn what_cannot_be_told_is_empty() {
        for text in ["", "publickey", "publickey x y", "hostbased a b", "publickey ssh-ed25519 AAAA"] {
            assert_eq!(authenticator(text), "", "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = authenticator(&text);
            let _ = authenticator(&format!("publickey ssh-ed25519-cert-v01@openssh.com {text}"));
        }
    }
}

//! What sshd says about how somebody authenticated.

use ssh_key::{Certificate, HashAlg, PublicKey};

/// The authenticator in `SSH_AUTH_INFO_0` (sshd_config(5), ExposeAuthInfo): `password`, or `ssh:SHA256:…` for a public
/// key, a certificate counting as the key that it certifies. Of several methods the key says most. Empty if there
/// is none that can be told.
#[must_use]
pub fn authenticator(auth_info: &str) -> String {
    let mut found = String::new();
    for line in auth_info.lines() {
        match line.split_once(' ') {
            Some(("publickey", key)) => {
                if let Some(fingerprint) = fingerprint(key) {
                    return format!("ssh:{fingerprint}");
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
    let fingerprint = if key.split(' ').next()?.contains("-cert-v01@") {
        Certificate::from_openssh(key).ok()?.public_key().fingerprint(HashAlg::Sha256)
    } else {
        PublicKey::from_openssh(key).ok()?.fingerprint(HashAlg::Sha256)
    };
    Some(fingerprint.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    #[test]
    fn a_key_is_its_fingerprint() {
        let id = authenticator(&format!("publickey {KEY}\n"));
        assert!(id.starts_with("ssh:SHA256:"), "{id}");
        assert_eq!(id.len(), "ssh:SHA256:".len() + 43);
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

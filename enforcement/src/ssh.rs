//! With which authenticators somebody passed sshd, from `SSH_AUTH_INFO_0`.
//!
//! sshd_config(5), `ExposeAuthInfo`: a line for every method that was passed, `password`, `keyboard-interactive/pam` or
//! `publickey TYPE BASE64`. What is in the base64 counts, not the type before it: RFC 4253, section 6.6, for keys and
//! `PROTOCOL.certkeys` of OpenSSH for certificates. A certificate is
//!
//! ```text
//! string type            ssh-ed25519-cert-v01@openssh.com
//! string nonce
//! string …               the parts of the key, as many as its type has
//! uint64 serial
//! uint32 kind
//! string key id
//! string principals
//! uint64 valid after
//! uint64 valid before
//! string critical options
//! string extensions
//! string reserved
//! string signature key   the authority's
//! string signature
//! ```

use std::collections::BTreeSet;

use crate::base64;
use crate::sha256::sha256;

/// What a certificate's type has behind that of the key that it certifies.
const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// The authenticators that passed, by their ids; see [`used`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// A lock on any of these denies.
    pub ids: BTreeSet<String>,
    /// There was a public key that cannot be read, so that it may be any.
    pub unreadable_key: bool,
}

/// The authenticators in `auth_info`. For a password `password`; so, too, for keyboard-interactive, in which PAM asks for it.
/// For a public key
///
/// | id | is |
/// |---|---|
/// | `ssh` | any of them |
/// | `ssh:SHA256:…` | this key, or the key that the certificate certifies |
/// | `ssh-ca:SHA256:…` | any certificate of this authority, by the authority's key |
/// | `ssh-ca:SHA256:…:KEY ID` | the certificates of this authority with this key id |
///
/// A key id that is not UTF-8 has U+FFFD for what is not.
pub fn used(auth_info: &str) -> Used {
    let mut used = Used::default();
    for line in auth_info.lines() {
        let (method, rest) = line.split_once(' ').unwrap_or((line, ""));
        match method {
            "publickey" => match public_key(rest) {
                Some(ids) => used.ids.extend(ids),
                None => used.unreadable_key = true,
            },
            _ if method == "password" || method.starts_with("keyboard-interactive") => {
                used.ids.insert("password".to_owned());
            }
            _ => {}
        }
    }
    if used.unreadable_key {
        used.ids.insert("ssh".to_owned());
    }
    used
}

/// `ssh:SHA256:…` of a public key as in authorized_keys, `TYPE BASE64 COMMENT`; of a certificate that of the key that it
/// certifies. `None` for what is neither.
pub fn key_id(key: &str) -> Option<String> {
    public_key(key)?.into_iter().find(|id| id.starts_with("ssh:"))
}

/// The ids of `TYPE BASE64 COMMENT`.
fn public_key(text: &str) -> Option<Vec<String>> {
    let blob = base64::decode(text.split(' ').nth(1)?)?;
    let name = std::str::from_utf8(Reader(&blob).string()?).ok()?;
    let ids = |key: &[u8]| vec!["ssh".to_owned(), format!("ssh:{}", fingerprint(key))];
    if !name.contains("-cert-v") {
        return Some(ids(&blob));
    }
    let certificate = certificate(&blob, name)?;
    let authority = format!("ssh-ca:{}", fingerprint(certificate.authority));
    let by_key_id = format!("{authority}:{}", String::from_utf8_lossy(certificate.key_id));
    let mut ids = ids(&certificate.key);
    ids.extend([authority, by_key_id]);
    Some(ids)
}

/// As ssh-keygen(1) shows it.
fn fingerprint(key: &[u8]) -> String {
    format!("SHA256:{}", base64::encode(&sha256(key)))
}

struct Certificate<'a> {
    /// The certified key, as it would stand by itself.
    key: Vec<u8>,
    key_id: &'a [u8],
    authority: &'a [u8],
}

/// `None` also for a type that is not known here: where its key ends cannot be told.
fn certificate<'a>(blob: &'a [u8], name: &str) -> Option<Certificate<'a>> {
    let (plain, suffix) = match name.strip_suffix(CERTIFICATE)? {
        // Types that OpenSSH has added are named with its domain, in certificates once.
        plain if plain.starts_with("sk-") => (plain, "@openssh.com"),
        plain => (plain, ""),
    };
    let parts = match plain {
        "ssh-ed25519" => 1,
        "ssh-rsa" | "sk-ssh-ed25519" => 2,
        _ if plain.starts_with("ecdsa-sha2-") => 2,
        _ if plain.starts_with("sk-ecdsa-sha2-") => 3,
        "ssh-dss" => 4,
        _ => return None,
    };
    let mut fields = Reader(blob);
    let (_name, _nonce) = (fields.string()?, fields.string()?);
    let mut key = Vec::with_capacity(blob.len());
    put_string(&mut key, format!("{plain}{suffix}").as_bytes());
    for _ in 0..parts {
        put_string(&mut key, fields.string()?);
    }
    let (_serial, _kind) = (fields.take(8)?, fields.take(4)?);
    let key_id = fields.string()?;
    let (_principals, _valid) = (fields.string()?, fields.take(16)?);
    let (_options, _extensions, _reserved) = (fields.string()?, fields.string()?, fields.string()?);
    let authority = fields.string()?;
    let _signature = fields.string()?;
    fields.0.is_empty().then_some(Certificate { key, key_id, authority })
}

/// RFC 4251, section 5.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.take(4)?.try_into().ok()?;
        self.take(u32::from_be_bytes(length) as usize)
    }
}

fn put_string(blob: &mut Vec<u8>, value: &[u8]) {
    blob.extend((value.len() as u32).to_be_bytes());
    blob.extend(value);
}

#[cfg(test)]
mod tests;

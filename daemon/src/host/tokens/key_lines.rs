//! Lines of a file of authorized keys, read as sshd reads them (sshd(8), AUTHORIZED_KEYS FILE FORMAT).
//!
//! The parser of the ssh-key crate takes a space within quoted options for the end of the options: a line with
//! `command="a b"` would be none to it, and its key would be overlooked.

use super::super::sshd::fingerprint;

/// A key in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Line, counted from 1.
    pub line: u32,
    /// `SHA256:…`; of a certificate that of the key that it certifies.
    pub fingerprint: String,
    /// The key of an authority that certifies others' keys (`cert-authority`): nobody signs in with it, and others than
    /// the account may hold keys that it certified.
    pub authority: bool,
    /// Its type as the file has it: `ssh-ed25519`, `sk-ssh-ed25519@openssh.com`.
    pub algorithm: String,
    /// What stands behind it; may be empty.
    pub comment: Vec<u8>,
}

/// The keys of a file; lines that sshd would pass over are none.
pub fn keys(content: &[u8]) -> impl Iterator<Item = Key> {
    let lines = (1..).zip(content.split(|byte| *byte == b'\n'));
    lines.filter_map(|(number, line)| key(number, line))
}

fn key(number: u32, line: &[u8]) -> Option<Key> {
    // sshd's lines are strings of C.
    let line = without_blanks(line.split(|byte| *byte == 0).next().unwrap_or_default());
    if line.starts_with(b"#") {
        return None;
    }
    if let Some(key) = leading_key(number, line) {
        return Some(key);
    }
    let (options, rest) = line.split_at(options_length(line));
    let key = leading_key(number, without_blanks(rest))?;
    Some(Key { authority: has_option(options, b"cert-authority"), ..key })
}

fn leading_key(line: u32, text: &[u8]) -> Option<Key> {
    let (algorithm, rest) = word(text)?;
    let algorithm = std::str::from_utf8(algorithm).ok()?.to_owned();
    let (blob, comment) = word(rest)?;
    // As b64_pton(3), over spaces of any kind: files from Windows have \r at the end of a line.
    let blob = blob.iter().filter(|byte| !is_space(byte)).copied().collect();
    let fingerprint = fingerprint(&format!("{algorithm} {}", String::from_utf8(blob).ok()?))?;
    Some(Key { line, fingerprint, authority: false, algorithm, comment: comment.trim_ascii().to_vec() })
}

/// The next word, and what stands behind it.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = without_blanks(text);
    let end = text.iter().position(is_blank).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Follows the quotation marks of options, byte by byte. As for sshd, a backslash before a quotation mark takes its
/// meaning, and none before another backslash.
#[derive(Default)]
struct Quotation {
    open: bool,
    backslash: bool,
}

impl Quotation {
    /// Whether this byte is within quotation marks.
    fn has(&mut self, byte: u8) -> bool {
        self.open ^= byte == b'"' && !self.backslash;
        self.backslash = byte == b'\\';
        self.open
    }
}

/// Up to the first blank that is not quoted.
fn options_length(line: &[u8]) -> usize {
    let mut quotation = Quotation::default();
    line.iter().position(|byte| !quotation.has(*byte) && is_blank(byte)).unwrap_or(line.len())
}

fn has_option(options: &[u8], wanted: &[u8]) -> bool {
    let mut quotation = Quotation::default();
    options
        .split(|byte| !quotation.has(*byte) && *byte == b',')
        .any(|option| option.eq_ignore_ascii_case(wanted))
}

fn without_blanks(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| !is_blank(byte)).unwrap_or(line.len());
    line.get(start..).unwrap_or_default()
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BLOB: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";

    fn lines(text: &str) -> Vec<(u32, bool)> {
        keys(text.as_bytes()).map(|key| (key.line, key.authority)).collect()
    }

    #[test]
    fn a_key_is_found_behind_whatever_sshd_allows_before_it() {
        for line in [
            format!("ssh-ed25519 {BLOB}"),
            format!(" \tssh-ed25519\t{BLOB} a # comment"),
            format!("ssh-ed25519 {BLOB}\r"),
            format!("restrict ssh-ed25519 {BLOB}"),
            format!("command=\"echo a b\",no-pty ssh-ed25519 {BLOB} comment"),
            format!(r#"environment="A=\"x y\"",restrict ssh-ed25519 {BLOB} alice@example"#),
            format!(r#"command="\\" x",no-pty ssh-ed25519 {BLOB} the backslash before it counts"#),
            format!("ssh-ed25519 {BLOB}\0rest"),
            ECDSA.to_owned(),
        ] {
            assert_eq!(lines(&line), [(1, false)], "{line}");
        }
    }

    #[test]
    fn what_sshd_passes_over_is_no_key() {
        for line in ["", "   ", "ssh-ed25519", "ssh-ed25519 AAAA", "no-pty", "command=\"x ssh-ed25519 y"] {
            assert_eq!(lines(line), [], "{line}");
        }
        assert_eq!(lines(&format!("# ssh-ed25519 {BLOB}")), []);
        assert_eq!(lines(&format!("command=\"a ssh-ed25519 {BLOB}")), []);
    }

    #[test]
    fn an_authority_is_told_from_a_key() {
        let text = format!(
            "CERT-authority ssh-ed25519 {BLOB}\n\nprincipals=\"a,b\",cert-authority ssh-ed25519 {BLOB}\n\
             command=\"x,cert-authority\" ssh-ed25519 {BLOB}\n\
             command=\"x\\\",cert-authority,\\\"\" ssh-ed25519 {BLOB}\n"
        );
        assert_eq!(lines(&text), [(1, true), (3, true), (4, false), (5, false)]);
    }

    #[test]
    fn a_key_has_the_comment_behind_it() {
        for (line, comment) in [
            (format!("ssh-ed25519 {BLOB}"), ""),
            (format!("ssh-ed25519 {BLOB}\r"), ""),
            (format!("no-pty  ssh-ed25519\t{BLOB}  alice at  work \r"), "alice at  work"),
        ] {
            let key = keys(line.as_bytes()).next().unwrap();
            assert_eq!((key.algorithm.as_str(), key.comment.as_slice()), ("ssh-ed25519", comment.as_bytes()));
        }
    }

    #[test]
    fn the_fingerprint_is_that_of_ssh_keygen() {
        let key = keys(format!("no-pty ssh-ed25519 {BLOB}").as_bytes()).next().unwrap();
        assert_eq!(Some(key.fingerprint), fingerprint(&format!("ssh-ed25519 {BLOB} x")));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(content: Vec<u8>) {
            let _ = keys(&content).count();
        }

        #[test]
        fn no_quoted_option_hides_a_key(value in r#"([ -!#-\[\]-~]|\\"){0,40}"#) {
            let line = format!("command=\"{value}\" ssh-ed25519 {BLOB}");
            prop_assert_eq!(lines(&line), [(1, false)]);
        }
    }
}

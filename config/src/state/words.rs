//! What the words of a document have to be: the daemon's own rules, so that a document can be checked without it.
//! Each check says why a word is not, or nothing.

/// Longest login name, and name of a group, in bytes: `LOGIN_NAME_MAX` of limits.h(0p) on Linux, without its zero.
const MAX_NAME: usize = 255;
/// Longest kind of an identifier, in bytes.
const MAX_KIND: usize = 32;
/// Longest value of an identifier, in bytes: that of a mail address (RFC 5321, 4.5.3.1.3, without its brackets).
const MAX_IDENTIFIER: usize = 254;
/// Longest id of an authenticator, in bytes.
const MAX_AUTHENTICATOR: usize = 512;
/// Longest key of metadata, in bytes.
const MAX_KEY: usize = 64;
/// Longest value of metadata, in bytes.
const MAX_METADATA: usize = 1024;

/// The types of authenticators that can be locked by themselves.
const TYPES: [&str; 6] = ["password", "ssh", "u2f", "fingerprint", "face", "pin"];
/// The type that cannot: it is asked for beside another, and a login without it would be easier.
const ONE_TIME_PASSWORD: &str = "totp";
/// What ids of certificate authorities of SSH begin with.
const AUTHORITY: &str = "ssh-ca";

/// A login name, `uid:1000`, or an identifier as `KIND:VALUE`.
pub(super) fn account(text: &str) -> Option<&'static str> {
    match text.split_once(':') {
        Some(("uid", number)) => match number.parse::<u32>() {
            // (uid_t)-1 means "no user" to the kernel.
            Ok(uid) if uid != u32::MAX => None,
            _ => Some("has no number from 0 to 4294967294 after \"uid:\""),
        },
        Some((kind, value)) => identifier(kind, value),
        None => name(text),
    }
}

/// The name of a group.
pub(super) fn group(text: &str) -> Option<&'static str> {
    if text.contains(':') { Some("has a colon") } else { name(text) }
}

/// useradd(8) sets narrower rules, but directories have names with spaces, backslashes and `@`.
fn name(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("is empty")
    } else if text.len() > MAX_NAME {
        Some("has more than 255 bytes")
    } else if text.contains(|c: char| c.is_control() || c == '/') {
        Some("has a slash or a control character")
    } else {
        None
    }
}

/// What an account can be named by besides its login name.
pub(super) fn identifier(kind: &str, value: &str) -> Option<&'static str> {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    let is_kind = kind.len() <= MAX_KIND
        && kind.starts_with(|first: char| first.is_ascii_lowercase())
        && kind.bytes().all(rest)
        && kind != "uid";
    if !is_kind {
        return Some(
            "has a kind other than email, phone, id, or up to 32 of a-z, 0-9, \"_\" and \"-\" that begin with a letter \
             and are not uid",
        );
    }
    if value.is_empty() {
        Some("is empty")
    } else if value.len() > MAX_IDENTIFIER {
        Some("has more than 254 bytes")
    } else if value.contains(char::is_control) || value.trim() != value {
        Some("has a control character, or white space around it")
    } else if kind == "email" && !is_mail_address(value) {
        Some("is no mail address; write name@domain")
    } else if kind == "phone" && !is_telephone_number(value) {
        Some("is no telephone number; write 3 to 15 digits, with + in front for an international one")
    } else {
        None
    }
}

/// No more than tells a slip from an address: what a domain accepts only the domain knows.
fn is_mail_address(value: &str) -> bool {
    value.rsplit_once('@').is_some_and(|(name, domain)| {
        !name.is_empty() && !domain.is_empty() && !value.contains(char::is_whitespace)
    })
}

/// E.164, 6.1, at least the digits of an extension; with what stands between digits for people (RFC 3966, 5.1.1, and the
/// blank).
fn is_telephone_number(value: &str) -> bool {
    let number = value.strip_prefix('+').unwrap_or(value);
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    (3..=15).contains(&digits) && number.bytes().all(|byte| byte.is_ascii_digit() || b" -.()".contains(&byte))
}

/// The id of an authenticator, or a type.
pub(super) fn authenticator(text: &str) -> Option<&'static str> {
    if text.len() > MAX_AUTHENTICATOR {
        return Some("has more than 512 bytes");
    }
    if text.contains(char::is_control) {
        return Some("has a control character");
    }
    let of_type = match text.split_once(':') {
        None => text,
        Some((_, "")) | Some(("password", _)) => return Some("is no id of an authenticator"),
        Some((AUTHORITY, _)) => "ssh",
        Some((of_type, _)) => of_type,
    };
    match of_type {
        ONE_TIME_PASSWORD => Some("cannot be locked by itself: it is asked for beside another authenticator"),
        of_type if TYPES.contains(&of_type) => None,
        _ => Some("is no id of an authenticator"),
    }
}

/// What is kept with an account.
pub(super) fn metadata(key: &str, value: &str) -> Option<&'static str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if !(1..=MAX_KEY).contains(&key.len()) || !key.bytes().all(fits) {
        Some("has a key other than 1 to 64 letters, digits, \"_\", \".\" and \"-\"")
    } else if value.is_empty() {
        Some("is empty; leave the key out")
    } else if value.len() > MAX_METADATA {
        Some("has more than 1024 bytes")
    } else if value.contains(char::is_control) {
        Some("has a control character")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accounts() {
        for good in [
            "alice",
            "CORP\\alice",
            "alice@corp",
            "uid:0",
            "uid:4294967294",
            "email:a@b.example",
            "phone:+1 (555) 01-00",
            "id:urn:x/17",
            "badge:B-17",
        ] {
            assert_eq!(account(good), None, "{good}");
        }
        let long = "a".repeat(MAX_NAME + 1);
        for bad in [
            "",
            &long,
            "a\nb",
            "../etc",
            "A:b",
            ":b",
            "a:",
            "email:alice",
            "email:a b@c",
            "phone:x",
            "phone:12",
            "uid:",
            "uid:-1",
            "uid:4294967295",
            "badge: 7",
            "x:\u{7f}",
        ] {
            assert!(account(bad).is_some(), "{bad}");
        }
        assert_eq!(account(&long[1..]), None);
        assert!(group("sudo").is_none() && group("uid:1").is_some() && group("").is_some());
    }

    #[test]
    fn authenticators() {
        for good in [
            "password",
            "ssh",
            "ssh:SHA256:x",
            "ssh-ca:SHA256:x:key id",
            "fingerprint:left-thumb",
            "pin:/etc/x",
        ] {
            assert_eq!(authenticator(good), None, "{good}");
        }
        let long = format!("ssh:{}", "x".repeat(MAX_AUTHENTICATOR));
        for bad in [
            "",
            "ssh:",
            "ssh-ca",
            "ssh-ca:",
            "password:x",
            "ssh:a\nb",
            "key:x",
            "SSH",
            "totp",
            "totp:oath",
            &long,
        ] {
            assert!(authenticator(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn metadata_is_shown_as_it_is() {
        assert_eq!(metadata("team.x_y-1", "Müller, \"night\""), None);
        assert_eq!(metadata(&"k".repeat(MAX_KEY), &"v".repeat(MAX_METADATA)), None);
        for (key, value) in [("", "v"), ("a b", "v"), ("ä", "v"), ("a", ""), ("a", "b\nc")] {
            assert!(metadata(key, value).is_some(), "{key} {value}");
        }
        assert!(metadata(&"k".repeat(MAX_KEY + 1), "v").is_some());
        assert!(metadata("k", &"v".repeat(MAX_METADATA + 1)).is_some());
    }

    proptest! {
        #[test]
        fn what_passes_forges_no_line(text in "(?s)([a-z]{0,9}:)?.{0,40}") {
            for check in [account, group, authenticator] {
                prop_assert!(check(&text).is_some() || !text.contains(char::is_control));
            }
            prop_assert!(metadata("k", &text).is_some() || !text.contains(char::is_control));
        }
    }
}

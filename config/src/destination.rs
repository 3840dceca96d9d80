//! The kinds of values that say where word goes: mail addresses, servers, URLs, files, commands.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use toml::de::DeValue;

use crate::error::quote;
use crate::value::{Fault, Given, Kind, Value};

/// What one word has to be: why it is not, or nothing.
pub(crate) type Check = fn(&str) -> Option<&'static str>;

/// A text that passes a check; the empty text is `None`.
pub(crate) struct Word {
    pub(crate) allowed: &'static str,
    pub(crate) check: Check,
}

impl Kind for Word {
    type Type = Option<String>;

    fn allowed(&self) -> String {
        format!("{}, or empty", self.allowed)
    }

    fn read(&self, given: &Given<'_>) -> Result<Option<String>, Fault> {
        if given.get_ref().as_str() == Some("") {
            return Ok(None);
        }
        read_word(self, self.check, given).map(Some)
    }

    fn write(&self, value: &Option<String>) -> Value {
        Value::Text(value.clone().unwrap_or_default())
    }
}

/// A list of such texts; one alone needs no brackets.
pub(crate) struct Words {
    pub(crate) allowed: &'static str,
    pub(crate) check: Check,
    pub(crate) count: RangeInclusive<usize>,
}

impl Kind for Words {
    type Type = Vec<String>;

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn read(&self, given: &Given<'_>) -> Result<Vec<String>, Fault> {
        let words = match given.get_ref() {
            DeValue::String(_) => vec![read_word(self, self.check, given)?],
            DeValue::Array(list) => {
                list.iter().map(|one| read_word(self, self.check, one)).collect::<Result<_, _>>()?
            }
            _ => return Err(self.wrong_type(given)),
        };
        if !self.count.contains(&words.len()) {
            return Err(self.fault(given, format_args!("a list of {} is wrong here", words.len())));
        }
        Ok(words)
    }

    fn write(&self, value: &Vec<String>) -> Value {
        Value::List(value.clone())
    }
}

pub(crate) fn read_word(kind: &impl Kind, check: Check, given: &Given<'_>) -> Result<String, Fault> {
    let text = given.get_ref().as_str().ok_or_else(|| kind.wrong_type(given))?;
    match check(text) {
        None => Ok(text.to_owned()),
        Some(wrong) => Err(kind.fault(given, format_args!("{} {wrong}", quote(text)))),
    }
}

/// Longest address (RFC 5321, 4.5.3.1.3: 256 with the brackets around it).
const MAX_ADDRESS: usize = 254;
const MAX_URL: usize = 2048;

/// An address that a mail can be sent to: `local@domain`, or the name of a mailbox of this host.
pub(crate) fn mail_address(text: &str) -> Option<&'static str> {
    let (local, domain) = text.rsplit_once('@').unwrap_or((text, "localhost"));
    let atom = |c: char| !c.is_whitespace() && !c.is_control() && !"()<>[]:;@\\,\"".contains(c);
    if text.len() > MAX_ADDRESS {
        Some("has more than 254 bytes")
    } else if !text.is_ascii() {
        // RFC 6531 would need every server on the way to know it.
        Some("is not ASCII (a domain has a form that is: xn--...)")
    } else if local.is_empty() || domain.is_empty() {
        Some("lacks what stands before or after the @")
    } else if local.starts_with('-') {
        // sendmail(1) would take it for an option.
        Some("begins with a -")
    } else if !local.chars().all(atom) || !domain.chars().all(atom) {
        Some("has a character that no address has")
    } else {
        None
    }
}

/// The same with a domain: what a mail can come from.
pub(crate) fn full_mail_address(text: &str) -> Option<&'static str> {
    mail_address(text).or_else(|| (!text.contains('@')).then_some("lacks an @"))
}

/// `host`, `host:port`, `[::1]:port`.
pub(crate) fn server(text: &str) -> Option<&'static str> {
    match split_server(text) {
        Some((host, _)) if is_host(host) => None,
        Some(_) => Some("is no host name"),
        None => Some("is no host with a port"),
    }
}

/// Host, without the brackets of an IPv6 address, and port if there is one.
pub(crate) fn split_server(text: &str) -> Option<(&str, Option<u16>)> {
    let port = |text: &str| text.parse().ok().filter(|port| *port > 0);
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest {
            "" => Some((host, None)),
            rest => Some((host, Some(port(rest.strip_prefix(':')?)?))),
        };
    }
    match text.split_once(':') {
        None => Some((text, None)),
        Some((host, rest)) => Some((host, Some(port(rest)?))),
    }
}

fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
    };
    host.parse::<Ipv6Addr>().is_ok()
        || host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
}

/// Whether packets to this host stay on this one.
pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

/// An `https` URL, or an `http` one on this host.
pub(crate) fn url(text: &str) -> Option<&'static str> {
    if text.len() > MAX_URL {
        return Some("has more than 2048 bytes");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some("has white space or a character that has to be percent-encoded");
    }
    let Some((scheme, rest)) = text.split_once("://") else { return Some("is no URL") };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Some("has a user name, which would be sent in the clear to whoever reads this file");
    }
    let Some((host, _)) = split_server(authority).filter(|(host, _)| is_host(host)) else {
        return Some("names no host");
    };
    match scheme {
        "https" => None,
        "http" if is_loopback(host) => None,
        "http" => Some("would go over the network unencrypted"),
        _ => Some("has another scheme"),
    }
}

/// An absolute path.
pub(crate) fn absolute_path(text: &str) -> Option<&'static str> {
    if !text.starts_with('/') {
        Some("does not begin with a /")
    } else if text.contains(char::is_control) {
        Some("has a control character")
    } else if text.len() >= 4096 {
        Some("has more than 4095 bytes")
    } else {
        None
    }
}

/// An argument of a program.
pub(crate) fn argument(text: &str) -> Option<&'static str> {
    if text.contains('\0') {
        Some("has a zero byte")
    } else if text.len() > 4096 {
        Some("has more than 4096 bytes")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses() {
        for good in ["a@b", "root", "first.last+tag@mail.example.org", "a@xn--exmple-cua.org", "a@10.0.0.1"] {
            assert_eq!(mail_address(good), None, "{good}");
        }
        for bad in [
            "",
            "@b",
            "a@",
            "a b@c",
            "a@b\r\nBcc: x",
            "A <a@b>",
            "a,b@c",
            "-oQ/tmp@x",
            "-f",
            "a@b@c",
            "ü@b",
            "a@exämple.org",
        ] {
            assert!(mail_address(bad).is_some(), "{bad}");
        }
        assert!(mail_address(&format!("{}@b", "a".repeat(253))).is_some());
        assert!(full_mail_address("root").is_some() && full_mail_address("root@h").is_none());
    }

    #[test]
    fn servers() {
        for (text, expected) in [
            ("mail.example.org", Some(("mail.example.org", None))),
            ("mail:25", Some(("mail", Some(25)))),
            ("[::1]:25", Some(("::1", Some(25)))),
            ("[::1]", Some(("::1", None))),
        ] {
            assert_eq!(split_server(text), expected);
            assert_eq!(server(text), None, "{text}");
        }
        for bad in ["", ":25", "mail:", "mail:0", "mail:65536", "::1", "[::1", "[::1]25", "a b", "a/b", "-x"]
        {
            assert!(server(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn urls() {
        for good in [
            "https://hooks.example.org/a/b?c=d",
            "https://h:8443",
            "https://[2001:db8::1]/",
            "http://localhost:9093/api",
            "http://127.0.0.1/",
            "http://[::1]:80/",
        ] {
            assert_eq!(url(good), None, "{good}");
        }
        for bad in [
            "",
            "h/x",
            "http://h/",
            "http://localhost.example.org/",
            "http://127.0.0.1.example.org/",
            "http://localhost@evil/",
            "https://",
            "https:///x",
            "https://a b/",
            "https://a\nb/",
            "ftp://localhost/",
            "HTTP://h/",
        ] {
            assert!(url(bad).is_some(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in "(?s)(http(s)?://)?[^x]{0,80}") {
            for check in [mail_address, full_mail_address, server, url, absolute_path, argument] {
                check(&text);
            }
        }

        #[test]
        fn an_address_adds_no_line_and_no_header(text in "(?s)[a-z@\r\n:, <>\"-]{0,20}") {
            if mail_address(&text).is_none() {
                prop_assert!(!text.contains(['\r', '\n', ' ', ',', '<', '"']) && !text.starts_with('-'));
            }
        }
    }
}

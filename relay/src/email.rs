//! An item as a mail: RFC 5322, plain text.

use std::time::SystemTime;

use lettre::{
    Address, Message,
    address::Envelope,
    message::{
        Mailbox, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};
use lockdown_delivery::{Item, visible};

use crate::text;

/// A mail, ready to be sent.
#[derive(Debug)]
pub(crate) struct Mail {
    /// Who sends it.
    pub(crate) from: Address,
    /// Who gets it: addresses, or mailboxes of this host.
    pub(crate) to: Vec<String>,
    /// Headers and body, ASCII, with `\r\n`.
    pub(crate) bytes: Vec<u8>,
}

/// The mail for an item. Its Message-ID is the item's at every attempt, so that mail programs show it once.
///
/// # Errors
/// An address that is none; which.
pub(crate) fn build(item: &Item, from: &str, to: &[String], now: SystemTime) -> Result<Mail, String> {
    let sender = mailbox(from)?;
    let recipients = to.iter().map(|to| recipient(to)).collect::<Result<Vec<_>, _>>()?;
    // lettre looks for recipients in the headers otherwise, where it knows no mailboxes without a domain.
    let anybody = Envelope::new(None, vec![sender.email.clone()]).map_err(|error| error.to_string())?;
    let from = sender.email.clone();
    let events: Vec<_> = item.events.iter().take(MAX_NUMBERS).map(|event| event.id.to_string()).collect();
    let importance = match item.severity.as_str() {
        "critical" | "warning" => "high",
        "info" => "low",
        _ => "normal",
    };
    let message = Message::builder()
        .envelope(anybody)
        .from(sender)
        .raw_header(header(
            "To",
            recipients.iter().map(|(header, _)| header.as_str()).collect::<Vec<_>>().join(", "),
        ))
        .date(now)
        .message_id(Some(format!("<{}@{}>", item.id, domain(&item.host))))
        .subject(text::subject(item))
        // RFC 3834: no out-of-office reply to this.
        .raw_header(header("Auto-Submitted", "auto-generated".to_owned()))
        .raw_header(header("Importance", importance.to_owned()))
        .raw_header(header("X-Lockdown-Event", events.join(" ")))
        .singlepart(SinglePart::plain(text::long(item) + "\n"))
        .map_err(|error| error.to_string())?;
    Ok(Mail {
        from,
        to: recipients.into_iter().map(|(_, address)| address).collect(),
        bytes: message.formatted(),
    })
}

/// Numbers of events that a header lists.
const MAX_NUMBERS: usize = 50;

fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

fn no_address(text: &str) -> String {
    format!("{} is no mail address", visible(text, 128))
}

/// An address of ASCII, maybe with a display name: others need SMTPUTF8 (RFC 6531) of every server on the way.
fn mailbox(text: &str) -> Result<Mailbox, String> {
    let mailbox = text.parse::<Mailbox>().ok();
    mailbox.filter(|mailbox| AsRef::<str>::as_ref(&mailbox.email).is_ascii()).ok_or_else(|| no_address(text))
}

/// A recipient as it stands in the header, and where the mail goes.
fn recipient(text: &str) -> Result<(String, String), String> {
    if is_local_mailbox(text) {
        return Ok((text.to_owned(), text.to_owned()));
    }
    let mailbox = mailbox(text)?;
    // A display name goes as it was written, unless it could be more than a name.
    let shown = if mailbox.name.as_deref().is_some_and(|name| name.chars().all(is_plain)) {
        mailbox.to_string()
    } else {
        mailbox.email.to_string()
    };
    Ok((shown, mailbox.email.to_string()))
}

/// A login name or an alias; it can be no option of sendmail(8).
fn is_local_mailbox(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+');
    !text.is_empty() && text.len() <= 64 && !text.starts_with('-') && text.bytes().all(is_part)
}

fn is_plain(character: char) -> bool {
    matches!(character, ' ' | '.' | '-' | '_' | '\'') || character.is_ascii_alphanumeric()
}

/// The host as the right side of a Message-ID.
fn domain(host: &str) -> &str {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let is_domain = !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(is_part)
        && !host.starts_with('.')
        && !host.ends_with('.')
        && !host.contains("..");
    if is_domain { host } else { "localhost" }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use proptest::prelude::*;
    use std::time::Duration;

    use super::*;
    use crate::samples::{HOSTILE, hostile, item, wall};

    const HEADERS: &[&str] = &[
        "From",
        "To",
        "Date",
        "Message-ID",
        "Subject",
        "Auto-Submitted",
        "Importance",
        "X-Lockdown-Event",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    ];

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn mail(item: &Item, to: &str) -> Mail {
        build(item, "Lockdown <lockdown@web1.example.org>", &[to.to_owned()], at(1_795_255_200)).unwrap()
    }

    /// Headers, unfolded, and the body; as RFC 5322 reads them.
    fn parse(mail: &Mail) -> (Vec<(String, String)>, String) {
        let text = String::from_utf8(mail.bytes.clone()).unwrap();
        assert!(text.is_ascii());
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        assert_eq!(text.matches('\r').count(), text.matches("\r\n").count());
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", "\t");
        let headers = unfolded.split("\r\n").map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line:?}"));
            (name.to_owned(), value.to_owned())
        });
        (headers.collect(), body.to_owned())
    }

    fn header_of(mail: &Mail, name: &str) -> String {
        parse(mail).0.into_iter().find(|(header, _)| header == name).unwrap().1
    }

    /// RFC 2047, base64 words only.
    fn decoded(value: &str) -> String {
        let mut text = String::new();
        let mut was_encoded = false;
        for word in value.split(' ') {
            let encoded = word.strip_prefix("=?utf-8?b?").and_then(|word| word.strip_suffix("?="));
            if !(text.is_empty() || (was_encoded && encoded.is_some())) {
                text.push(' ');
            }
            was_encoded = encoded.is_some();
            match encoded {
                Some(encoded) => {
                    text.push_str(&String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap())
                }
                None => text.push_str(word),
            }
        }
        text
    }

    #[test]
    fn a_mail() {
        let mail = mail(&item(wall()), "Security Team <security@example.org>");
        let (headers, body) = parse(&mail);
        let expected = [
            ("From", "Lockdown <lockdown@web1.example.org>"),
            ("To", "Security Team <security@example.org>"),
            ("Date", "Sat, 21 Nov 2026 10:00:00 +0000"),
            ("Message-ID", "<msg_1@web1>"),
            ("Subject", "[lockdown] web1: lockdown alice"),
            ("Auto-Submitted", "auto-generated"),
            ("Importance", "high"),
            ("X-Lockdown-Event", "7"),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", "7bit"),
        ];
        for (name, value) in expected {
            assert!(headers.contains(&(name.into(), value.into())), "{name}: {headers:?}");
        }
        assert_eq!(headers.len(), expected.len());
        assert!(body.contains("reason      phished\r\n"), "{body}");
        assert_eq!(
            (mail.from.to_string().as_str(), mail.to),
            ("lockdown@web1.example.org", vec!["security@example.org".to_owned()])
        );
    }

    #[test]
    fn the_message_id_is_the_same_at_every_attempt() {
        let mut item = item(wall());
        let first = header_of(&mail(&item, "root"), "Message-ID");
        item.attempt = 9;
        assert_eq!(header_of(&mail(&item, "root"), "Message-ID"), first);
    }

    #[test]
    fn a_stranger_gets_no_header_and_no_control_over_a_terminal() {
        let mail = mail(&hostile(wall(), HOSTILE), "root");
        let (headers, body) = parse(&mail);
        let mut names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let mut expected = HEADERS.to_vec();
        names.sort_unstable();
        expected.sort_unstable();
        assert_eq!(names, expected);
        let subject = decoded(&header_of(&mail, "Subject"));
        assert!(subject.contains(r"alice\r\nBcc: mallory@example.org\r\n\r\n<script>"), "{subject}");
        assert!(subject.contains(r"\u{1b}[2J\u{9b}H\u{202e}dwssap\u{2028}\0é{user}"), "{subject}");
        assert_eq!(header_of(&mail, "Message-ID"), "<msg_1@localhost>");
        // Quoted-printable breaks lines anywhere; that is undone first.
        let body = body.replace("=\r\n", "");
        assert!(body.contains(r"reason      alice\r\nBcc") && !body.contains("\r\nBcc"), "{body}");
    }

    #[test]
    fn recipients() {
        assert_eq!(mail(&item(wall()), "root").to, ["root"]);
        let error = |to: &str| build(&item(wall()), "a@example.org", &[to.to_owned()], at(0)).unwrap_err();
        for to in [
            "",
            "-oQ/tmp",
            "a b",
            "a@",
            "a@example.org\r\nBcc: b@example.org",
            "\"a\r\nb\"@example.org",
            "é@example.org",
        ] {
            assert!(error(to).ends_with(" is no mail address"), "{to:?}");
        }
        let named = mail(&item(wall()), "\"Mallory, the\" <security@example.org>");
        assert_eq!(header_of(&named, "To"), "security@example.org");
    }

    proptest! {
        #[test]
        fn no_text_adds_a_header(text: Vec<char>) {
            let text = String::from_iter(text);
            let mail = mail(&hostile(wall(), &text), "root");
            let (headers, _) = parse(&mail);
            prop_assert_eq!(headers.len(), HEADERS.len());
            prop_assert!(headers.iter().all(|(name, _)| HEADERS.contains(&name.as_str())));
            prop_assert!(mail.bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= 998));
        }

        #[test]
        fn no_address_adds_a_header(before: Vec<char>, within: Vec<char>) {
            let (before, within) = (String::from_iter(before), String::from_iter(within));
            let address = format!("{before} <a{within}@example.org>");
            if let Ok(mail) = build(&item(wall()), &address, std::slice::from_ref(&address), at(0)) {
                prop_assert_eq!(parse(&mail).0.len(), HEADERS.len());
            }
        }

        #[test]
        fn no_recipient_is_an_option(to in "-[ -~]{0,20}") {
            let mail = build(&item(wall()), "a@example.org", &[to], at(0));
            prop_assert!(mail.is_err() || mail.unwrap().to.iter().all(|to| !to.starts_with('-') || to.contains('@')));
        }
    }
}

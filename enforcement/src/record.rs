//! The deny record: what is enforced against one account.
//!
//! A record is UTF-8 text, one `key value` a line, in this order and in no other:
//!
//! ```text
//! lockdown-record 1                   format and its version
//! uid 1000                            also the name of the file
//! account alice
//! valid-until 1795269900              unix seconds; absent: the account does not expire
//! lock 7                              id; this and the lines up to the next one, as often as there are locks
//! lock-owner operator
//! lock-authenticator ssh:SHA256:2kf…  absent: the lock is on the account itself
//! lock-expires-at 1795266300          unix seconds; absent: until it is lifted
//! lock-message Call the help desk.    shown to the user; absent: none
//! crc32 5a0c93e1                      of all bytes above, eight lower-case hexadecimal digits
//! ```
//!
//! In values a backslash is written `\\`, a newline `\n` and every other control character below U+0080 `\xHH`, so a
//! value never ends its line. Whatever does not read back to exactly the same bytes is refused: a reader never guesses.

use std::fmt;

use crate::lines::{Fault, Lines, put, put_option, put_time, seal, unseal};

const FIRST_LINE: &str = "lockdown-record 1";

/// What is enforced against one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The account's uid, by which the login path finds the record.
    pub uid: u32,
    /// The account's name when the record was written; for people, not for decisions.
    pub account: String,
    /// The account has expired from this moment on (unix seconds); `None`: never.
    pub valid_until: Option<i64>,
    /// All locks on the account and on its authenticators, in force or not.
    pub locks: Vec<LockEntry>,
}

/// One lock of a [`Record`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockEntry {
    /// The lock's id in the store.
    pub id: i64,
    /// Who may lift it: `operator`, `self`, `lockdown`, …
    pub owner: String,
    /// The authenticator it locks; `None`: the account.
    pub authenticator: Option<String>,
    /// In force before this moment (unix seconds); `None`: until it is lifted.
    pub expires_at: Option<i64>,
    /// Shown to the user who is denied.
    pub message: Option<String>,
}

/// Why bytes are not a deny record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Longer than [`Record::MAX_BYTES`].
    TooLarge,
    /// The checksum line is missing: cut short, or not a record.
    Incomplete,
    /// The checksum does not fit the bytes above it.
    Checksum,
    /// A version of the format that this reader does not know.
    Version,
    /// This line (counted from 1) is not what the format has there.
    Line(usize),
    /// Says the same as a record but is not written as one.
    NotCanonical,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(out, "larger than {} bytes", Record::MAX_BYTES),
            Self::Incomplete => out.write_str("the checksum line is missing"),
            Self::Checksum => out.write_str("the checksum does not fit the content"),
            Self::Version => out.write_str("not a deny record of version 1"),
            Self::Line(number) => write!(out, "line {number} is not what belongs there"),
            Self::NotCanonical => out.write_str("not written in the one form of a deny record"),
        }
    }
}

impl std::error::Error for DecodeError {}

impl From<Fault> for DecodeError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Incomplete => Self::Incomplete,
            Fault::Checksum => Self::Checksum,
            Fault::Version => Self::Version,
            Fault::Line(number) => Self::Line(number),
            Fault::NotText => Self::NotCanonical,
        }
    }
}

impl Record {
    /// The largest record that is written or read: room for over a hundred locks with long messages.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// Whether there is nothing to enforce, now or later: such a record is not kept as a file.
    pub fn is_empty(&self) -> bool {
        self.valid_until.is_none() && self.locks.is_empty()
    }

    /// The record as the bytes of its file.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = String::with_capacity(256);
        text.push_str(FIRST_LINE);
        text.push('\n');
        put(&mut text, "uid", &self.uid.to_string());
        put(&mut text, "account", &self.account);
        put_time(&mut text, "valid-until", self.valid_until);
        for lock in &self.locks {
            put(&mut text, "lock", &lock.id.to_string());
            put(&mut text, "lock-owner", &lock.owner);
            put_option(&mut text, "lock-authenticator", lock.authenticator.as_deref());
            put_time(&mut text, "lock-expires-at", lock.expires_at);
            put_option(&mut text, "lock-message", lock.message.as_deref());
        }
        seal(text)
    }

    /// Reads the bytes of a record's file.
    ///
    /// # Errors
    /// Everything but the exact output of [`encode`](Self::encode) is refused, at most [`MAX_BYTES`](Self::MAX_BYTES)
    /// of it; a flipped bit or a missing byte never goes unnoticed.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(DecodeError::TooLarge);
        }
        let record = Self::from_lines(Lines::of(unseal(bytes)?, FIRST_LINE)?)?;
        if record.encode() == bytes { Ok(record) } else { Err(DecodeError::NotCanonical) }
    }

    fn from_lines(mut lines: Lines<'_>) -> Result<Self, Fault> {
        let (uid, account) = (lines.number("uid")?, lines.required("account")?);
        let valid_until = lines.optional_number("valid-until")?;
        let mut locks = Vec::new();
        while let Some(id) = lines.optional_number("lock")? {
            locks.push(LockEntry {
                id,
                owner: lines.required("lock-owner")?,
                authenticator: lines.optional("lock-authenticator")?,
                expires_at: lines.optional_number("lock-expires-at")?,
                message: lines.optional("lock-message")?,
            });
        }
        lines.end()?;
        Ok(Self { uid, account, valid_until, locks })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crc32::crc32;

    fn any_record() -> impl Strategy<Value = Record> {
        let text = || any::<String>();
        let lock = (
            any::<i64>(),
            text(),
            proptest::option::of(text()),
            any::<Option<i64>>(),
            proptest::option::of(prop_oneof![text(), Just("a\nlock 9\nb\\n\0\r\u{202e}".to_owned())]),
        );
        let lock = lock.prop_map(|(id, owner, authenticator, expires_at, message)| LockEntry {
            id,
            owner,
            authenticator,
            expires_at,
            message,
        });
        (any::<u32>(), text(), any::<Option<i64>>(), proptest::collection::vec(lock, 0..5))
            .prop_map(|(uid, account, valid_until, locks)| Record { uid, account, valid_until, locks })
    }

    fn alice() -> Record {
        Record {
            uid: 1000,
            account: "alice".into(),
            valid_until: Some(1_795_269_900),
            locks: vec![LockEntry {
                id: 7,
                owner: "operator".into(),
                authenticator: None,
                expires_at: Some(1_795_266_300),
                message: Some("Call the help desk.\nRoom 7\\8".into()),
            }],
        }
    }

    #[test]
    fn is_written_as_drawn() {
        let body = "lockdown-record 1\nuid 1000\naccount alice\nvalid-until 1795269900\nlock 7\nlock-owner operator\n\
                    lock-expires-at 1795266300\nlock-message Call the help desk.\\nRoom 7\\\\8\n";
        let whole = format!("{body}crc32 {:08x}\n", crc32(body.as_bytes()));
        assert_eq!(String::from_utf8(alice().encode()).unwrap(), whole);
    }

    /// Bytes with a right checksum, so that what is refused is refused for its content.
    fn sealed(body: &str) -> Vec<u8> {
        format!("{body}crc32 {:08x}\n", crc32(body.as_bytes())).into_bytes()
    }

    #[test]
    fn refuses_what_is_not_a_record_and_says_where() {
        let refused = |body: &str| Record::decode(&sealed(body)).unwrap_err();
        assert_eq!(refused("lockdown-record 2\nuid 1\naccount a\n"), DecodeError::Version);
        assert_eq!(refused(""), DecodeError::Line(1));
        assert_eq!(refused("lockdown-record 1\nuid x\naccount a\n"), DecodeError::Line(2));
        assert_eq!(refused("lockdown-record 1\nuid 4294967296\naccount a\n"), DecodeError::Line(2));
        assert_eq!(refused("lockdown-record 1\nuid 1\n"), DecodeError::Line(3));
        assert_eq!(refused("lockdown-record 1\nuid 1\naccount a\\q\n"), DecodeError::Line(3));
        assert_eq!(refused("lockdown-record 1\nuid 1\naccount a\nlock 1\n"), DecodeError::Line(5));
        assert_eq!(refused("lockdown-record 1\nuid 1\naccount a\ncolour red\n"), DecodeError::Line(4));
        assert_eq!(refused("lockdown-record 1\nuid 01\naccount a\n"), DecodeError::NotCanonical);
        assert_eq!(refused("lockdown-record 1\nuid 1\naccount \\x41\n"), DecodeError::NotCanonical);
        assert_eq!(Record::decode(&vec![b'x'; Record::MAX_BYTES + 1]), Err(DecodeError::TooLarge));
        assert_eq!(Record::decode(b""), Err(DecodeError::Incomplete));
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_refused() {
        let bytes = alice().encode();
        for end in 0..bytes.len() {
            assert!(Record::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::decode(&damaged).is_err(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_was_written(record in any_record()) {
            prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
        }

        #[test]
        fn damage_is_noticed(record in any_record(), place: prop::sample::Index, bit in 0..8_u8) {
            let bytes = record.encode();
            let place = place.index(bytes.len());
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << bit;
            prop_assert!(Record::decode(&damaged).is_err());
            prop_assert!(Record::decode(&bytes[..place]).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, body in "lockdown-record 1\nuid [0-9]{1,3}\n(account|lock|lock-owner| |\\\\|x|\n|[a-z0-9é]){0,40}\n") {
            let _ = Record::decode(&bytes);
            if let Ok(record) = Record::decode(&sealed(&body)) {
                prop_assert_eq!(record.encode(), sealed(&body));
            }
        }
    }
}

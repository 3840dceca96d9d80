//! Identifiers: what an account can be named by besides its login name. Each is one account's alone.

use lockdown_enforcement::escape::escape;

/// Longest value, in bytes: as long as a mail address can be (RFC 5321, 4.5.3.1.3, without its brackets).
pub const MAX_VALUE: usize = 254;
/// Longest kind, in bytes.
pub const MAX_KIND: usize = 32;

/// Kind of mail addresses.
pub const EMAIL: &str = "email";
/// Kind of telephone numbers.
pub const PHONE: &str = "phone";
/// Kind of the one id that another system has for the account.
pub const EXTERNAL_ID: &str = "id";
/// What stands before a user id: the host's, so no kind.
const UID: &str = "uid";

/// Digits of a telephone number (E.164, 6.1; at least those of an extension).
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 3..=15;

/// An identifier that an account can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    kind: String,
    value: String,
}

/// An identifier that no account can have. Texts are escaped.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentifier {
    /// Not `[a-z][a-z0-9_-]{0,31}`, or `uid`.
    #[error(
        "`{0}` is no kind of identifier: use email, phone, id, or up to {MAX_KIND} of a-z, 0-9, `_` and `-` that begin with a \
         letter and are not uid"
    )]
    Kind(String),
    /// Nothing there.
    #[error("the {0} is empty: give one")]
    Empty(String),
    /// Over [`MAX_VALUE`].
    #[error("the {0} has {1} bytes: at most {MAX_VALUE} are kept")]
    TooLong(String, usize),
    /// Control characters, or blanks at an end: two that look the same would not be the same.
    #[error("the {0} `{1}` has control characters, or blanks at an end: leave them out")]
    Blanks(String, String),
    /// Not of the form `name@domain`.
    #[error("`{0}` is no mail address: write name@domain")]
    Email(String),
    /// Not a telephone number.
    #[error("`{0}` is no telephone number: write 3 to 15 digits, with + in front for an international one")]
    Phone(String),
}

impl Identifier {
    /// Checks kind and value.
    ///
    /// # Errors
    /// [`BadIdentifier`]
    pub fn new(kind: &str, value: &str) -> Result<Self, BadIdentifier> {
        check_kind(kind)?;
        let shown = || escape(value).to_string();
        if value.is_empty() {
            return Err(BadIdentifier::Empty(kind.to_owned()));
        }
        if value.len() > MAX_VALUE {
            return Err(BadIdentifier::TooLong(kind.to_owned(), value.len()));
        }
        if value.contains(char::is_control) || value.trim() != value {
            return Err(BadIdentifier::Blanks(kind.to_owned(), shown()));
        }
        match kind {
            EMAIL if !is_email(value) => Err(BadIdentifier::Email(shown())),
            PHONE if !is_phone(value) => Err(BadIdentifier::Phone(shown())),
            _ => Ok(Self { kind: kind.to_owned(), value: value.to_owned() }),
        }
    }

    /// `email`, `phone`, `id`, or a kind of one's own.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// As it was written.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What two of a kind are compared by: of an address its letters without case, of a number its digits and the `+`.
    #[must_use]
    pub fn compared(&self) -> String {
        match self.kind.as_str() {
            EMAIL => self.value.to_lowercase(),
            PHONE => self.value.chars().filter(|character| !SEPARATORS.contains(character)).collect(),
            _ => self.value.clone(),
        }
    }
}

/// Whether `kind` is one of the known ones.
#[must_use]
pub fn is_known(kind: &str) -> bool {
    [EMAIL, PHONE, EXTERNAL_ID].contains(&kind)
}

/// Refuses what is no kind.
///
/// # Errors
/// [`BadIdentifier::Kind`]
pub fn check_kind(kind: &str) -> Result<(), BadIdentifier> {
    if is_kind(kind) {
        return Ok(());
    }
    let shown: String = kind.chars().take(MAX_KIND).collect();
    Err(BadIdentifier::Kind(escape(&shown).to_string()))
}

fn is_kind(kind: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    kind.len() <= MAX_KIND
        && kind.starts_with(|first: char| first.is_ascii_lowercase())
        && kind.bytes().all(rest)
        && kind != UID
}

/// No more than tells a slip from an address: what a domain accepts only the domain knows.
fn is_email(value: &str) -> bool {
    value.rsplit_once('@').is_some_and(|(name, domain)| {
        !name.is_empty() && !domain.is_empty() && !value.contains(char::is_whitespace)
    })
}

/// What stands between digits for people (RFC 3966, 5.1.1, and the blank).
const SEPARATORS: [char; 5] = [' ', '-', '.', '(', ')'];

fn is_phone(value: &str) -> bool {
    let number = value.strip_prefix('+').unwrap_or(value);
    let digits = number.chars().filter(char::is_ascii_digit).count();
    let known = |character: char| character.is_ascii_digit() || SEPARATORS.contains(&character);
    PHONE_DIGITS.contains(&digits) && number.chars().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compared(kind: &str, value: &str) -> String {
        Identifier::new(kind, value).unwrap().compared()
    }

    #[test]
    fn what_is_the_same_compares_equal() {
        assert_eq!(compared("email", "Alice@Example.ORG"), compared("email", "alice@example.org"));
        assert_eq!(compared("email", "Ägir@example.org"), compared("email", "ägir@EXAMPLE.org"));
        assert_eq!(compared("phone", "+49 (30) 123-45.67"), "+49301234567");
        assert_ne!(compared("phone", "+49301234567"), compared("phone", "49301234567"));
        assert_ne!(compared("id", "A17"), compared("id", "a17"));
        assert_ne!(compared("badge", "a b"), compared("badge", "ab"));
    }

    #[test]
    fn kinds_of_ones_own_are_short_words() {
        for kind in ["badge", "x", "employee_no-2", &"k".repeat(MAX_KIND)] {
            assert_eq!(Identifier::new(kind, "17").unwrap().kind(), kind);
        }
        for kind in ["", "uid", "Badge", "1st", "-x", "a b", "a:b", "ä", "a\n", &"k".repeat(MAX_KIND + 1)] {
            assert!(matches!(Identifier::new(kind, "17"), Err(BadIdentifier::Kind(_))), "{kind:?}");
        }
    }

    #[test]
    fn values_that_are_none_are_refused_with_their_text_escaped() {
        for (kind, value) in [
            ("id", ""),
            ("id", " 17"),
            ("badge", "17\n"),
            ("badge", "\u{1b}[2J"),
            ("email", "alice"),
            ("email", "@example.org"),
            ("email", "alice@"),
            ("email", "al ice@example.org"),
            ("phone", "12"),
            ("phone", "+49 30 123456789012345"),
            ("phone", "call me"),
            ("phone", "++49301234"),
            ("id", &"x".repeat(MAX_VALUE + 1)),
        ] {
            let why = Identifier::new(kind, value).unwrap_err().to_string();
            assert!(!why.contains(char::is_control) && why.len() < 500, "{why}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_compares_as_it_does_when_it_is_written_so(kind in "[a-z_-]{0,8}|email|phone", value in ".{0,20}|[+0-9 ().-]{0,20}|.{0,9}@.{0,9}") {
            if let Ok(identifier) = Identifier::new(&kind, &value) {
                prop_assert!(!identifier.value().contains(char::is_control));
                prop_assert!(!identifier.compared().is_empty());
                if kind != EMAIL {
                    let again = Identifier::new(&kind, &identifier.compared()).unwrap();
                    prop_assert_eq!(again.compared(), identifier.compared());
                }
            }
        }

        #[test]
        fn no_text_makes_it_panic_or_refuse_with_control_characters(kind: String, value: String) {
            if let Err(why) = Identifier::new(&kind, &value) {
                prop_assert!(!why.to_string().contains(char::is_control));
            }
        }
    }
}

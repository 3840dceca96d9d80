//! Tags: pairs of the caller's own that go with a call into its event, such as the number of a ticket. They say nothing of
//! who called.

use std::collections::BTreeMap;

/// Key to value.
pub type Tags = BTreeMap<String, String>;

/// Most tags of one call.
pub const MAX_TAGS: usize = 16;
/// Longest key, in bytes.
pub const MAX_KEY: usize = 64;
/// Longest value, in bytes.
pub const MAX_VALUE: usize = 256;

/// Refuses tags that are too many, too long, or would not be shown as they are.
///
/// # Errors
/// What is wrong, its texts escaped.
pub fn check(tags: &Tags) -> Result<(), String> {
    if tags.len() > MAX_TAGS {
        return Err(format!("{} tags are too many: give at most {MAX_TAGS}", tags.len()));
    }
    tags.iter().try_for_each(|(key, value)| check_one(key, value))
}

/// The same for one of them.
///
/// # Errors
/// As [`check`].
pub fn check_one(key: &str, value: &str) -> Result<(), String> {
    check_key(key).map_err(|why| format!("the tag's {why}"))?;
    if value.len() > MAX_VALUE {
        return Err(format!("tag {key} has {} bytes: at most {MAX_VALUE} are kept", value.len()));
    }
    if value.chars().any(char::is_control) {
        return Err(format!("tag {key} has control characters: leave them out"));
    }
    Ok(())
}

/// Refuses a key that is not 1 to [`MAX_KEY`] letters, digits, `_`, `.` or `-` of ASCII. Keys of metadata are the same.
///
/// # Errors
/// What is wrong with it, beginning with "key".
pub fn check_key(key: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(fits) {
        return Ok(());
    }
    let shown: String = key.chars().take(MAX_KEY).flat_map(char::escape_default).collect();
    Err(format!("key `{shown}` is not 1 to {MAX_KEY} letters, digits, `_`, `.` or `-`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_tags_pass() {
        for (key, value) in [("ticket", "INC-4711"), ("run_by.x-1", "Müller, \"night\" shift"), ("empty", "")]
        {
            assert_eq!(check_one(key, value), Ok(()));
        }
    }

    #[test]
    fn number_and_lengths_are_bounded() {
        let tags = |count: usize| (0..count).map(|number| (number.to_string(), String::new())).collect();
        assert_eq!(check(&tags(MAX_TAGS)), Ok(()));
        assert!(check(&tags(MAX_TAGS + 1)).unwrap_err().contains("17 tags"));
        assert_eq!(check_one(&"k".repeat(MAX_KEY), &"v".repeat(MAX_VALUE)), Ok(()));
        assert!(check_one(&"k".repeat(MAX_KEY + 1), "").is_err());
        assert!(check_one("k", &"v".repeat(MAX_VALUE + 1)).unwrap_err().contains("257 bytes"));
    }

    #[test]
    fn what_would_not_be_shown_as_it_is_is_refused() {
        for (key, value) in
            [("", ""), ("a b", ""), ("ä", ""), ("a=b", ""), ("a\n", ""), ("a", "b\nc"), ("a", "\u{1b}")]
        {
            let why = check(&[(key.to_owned(), value.to_owned())].into()).unwrap_err();
            assert!(!why.contains(char::is_control), "{why}");
        }
    }

    proptest! {
        #[test]
        fn what_passes_is_bounded_and_no_refusal_has_control_characters(key: String, value: String) {
            match check_one(&key, &value) {
                Ok(()) => {
                    prop_assert!(!key.is_empty() && key.len() <= MAX_KEY && value.len() <= MAX_VALUE);
                    prop_assert!(!key.contains(['=', ' ']) && !value.contains(char::is_control));
                }
                Err(why) => prop_assert!(!why.contains(char::is_control)),
            }
        }
    }
}

//! What a user is told: in plain words, and nothing of the inside.

use lockdown_enforcement::{Denial, DenialKind};

/// `PAM_MAX_MSG_SIZE` of pam.h, less the terminator: what a conversation has to be able to take.
const MAX_BYTES: usize = 511;

/// The text for the user, up to 511 bytes.
pub fn to_user(denial: &Denial) -> String {
    let mut text = match &denial.kind {
        DenialKind::Locked { authenticator, .. } => {
            let what = if authenticator.is_none() { "This account" } else { "This way to sign in" };
            match denial.expires_at.and_then(minute) {
                Some(until) => format!("{what} is locked until {until}."),
                None => format!("{what} is locked."),
            }
        }
        DenialKind::Expired { .. } => "This account has expired.".to_owned(),
        DenialKind::RecordUnreadable => {
            "This account cannot be used for now. Please tell the administrator of this host.".to_owned()
        }
    };
    if let Some(message) = denial.message.as_deref().map(str::trim).filter(|message| !message.is_empty()) {
        text.push('\n');
        text.extend(message.chars().map(harmless));
    }
    if text.len() > MAX_BYTES {
        text.truncate(text.floor_char_boundary(MAX_BYTES - 3));
        text.push_str("...");
    }
    text
}

/// What a user is told who has signed in after `counted` attempts that failed, the first of them at `since` (unix seconds), when
/// `left` more would have locked the account: for where the user is, or in all.
pub fn of_failures(user: &str, counted: u32, from_here: bool, since: i64, left: u32) -> String {
    let attempts = if counted == 1 { "attempt" } else { "attempts" };
    let here = if from_here { " from here" } else { "" };
    // The minute that it was in.
    let since = minute(since.max(0) / 60 * 60).map_or_else(String::new, |minute| format!(" since {minute}"));
    let user: String = user.chars().map(harmless).filter(|character| *character != '\n').collect();
    let text = format!(
        "{counted} failed {attempts} to sign in as {user}{here}{since}; {left} more would have locked it."
    );
    text[..text.floor_char_boundary(MAX_BYTES)].to_owned()
}

/// An operator wrote the message, but it goes to a terminal.
fn harmless(character: char) -> char {
    let directs_text =
        matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    match character {
        '\n' => '\n',
        '\t' => ' ',
        _ if character.is_control() || directs_text => '?',
        _ => character,
    }
}

/// `seconds` after 1970 as `2026-11-21 14:05 UTC`, a begun minute counting as the next, so that the time named is never
/// too early. `None` after the year 9999, which is a way to say never.
fn minute(seconds: i64) -> Option<String> {
    let minutes = seconds.max(0).checked_add(59)? / 60;
    let (year, month, day) = date(minutes / (24 * 60));
    let minute = minutes % (24 * 60);
    (year <= 9999).then(|| format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minute / 60, minute % 60))
}

/// Year, month and day that lie `days` (not negative) after 1970-01-01, in the Gregorian calendar. Counts from
/// 0000-03-01, so that the leap day is the last of its year: 146097 days are 400 years, 153 are five months.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_since_march + 2) / 5 + 1;
    let month = if months_since_march < 10 { months_since_march + 3 } else { months_since_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn locked(expires_at: Option<i64>, message: Option<&str>) -> Denial {
        let kind = DenialKind::Locked { lock: 7, owner: "operator".into(), authenticator: None };
        Denial { kind, expires_at, message: message.map(str::to_owned) }
    }

    #[test]
    fn says_what_and_until_when_and_nothing_of_the_inside() {
        assert_eq!(to_user(&locked(None, None)), "This account is locked.");
        assert_eq!(
            to_user(&locked(Some(1_795_269_900), None)),
            "This account is locked until 2026-11-21 14:05 UTC."
        );
        assert_eq!(
            to_user(&locked(None, Some(" Call the help desk.\n\u{1b}[2J\u{202e}\u{9b} "))),
            "This account is locked.\nCall the help desk.\n?[2J??"
        );
        let expired =
            Denial { kind: DenialKind::Expired { valid_until: 1 }, expires_at: None, message: None };
        assert_eq!(to_user(&expired), "This account has expired.");
    }

    #[test]
    fn says_how_many_failed_and_how_many_were_left() {
        assert_eq!(
            of_failures("alice", 8, true, 1_795_269_959, 2),
            "8 failed attempts to sign in as alice from here since 2026-11-21 14:05 UTC; 2 more would have locked it."
        );
        assert_eq!(
            of_failures("a\n\u{1b}b", 1, false, i64::MAX, 1),
            "1 failed attempt to sign in as a?b; 1 more would have locked it."
        );
        assert!(of_failures(&"é".repeat(5000), 1, true, 0, 1).len() <= MAX_BYTES);
    }

    #[test]
    fn fits_a_conversation() {
        let text = to_user(&locked(None, Some(&"é".repeat(5000))));
        assert!(text.len() <= MAX_BYTES && text.ends_with("..."), "{text}");
    }

    #[test]
    fn names_the_minute_after_which_it_is_over() {
        // From `date -u -d @SECONDS`.
        assert_eq!(minute(0).as_deref(), Some("1970-01-01 00:00 UTC"));
        assert_eq!(minute(951_782_400).as_deref(), Some("2000-02-29 00:00 UTC"));
        assert_eq!(minute(951_868_800).as_deref(), Some("2000-03-01 00:00 UTC"));
        assert_eq!(minute(1_795_269_901).as_deref(), Some("2026-11-21 14:06 UTC"));
        assert_eq!(minute(4_107_542_399).as_deref(), Some("2100-03-01 00:00 UTC"));
        assert_eq!(minute(253_402_300_740).as_deref(), Some("9999-12-31 23:59 UTC"));
        assert_eq!(minute(253_402_300_741), None);
        assert_eq!(minute(i64::MAX), None);
        assert_eq!(minute(i64::MIN).as_deref(), Some("1970-01-01 00:00 UTC"));
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let length = |year: i64, month| match month {
            4 | 6 | 9 | 11 => 30,
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            _ => 31,
        };
        let mut expected = (1970, 1, 1);
        for days in 0..1_000_000 {
            assert_eq!(date(days), expected);
            expected = match expected {
                (year, 12, 31) => (year + 1, 1, 1),
                (year, month, day) if day == length(year, month) => (year, month + 1, 1),
                (year, month, day) => (year, month, day + 1),
            };
        }
    }

    proptest! {
        #[test]
        fn any_message_is_bounded(message: String, expires_at: Option<i64>) {
            let text = to_user(&locked(expires_at, Some(&message)));
            prop_assert!(text.len() <= MAX_BYTES);
            prop_assert!(!text.chars().any(|character| character.is_control() && character != '\n'));
        }
    }
}

//! Times for people: how long from now, and when by the clock.

use jiff::civil::Date;

use super::Show;
use crate::moment;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Both: `in 59 min (14:05)`, `2 h ago (2026-12-01 14:05)`.
#[must_use]
pub fn when(seconds: i64, show: &Show) -> String {
    format!("{} ({})", relative(seconds, show), clock(seconds, show))
}

/// From now: `in 59 min`, `2 h ago`, `now`.
#[must_use]
pub fn relative(seconds: i64, show: &Show) -> String {
    let now = show.now.as_second();
    let distance = seconds.abs_diff(now);
    match (distance, seconds > now) {
        (0, _) => "now".to_owned(),
        (_, true) => format!("in {}", length(distance)),
        (_, false) => format!("{} ago", length(distance)),
    }
}

/// By the clock, with the date if that is not today's: `14:05`, `2026-12-01 14:05`.
#[must_use]
pub fn clock(seconds: i64, show: &Show) -> String {
    let today: Date = show.now.to_zoned(show.zone.clone()).date();
    match moment::at(seconds, &show.zone) {
        Some(at) if at.date() == today => at.strftime("%H:%M").to_string(),
        Some(at) => at.strftime("%Y-%m-%d %H:%M").to_string(),
        None => format!("@{seconds}"),
    }
}

/// By the clock to the second, always with the date: `2026-12-01 14:05:30`.
#[must_use]
pub fn stamp(seconds: i64, show: &Show) -> String {
    match moment::at(seconds, &show.zone) {
        Some(at) => at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        None => format!("@{seconds}"),
    }
}

/// How long, in the one unit that tells most, two for hours below three; what is left over is dropped.
fn length(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / MINUTE, seconds / HOUR, seconds / DAY);
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        _ if hours < 1 => format!("{minutes} min"),
        _ if hours < 3 && minutes % 60 != 0 => format!("{hours} h {} min", minutes % 60),
        _ if hours < 48 => format!("{hours} h"),
        _ if days < 60 => format!("{days} days"),
        _ if days < 730 => format!("{} months", days / 30),
        _ => format!("{} years", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;

    fn show() -> Show {
        Show {
            now: "2026-11-21T12:30:00.9Z".parse().unwrap(),
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            colour: false,
            width: None,
        }
    }

    #[test]
    fn near_and_far() {
        let now = show().now.as_second();
        for (distance, text) in [
            (0, "now (13:30)"),
            (4, "in 4 s (13:30)"),
            (3599, "in 59 min (14:29)"),
            (3600, "in 1 h (14:30)"),
            (5400, "in 1 h 30 min (15:00)"),
            (4 * 3600 + 1800, "in 4 h (18:00)"),
            (86_400, "in 24 h (2026-11-22 13:30)"),
            (3 * 86_400, "in 3 days (2026-11-24 13:30)"),
            (90 * 86_400, "in 3 months (2027-02-19 13:30)"),
            (4 * 365 * 86_400, "in 4 years (2030-11-20 13:30)"),
            (-59, "59 s ago (13:29)"),
            (-2 * 3600, "2 h ago (11:30)"),
        ] {
            assert_eq!(when(now + distance, &show()), text);
        }
    }

    #[test]
    fn a_time_beyond_the_calendar_is_its_number() {
        assert_eq!(clock(i64::MAX, &show()), "@9223372036854775807");
        assert_eq!(stamp(i64::MIN, &show()), "@-9223372036854775808");
    }

    #[test]
    fn stamps_have_date_and_seconds() {
        assert_eq!(stamp(0, &show()), "1970-01-01 01:00:00");
    }

    proptest! {
        #[test]
        fn any_number_can_be_shown(seconds: i64) {
            prop_assert!(!when(seconds, &show()).is_empty());
        }
    }
}

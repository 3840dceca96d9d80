//! Durations and moments as an operator writes them.

use jiff::{
    SignedDuration, Span, SpanRelativeTo, Timestamp, Unit, Zoned,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

/// Longest duration, 100 years: what is meant to last longer is meant to last for ever.
const LONGEST: u64 = 100 * 365 * 86_400;

/// Reads a duration such as `4s`, `90m`, `1h30m`, `2d` (a day has 24 hours), in seconds: 1 s to 100 years.
///
/// # Errors
///
/// Anything else, in words that follow the text itself.
pub fn duration(text: &str) -> Result<u64, String> {
    const FORM: &str = "a duration is a number and a unit, or several: 4s, 90m, 1h30m, 2d";
    // jiff reads ISO 8601 (PT1H) and clock times (1:30:00) as well; a bare number or a word gets our own words.
    let span: Span = text.parse().map_err(|_| FORM.to_owned())?;
    if span.get_months() != 0 || span.get_years() != 0 {
        return Err("months and years differ in length: give days, such as 30d".to_owned());
    }
    let duration =
        span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| "is too long".to_owned())?;
    if duration.is_zero() || duration.is_negative() {
        return Err("a duration is longer than nothing".to_owned());
    }
    if duration.subsec_nanos() != 0 {
        return Err("a duration has whole seconds".to_owned());
    }
    match u64::try_from(duration.as_secs()) {
        Ok(seconds) if seconds <= LONGEST => Ok(seconds),
        _ => Err("is longer than 100 years: say so with --indefinite or --never".to_owned()),
    }
}

/// Reads a moment: RFC 3339, or in the time zone of `now` a date, a date and a time of day, a time of day (today), one of
/// the days `yesterday`, `today`, `tomorrow` with or without a time of day, or `now`.
///
/// # Errors
///
/// Anything else, in words that follow the text itself.
pub fn moment(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    const FORM: &str =
        "a time is 2026-12-01T14:00:00Z, 2026-12-01, \"2026-12-01 14:00\", 14:00, tomorrow or now";
    let text = text.trim();
    if text.eq_ignore_ascii_case("now") {
        return Ok(now.timestamp());
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp);
    }
    let civil = match clock(text) {
        Some(time) => now.date().to_datetime(time),
        None => day_and_clock(text, now.date()).ok_or(FORM)?,
    };
    let zoned = civil.to_zoned(now.time_zone().clone()).map_err(|_| "is out of range".to_owned())?;
    Ok(zoned.timestamp())
}

/// Reads a moment that is still to come.
///
/// # Errors
///
/// What [`moment`] refuses, and what is not after `now`.
pub fn future(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let moment = moment(text, now)?;
    if moment > now.timestamp() {
        return Ok(moment);
    }
    Err(if clock(text.trim()).is_some() {
        "has passed today: name the day too, such as \"tomorrow 14:00\"".to_owned()
    } else {
        "has passed: give a time that is still to come".to_owned()
    })
}

/// Reads a moment from which on to look back: what [`moment`] reads, or how long ago (`1h`, `1h ago`).
///
/// # Errors
///
/// What is neither.
pub fn since(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let back = text.trim();
    let back = back.strip_suffix("ago").map_or(back, str::trim_end);
    match duration(back) {
        Ok(seconds) => {
            let back = SignedDuration::try_from(std::time::Duration::from_secs(seconds));
            back.and_then(|back| now.timestamp().checked_sub(back)).map_err(|_| "is out of range".to_owned())
        }
        Err(_) => moment(text, now).map_err(|form| format!("{form}, or how long ago: 1h")),
    }
}

/// Whole seconds from `now` to `later`, at least 1. Counted from the second that `now` is in, so that a daemon which does
/// the same arrives at `later` itself.
#[must_use]
pub fn seconds_until(later: Timestamp, now: Timestamp) -> u64 {
    let floor = now.as_second() - i64::from(now.subsec_nanosecond() < 0);
    u64::try_from(later.as_second() - floor).unwrap_or(0).max(1)
}

/// A time of day: `14:00` or `14:00:30`.
fn clock(text: &str) -> Option<Time> {
    // jiff would also take 1400, which could be a year as well.
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !(2..=3).contains(&text.split(':').count()) || !text.split(':').all(digits) {
        return None;
    }
    text.parse().ok()
}

fn day_and_clock(text: &str, today: Date) -> Option<DateTime> {
    // The letter that ISO 8601 puts between them also begins a word.
    let separator = if text.starts_with(|c: char| c.is_ascii_digit()) { [' ', 'T'] } else { [' ', ' '] };
    let (day, time) = match text.split_once(separator) {
        Some((day, time)) => (day, clock(time.trim_start())?),
        None => (text, Time::midnight()),
    };
    let day = match day.to_ascii_lowercase().as_str() {
        "today" => today,
        "tomorrow" => today.tomorrow().ok()?,
        "yesterday" => today.yesterday().ok()?,
        _ if day.len() == "2026-12-01".len() => day.parse().ok()?,
        _ => return None,
    };
    Some(day.to_datetime(time))
}

/// A moment of the bus, Unix seconds, if the calendar has it.
#[must_use]
pub fn at(seconds: i64, zone: &TimeZone) -> Option<Zoned> {
    let zoned = Timestamp::from_second(seconds).ok()?.to_zoned(zone.clone());
    zoned.round(Unit::Second).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Zoned {
        "2026-11-21T12:30:00.5+01:00[Europe/Berlin]".parse().unwrap()
    }

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("4s", 4),
            ("1h", 3600),
            ("90m", 5400),
            ("2d", 172_800),
            ("1h30m", 5400),
            ("1w", 604_800),
            ("1h 5s", 3605),
        ] {
            assert_eq!(duration(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn durations_that_are_none() {
        for text in [
            "",
            "0s",
            "-1h",
            "1h ago",
            "60",
            "h",
            "1month",
            "1y",
            "101000d",
            "1.5s",
            "500ms",
            "99999999999999999d",
        ] {
            assert!(duration(text).is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn moments() {
        for (text, expected) in [
            ("2026-12-01T14:00:00Z", "2026-12-01T14:00:00Z"),
            ("2026-12-01T14:00:00+05:30", "2026-12-01T08:30:00Z"),
            ("2026-12-01", "2026-11-30T23:00:00Z"),
            ("2026-12-01 14:00", "2026-12-01T13:00:00Z"),
            ("2026-12-01T14:00", "2026-12-01T13:00:00Z"),
            ("2026-07-01 14:00:30", "2026-07-01T12:00:30Z"),
            ("14:00", "2026-11-21T13:00:00Z"),
            ("tomorrow", "2026-11-21T23:00:00Z"),
            ("Tomorrow 09:15", "2026-11-22T08:15:00Z"),
            ("yesterday", "2026-11-19T23:00:00Z"),
            (" now ", "2026-11-21T11:30:00.5Z"),
        ] {
            assert_eq!(moment(text, &now()).map(|at| at.to_string()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn moments_that_are_none() {
        for text in
            ["", "2026", "1400", "25:00", "2026-13-01", "2026-12-01 14", "next week", "1h", "12:00 tomorrow"]
        {
            assert!(moment(text, &now()).is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn what_has_passed_is_refused() {
        assert!(future("12:30", &now()).unwrap_err().contains("has passed today"));
        assert!(future("now", &now()).is_err());
        assert!(future("2020-01-01", &now()).unwrap_err().contains("has passed:"));
        assert!(future("12:31", &now()).is_ok());
    }

    #[test]
    fn looking_back() {
        for (text, expected) in [
            ("1h", "2026-11-21T10:30:00.5Z"),
            ("2d ago", "2026-11-19T11:30:00.5Z"),
            ("12:00", "2026-11-21T11:00:00Z"),
            ("today", "2026-11-20T23:00:00Z"),
        ] {
            assert_eq!(since(text, &now()).map(|at| at.to_string()), Ok(expected.to_owned()), "{text}");
        }
        assert!(since("ago", &now()).is_err());
    }

    #[test]
    fn seconds_count_from_the_second_that_now_is_in() {
        let later = now().timestamp() + SignedDuration::from_millis(3_500);
        assert_eq!(seconds_until(later, now().timestamp()), 4);
        assert_eq!(seconds_until(now().timestamp(), now().timestamp()), 1);
        let before_1970: Timestamp = "1969-12-31T23:59:58.5Z".parse().unwrap();
        assert_eq!(seconds_until(Timestamp::UNIX_EPOCH, before_1970), 2);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(\\PC|[0-9a-z: T-]){0,40}") {
            let _ = (moment(&text, &now()), future(&text, &now()), since(&text, &now()));
            if let Ok(seconds) = duration(&text) {
                prop_assert!((1..=LONGEST).contains(&seconds));
            }
        }
    }
}

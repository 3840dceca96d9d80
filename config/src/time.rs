//! Times as documents write them: RFC 3339 with an offset, or a date.

use jiff::civil::DateTime;
use toml_datetime::{Datetime, Offset};

use crate::error::quote;
use crate::rfc3339::{EPOCH, MAX};
use crate::value::{Fault, Given, Kind, Value};

/// A time, in Unix seconds.
pub(crate) struct Time;

impl Kind for Time {
    type Type = i64;

    fn allowed(&self) -> String {
        "a date or a time from 1970 to 9999, such as 2026-12-31 or 2026-12-31T18:00:00+01:00".to_owned()
    }

    fn read(&self, given: &Given<'_>) -> Result<i64, Fault> {
        if let Some(text) = given.get_ref().as_str()
            && text.parse::<Datetime>().is_ok()
        {
            return Err(self.fault(given, format_args!("{} stands in quotes", quote(text))));
        }
        let time = given.get_ref().as_datetime().ok_or_else(|| self.wrong_type(given))?;
        seconds(time).map_err(|wrong| self.fault(given, format_args!("{time} {wrong}")))
    }

    fn write(&self, value: &i64) -> Value {
        Value::Time(*value)
    }
}

/// Unix seconds; a date begins at midnight, UTC.
fn seconds(given: &Datetime) -> Result<i64, &'static str> {
    let date = given.date.ok_or("has no date")?;
    let (time, offset) = match (given.time, given.offset) {
        (None, _) => (None, 0),
        (Some(time), Some(Offset::Z)) => (Some(time), 0),
        (Some(time), Some(Offset::Custom { minutes })) => (Some(time), minutes),
        (Some(_), None) => {
            return Err("says nothing of its time zone; end it with Z for UTC, or with +01:00");
        }
    };
    if time.and_then(|time| time.nanosecond).is_some_and(|nanoseconds| nanoseconds > 0) {
        return Err("has part of a second");
    }
    let (hour, minute, second) =
        time.map_or((0, 0, 0), |time| (time.hour, time.minute, time.second.unwrap_or(0)));
    // None of them is over 60, but for the year.
    let small = |number: u8| i8::try_from(number).unwrap_or(i8::MAX);
    let year = i16::try_from(date.year).unwrap_or(i16::MAX);
    let local =
        DateTime::new(year, small(date.month), small(date.day), small(hour), small(minute), small(second), 0)
            .map_err(|_| "is not in the calendar")?;
    let seconds = local.duration_since(EPOCH).as_secs() - i64::from(offset) * 60;
    if (1..=MAX).contains(&seconds) { Ok(seconds) } else { Err("is out of range") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use toml::Spanned;
    use toml::de::DeValue;

    use super::*;
    use crate::rfc3339::format;

    fn read(text: &str) -> Result<i64, String> {
        let value = DeValue::parse(text).unwrap();
        let value: Spanned<DeValue<'_>> = value;
        Time.read(&value).map_err(|fault| fault.message)
    }

    #[test]
    fn reads_dates_and_times_of_whichever_zone() {
        for (text, expected) in [
            ("1970-01-01T00:00:01Z", 1),
            ("2026-12-31", 1_798_675_200),
            ("2026-12-31T00:00:00Z", 1_798_675_200),
            ("2026-12-31 01:00:00+01:00", 1_798_675_200),
            ("2026-12-30T18:30-05:30", 1_798_675_200),
            ("2028-02-29", 1_835_395_200),
            ("9999-12-31T23:59:59.000Z", MAX),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn says_why_it_is_no_time() {
        for (text, expected) in [
            ("2026-12-31T00:00:00", "2026-12-31T00:00:00 says nothing of its time zone; end it with Z"),
            ("07:30:00", "07:30:00 has no date; must be a date or a time from 1970"),
            ("2026-12-31T00:00:00.5Z", "2026-12-31T00:00:00.5Z has part of a second"),
            ("2026-12-31T23:59:60Z", "2026-12-31T23:59:60Z is not in the calendar"),
            ("1970-01-01", "1970-01-01 is out of range"),
            ("9999-12-31T23:59:59-00:01", "9999-12-31T23:59:59-00:01 is out of range"),
            ("\"2026-12-31\"", "\"2026-12-31\" stands in quotes; must be a date"),
            ("\"soon\"", "the string \"soon\" has the wrong type"),
            ("1798675200", "the integer 1798675200 has the wrong type"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.starts_with(expected), "{text}: {message}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(seconds in 1..=MAX) {
            prop_assert_eq!(read(&Value::Time(seconds).to_string()), Ok(seconds));
        }

        #[test]
        fn an_offset_is_taken_off(seconds in 100_000..MAX - 100_000, minutes in -1439_i32..1440) {
            let local = format(seconds + i64::from(minutes) * 60);
            let sign = if minutes < 0 { '-' } else { '+' };
            let offset = format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
            prop_assert_eq!(read(&local.replace('Z', &offset)), Ok(seconds));
        }
    }
}

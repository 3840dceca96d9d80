//! `--for`, `--until` and `--indefinite`: how long a lock stands.

use jiff::Zoned;

use crate::{exit::Failure, moment};

#[allow(missing_docs)] // A text here would take the place of the command's own.
#[derive(clap::Args, Clone, Debug, Default, PartialEq)]
#[group(multiple = false)]
pub struct Term {
    /// How long the lock stands, such as 4s, 90m, 1h30m or 2d
    #[arg(long = "for", value_name = "DURATION", value_parser = moment::duration, allow_hyphen_values = true)]
    duration: Option<u64>,

    /// Until when the lock stands, such as 14:00 or '2026-12-01 14:00'
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// The lock stands until it is lifted
    #[arg(long)]
    indefinite: bool,
}

impl Term {
    /// The option of the call: seconds from `now` on, 0 until it is lifted; none where the daemon is to say.
    ///
    /// # Errors
    ///
    /// `--until` is no time, or one that has passed.
    pub fn option(&self, now: &Zoned) -> Result<Option<u64>, Failure> {
        if self.indefinite {
            return Ok(Some(0));
        }
        let Some(until) = &self.until else { return Ok(self.duration) };
        let end = moment::future(until, now)
            .map_err(|error| Failure::Usage(format!("--until {until}: {error}")))?;
        Ok(Some(moment::seconds_until(end, now.timestamp())))
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches, error::ErrorKind};

    use super::*;
    use crate::output::views::tests::show;

    fn parse(line: &str) -> Result<Term, clap::Error> {
        let words = ["lock"].into_iter().chain(line.split_whitespace());
        Term::from_arg_matches(&Term::augment_args(Command::new("lock")).try_get_matches_from(words)?)
    }

    fn option(line: &str) -> Result<Option<u64>, Failure> {
        parse(line).unwrap().option(&show().now.to_zoned(show().zone))
    }

    #[test]
    fn the_end_of_a_lock() {
        assert_eq!(option("").unwrap(), None);
        assert_eq!(option("--for 1h30m").unwrap(), Some(5400));
        assert_eq!(option("--until 13:00").unwrap(), Some(1800));
        assert_eq!(option("--indefinite").unwrap(), Some(0));
        assert!(matches!(option("--until 12:00"), Err(Failure::Usage(_))));
        assert!(matches!(option("--until soon"), Err(Failure::Usage(_))));
    }

    #[test]
    fn ends_exclude_each_other() {
        for line in ["--for 1h --until 14:00", "--for 1h --indefinite", "--until 14:00 --indefinite"] {
            assert_eq!(parse(line).unwrap_err().kind(), ErrorKind::ArgumentConflict, "{line}");
        }
    }
}

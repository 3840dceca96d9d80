//! `--tag`, an option of every command that changes something.

use lockdown_dbus_api::tags;

use crate::{exit::Failure, pairs};

#[allow(missing_docs)] // A text here would take the place of the command's own.
#[derive(clap::Args, Clone, Debug, Default, PartialEq)]
pub struct Tagged {
    /// A pair for the audit trail, such as ticket=INC-4711; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,
}

fn tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = pairs::pair(text)?;
    tags::check_one(&key, &value)?;
    Ok((key, value))
}

impl Tagged {
    /// As they are written on a command line.
    pub fn words(&self) -> impl Iterator<Item = String> {
        self.tags.iter().map(|(key, value)| format!("--tag={key}={value}"))
    }

    /// The option of the call; none if there are no tags.
    ///
    /// # Errors
    ///
    /// They are too many, or a key was given twice.
    pub fn option(&self) -> Result<Option<tags::Tags>, Failure> {
        let given = pairs::distinct("--tag", &self.tags)?;
        match given.as_ref().map(tags::check) {
            Some(Err(why)) => Err(Failure::Usage(why)),
            _ => Ok(given),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_tags_are_wrong_usage() {
        assert_eq!(tag("ticket=INC-4711").unwrap(), ("ticket".to_owned(), "INC-4711".to_owned()));
        for text in ["ticket", "=x", "a b=c", "a=b\nc"] {
            assert!(tag(text).is_err(), "{text:?}");
        }
        let many = (0..=tags::MAX_TAGS).map(|number| (number.to_string(), String::new())).collect();
        assert!(matches!(Tagged { tags: many }.option(), Err(Failure::Usage(_))));
        assert_eq!(Tagged::default().option().unwrap(), None);
    }
}

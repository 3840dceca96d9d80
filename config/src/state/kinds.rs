//! The kinds of values that only documents have.

use super::document::ValidUntil;
use crate::destination::{Check, read_word};
use crate::error::{escape, quote};
use crate::time::Time;
use crate::value::{Fault, Given, Kind, Names, Value};

/// A text that passes a check.
pub(super) struct Word {
    pub(super) allowed: &'static str,
    pub(super) check: Check,
}

impl Kind for Word {
    type Type = String;

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn read(&self, given: &Given<'_>) -> Result<String, Fault> {
        read_word(self, self.check, given)
    }

    fn write(&self, value: &String) -> Value {
        Value::Text(value.clone())
    }
}

/// Something with the byte at which it is.
type At<T> = (usize, T);

/// A table of texts that pass a check.
pub(super) struct Texts {
    pub(super) allowed: &'static str,
    pub(super) check: fn(&str, &str) -> Option<&'static str>,
}

/// Most pairs of one table.
const MAX_PAIRS: usize = 64;

impl Kind for Texts {
    type Type = Vec<(String, At<String>)>;

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn read(&self, given: &Given<'_>) -> Result<Self::Type, Fault> {
        let table = given.get_ref().as_table().ok_or_else(|| self.wrong_type(given))?;
        if table.len() > MAX_PAIRS {
            return Err(self.fault(given, format_args!("a table of {} is wrong here", table.len())));
        }
        let pairs = table.iter().map(|(key, value)| {
            let text = value.get_ref().as_str().ok_or_else(|| self.wrong_type(value))?;
            match (self.check)(key.get_ref(), text) {
                None => Ok((key.get_ref().to_string(), (value.span().start, text.to_owned()))),
                Some(wrong) => {
                    let pair = format!("{} = {} {wrong}", escape(key.get_ref()), quote(text));
                    Err(self.fault(value, pair))
                }
            }
        });
        pairs.collect()
    }

    fn write(&self, value: &Self::Type) -> Value {
        Value::Table(value.iter().map(|(key, (_, text))| (key.clone(), text.clone())).collect())
    }
}

/// When an account expires.
pub(super) struct TimeOrNever;

const NEVER: &str = "never";

impl Kind for TimeOrNever {
    type Type = ValidUntil;

    fn allowed(&self) -> String {
        format!("{}, or \"{NEVER}\"", Time.allowed())
    }

    fn read(&self, given: &Given<'_>) -> Result<ValidUntil, Fault> {
        if given.get_ref().as_str() == Some(NEVER) {
            return Ok(ValidUntil::Never);
        }
        let time = Time
            .read(given)
            .map_err(|fault| Fault { message: format!("{}, or \"{NEVER}\"", fault.message), ..fault })?;
        Ok(ValidUntil::Time(time))
    }

    fn write(&self, value: &ValidUntil) -> Value {
        match value {
            ValidUntil::Never => Value::Text(NEVER.to_owned()),
            ValidUntil::Time(time) => Time.write(time),
        }
    }
}

/// The version of the format.
pub(super) struct Version;

impl Version {
    pub(super) const NUMBER: u32 = 1;
}

impl Kind for Version {
    type Type = ();

    fn allowed(&self) -> String {
        format!("the integer {}", Self::NUMBER)
    }

    fn read(&self, given: &Given<'_>) -> Result<(), Fault> {
        let number = given.get_ref().as_integer().ok_or_else(|| self.wrong_type(given))?;
        if u32::from_str_radix(number.as_str(), number.radix()) == Ok(Self::NUMBER) {
            return Ok(());
        }
        Err(self.fault(given, format_args!("{number} is a version that this lockdown does not know")))
    }

    fn write(&self, (): &()) -> Value {
        Value::Number(Self::NUMBER)
    }
}

/// Login names, with their places.
pub(super) struct Users;

impl Users {
    const NAMES: Names = Names { of: "user" };
}

impl Kind for Users {
    type Type = Vec<At<String>>;

    fn allowed(&self) -> String {
        Self::NAMES.allowed()
    }

    fn read(&self, given: &Given<'_>) -> Result<Self::Type, Fault> {
        let names = Self::NAMES.read(given)?;
        let places = given.get_ref().as_array().into_iter().flatten().map(|one| one.span().start);
        Ok(places.zip(names).collect())
    }

    fn write(&self, value: &Self::Type) -> Value {
        Value::List(value.iter().map(|(_, name)| name.clone()).collect())
    }
}

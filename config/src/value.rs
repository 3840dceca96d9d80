//! The kinds of values that settings have: how each is read, what it allows, and how it is written back.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;
use toml::Spanned;
use toml::de::DeValue;
use toml_writer::{ToTomlKey, ToTomlValue, TomlKeyBuilder, TomlStringBuilder};

use crate::duration;
use crate::error::quote;
use crate::rfc3339;

/// A value as a file would state it. Displayed as TOML on one line, serialised as plain JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number(u32),
    /// A text, a duration among them.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
    /// A time, Unix seconds up to the end of the year 9999.
    Time(i64),
    /// A table of texts.
    Table(BTreeMap<String, String>),
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // Line breaks and control characters are escaped in a basic string.
        let quoted = |text: &String| TomlStringBuilder::new(text).as_basic().to_toml_value();
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::List(list) => write!(f, "[{}]", list.iter().map(quoted).collect::<Vec<_>>().join(", ")),
            Self::Time(seconds) => f.write_str(&rfc3339::format(*seconds)),
            Self::Table(table) if table.is_empty() => f.write_str("{}"),
            Self::Table(table) => {
                let pair = |(key, value): (&String, &String)| {
                    let key = TomlKeyBuilder::new(key).as_default().to_toml_key();
                    format!("{key} = {}", quoted(value))
                };
                write!(f, "{{ {} }}", table.iter().map(pair).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// What is wrong with a value, and at which bytes of the file.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
}

/// A value of a file, with its place.
pub(crate) type Given<'a> = Spanned<DeValue<'a>>;

/// One kind of value. `read` gives back what `write` was given.
pub(crate) trait Kind {
    type Type;

    /// What a value of this kind can be, as a phrase that goes after "must be".
    fn allowed(&self) -> String;

    fn read(&self, given: &Given<'_>) -> Result<Self::Type, Fault>;

    fn write(&self, value: &Self::Type) -> Value;

    fn fault(&self, given: &Given<'_>, what: impl Display) -> Fault {
        Fault { span: given.span(), message: format!("{what}; must be {}", self.allowed()) }
    }

    fn wrong_type(&self, given: &Given<'_>) -> Fault {
        let message = match given.get_ref() {
            DeValue::String(text) => format!("the string {} has the wrong type", quote(text)),
            DeValue::Integer(number) => format!("the integer {number} has the wrong type"),
            DeValue::Float(number) => format!("the float {number} has the wrong type"),
            DeValue::Boolean(flag) => format!("the boolean {flag} has the wrong type"),
            other => format!("a value of the type {} is wrong here", other.type_str()),
        };
        self.fault(given, message)
    }
}

/// `true` or `false`.
pub(crate) struct Flag;

impl Kind for Flag {
    type Type = bool;

    fn allowed(&self) -> String {
        "true or false".to_owned()
    }

    fn read(&self, given: &Given<'_>) -> Result<bool, Fault> {
        given.get_ref().as_bool().ok_or_else(|| self.wrong_type(given))
    }

    fn write(&self, value: &bool) -> Value {
        Value::Flag(*value)
    }
}

/// A number of things within bounds, both included.
pub(crate) struct Count {
    pub(crate) min: u32,
    pub(crate) max: u32,
}

impl Kind for Count {
    type Type = u32;

    fn allowed(&self) -> String {
        format!("an integer from {} to {}", self.min, self.max)
    }

    fn read(&self, given: &Given<'_>) -> Result<u32, Fault> {
        let number = given.get_ref().as_integer().ok_or_else(|| self.wrong_type(given))?;
        let count = u32::from_str_radix(number.as_str(), number.radix()).ok();
        count
            .filter(|count| (self.min..=self.max).contains(count))
            .ok_or_else(|| self.fault(given, format_args!("{number} is out of range")))
    }

    fn write(&self, value: &u32) -> Value {
        Value::Number(*value)
    }
}

/// A duration within bounds, both included.
pub(crate) struct Period {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

impl Kind for Period {
    type Type = Duration;

    fn allowed(&self) -> String {
        format!("a duration from {} to {}", duration::format(self.min), duration::format(self.max))
    }

    fn read(&self, given: &Given<'_>) -> Result<Duration, Fault> {
        let text = match given.get_ref() {
            DeValue::String(text) => text,
            DeValue::Integer(number) => {
                return Err(
                    self.fault(given, format_args!("{number} needs a unit and quotes, as in \"90s\""))
                );
            }
            _ => return Err(self.wrong_type(given)),
        };
        let quoted = quote(text);
        match duration::parse(text) {
            Err(error) => Err(self.fault(given, format_args!("{quoted} {error}"))),
            Ok(period) if period < self.min => Err(self.fault(given, format_args!("{quoted} is too short"))),
            Ok(period) if period > self.max => Err(self.fault(given, format_args!("{quoted} is too long"))),
            Ok(period) => Ok(period),
        }
    }

    fn write(&self, value: &Duration) -> Value {
        Value::Text(duration::format(*value))
    }
}

/// A duration of whole seconds within bounds, or without end: [`NEVER`], which is `None`.
pub(crate) struct PeriodOrNever(pub(crate) Period);

const NEVER: &str = "never";

impl Kind for PeriodOrNever {
    type Type = Option<Duration>;

    fn allowed(&self) -> String {
        format!("{} in whole seconds, or \"{NEVER}\"", self.0.allowed())
    }

    fn read(&self, given: &Given<'_>) -> Result<Option<Duration>, Fault> {
        if given.get_ref().as_str() == Some(NEVER) {
            return Ok(None);
        }
        let period = self.0.read(given).map_err(|fault| Fault {
            message: format!("{} in whole seconds, or \"{NEVER}\"", fault.message),
            ..fault
        })?;
        if period.subsec_nanos() > 0 {
            return Err(
                self.fault(given, format_args!("\"{}\" has part of a second", duration::format(period)))
            );
        }
        Ok(Some(period))
    }

    fn write(&self, value: &Option<Duration>) -> Value {
        value.map_or_else(|| Value::Text(NEVER.to_owned()), |period| self.0.write(&period))
    }
}

/// A text for people, without the white space around it; the empty text is `None`.
pub(crate) struct Text {
    pub(crate) max_bytes: usize,
}

impl Kind for Text {
    type Type = Option<String>;

    fn allowed(&self) -> String {
        format!("text of at most {} bytes without control characters except line breaks", self.max_bytes)
    }

    fn read(&self, given: &Given<'_>) -> Result<Option<String>, Fault> {
        let text = given.get_ref().as_str().ok_or_else(|| self.wrong_type(given))?.trim();
        if text.len() > self.max_bytes {
            return Err(self.fault(given, format_args!("{} has {} bytes", quote(text), text.len())));
        }
        if text.contains(|c: char| c.is_control() && c != '\n') {
            return Err(self.fault(given, format_args!("{} has a control character", quote(text))));
        }
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn write(&self, value: &Option<String>) -> Value {
        Value::Text(value.clone().unwrap_or_default())
    }
}

/// One of a few words, each of which stands for a value.
pub(crate) struct OneOf<T: 'static>(pub(crate) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind for OneOf<T> {
    type Type = T;

    fn allowed(&self) -> String {
        let words: Vec<String> = self.0.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        format!("one of {}", words.join(", "))
    }

    fn read(&self, given: &Given<'_>) -> Result<T, Fault> {
        let text = given.get_ref().as_str().ok_or_else(|| self.wrong_type(given))?;
        let found = self.0.iter().find(|(word, _)| *word == text);
        found
            .map(|(_, value)| *value)
            .ok_or_else(|| self.fault(given, format_args!("{} is not known here", quote(text))))
    }

    fn write(&self, value: &T) -> Value {
        let word = self.0.iter().find(|(_, known)| known == value).map_or("", |(word, _)| word);
        Value::Text(word.to_owned())
    }
}

/// A list of names: those that NSS knows, or of PAM services.
pub(crate) struct Names {
    /// Whose names they are: "user", "group" or "service".
    pub(crate) of: &'static str,
}

impl Kind for Names {
    type Type = Vec<String>;

    fn allowed(&self) -> String {
        format!("a list of {} names, such as [\"a\", \"b\"]", self.of)
    }

    fn read(&self, given: &Given<'_>) -> Result<Vec<String>, Fault> {
        let list = given.get_ref().as_array().ok_or_else(|| self.wrong_type(given))?;
        list.iter().map(|name| self.read_name(name)).collect()
    }

    fn write(&self, value: &Vec<String>) -> Value {
        Value::List(value.clone())
    }
}

impl Names {
    /// useradd(8) sets narrower rules, but directories have names with spaces, backslashes and `@`.
    fn read_name(&self, given: &Given<'_>) -> Result<String, Fault> {
        /// `LOGIN_NAME_MAX` of limits.h(0p) on Linux, without the terminating zero.
        const MAX_BYTES: usize = 255;
        let name = given.get_ref().as_str().ok_or_else(|| self.wrong_type(given))?;
        let wrong = if name.is_empty() {
            "is empty"
        } else if name.len() > MAX_BYTES {
            "has more than 255 bytes"
        } else if name.trim() != name {
            "has white space around it"
        } else if name.contains(|c: char| c.is_control() || c == ':') {
            "has a colon or a control character"
        } else {
            return Ok(name.to_owned());
        };
        Err(self.fault(given, format_args!("{} {wrong}", quote(name))))
    }
}

/// A list of addresses and networks.
pub(crate) struct Networks;

impl Kind for Networks {
    type Type = Vec<String>;

    fn allowed(&self) -> String {
        "a list of addresses and networks, such as [\"192.0.2.7\", \"2001:db8::/32\"]".to_owned()
    }

    fn read(&self, given: &Given<'_>) -> Result<Vec<String>, Fault> {
        let list = given.get_ref().as_array().ok_or_else(|| self.wrong_type(given))?;
        let read = |network: &Given<'_>| {
            let text = network.get_ref().as_str().ok_or_else(|| self.wrong_type(network))?;
            let fault = || self.fault(network, format_args!("{} is neither", quote(text)));
            is_network(text).then(|| text.to_owned()).ok_or_else(fault)
        };
        list.iter().map(read).collect()
    }

    fn write(&self, value: &Vec<String>) -> Value {
        Value::List(value.clone())
    }
}

/// An address, alone or with the length of a prefix behind a slash.
fn is_network(text: &str) -> bool {
    let (address, prefix) =
        text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    prefix.is_none_or(|prefix| prefix.parse().is_ok_and(|prefix: u8| prefix <= longest))
}

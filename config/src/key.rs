//! What a key of the configuration is.

use crate::value::{Fault, Given, Value};

/// A key that says something about a `T`.
pub(crate) struct Key<T: 'static> {
    pub(crate) name: &'static str,
    /// `section.key`
    pub(crate) path: &'static str,
    pub(crate) doc: &'static [&'static str],
    #[cfg(test)]
    pub(crate) allowed: fn() -> String,
    /// Checks a value and puts it in its place.
    pub(crate) set: fn(&mut T, &Given<'_>) -> Result<(), Fault>,
    pub(crate) get: fn(&T) -> Value,
}

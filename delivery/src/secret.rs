//! A password or a key on its way to the relay.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Text that is never shown: `Debug` prints nothing of it, and there is no `Display`. It is sent as plain text over the
/// relay's socket, which is root's, so it also lies in the frames' buffers: the relay's unit writes no core dumps.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for who signs or authenticates with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_not_shown() {
        assert_eq!(
            format!("{:?} {:#?}", Secret::new("hunter2"), Some(Secret::new("hunter2"))).find("hunter2"),
            None
        );
        assert_eq!(serde_json::to_string(&Secret::new("hunter2")).unwrap(), r#""hunter2""#);
    }
}

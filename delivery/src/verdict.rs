//! What became of an item.

use serde::{Deserialize, Serialize};

/// The relay's answer to an [`Item`](crate::Item).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The item's id.
    pub id: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What became of an item. Errors are one line, printable, without secrets; they name the receiver's host, not its URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// The receiver has it.
    Delivered,
    /// Not now: it may succeed later, or once the configuration is mended.
    Retry {
        /// Seconds that the receiver asked to wait (`Retry-After`), at most a day; `None`: as the sender sees fit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<u64>,
        /// Why.
        error: String,
    },
    /// The receiver will never take this item; others it may.
    Refused {
        /// Why.
        error: String,
    },
    /// The receiver wants no item any more (HTTP 410).
    Gone {
        /// Why.
        error: String,
    },
}

impl Outcome {
    /// To be tried again, at the sender's time.
    pub fn retry(error: impl Into<String>) -> Self {
        Self::Retry { after: None, error: error.into() }
    }

    /// Never to be tried again.
    pub fn refused(error: impl Into<String>) -> Self {
        Self::Refused { error: error.into() }
    }

    /// Why it was not delivered.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Delivered => None,
            Self::Retry { error, .. } | Self::Refused { error } | Self::Gone { error } => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_one_shape() {
        let shape = |outcome| serde_json::to_string(&Verdict { id: "msg_1".into(), outcome }).unwrap();
        assert_eq!(shape(Outcome::Delivered), r#"{"id":"msg_1","outcome":"delivered"}"#);
        assert_eq!(shape(Outcome::retry("x")), r#"{"id":"msg_1","outcome":"retry","error":"x"}"#);
        let after = Outcome::Retry { after: Some(7), error: "x".into() };
        assert_eq!(shape(after.clone()), r#"{"id":"msg_1","outcome":"retry","after":7,"error":"x"}"#);
        assert_eq!(serde_json::from_str::<Verdict>(&shape(after.clone())).unwrap().outcome, after);
    }
}

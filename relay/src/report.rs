//! What a delivery came to.

use lockdown_delivery::Outcome;

/// What became of an item, and what that says about others.
#[derive(Debug)]
pub struct Report {
    /// The verdict.
    pub outcome: Outcome,
    /// The destination could not be reached at all: others that wait for it would fail likewise.
    pub unreachable: bool,
}

impl Report {
    /// About this item.
    #[must_use]
    pub fn reached(outcome: Outcome) -> Self {
        Self { outcome, unreachable: false }
    }

    /// About its destination.
    #[must_use]
    pub fn unreachable(outcome: Outcome) -> Self {
        Self { outcome, unreachable: true }
    }
}

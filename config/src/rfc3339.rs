//! Times as RFC 3339 writes them.

use jiff::SignedDuration;
use jiff::civil::{DateTime, date};

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
pub(crate) const MAX: i64 = 253_402_300_799;

/// 1970-01-01T00:00:00Z.
pub(crate) const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

/// RFC 3339, UTC. What is out of range becomes the end of it.
pub(crate) fn format(seconds: i64) -> String {
    let since = SignedDuration::from_secs(seconds.clamp(0, MAX));
    format!("{}Z", EPOCH.saturating_add(since))
}

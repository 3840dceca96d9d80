//! How much attention an event wants.

/// How much attention an event wants, and a message about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Ordinary.
    Info,
    /// Somebody changed something.
    Notice,
    /// Somebody should look.
    Warning,
    /// Somebody should look now.
    Critical,
}

impl Severity {
    /// Every severity, from the least on.
    pub const ALL: [Self; 4] = [Self::Info, Self::Notice, Self::Warning, Self::Critical];

    /// The severity with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }

    /// The name in the configuration, in the store and on the bus.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Names of the severities, the least first.
pub const SEVERITIES: &[&str] =
    &[Severity::Info.name(), Severity::Notice.name(), Severity::Warning.name(), Severity::Critical.name()];

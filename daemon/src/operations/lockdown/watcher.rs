//! Tells the caller of a lockdown how far it is.

use lockdown_dbus_api::views::Progress;

use crate::{announcement::Announcement, bus::caller::Caller, core::Core, domain::account::Account};

/// Whoever waits for a lockdown of one account; nobody, if it is finished in the background.
#[derive(Debug)]
pub struct Watcher<'c> {
    core: &'c Core,
    to: Option<String>,
    account: String,
}

impl<'c> Watcher<'c> {
    /// The caller watches.
    #[must_use]
    pub fn new(core: &'c Core, caller: &Caller, account: &Account) -> Self {
        let to = Some(caller.bus_name.clone()).filter(|name| !name.is_empty());
        Self { core, to, account: account.name.clone() }
    }

    /// Nobody watches.
    #[must_use]
    pub fn nobody(core: &'c Core, account: &Account) -> Self {
        Self { core, to: None, account: account.name.clone() }
    }

    /// A step has begun.
    pub fn begun(&self, step: &str) {
        self.report(step, "begun");
    }

    /// A step's outcome.
    pub fn report(&self, step: &str, outcome: &str) {
        if let Some(to) = self.to.clone() {
            let progress = Progress { step: step.to_owned(), outcome: outcome.to_owned() };
            let account = self.account.clone();
            self.core.announce(Announcement::LockdownProgress { to, account, progress });
        }
    }
}

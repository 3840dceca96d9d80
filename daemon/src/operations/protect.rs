//! Gathers what the rule of protected accounts needs, and refuses.

use std::{collections::BTreeSet, sync::Arc};

use lockdown_config::Settings;
use lockdown_dbus_api::Error;
use lockdown_enforcement::escape::escape;

use crate::{
    bus::caller::Caller,
    core::Core,
    domain::{
        account::Account,
        event::{Action, Event, Outcome},
        protection::{ByDocuments, Facts, Protection, protection},
    },
    host::{administrators::Administrators, clock, nss::Nss},
    store::StoreError,
};

/// The rule as it is for one caller.
#[derive(Debug)]
pub struct Rule<'c> {
    core: &'c Core,
    settings: Arc<Settings>,
    facts: Facts,
    administrators: Option<Administrators>,
    locked: BTreeSet<u32>,
}

impl<'c> Rule<'c> {
    /// To judge one account: administrators are only looked for if it is one.
    #[must_use]
    pub fn for_one(core: &'c Core, caller: &Caller) -> Self {
        let settings = core.settings();
        let facts = Facts {
            uid_min: core.uid_min(),
            caller: [Some(caller.uid), caller.loginuid].into_iter().flatten().collect(),
            users: settings.protected.users.iter().cloned().collect(),
            documents: core.protected_by_documents(),
            protected_group: None,
            last_administrator: false,
        };
        Self { core, settings, facts, administrators: None, locked: BTreeSet::new() }
    }

    /// To judge the account of whoever asks: it may be their own.
    #[must_use]
    pub fn for_oneself(core: &'c Core) -> Self {
        let mut rule = Self::for_one(core, &Caller::default());
        rule.facts.caller.clear();
        rule
    }

    /// Protects those of other documents than are in force.
    pub fn protect(&mut self, documents: ByDocuments) {
        self.facts.documents = documents;
    }

    /// What there is to know without a look-up.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What protects the account by its name and uid alone.
    #[must_use]
    pub fn check_by_name(&self, account: &Account) -> Option<Protection> {
        protection(&account.name, account.uid, &self.facts)
    }

    /// From now on, judges as if this uid could not get in any more.
    pub fn count_as_locked(&mut self, uid: u32) {
        self.locked.insert(uid);
    }

    /// To judge many: administrators are looked for once.
    pub async fn for_many(core: &'c Core, caller: &Caller) -> Self {
        let mut rule = Self::for_one(core, caller);
        rule.administrators = Some(rule.gather().await);
        rule
    }

    /// Why this caller cannot lock the account; `None` if it can.
    pub async fn check(&self, account: &Account) -> Option<Protection> {
        if let Some(found) = self.check_by_name(account) {
            // What is decided by uid and name needs no look-up of groups.
            return Some(found);
        }
        let protected_group = self.group_among(account, &self.settings.protected.groups).await;
        let last_administrator = match &self.administrators {
            Some(administrators) => administrators.is_last(account.uid),
            None => {
                self.group_among(account, &self.settings.protected.admin_groups).await.is_some()
                    && self.gather().await.is_last(account.uid)
            }
        };
        let facts = Facts { protected_group, last_administrator, ..self.facts.clone() };
        protection(&account.name, account.uid, &facts)
    }

    /// Whether the account can administer the host, as far as its groups can be told.
    pub async fn is_administrator(&self, account: &Account) -> bool {
        self.group_among(account, &self.settings.protected.admin_groups).await.is_some()
    }

    /// The first of `groups` that the account is in. If its groups cannot be told, it is taken for an ordinary account:
    /// a directory that is away must not keep an operator from locking its accounts.
    async fn group_among(&self, account: &Account, groups: &[String]) -> Option<String> {
        if groups.is_empty() {
            return None;
        }
        let of_account = self.core.nss().groups_of(account).await.unwrap_or_default();
        groups.iter().find(|group| of_account.contains(*group)).cloned()
    }

    /// Who is in the groups that decide, by what the groups say: to ask few of very many accounts for theirs.
    pub async fn members(&self, nss: &Nss) -> Members {
        let groups = self.settings.protected.groups.iter().chain(&self.settings.protected.admin_groups);
        let mut members = Members::default();
        for group in groups {
            if let Ok(Some((gid, names))) = nss.group(group).await {
                members.gids.insert(gid);
                members.names.extend(names);
            }
        }
        members
    }

    async fn gather(&self) -> Administrators {
        let groups = &self.settings.protected.admin_groups;
        Administrators::gather(groups, &self.locked, &self.core.nss(), &self.core.store, clock::now()).await
    }
}

/// See [`Rule::members`].
#[derive(Clone, Debug, Default)]
pub struct Members {
    /// Primary groups whose accounts are members.
    pub gids: BTreeSet<u32>,
    /// Members by name.
    pub names: BTreeSet<String>,
}

/// Refuses what would lock a protected account, and records that somebody tried.
///
/// # Errors
/// `Protected`
pub async fn refuse_if_protected(
    core: &Core,
    caller: &Caller,
    account: &Account,
    action: Action,
) -> Result<(), Error> {
    let Some(protection) = Rule::for_one(core, caller).check(account).await else { return Ok(()) };
    let refusal = format!("{} is protected: {protection}", escape(&account.name));
    let mut event = Event::new(clock::now(), action, &account.name);
    caller.sign(&mut event);
    event.outcome = Outcome::Refused(protection.to_string());
    if let Err(error) = core.store.write(move |change| change.record(event)).await {
        let error: StoreError = error;
        tracing::error!("the refusal could not be recorded: {error}");
    }
    Err(Error::Protected(refusal))
}

//! Which accounts documents mean: asked of NSS as little as will do.
//!
//! An account that the store knows needs no look-up until something is placed on it. Some hundred names are cheaper to look up
//! in a list of all; what that does not have, because a directory lists nothing, is looked up by itself.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::{StreamExt, stream};

use lockdown_config::state::{Document, Subject};
use lockdown_dbus_api::Error;
use lockdown_enforcement::escape::escape;

use crate::{
    bus::caller::Caller,
    core::Core,
    domain::{
        account::{Account, Reference},
        identifier::Identifier,
    },
    host::nss::NssError,
    operations::resolve,
    store::{StoreError, accounts, identifiers},
};

/// More look-ups than these are made in a list of all accounts first.
pub const FEW: usize = 256;
/// Look-ups at the same time.
const AT_ONCE: usize = 16;

/// Who is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The account of this name.
    Account(String),
    /// Nobody here.
    Nobody,
    /// It cannot be told now; why.
    Unknown(String),
    /// It cannot name anybody; why.
    Bad(String),
}

/// Who is in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Members {
    /// These accounts.
    Are(BTreeSet<String>),
    /// It cannot be told; why.
    Unknown(String),
}

/// The accounts that documents mean.
#[derive(Debug, Default)]
pub struct People {
    /// Those that the store or NSS has, by name. They may be all that a directory lists.
    known: HashMap<Box<str>, Known>,
    /// What is not the name of one of them.
    answers: HashMap<String, Answer>,
    groups: BTreeMap<String, Members>,
    /// NSS was asked for its list.
    is_listed: bool,
}

#[derive(Debug)]
struct Known {
    uid: u32,
    /// Primary group and home, if NSS has told of it in this call.
    seen: Option<(u32, Box<Path>)>,
}

impl People {
    /// Finds out whom these documents mean.
    ///
    /// # Errors
    /// [`StoreError`]. What NSS does not answer is an answer of its own.
    pub async fn gather(core: &Core, caller: &Caller, documents: &[Document]) -> Result<Self, Error> {
        let mut people = Self::known(core).await?;
        let (mut names, mut groups) = (BTreeSet::new(), BTreeSet::new());
        for document in documents {
            let of_authenticators = document.authenticators.iter().map(|entry| &entry.account.value);
            let of_entries = document.entries.iter().filter_map(|entry| match &entry.subject {
                Subject::Name(name) => Some(name),
                Subject::Group(group) => {
                    groups.insert(group.clone());
                    None
                }
            });
            let unknown = |name: &&String| !people.known.contains_key(name.as_str());
            names.extend(of_entries.chain(of_authenticators).filter(unknown).cloned());
        }
        let (mut others, mut meant, mut by_uid) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            match Reference::parse(&name) {
                Ok(Reference::Name(_)) => others.push(name),
                Ok(Reference::Uid(_)) => by_uid.push(name),
                Ok(Reference::Identifier(identifier)) => meant.push((name, identifier)),
                Err(error) => drop(people.answers.insert(name, Answer::Bad(error.to_string()))),
            }
        }
        people.by_identifier(core, meant).await?;
        if !groups.is_empty() || others.len() > FEW {
            people.list(core).await;
        }
        for group in groups {
            let members = people.members(core, &group).await;
            if let Members::Are(members) = &members {
                let unknown = members.iter().filter(|name| !people.known.contains_key(name.as_str()));
                others.extend(unknown.cloned());
            }
            people.groups.insert(group, members);
        }
        people.by_name(core, others).await;
        for text in by_uid {
            let answer = match resolve::resolve(core, caller, &text).await {
                Ok(account) => {
                    let known = people.known.entry(account.name.as_str().into());
                    known.or_insert(Known { uid: account.uid, seen: None }).uid = account.uid;
                    Answer::Account(account.name)
                }
                Err(Error::NoSuchAccount(_)) => Answer::Nobody,
                Err(Error::InvalidArgument(why)) => Answer::Bad(why),
                Err(error) => Answer::Unknown(error.message()),
            };
            people.answers.insert(text, answer);
        }
        Ok(people)
    }

    async fn known(core: &Core) -> Result<Self, StoreError> {
        let known = core.store.read(|connection| {
            let mut known = HashMap::new();
            accounts::each_known(connection, |name, uid| {
                known.insert(name.into(), Known { uid, seen: None });
            })?;
            Ok::<_, StoreError>(known)
        });
        Ok(Self { known: known.await?, ..Self::default() })
    }

    /// Whom a document means by `text`.
    #[must_use]
    pub fn who(&self, text: &str) -> Answer {
        if self.known.contains_key(text) {
            return Answer::Account(text.to_owned());
        }
        self.answers.get(text).cloned().unwrap_or(Answer::Nobody)
    }

    /// Who is in the group, as far as somebody has an account here.
    #[must_use]
    pub fn in_group(&self, group: &str) -> Members {
        match self.groups.get(group) {
            Some(Members::Are(names)) => {
                let here = names.iter().filter_map(|name| match self.who(name) {
                    Answer::Account(name) => Some(name),
                    _ => None,
                });
                Members::Are(here.collect())
            }
            Some(unknown) => unknown.clone(),
            None => Members::Are(BTreeSet::new()),
        }
    }

    /// The uid of an account that was found.
    #[must_use]
    pub fn uid(&self, name: &str) -> Option<u32> {
        self.known.get(name).map(|known| known.uid)
    }

    /// The account as NSS has it, if it was [seen](Self::see), or else as the store does.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<Account> {
        let Known { uid, seen } = self.known.get(name)?;
        Some(match seen {
            None => Account::without_nss(name.to_owned(), *uid),
            Some((gid, home)) => {
                Account { name: name.to_owned(), uid: *uid, gid: *gid, home: home.to_path_buf() }
            }
        })
    }

    /// Whether NSS has told of the account in this call.
    #[must_use]
    pub fn is_seen(&self, name: &str) -> bool {
        self.known.get(name).is_some_and(|known| known.seen.is_some())
    }

    /// Whether NSS has said that nobody has this name, of somebody whom the store knows.
    #[must_use]
    pub fn is_gone(&self, name: &str) -> bool {
        !self.is_seen(name) && self.answers.get(name) == Some(&Answer::Nobody)
    }

    /// Whether NSS lists the account, and with it its groups.
    #[must_use]
    pub fn is_listed(&self, name: &str) -> bool {
        self.is_listed && self.is_seen(name)
    }

    /// Asks NSS for these accounts, which the store may have with a uid of former times.
    pub async fn see(&mut self, core: &Core, names: &BTreeSet<&str>) {
        if names.iter().filter(|name| !self.is_seen(name)).count() > FEW {
            self.list(core).await;
        }
        let unseen = names.iter().filter(|name| !self.is_seen(name)).map(|name| (*name).to_owned());
        self.by_name(core, unseen.collect()).await;
    }

    async fn list(&mut self, core: &Core) {
        if self.is_listed {
            return;
        }
        match core.nss().enumerate().await {
            Ok(accounts) => {
                self.is_listed = true;
                accounts.into_iter().for_each(|account| self.saw(account));
            }
            Err(error) => tracing::warn!("accounts are looked up one by one: {error}"),
        }
    }

    fn saw(&mut self, account: Account) {
        let Account { name, uid, gid, home } = account;
        self.known.insert(name.into(), Known { uid, seen: Some((gid, home.into())) });
    }

    async fn members(&self, core: &Core, group: &str) -> Members {
        match core.nss().group(group).await {
            Ok(Some((gid, named))) => {
                let is_in = |known: &Known| known.seen.as_ref().is_some_and(|(own, _)| *own == gid);
                let primary = self.known.iter().filter(|(_, known)| is_in(known));
                Members::Are(named.into_iter().chain(primary.map(|(name, _)| name.to_string())).collect())
            }
            // Also a directory that is away has no group.
            Ok(None) => Members::Unknown(format!("no group is called {}", escape(group))),
            Err(error) => Members::Unknown(error.to_string()),
        }
    }

    /// Looks names up. Once NSS fails, it is asked no more: the others would hang alike.
    async fn by_name(&mut self, core: &Core, names: Vec<String>) {
        let names: Vec<String> = names.into_iter().filter(|name| !self.is_seen(name)).collect();
        let nss = &core.nss();
        let has_failed = &AtomicBool::new(false);
        let found: Vec<(String, Result<Option<Account>, NssError>)> = stream::iter(names)
            .map(|name| async move {
                if has_failed.load(Ordering::Relaxed) {
                    return (name, Err(NssError::Busy));
                }
                let found = nss.by_name(&name).await;
                has_failed.fetch_or(found.is_err(), Ordering::Relaxed);
                (name, found)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (name, found) in found {
            let answer = match found {
                Ok(Some(account)) => {
                    let answer = Answer::Account(account.name.clone());
                    self.saw(account);
                    answer
                }
                Ok(None) => Answer::Nobody,
                Err(error) => Answer::Unknown(error.to_string()),
            };
            self.answers.insert(name, answer);
        }
    }

    async fn by_identifier(
        &mut self,
        core: &Core,
        meant: Vec<(String, Identifier)>,
    ) -> Result<(), StoreError> {
        if meant.is_empty() {
            return Ok(());
        }
        let found = core.store.read(move |connection| {
            let holders = meant.into_iter().map(|(text, identifier)| {
                let holder = identifiers::holder(connection, &identifier)?;
                Ok((text, holder.map_or(Answer::Nobody, Answer::Account)))
            });
            holders.collect::<rusqlite::Result<Vec<_>>>().map_err(StoreError::from)
        });
        self.answers.extend(found.await?);
        Ok(())
    }
}

#[cfg(test)]
impl People {
    /// Accounts and groups that are just so.
    pub fn of(accounts: &[(&str, u32)], groups: &[(&str, &[&str])]) -> Self {
        let known = |(name, uid): &(&str, u32)| ((*name).into(), Known { uid: *uid, seen: None });
        let groups = groups.iter().map(|(group, members)| {
            let members = members.iter().map(|name| (*name).to_owned()).collect();
            ((*group).to_owned(), Members::Are(members))
        });
        Self { known: accounts.iter().map(known).collect(), groups: groups.collect(), ..Self::default() }
    }

    /// The same, with an answer.
    #[must_use]
    pub fn answering(mut self, text: &str, answer: Answer) -> Self {
        self.answers.insert(text.to_owned(), answer);
        self
    }

    /// The same, with a group that NSS does not tell of.
    #[must_use]
    pub fn without_group(mut self, group: &str) -> Self {
        self.groups.insert(group.to_owned(), Members::Unknown("away".to_owned()));
        self
    }
}

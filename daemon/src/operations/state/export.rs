//! The state of accounts as a document.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use lockdown_config::state::{
    self, AccountEntry, AuthenticatorEntry, Document, Placed, State, Subject, ValidUntil,
};
use lockdown_dbus_api::{Error, options};
use lockdown_enforcement::escape::escape;

use crate::{
    core::Core,
    domain::{lock::Time, state::Key},
    host::clock,
    store::{
        StoreError,
        documents::{self, LockOf},
    },
};

/// What a document is called that stands for none.
const NAME: &str = "export";

/// What a document has in the store, or what is in the store and no document's doing. Applied in the place of that document, or as
/// a new one, it changes nothing. Operators' locks are theirs, and in neither.
///
/// # Errors
/// `InvalidArgument` if there is no such document, `Failed`.
pub async fn export(core: &Core, options: options::ExportState) -> Result<String, Error> {
    let name = options.document.clone();
    let found = core.store.read_apart(move |connection| Found::read(connection, name.as_deref())).await?;
    let text = match (&options.document, found) {
        (Some(name), None) => {
            let name = escape(name);
            Err(Error::InvalidArgument(format!("no document is called {name}: see `lockdownctl status`")))
        }
        (_, None) => Err(Error::Failed("the store has no state".to_owned())),
        (name, Some(found)) => {
            let name = name.as_deref().unwrap_or(NAME).to_owned();
            let now = clock::now();
            let rendered = tokio::task::spawn_blocking(move || found.render(&name, now)).await;
            rendered.map_err(|error| Error::Failed(error.to_string()))?
        }
    };
    core.give_memory_back().await;
    text
}

/// What is exported.
#[derive(Debug, Default)]
struct Found {
    locks: Vec<LockOf>,
    values: BTreeMap<(String, Key), String>,
    deactivated: BTreeSet<String>,
    unlocked: Vec<String>,
    protected: Vec<String>,
}

impl Found {
    fn read(connection: &rusqlite::Connection, name: Option<&str>) -> Result<Option<Self>, StoreError> {
        let applied = documents::all(connection)?;
        let values_of = |name: &str| -> rusqlite::Result<Vec<((String, Key), String)>> {
            let values = documents::values(connection, name)?;
            Ok(values.into_iter().map(|(account, key, value)| ((account, key), value)).collect())
        };
        let mut found = Self::default();
        match name {
            Some(name) => {
                let Some(document) = applied.into_iter().find(|known| known.name == name) else {
                    return Ok(None);
                };
                found.protected = document.protected;
                documents::each_lock(connection, name, |lock| found.locks.push(lock))?;
                found.values.extend(values_of(name)?);
                found.deactivated =
                    documents::declared(connection, name, State::Deactivated)?.into_iter().collect();
                found.unlocked = documents::declared(connection, name, State::Unlocked)?;
            }
            None => {
                found.values = documents::present(connection)?;
                found.values.retain(|(_, key), value| !key.is_nothing(value));
                for document in applied {
                    for (place, _) in values_of(&document.name)? {
                        found.values.remove(&place);
                    }
                }
            }
        }
        Ok(Some(found))
    }

    fn render(self, name: &str, now: Time) -> Result<String, Error> {
        let placed = |value: String| Placed { value, ..Placed::default() };
        let mut entries: BTreeMap<String, AccountEntry> = BTreeMap::new();
        let mut authenticators = Vec::new();
        let entry = |account: &str| AccountEntry {
            subject: Subject::Name(account.to_owned()),
            ..AccountEntry::default()
        };
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        for lock in self.locks.into_iter().filter(|lock| lock.terms.in_force(now)) {
            let LockOf { account, authenticator, terms, .. } = lock;
            let (reason, message, expires) = (text(terms.reason), text(terms.message), terms.expires_at);
            match text(authenticator) {
                Some(id) => authenticators.push(AuthenticatorEntry {
                    account: placed(account),
                    id: placed(id),
                    reason,
                    message,
                    expires,
                    unenforced: true,
                }),
                None => {
                    let entry = entries.entry(account.clone()).or_insert_with(|| entry(&account));
                    let is_deactivated = self.deactivated.contains(&account);
                    entry.state = Some(if is_deactivated { State::Deactivated } else { State::Locked });
                    (entry.reason, entry.message, entry.expires) = (reason, message, expires);
                }
            }
        }
        for account in self.unlocked {
            entries.entry(account.clone()).or_insert_with(|| entry(&account)).state = Some(State::Unlocked);
        }
        for ((account, key), value) in self.values {
            let entry = entries.entry(account.clone()).or_insert_with(|| entry(&account));
            match key {
                Key::ValidUntil => {
                    let value = match value.parse() {
                        Ok(time) if time > 0 => ValidUntil::Time(time),
                        _ => ValidUntil::Never,
                    };
                    entry.valid_until = Some(Placed { value, ..Placed::default() });
                }
                Key::Identifier(kind) => entry.identifiers.push((kind, placed(value))),
                Key::Metadata(key) => entry.metadata.push((key, placed(value))),
            }
        }
        let failed =
            |error: String| Error::Failed(format!("the state cannot be written as a document: {error}"));
        state::check_name(name).map_err(failed)?;
        let mut document = Document::new(name, Path::new(name)).map_err(|error| failed(error.to_string()))?;
        document.protected = self.protected.into_iter().map(placed).collect();
        document.entries = entries.into_values().collect();
        document.authenticators = authenticators;
        Ok(document.to_toml())
    }
}

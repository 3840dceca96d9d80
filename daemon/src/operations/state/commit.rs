//! The transaction that makes the store what documents want, whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use lockdown_config::state::State;
use lockdown_dbus_api::Error;
use lockdown_enforcement::escape::escape;
use rusqlite::Connection;

use super::people::People;
use crate::{
    bus::caller::Caller,
    core::Core,
    domain::{
        event::{Action, Event, Fields},
        identifier::Identifier,
        lock::{Lock, NewLock, Owner, Time, locked_until},
        state::{Held, HeldLock, Intent, Key, Standing, Step, Terms, Wanted, What, plan},
    },
    operations::{authenticator, set_account},
    store::{
        Change, StoreError,
        accounts::{self, AccountId},
        documents::{self, Applied, LockOf},
        events::chain::hex,
        identifiers, locks,
    },
};

/// What is to be committed.
#[derive(Debug)]
pub struct Order {
    /// Who asks.
    pub caller: Caller,
    /// When that is.
    pub now: Time,
    /// What documents want.
    pub wanted: Wanted,
    /// What is to change for it, as it was judged.
    pub steps: Vec<Step>,
    /// In which state of the store, see [`Store::revision`](crate::store::Store::revision).
    pub revision: u64,
    /// Whom the steps are about.
    pub people: People,
    /// Accounts that are no more, and keep no identifier.
    pub gone: BTreeSet<String>,
    /// The documents, each with its text if that is another one than the store has.
    pub documents: Vec<(Applied, Option<Arc<str>>)>,
    /// Documents that are no more.
    pub removed: Vec<String>,
    /// What they are applied under; see [`documents::standing`].
    pub around: String,
}

/// What was committed.
#[derive(Debug)]
pub struct Committed {
    /// Whom it is about.
    pub people: People,
    steps: Vec<Step>,
    /// Numbers of steps, and of the locks that they have placed or updated.
    locked: Vec<(usize, i64)>,
    /// Numbers of steps that have lifted a lock, and whether what it was on is still locked.
    lifted: Vec<(usize, bool)>,
    by: String,
    at: Time,
}

impl Committed {
    /// Locks that were placed or updated: account, lock, whether it is a new one.
    pub fn locked(&self) -> impl Iterator<Item = (&str, Lock, bool)> {
        self.locked.iter().filter_map(|(number, id)| {
            let step = self.steps.get(*number)?;
            let What::Lock { authenticator, before, after } = &step.what else { return None };
            let lock = self.lock(step, *id, authenticator, after);
            Some((step.account.as_str(), lock, before.is_none()))
        })
    }

    /// Locks that were lifted: account, lock, whether what it was on is still locked.
    pub fn lifted(&self) -> impl Iterator<Item = (&str, Lock, bool)> {
        self.lifted.iter().filter_map(|(number, still_locked)| {
            let step = self.steps.get(*number)?;
            let What::Lift { authenticator, id, before } = &step.what else { return None };
            Some((step.account.as_str(), self.lock(step, *id, authenticator, before), *still_locked))
        })
    }

    fn lock(&self, step: &Step, id: i64, authenticator: &str, terms: &Terms) -> Lock {
        let authenticator = Some(authenticator.to_owned()).filter(|id| !id.is_empty());
        let terms = terms_of(step, terms, &self.by);
        Lock { id, authenticator, source: String::new(), terms, created_at: self.at }
    }
}

enum Abort {
    /// The store is not what the judgement was about any more.
    Moved,
    Failed(Error),
}

impl From<StoreError> for Abort {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Error> for Abort {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What documents of these names have in the store, and what stands of accounts where that matters.
///
/// # Errors
/// Those of SQLite.
pub fn standing(connection: &Connection, names: &BTreeSet<String>) -> rusqlite::Result<Standing> {
    let mut standing = Standing { present: documents::present(connection)?, ..Standing::default() };
    for name in names {
        let mut held = Held::default();
        let mut locks = Vec::new();
        documents::each_lock(connection, name, |LockOf { account, authenticator, id, terms }| {
            locks.push(((account, authenticator), HeldLock { id, terms }));
        })?;
        // At once: a tree that is filled in order, one by one, is half empty.
        held.locks = locks.into_iter().collect();
        let values = documents::values(connection, name)?;
        held.values = values.into_iter().map(|(account, key, value)| ((account, key), value)).collect();
        held.deactivated = documents::declared(connection, name, State::Deactivated)?.into_iter().collect();
        held.unlocked = documents::declared(connection, name, State::Unlocked)?.into_iter().collect();
        held.protected = documents::protected(connection, name)?;
        standing.documents.insert(name.clone(), held);
    }
    Ok(standing)
}

/// Commits all of it; `None` if the store has changed since it was judged, and nothing was.
///
/// # Errors
/// `Failed`, and what setting a value can be refused with; nothing was changed.
pub async fn commit(core: &Core, order: Order) -> Result<Option<Committed>, Error> {
    match core.store.write(move |change| put(change, order)).await {
        Ok(committed) => Ok(Some(committed)),
        Err(Abort::Moved) => Ok(None),
        Err(Abort::Failed(error)) => Err(error),
    }
}

/// What is set of identifiers and metadata, by document and account: at once, so that it is one event.
type Values<'o> = BTreeMap<(&'o str, &'o str), set_account::Wanted>;

fn put(change: &mut Change<'_>, mut order: Order) -> Result<Committed, Abort> {
    let wanted = std::mem::take(&mut order.wanted);
    if change.revision() != order.revision {
        let names: BTreeSet<String> = order.names().collect();
        let found = standing(change.connection(), &names).map_err(StoreError::from)?;
        if plan(&wanted, &found, order.now) != order.steps {
            return Err(Abort::Moved);
        }
    }
    drop(wanted);
    if order.is_news() {
        change.record(applied(&order))?;
    }
    give_up_identifiers(change, &order)?;
    let (mut locked, mut values) = (Vec::new(), Values::new());
    for (number, step) in order.steps.iter().enumerate() {
        let lock = carry_out(change, &order, step, &mut values)?;
        locked.extend(lock.map(|lock| (number, lock)));
    }
    for ((document, account), wanted) in values {
        set_values(change, &order, document, account, &wanted)?;
    }
    let lifted = lifted(change.connection(), &order)?;
    let Order { people, steps, now, caller, documents, removed, around, .. } = order;
    for (mut document, text) in documents {
        document.standing =
            documents::standing(change.connection(), &document.name, &around).map_err(StoreError::from)?;
        documents::put(change, &document, text.as_deref())?;
    }
    for name in &removed {
        documents::remove(change, name)?;
    }
    Ok(Committed { people, steps, locked, lifted, by: caller.name, at: now })
}

/// One step. The lock that it has placed or updated; what has to be set at once with that of other steps is added to `values`.
fn carry_out<'o>(
    change: &mut Change<'_>,
    order: &Order,
    step: &'o Step,
    values: &mut Values<'o>,
) -> Result<Option<i64>, Abort> {
    if matches!(step.what, What::Declare(Intent::Protected) | What::Withdraw(Intent::Protected)) {
        // It is kept with the document, and may name nobody who is here.
        return Ok(None);
    }
    let on = row(change, order, &step.account)?;
    let (id, uid) = on;
    match &step.what {
        What::Lock { authenticator, after, .. } => {
            return Ok(Some(place(change, order, step, on, authenticator, after)?));
        }
        What::Lift { id, .. } => lift(change, order, step, uid, *id)?,
        What::Set { key, after, .. } => {
            set(change, order, step, on, (key, after), values)?;
            documents::claim(change, id, key, &step.document, after)?;
        }
        What::Remove { key, .. } => {
            set(change, order, step, on, (key, key.nothing()), values)?;
            documents::forget(change, id, key, &step.document)?;
        }
        What::Claim { key, value } => documents::claim(change, id, key, &step.document, value)?,
        What::Forget { key } => documents::forget(change, id, key, &step.document)?,
        What::Declare(_) | What::Withdraw(_) => {
            let is_unlocked = matches!(step.what, What::Declare(_));
            documents::declare(change, id, &step.document, State::Unlocked, is_unlocked)?;
        }
        What::Deactivate | What::Reactivate => {
            let is_deactivated = step.what == What::Deactivate;
            documents::declare(change, id, &step.document, State::Deactivated, is_deactivated)?;
            let mut event = event(order, Action::SetAccount, (&step.document, &step.account));
            event.input.insert("deactivated", is_deactivated.to_string());
            change.record(event)?;
        }
    }
    Ok(None)
}

/// Sets a value, or adds it to those that are set at once. [Nothing](Key::nothing) removes.
fn set<'o>(
    change: &mut Change<'_>,
    order: &Order,
    step: &'o Step,
    on: (AccountId, u32),
    (key, value): (&Key, &str),
    values: &mut Values<'o>,
) -> Result<(), StoreError> {
    let together = values.entry((&step.document, &step.account));
    match key {
        Key::ValidUntil => set_valid_until(change, order, step, on, value)?,
        Key::Metadata(key) => drop(together.or_default().metadata.insert(key.clone(), value.to_owned())),
        Key::Identifier(kind) => match Identifier::new(kind, value) {
            Ok(identifier) => together.or_default().identifiers.push(identifier),
            Err(_) => together.or_default().without.push(kind.clone()),
        },
    }
    Ok(())
}

fn set_values(
    change: &mut Change<'_>,
    order: &Order,
    document: &str,
    account: &str,
    wanted: &set_account::Wanted,
) -> Result<(), Abort> {
    let (id, _) = row(change, order, account)?;
    set_account::put(change, (id, account), wanted, &order.gone)?;
    let mut event = event(order, Action::SetAccount, (document, account));
    event.input = wanted.input();
    Ok(change.record(event)?)
}

impl Order {
    /// The documents that this is about.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let kept = self.documents.iter().map(|(document, _)| document.name.clone());
        kept.chain(self.removed.iter().cloned())
    }

    /// Whether there is anything to tell of: not that somebody has come whom a document names, or has gone.
    fn is_news(&self) -> bool {
        !self.removed.is_empty()
            || self.documents.iter().any(|(_, text)| text.is_some())
            || self.steps.iter().any(|step| step.what.is_visible())
    }

    fn uid(&self, name: &str) -> Result<u32, Abort> {
        let unknown = || Error::Failed(format!("{} is not known any more: try again", escape(name)));
        self.people.uid(name).ok_or_else(|| unknown().into())
    }
}

/// Row and uid of an account. What NSS has not told in this call stays as the store has it.
fn row(change: &mut Change<'_>, order: &Order, name: &str) -> Result<(AccountId, u32), Abort> {
    let uid = order.uid(name)?;
    let known = match order.people.is_seen(name) {
        true => None,
        false => accounts::row_of(change.connection(), name).map_err(StoreError::from)?,
    };
    let id = match known {
        Some(id) => id,
        None => accounts::ensure(change, name, uid, order.now)?,
    };
    Ok((id, uid))
}

fn owner(document: &str) -> Owner {
    Owner::Config(document.to_owned())
}

/// Of what is done for a document to an account.
fn event(order: &Order, action: Action, (document, account): (&str, &str)) -> Event {
    let mut event = Event::new(order.now, action, account);
    event.owner = owner(document).to_string();
    order.caller.sign(&mut event);
    event
}

/// Of all of them: which documents, and how much.
fn applied(order: &Order) -> Event {
    let mut event = Event::new(order.now, Action::Apply, "");
    let hash = |document: &Applied| format!("{} sha256:{}", document.name, hex(&document.hash));
    let mut input = Fields::new();
    let named: Vec<String> = order.documents.iter().map(|(document, _)| hash(document)).collect();
    input.insert("documents", named.join("; "));
    if !order.removed.is_empty() {
        input.insert("removed", order.removed.join("; "));
    }
    let visible = order.steps.iter().filter(|step| step.what.is_visible());
    let (mut locked, mut lifted, mut other) = (0_usize, 0_usize, 0_usize);
    for step in visible {
        match step.what {
            What::Lock { .. } => locked += 1,
            What::Lift { .. } => lifted += 1,
            _ => other += 1,
        }
    }
    for (key, number) in [("locked", locked), ("unlocked", lifted), ("set", other)] {
        input.insert(key, number.to_string());
    }
    event.input = input;
    order.caller.sign(&mut event);
    event
}

/// Two accounts may change theirs with one another: first of all they have none.
fn give_up_identifiers(change: &mut Change<'_>, order: &Order) -> Result<(), Abort> {
    for step in &order.steps {
        if let What::Set { key: Key::Identifier(kind), before: Some(_), .. }
        | What::Remove { key: Key::Identifier(kind), .. } = &step.what
        {
            let (id, _) = row(change, order, &step.account)?;
            identifiers::remove(change, id, kind)?;
        }
    }
    Ok(())
}

/// What a lock of this step asks for.
fn terms_of(step: &Step, terms: &Terms, by: &str) -> NewLock {
    NewLock {
        owner: owner(&step.document),
        reason: terms.reason.clone(),
        message: terms.message.clone(),
        created_by: by.to_owned(),
        expires_at: terms.expires_at,
    }
}

fn place(
    change: &mut Change<'_>,
    order: &Order,
    step: &Step,
    (id, uid): (AccountId, u32),
    authenticator: &str,
    terms: &Terms,
) -> Result<i64, StoreError> {
    let terms = terms_of(step, terms, &order.caller.name);
    let on = Some(authenticator).filter(|id| !id.is_empty());
    let lock = locks::put_on(change, id, uid, on, &terms, order.now)?;
    let action = if on.is_some() { Action::LockAuthenticator } else { Action::Lock };
    let mut event = event(order, action, (&step.document, &step.account));
    event.target = format!("lock:{}", lock.id);
    event.reason = terms.reason;
    event.input.extend(on.map(|id| ("authenticator", id.to_owned())));
    event.input.extend(terms.expires_at.map(|end| ("expires_at", end.to_string())));
    change.record(event)?;
    Ok(lock.id)
}

fn lift(change: &mut Change<'_>, order: &Order, step: &Step, uid: u32, lock: i64) -> Result<(), StoreError> {
    locks::remove(change, lock, uid)?;
    let authenticator = match &step.what {
        What::Lift { authenticator, .. } if !authenticator.is_empty() => Some(authenticator.clone()),
        _ => None,
    };
    let action = if authenticator.is_some() { Action::UnlockAuthenticator } else { Action::Unlock };
    let mut event = event(order, action, (&step.document, &step.account));
    event.target = format!("lock:{lock}");
    event.input.extend(authenticator.map(|id| ("authenticator", id)));
    change.record(event)
}

fn set_valid_until(
    change: &mut Change<'_>,
    order: &Order,
    step: &Step,
    (id, uid): (AccountId, u32),
    value: &str,
) -> Result<(), StoreError> {
    let valid_until = value.parse().ok().filter(|seconds: &Time| *seconds > 0);
    documents::set_valid_until(change, (id, &step.account, uid), valid_until)?;
    let mut event = event(order, Action::SetExpiry, (&step.document, &step.account));
    event.input.insert("valid_until", value.to_owned());
    change.record(event)
}

/// What was lifted, with whether something else keeps it locked.
fn lifted(connection: &Connection, order: &Order) -> Result<Vec<(usize, bool)>, StoreError> {
    let mut lifted = Vec::new();
    for (number, step) in order.steps.iter().enumerate() {
        let What::Lift { authenticator, .. } = &step.what else { continue };
        let left = locks::of_account(connection, &step.account)?;
        let still_locked = match authenticator.as_str() {
            "" => locked_until(&left, order.now).is_some(),
            id => authenticator::is_locked(id, &left, order.now),
        };
        lifted.push((number, still_locked));
    }
    Ok(lifted)
}

#[cfg(test)]
mod tests;

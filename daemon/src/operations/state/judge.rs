//! Whether what documents want may be: before anything is changed.
//!
//! A document that names a protected account is refused whole. Who is in a group is not the document's to say: a protected
//! member is passed over.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use lockdown_config::{Position, Problem, state::Document};
use lockdown_dbus_api::Error;
use lockdown_enforcement::escape::escape;

use super::{
    people::{FEW, People},
    resolve::{Faults, Resolved, nobody},
};
use crate::{
    bus::caller::Caller,
    core::Core,
    domain::{
        identifier::Identifier,
        protection::{ByDocuments, Facts, Protection, protection},
        state::{AccountWants, Key, Step, What},
    },
    operations::{authenticator, protect::Rule},
    store::{StoreError, identifiers},
};

/// Authenticators that are looked at at the same time.
const AT_ONCE: usize = 8;

/// The rule of protected accounts as it is to be under these documents: those in force now protect nobody from them.
#[must_use]
pub fn rule<'c>(core: &'c Core, caller: &Caller, documents: &[Document]) -> Rule<'c> {
    let mut rule = Rule::for_one(core, caller);
    rule.protect(protected(documents));
    rule
}

/// The accounts that these documents protect.
#[must_use]
pub fn protected(documents: &[Document]) -> ByDocuments {
    let named =
        documents.iter().flat_map(|document| document.protected.iter().map(move |name| (name, document)));
    named.map(|(name, document)| (name.value.clone(), document.name.clone())).collect()
}

/// Judges every account that anything is wanted against, as far as its name and uid tell.
pub fn by_name(facts: &Facts, people: &People, documents: &[Document], resolved: &mut Resolved) {
    // Of authenticators also the caller's own can be locked.
    let own = Facts { caller: BTreeSet::new(), ..facts.clone() };
    let check = |name: &str, facts: &Facts| people.uid(name).and_then(|uid| protection(name, uid, facts));
    let mut found = Vec::new();
    for (document, wants) in &resolved.wanted {
        for (name, _) in wants.accounts.iter().filter(|(_, wants)| is_against(wants)) {
            found.extend(check(name, facts).map(|why| (document.clone(), name.clone(), why)));
        }
        for ((name, _), wants) in &wants.authenticators {
            let Some(why) = check(name, &own) else { continue };
            let why = format!("{} is protected: {why}", escape(name));
            resolved.problems.extend(problem(documents, document, wants.place, "authenticator.account", why));
        }
    }
    for (document, name, why) in found {
        refuse(documents, resolved, &document, &name, &why);
    }
}

/// Whether something is wanted that a protected account is protected from.
fn is_against(wants: &AccountWants) -> bool {
    let expires =
        wants.values.get(&Key::ValidUntil).is_some_and(|value| !Key::ValidUntil.is_nothing(&value.value));
    wants.lock.is_some() || wants.is_deactivated || expires
}

/// Refuses the document, or passes a member of a group over.
fn refuse(documents: &[Document], resolved: &mut Resolved, document: &str, name: &str, why: &Protection) {
    let wants = resolved.wanted.get_mut(document).and_then(|wants| wants.accounts.get_mut(name));
    let Some(wants) = wants else { return };
    let place = wants.place;
    let said = format!("{} is protected: {why}", escape(name));
    match wants.group.clone() {
        None => resolved.problems.extend(problem(documents, document, place, "account.name", said)),
        Some(_) => {
            wants.lock = None;
            wants.is_deactivated = false;
            wants.values.remove(&Key::ValidUntil);
            let said = format!("{said}; it is passed over");
            resolved.pending.extend(problem(documents, document, place, "account.group", said));
        }
    }
}

fn problem(
    documents: &[Document],
    name: &str,
    place: Position,
    key: &str,
    why: String,
) -> Option<(String, Problem)> {
    let document = documents.iter().find(|document| document.name == name)?;
    Some((name.to_owned(), document.problem(place, key, why)))
}

/// Judges what is to change: groups and the last administrator, authenticators, identifiers that another account has. Accounts
/// are judged as if those before were locked already.
///
/// # Errors
/// `Failed`
pub async fn in_depth(
    core: &Core,
    rule: &mut Rule<'_>,
    people: &mut People,
    documents: &[Document],
    resolved: &mut Resolved,
    steps: &[Step],
) -> Result<Judged, Error> {
    let changed = steps.iter().filter(|step| step.what.is_visible()).map(|step| step.account.as_str());
    people.see(core, &changed.collect()).await;
    let mut passed_over = pass_over_the_gone(core, people, documents, resolved, steps).await;
    let mut against: Vec<(&str, &str)> = steps
        .iter()
        .filter(|step| is_against_account(step))
        .map(|step| (step.account.as_str(), step.document.as_str()))
        .collect();
    against.sort_unstable();
    against.dedup();
    let suspects = suspects(core, rule, people, against.iter().map(|(name, _)| *name).collect()).await;
    for by in against.chunk_by(|(name, _), (other, _)| name == other) {
        let [(name, _), ..] = *by else { continue };
        let Some(account) = people.account(name) else { continue };
        // What of it is new since it was judged by the uid that the store had.
        let found =
            if suspects.contains(name) { rule.check(&account).await } else { rule.check_by_name(&account) };
        let Some(why) = found else {
            rule.count_as_locked(account.uid);
            continue;
        };
        for (_, document) in by {
            passed_over = true;
            refuse(documents, resolved, document, name, &why);
        }
    }
    authenticators(core, people, documents, resolved, steps).await?;
    let gone = taken_identifiers(core, documents, resolved, steps).await?;
    Ok(Judged { passed_over, gone })
}

/// What a judgement has found, besides what is wrong.
#[derive(Debug, Default)]
pub struct Judged {
    /// Members of groups were passed over: the plan is another.
    pub passed_over: bool,
    /// Accounts that have identifiers that are wanted for others, and that are no more.
    pub gone: BTreeSet<String>,
}

/// What is new for an account that is gone waits until it is back, if another one has its uid by now: that one is not meant.
/// Whether there was any.
async fn pass_over_the_gone(
    core: &Core,
    people: &People,
    documents: &[Document],
    resolved: &mut Resolved,
    steps: &[Step],
) -> bool {
    let is_new = |step: &&Step| matches!(step.what, What::Lock { before: None, .. } | What::Deactivate);
    let mut passed_over = false;
    for step in steps.iter().filter(is_new).filter(|step| people.is_gone(&step.account)) {
        let Some(uid) = people.uid(&step.account) else { continue };
        if core.nss().is_anothers(uid, &step.account).await != Ok(true) {
            continue;
        }
        let Some(wants) = resolved.wanted.get_mut(&step.document) else { continue };
        let waiting = match &step.what {
            What::Lock { authenticator, .. } if !authenticator.is_empty() => {
                let place = (step.account.clone(), authenticator.clone());
                wants.authenticators.remove(&place).map(|wants| (wants.place, "authenticator.account"))
            }
            _ => wants.accounts.get_mut(&step.account).map(|wants| {
                wants.lock = None;
                wants.is_deactivated = false;
                (wants.place, "account.name")
            }),
        };
        let Some((place, key)) = waiting else { continue };
        passed_over = true;
        resolved.pending.extend(problem(documents, &step.document, place, key, nobody(&step.account)));
    }
    passed_over
}

fn is_against_account(step: &Step) -> bool {
    match &step.what {
        What::Lock { authenticator, .. } => authenticator.is_empty() && step.what.is_against(),
        what => what.is_against(),
    }
}

/// Which of these have to be asked for their groups. Of many, those that NSS lists are found in the groups instead.
async fn suspects(core: &Core, rule: &Rule<'_>, people: &People, names: BTreeSet<&str>) -> BTreeSet<String> {
    let owned = |names: BTreeSet<&str>| names.into_iter().map(str::to_owned).collect();
    if names.len() <= FEW {
        return owned(names);
    }
    let members = rule.members(&core.nss()).await;
    let is_suspect = |name: &&str| {
        let gid = people.account(name).map(|account| account.gid);
        !people.is_listed(name)
            || members.names.contains(*name)
            || gid.is_some_and(|gid| members.gids.contains(&gid))
    };
    owned(names.into_iter().filter(is_suspect).collect())
}

async fn authenticators(
    core: &Core,
    people: &People,
    documents: &[Document],
    resolved: &mut Resolved,
    steps: &[Step],
) -> Result<(), Error> {
    let wanted = &resolved.wanted;
    let asked = steps.iter().filter_map(|step| {
        let What::Lock { authenticator, .. } = &step.what else { return None };
        let place = (step.account.clone(), authenticator.clone());
        let wants = wanted.get(&step.document)?.authenticators.get(&place)?;
        Some((step.document.clone(), people.account(&step.account)?, authenticator.clone(), wants.clone()))
    });
    let asked: Vec<_> = asked.collect();
    let judged: Vec<_> = stream::iter(asked)
        .map(|(document, account, id, wants)| async move {
            let found = authenticator::refusal_of_document(core, &account, &id, wants.is_unenforced).await;
            (document, wants.place, found)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    for (document, place, found) in judged {
        if let Some(why) = found? {
            resolved.problems.extend(problem(documents, &document, place, "authenticator.id", why));
        }
    }
    Ok(())
}

async fn taken_identifiers(
    core: &Core,
    documents: &[Document],
    resolved: &mut Resolved,
    steps: &[Step],
) -> Result<BTreeSet<String>, Error> {
    let mut gone = BTreeSet::new();
    let new: Vec<(String, String, Key, Identifier)> = steps
        .iter()
        .filter_map(|step| match &step.what {
            What::Set { key: key @ Key::Identifier(kind), after, .. } => {
                let identifier = Identifier::new(kind, after).ok()?;
                Some((step.document.clone(), step.account.clone(), key.clone(), identifier))
            }
            _ => None,
        })
        .collect();
    // Who loses theirs in the same transaction has them no more.
    let losing: BTreeSet<(String, String)> = steps
        .iter()
        .filter_map(|step| match &step.what {
            What::Set { key: key @ Key::Identifier(_), .. } | What::Remove { key, .. } => {
                Some((step.account.clone(), key.to_string()))
            }
            _ => None,
        })
        .collect();
    if new.is_empty() {
        return Ok(gone);
    }
    let taken = core.store.read(move |connection| {
        let mut taken = Vec::new();
        for (document, account, key, identifier) in new {
            let holder = identifiers::holder(connection, &identifier)?;
            if let Some(holder) = holder
                && holder != account
                && !losing.contains(&(holder.clone(), key.to_string()))
            {
                taken.push((document, account, key, holder));
            }
        }
        Ok::<_, StoreError>(taken)
    });
    for (document, account, key, holder) in taken.await? {
        // What an account leaves behind that is no more is free.
        if core.nss().by_name(&holder).await == Ok(None) {
            gone.insert(holder);
            continue;
        }
        let place = resolved.wanted.get(&document).and_then(|wants| wants.accounts.get(&account));
        let Some(place) = place.and_then(|wants| wants.values.get(&key)).map(|value| value.place) else {
            continue;
        };
        let why = format!("is that of {}: take it from that account first", escape(&holder));
        resolved.problems.extend(problem(documents, &document, place, &format!("account.{key}"), why));
    }
    Ok(gone)
}

/// The faults in the order of documents and places, each once: a name is judged before what is known of its account.
#[must_use]
pub fn in_order(mut faults: Faults) -> Faults {
    faults.sort_by(|(one, a), (other, b)| (one, a.position).cmp(&(other, b.position)));
    faults.dedup();
    faults
}

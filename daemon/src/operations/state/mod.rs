//! Making accounts what state documents say, whole or not at all.
//!
//! | step | in |
//! |---|---|
//! | which documents, and whether any text has changed | `sources.rs` |
//! | whom they mean | `people.rs` |
//! | what they want of which account | `resolve.rs` |
//! | what is to change for it; pure | `domain/state/plan.rs` |
//! | whether it may be | `judge.rs` |
//! | one transaction | `commit.rs` |
//! | signals, sessions, shadow(5) | `finish.rs`, `mirror.rs` |
//! | at start, on reload, on a timer | `follow.rs` |
//!
//! A lock by a document has the owner `config:<name>`, so removing an entry lifts that lock and no other.

mod commit;
mod export;
mod finish;
pub mod follow;
mod judge;
mod list;
mod mirror;
mod people;
mod resolve;
mod result;
mod sources;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use lockdown_config::state::{Document, Subject};
use lockdown_dbus_api::{Error, options, views};
use lockdown_enforcement::escape::escape;

pub use export::export;
pub use list::list;

use crate::{
    bus::caller::Caller,
    core::Core,
    domain::{
        event::{Action, Event, Outcome as EventOutcome},
        lock::Time,
        state::{Step, Wanted, plan},
    },
    host::clock,
    store::{
        StoreError,
        documents::{self, Applied},
    },
};
use commit::{Committed, Order, commit, standing};
use judge::Judged;
use people::People;
use resolve::{Faults, Resolved, resolve};
use sources::{Refusal, Sources, gather};

/// How often a plan is made anew because the store has changed meanwhile.
const ATTEMPTS: u32 = 5;

/// `ApplyState`: what it has changed, once that is durable and carried out on the host.
///
/// # Errors
/// `InvalidArgument` for what is not a document's fault, `Failed`. What is wrong with documents is in the result.
pub async fn apply(
    core: &Arc<Core>,
    caller: &Caller,
    options: options::ApplyState,
) -> Result<views::StateApplied, Error> {
    let is_check = options.check == Some(true);
    let wanted = match options.documents {
        Some(documents) => sources::Wanted::Given(documents, options.paths.unwrap_or_default()),
        None => sources::Wanted::Directory,
    };
    let is_directory = matches!(wanted, sources::Wanted::Directory);
    let outcome = run(core, caller, wanted, is_check).await;
    let result = match outcome {
        Ok(outcome) => {
            if is_directory && !is_check {
                core.set_state_error(String::new());
            }
            let mut result = outcome.told;
            if let Some(committed) = outcome.committed {
                let finished = finish::finish(core, caller, committed).await;
                result.sessions_ended = finished.sessions;
                result.problems = finished.problems;
            }
            Ok(result)
        }
        Err(Refusal::Faults(faults)) => {
            let faults = judge::in_order(faults);
            if !is_check {
                record_refusal(core, caller, &faults).await;
            }
            if is_directory && !is_check {
                core.set_state_error(result::in_words(&faults));
            }
            Ok(result::refused(&faults))
        }
        Err(Refusal::Error(error)) => Err(error),
    };
    // Nobody has to wait for that.
    let parts = Arc::clone(core);
    tokio::spawn(async move { parts.give_memory_back().await });
    result
}

/// A lockdown was taken back, and with it what it had set in shadow(5): what documents want there holds again, soon.
pub fn follow_restore(core: &Arc<Core>) {
    let core = Arc::clone(core);
    tokio::spawn(async move {
        for problem in mirror::settle(&core).await {
            tracing::warn!("{problem}; it is tried again");
        }
    });
}

/// What an application came to.
#[derive(Debug, Default)]
struct Outcome {
    told: views::StateApplied,
    warnings: Faults,
    /// `None` if nothing was to be committed.
    committed: Option<Committed>,
}

/// Everything up to the commit, after which nobody whom documents lock logs in any more.
async fn run(
    core: &Arc<Core>,
    caller: &Caller,
    wanted: sources::Wanted,
    is_check: bool,
) -> Result<Outcome, Refusal> {
    let _applying = core.applying.lock().await;
    let sources = gather(core, wanted, is_check).await?;
    let around = core.settings().lock.message.clone().unwrap_or_default();
    let holds = sources.are_as_applied() && is_as_it_stands(core, &sources, &around).await?;
    if holds && !sources.change_by_themselves() {
        return Ok(Outcome { told: result::view(&[], &Faults::new()), ..Outcome::default() });
    }
    for _ in 0..ATTEMPTS {
        let documents = sources.parse(core).await?;
        let people = People::gather(core, caller, &documents).await?;
        let protected = judge::protected(&documents);
        let deciding = core.deciding().await;
        let (order, warnings) = prepare(core, caller, &sources, documents, people, &around).await?;
        let told = result::view(&order.steps, &warnings);
        if is_check || holds && !order.is_worth_a_commit(&sources) {
            return Ok(Outcome { told, warnings, committed: None });
        }
        if let Some(committed) = commit(core, order).await? {
            drop(deciding);
            core.protect_by_documents(protected);
            return Ok(Outcome { told, warnings, committed: Some(committed) });
        }
    }
    Err(Error::Failed("the store changes all the time: try again".to_owned()).into())
}

/// Whether what was applied stands as it did then.
async fn is_as_it_stands(core: &Core, sources: &Sources, around: &str) -> Result<bool, StoreError> {
    let applied: Vec<Applied> = sources.applied.clone();
    let around = around.to_owned();
    core.store
        .read(move |connection| {
            for document in applied {
                if documents::standing(connection, &document.name, &around)? != document.standing {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
}

/// What is to be committed, once it was judged, and what of the documents cannot be applied yet.
async fn prepare(
    core: &Core,
    caller: &Caller,
    sources: &Sources,
    mut documents: Vec<Document>,
    people: People,
    message: &str,
) -> Result<(Order, Faults), Refusal> {
    let now = clock::now();
    let mut applied = applied_now(sources, &documents, now);
    let mut rule = judge::rule(core, caller, &documents);
    let facts = rule.facts().clone();
    let message_of = message.to_owned();
    // A hundred thousand take their time, in which others are to be answered.
    let resolving = tokio::task::spawn_blocking(move || {
        let mut resolved = resolve(&mut documents, &people, &message_of);
        judge::by_name(&facts, &people, &documents, &mut resolved);
        (resolved, documents, people)
    });
    let resolved = resolving.await.map_err(|error| Error::Failed(error.to_string()))?;
    let (mut resolved, documents, mut people): (Resolved, _, _) = resolved;
    let (mut gone, mut steps, mut revision) = (BTreeSet::new(), Vec::new(), 0);
    // Once more if members of groups were passed over: what is left was judged.
    for _ in 0..2 {
        (resolved.wanted, steps, revision) = plan_for(core, sources, resolved.wanted, now).await?;
        let judged: Judged =
            judge::in_depth(core, &mut rule, &mut people, &documents, &mut resolved, &steps).await?;
        gone.extend(judged.gone);
        if !judged.passed_over {
            break;
        }
    }
    if !resolved.problems.is_empty() {
        return Err(Refusal::Faults(resolved.problems));
    }
    for (applied, _) in &mut applied {
        let pending = resolved.pending.iter().filter(|(document, _)| *document == applied.name).count();
        applied.pending = u32::try_from(pending).unwrap_or(u32::MAX);
    }
    let order = Order {
        caller: caller.clone(),
        now,
        wanted: resolved.wanted,
        steps,
        revision,
        people,
        gone,
        documents: applied,
        removed: sources.removed.clone(),
        around: message.to_owned(),
    };
    Ok((order, judge::in_order(resolved.pending)))
}

/// The steps, and for which [revision](crate::store::Store::revision) of the store. What stands is read neither beside the parsing nor
/// kept for the judgement: that would take the memory of both.
async fn plan_for(
    core: &Core,
    sources: &Sources,
    wanted: Wanted,
    now: Time,
) -> Result<(Wanted, Vec<Step>, u64), StoreError> {
    let names: BTreeSet<String> = sources.names().collect();
    let revision = core.store.revision();
    let planning = core.store.read_apart(move |connection| {
        let snapshot = connection.unchecked_transaction()?;
        let steps = plan(&wanted, &standing(&snapshot, &names)?, now);
        Ok((wanted, steps))
    });
    let (wanted, steps) = planning.await?;
    Ok((wanted, steps, revision))
}

/// The documents as they are noted. What of them is pending is known once they are resolved, and what they have in the store after
/// the change.
fn applied_now(sources: &Sources, documents: &[Document], now: Time) -> Vec<(Applied, Option<Arc<str>>)> {
    let parsed: BTreeMap<&str, &Document> =
        documents.iter().map(|document| (document.name.as_str(), document)).collect();
    let applied = sources.documents.iter().map(|source| {
        let document = parsed.get(source.name.as_str());
        let entries = document.map(|document| document.entries.as_slice()).unwrap_or_default();
        let protected = document.map(|document| document.protected.as_slice()).unwrap_or_default();
        let applied = Applied {
            name: source.name.clone(),
            origin: source.origin,
            path: source.path.to_string_lossy().into_owned(),
            hash: source.hash.clone(),
            standing: Vec::new(),
            has_groups: entries.iter().any(|entry| matches!(entry.subject, Subject::Group(_))),
            pending: 0,
            protected: protected.iter().map(|name| name.value.clone()).collect(),
            applied_at: now,
        };
        (applied, source.text.clone())
    });
    applied.collect()
}

impl Order {
    /// Whether anything is to be kept of documents that stand as they were applied: a step, or that another number is pending.
    fn is_worth_a_commit(&self, sources: &Sources) -> bool {
        let pending = |applied: &Applied| {
            let before = sources.applied.iter().find(|known| known.name == applied.name);
            before.is_none_or(|before| before.pending != applied.pending)
        };
        !self.steps.is_empty() || self.documents.iter().any(|(applied, _)| pending(applied))
    }
}

/// Records that documents were refused.
async fn record_refusal(core: &Core, caller: &Caller, faults: &Faults) {
    let mut event = Event::new(clock::now(), Action::Apply, "");
    caller.sign(&mut event);
    event.outcome = EventOutcome::Refused(result::in_words(faults));
    let named: BTreeSet<&str> = faults.iter().map(|(name, _)| name.as_str()).collect();
    event.input.insert("documents", escape(&named.into_iter().collect::<Vec<_>>().join("; ")).to_string());
    let recorded: Result<(), StoreError> = core.store.write(move |change| change.record(event)).await;
    if let Err(error) = recorded {
        tracing::error!("that documents were refused could not be recorded: {error}");
    }
}

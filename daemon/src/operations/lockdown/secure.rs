//! Carries a lockdown out on the host: shuts what goes past PAM, ends what runs, takes tokens away, follows the keys.
//!
//! The deny came before and stands whatever happens here. Every step can be repeated; one that fails does not stop the ones
//! after it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use lockdown_enforcement::escape::escape;

use super::{
    follow::{self, Followed},
    order::Spared,
    revoke::{self, Revoked},
    starters::{self, Stopped},
    watcher::Watcher,
};
use crate::{
    core::Core,
    domain::{
        account::Account,
        event::{Action, Event, Outcome},
        lockdown::{ActionOutcome, Actions},
    },
    host::{
        clock, hooks,
        shadow_utils::{self, ShadowState},
        sweep::{self, AccountSweep},
    },
    operations::{prior, recovery, sessions},
    store::{
        StoreError,
        lockdowns::{self, Lockdown},
    },
};

/// What came of a lockdown on the host.
#[derive(Clone, Debug)]
pub struct Secured {
    /// Of deactivating: the mirror in shadow(5); the lock itself was there before.
    pub deactivate: ActionOutcome,
    /// Of making the password unusable.
    pub unusable_password: ActionOutcome,
    /// Of ending what runs.
    pub end_sessions: ActionOutcome,
    /// Of taking tokens away.
    pub revoke_tokens: ActionOutcome,
    /// Sessions that were ended.
    pub sessions: u32,
    /// What the sweep did.
    pub sweep: sweep::Outcome,
    /// Tokens that were taken away.
    pub tokens: BTreeMap<&'static str, u32>,
    /// Hooks, by name.
    pub hooks: BTreeMap<String, Result<(), String>>,
    /// What its keys led to.
    pub followed: Followed,
    /// What an administrator should know.
    pub notes: Vec<String>,
}

impl Secured {
    /// The actions by their names, in the order of the design.
    #[must_use]
    pub fn actions(&self) -> [(&'static str, &ActionOutcome); 4] {
        [
            ("deactivate", &self.deactivate),
            ("unusable_password", &self.unusable_password),
            ("end_sessions", &self.end_sessions),
            ("revoke_tokens", &self.revoke_tokens),
        ]
    }

    /// Nothing is left to do.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failures().is_empty()
    }

    /// What failed.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        self.actions()
            .into_iter()
            .filter_map(|(name, outcome)| outcome.failure().map(|why| format!("{name}: {why}")))
            .chain(self.followed.problems.iter().cloned())
            .collect()
    }
}

/// Carries a lockdown out as it stands when its turn comes: one account is worked on by one at a time. `None` if a restore came
/// first, and there is nothing to carry out any more.
pub async fn secure(
    core: &Core,
    lockdown: &Lockdown,
    account: &Account,
    watcher: &Watcher<'_>,
    spared: &Spared,
) -> Option<Secured> {
    let _alone = core.alone_with(account.uid).await;
    let lockdown = &as_it_stands(core, lockdown).await?;
    let wanted = lockdown.wanted;
    let actions = wanted.actions;
    let open = sessions::open(core, Some(account.name.clone())).await.unwrap_or_default();

    // Before its files are taken away: whose keys they are decides whose sessions end.
    let limit = core.settings().sessions.end_timeout;
    let mut sweep = AccountSweep::new(&core.bus, account.uid, &account.name, spared.marks.clone(), limit);
    if actions.end_sessions {
        watcher.begun("end_sessions");
        sweep.strike().await;
    }
    let (shadow, mut revoked, stopped) = tokio::join!(
        shut(core, lockdown, account, watcher),
        revoke(core, lockdown, account, watcher),
        stop_starters(core, lockdown, account),
    );
    let outcome = if actions.end_sessions { sweep.finish().await } else { sweep::Outcome::default() };
    if actions.revoke_tokens {
        // What was made while something still ran.
        revoked.add(revoke::revoke(core, lockdown.id, account).await);
    }
    let end_sessions =
        if actions.end_sessions { ended(&outcome, &stopped, spared) } else { ActionOutcome::Off };
    watcher.report("end_sessions", &end_sessions.to_string());
    let mut sweep = outcome;
    sweep.units = stopped.units.into_iter().chain(sweep.units).collect::<BTreeSet<_>>().into_iter().collect();

    watcher.begun("follow_keys");
    let (followed, hooks) = tokio::join!(
        follow::follow(core, lockdown, account, &revoked.fingerprints, &spared.marks),
        run_hooks(core, lockdown, account),
    );
    watcher.report("follow_keys", &ActionOutcome::of(&followed.problems).to_string());
    let revoke_tokens = if actions.revoke_tokens { taken(&revoked, &hooks) } else { ActionOutcome::Off };
    watcher.report("revoke_tokens", &revoke_tokens.to_string());

    let secured = Secured {
        deactivate: shadow.0,
        unusable_password: shadow.1,
        end_sessions,
        revoke_tokens,
        sessions: sessions::settle(core, &open).await,
        sweep,
        tokens: revoked.counts,
        hooks,
        notes: [revoked.notes, followed.notes.clone()].concat(),
        followed,
    };
    if let Err(error) = record(core, lockdown, account, &secured).await {
        tracing::error!("the outcome of {}'s lockdown could not be recorded: {error}", escape(&account.name));
    }
    Some(secured)
}

async fn as_it_stands(core: &Core, lockdown: &Lockdown) -> Option<Lockdown> {
    let id = lockdown.id;
    let read = core.store.read(move |connection| lockdowns::get(connection, id).map_err(StoreError::from));
    match read.await {
        Ok(now) => (!now.restored).then_some(now),
        Err(error) => {
            tracing::error!("the lockdown of {} cannot be read: {error}", escape(&lockdown.account));
            Some(lockdown.clone())
        }
    }
}

/// Account expiry and an unusable hash, for what does not ask PAM. Outcomes of deactivating and of the password.
async fn shut(
    core: &Core,
    lockdown: &Lockdown,
    account: &Account,
    watcher: &Watcher<'_>,
) -> (ActionOutcome, ActionOutcome) {
    let Actions { deactivate, unusable_password, .. } = lockdown.wanted.actions;
    let outcome = |wanted: bool, outcome: &ActionOutcome| {
        if wanted { outcome.clone() } else { ActionOutcome::Off }
    };
    if !deactivate && !unusable_password {
        return (ActionOutcome::Off, ActionOutcome::Off);
    }
    let of_shadow = shut_shadow(core, lockdown, account).await;
    // A directory account is deactivated by its lock alone.
    let of_lock = if of_shadow == ActionOutcome::NotLocal { ActionOutcome::Done } else { of_shadow.clone() };
    let outcomes = (outcome(deactivate, &of_lock), outcome(unusable_password, &of_shadow));
    watcher.report("deactivate", &outcomes.0.to_string());
    watcher.report("unusable_password", &outcomes.1.to_string());
    outcomes
}

async fn shut_shadow(core: &Core, lockdown: &Lockdown, account: &Account) -> ActionOutcome {
    let Actions { deactivate, unusable_password, .. } = lockdown.wanted.actions;
    let state = match shadow_utils::state_of(&account.name) {
        Ok(Some(state)) => state,
        Ok(None) => return ActionOutcome::NotLocal,
        Err(error) => return ActionOutcome::Failed(error.to_string()),
    };
    if let Err(error) = keep_shadow(core, lockdown, state).await {
        // Without it an undo would have nothing to put back; the lock holds, and this is tried again.
        return ActionOutcome::Failed(format!(
            "/etc/shadow stays as it is, as it could not be kept: {error}"
        ));
    }
    match shadow_utils::shut(&account.name, deactivate, unusable_password).await {
        Ok(()) => ActionOutcome::Done,
        Err(error) => ActionOutcome::Failed(error.to_string()),
    }
}

/// A recovery code that waits ends with this: its hash is not kept, as an undo would put it back for good.
async fn keep_shadow(core: &Core, lockdown: &Lockdown, state: ShadowState) -> Result<(), StoreError> {
    recovery::look(core, &lockdown.account).await?;
    let lockdown = lockdown.clone();
    core.store
        .write(move |change| {
            if recovery::end(change, &lockdown.account)? {
                let mut event = Event::new(clock::now(), Action::RecoveryExpired, &lockdown.account);
                event.reason = "the account was locked down before it was used".to_owned();
                change.record(event)?;
                prior::keep_expiry(change, lockdown.id, &state)
            } else {
                prior::keep_shadow(change, lockdown.id, &state)
            }
        })
        .await
}

async fn revoke(core: &Core, lockdown: &Lockdown, account: &Account, watcher: &Watcher<'_>) -> Revoked {
    if lockdown.wanted.actions.revoke_tokens {
        watcher.begun("revoke_tokens");
        revoke::revoke(core, lockdown.id, account).await
    } else {
        Revoked { fingerprints: revoke::fingerprints(account).await, ..Revoked::default() }
    }
}

async fn stop_starters(core: &Core, lockdown: &Lockdown, account: &Account) -> Stopped {
    if lockdown.wanted.actions.end_sessions {
        starters::stop(core, lockdown.id, account).await
    } else {
        Stopped::default()
    }
}

async fn run_hooks(
    core: &Core,
    lockdown: &Lockdown,
    account: &Account,
) -> BTreeMap<String, Result<(), String>> {
    if !lockdown.wanted.actions.revoke_tokens {
        return BTreeMap::new();
    }
    let input = serde_json::json!({
        "action": "revoke",
        "user": account.name,
        "uid": account.uid,
        "home": account.home.to_string_lossy(),
        "reason": lockdown.reason,
        "time": clock::now(),
    });
    hooks::run_all(Path::new(hooks::DIRECTORY), &input, core.settings().lockdown.hook_timeout).await
}

fn ended(outcome: &sweep::Outcome, stopped: &Stopped, spared: &Spared) -> ActionOutcome {
    let mut problems = stopped.problems.clone();
    if !outcome.survivors.is_empty() {
        problems.push(format!("still running: {}", outcome.survivors.join(", ")));
    }
    if !outcome.spared.is_empty() && !spared.is_failing_login {
        let spared = outcome.spared.join(", ");
        problems.push(format!("your own terminal runs in {spared}: leave it, and it ends"));
    }
    ActionOutcome::of(&problems)
}

fn taken(revoked: &Revoked, hooks: &BTreeMap<String, Result<(), String>>) -> ActionOutcome {
    let failed = hooks.iter().filter_map(|(name, outcome)| {
        outcome.as_ref().err().map(|why| format!("hook {}: {why}", escape(name)))
    });
    ActionOutcome::of(&revoked.problems.iter().cloned().chain(failed).collect::<Vec<_>>())
}

async fn record(
    core: &Core,
    lockdown: &Lockdown,
    account: &Account,
    secured: &Secured,
) -> Result<(), StoreError> {
    let mut event = Event::new(clock::now(), Action::LockdownFinished, &account.name);
    event.reason.clone_from(&lockdown.reason);
    for (action, outcome) in secured.actions() {
        event.input.insert(action, outcome.to_string());
    }
    event.input.insert("sessions", secured.sessions.to_string());
    event.input.insert("processes", secured.sweep.processes.to_string());
    let lists = [
        ("stopped_units", secured.sweep.units.join(" ")),
        ("followed_sessions", secured.followed.sessions.join("; ")),
        (
            "keys_elsewhere",
            secured.followed.keys.iter().map(follow::key_in_words).collect::<Vec<_>>().join("; "),
        ),
        (
            "suspects",
            secured.followed.suspects.iter().map(follow::suspect_in_words).collect::<Vec<_>>().join("; "),
        ),
        (
            "tokens",
            secured
                .tokens
                .iter()
                .map(|(kind, count)| format!("{kind}={count}"))
                .collect::<Vec<_>>()
                .join(" "),
        ),
    ];
    event.input.extend(lists.into_iter().filter(|(_, list)| !list.is_empty()));
    let failures = secured.failures();
    let complete = failures.is_empty();
    if !complete {
        event.outcome = Outcome::Failed(failures.join("; "));
    }
    let lockdown = lockdown.clone();
    core.store
        .write(move |change| {
            if complete {
                lockdowns::set_finished(change, &lockdown, Some(clock::now()))?;
            }
            change.record(event)
        })
        .await
}

//! Sessions: listing and ending them.

use lockdown_dbus_api::{Error, options, views};
use lockdown_enforcement::escape::escape;

use super::recovery;
use crate::{
    announcement::Announcement,
    bus::caller::Caller,
    core::Core,
    domain::{
        account::Account,
        event::{Action, Event, Outcome},
        protection::{Facts, Protection, protection},
    },
    host::{
        clock,
        processes::{Held, Mark, Target, UNSET},
        sweep,
    },
    store::{
        StoreError,
        sessions::{self, Session},
    },
};

/// What ending an account's sessions came to.
#[derive(Debug, Default)]
pub struct Ended {
    /// Sessions that were open before.
    pub sessions: u32,
    /// What the sweep did.
    pub outcome: sweep::Outcome,
}

/// Open sessions, oldest first; of one account or of all.
///
/// # Errors
/// `Failed`
pub async fn list(core: &Core, account: Option<String>) -> Result<Vec<views::Session>, Error> {
    Ok(open(core, account).await?.iter().map(view).collect())
}

/// Open sessions as the store has them.
///
/// # Errors
/// [`StoreError`]
pub async fn open(core: &Core, account: Option<String>) -> Result<Vec<Session>, StoreError> {
    core.store.read(move |connection| Ok(sessions::open(connection, account.as_deref())?)).await
}

/// A session as callers see it.
#[must_use]
pub fn view(session: &Session) -> views::Session {
    views::Session {
        id: session.id(),
        user: session.account.clone(),
        service: session.service.clone(),
        tty: session.tty.clone(),
        remote_host: session.remote_host.clone(),
        leader_pid: session.leader_pid,
        started: session.started_at,
        authenticator: session.authenticator.clone(),
        ended: None,
    }
}

/// `EndSessions`: everything the account runs, or the one session that `options` names.
///
/// # Errors
/// `NoSuchSession`, `Protected` (ending all of root's or a system account's processes would end the host), `Failed`.
pub async fn end(
    core: &Core,
    caller: &Caller,
    account: &Account,
    options: options::EndSessions,
) -> Result<Vec<views::Session>, Error> {
    let mut chosen = open(core, Some(account.name.clone())).await?;
    let outcome = match &options.session {
        Some(id) => {
            chosen.retain(|session| session.id() == *id);
            let Some(session) = chosen.first() else {
                return Err(Error::NoSuchSession(format!(
                    "{} has no session {}: see `lockdownctl sessions {0}`",
                    escape(&account.name),
                    escape(id)
                )));
            };
            end_one(core, session).await
        }
        None => {
            refuse_for_the_host(core, account)?;
            sweep_account(core, account, caller.lineage()).await
        }
    };
    let mut event = ending(account, &chosen, &outcome);
    event.reason = options.reason.unwrap_or_default();
    caller.sign(&mut event);
    if let Some(id) = options.session {
        event.target = format!("session:{id}");
    }
    settle_ended(core, &chosen, event).await?;
    Ok(chosen
        .iter()
        .map(|session| views::Session { ended: Some(!is_alive(session)), ..view(session) })
        .collect())
}

/// Ends everything an account runs, for the daemon's own reason `why`. What goes wrong is in the result and the
/// audit trail: it never takes back the deny that came before. What is marked in `spared` goes on.
pub async fn end_everything(core: &Core, account: &Account, why: &str, spared: Vec<Mark>) -> Ended {
    if refuse_for_the_host(core, account).is_err() {
        return Ended::default();
    }
    let before = open(core, Some(account.name.clone())).await.unwrap_or_default();
    let outcome = sweep_account(core, account, spared).await;
    if !before.is_empty() || outcome != sweep::Outcome::default() {
        let mut event = ending(account, &before, &outcome);
        event.reason = why.to_owned();
        if let Err(error) = settle_ended(core, &before, event).await {
            tracing::error!("the end of {}'s sessions could not be recorded: {error}", escape(&account.name));
        }
    }
    let sessions = before.iter().filter(|session| !is_alive(session)).count();
    Ended { sessions: u32::try_from(sessions).unwrap_or(u32::MAX), outcome }
}

/// Notes which of these sessions have ended; how many.
pub async fn settle(core: &Core, sessions: &[Session]) -> u32 {
    let ended: Vec<&Session> = sessions.iter().filter(|session| !is_alive(session)).collect();
    for session in &ended {
        if let Err(error) = mark_ended(core, session).await {
            tracing::error!("the end of a session could not be recorded: {error}");
        }
    }
    u32::try_from(ended.len()).unwrap_or(u32::MAX)
}

/// Ends one session and what it runs.
pub async fn end_one(core: &Core, session: &Session) -> sweep::Outcome {
    let leader = session.leader_pid;
    let target = match &session.logind_id {
        Some(id) => Target::Session {
            leader,
            audit_session: Held::take(leader).map_or(UNSET, |held| held.facts.audit_session),
            scope: format!("session-{id}.scope"),
        },
        None => Target::Tree { leader },
    };
    let limit = core.settings().sessions.end_timeout;
    sweep::end_session(&core.bus, target, session.logind_id.as_deref(), limit).await
}

async fn sweep_account(core: &Core, account: &Account, spared: Vec<Mark>) -> sweep::Outcome {
    let limit = core.settings().sessions.end_timeout;
    sweep::end_account(&core.bus, account.uid, &account.name, spared, limit).await
}

fn refuse_for_the_host(core: &Core, account: &Account) -> Result<(), Error> {
    let facts = Facts { uid_min: core.uid_min(), ..Facts::default() };
    match protection(&account.name, account.uid, &facts) {
        Some(why @ (Protection::Root | Protection::Nobody | Protection::System(_))) => Err(Error::Protected(
            format!("{} is protected: {why}; name one of its sessions", escape(&account.name)),
        )),
        _ => Ok(()),
    }
}

fn is_alive(session: &Session) -> bool {
    Held::take(session.leader_pid).is_some()
}

fn ending(account: &Account, sessions: &[Session], outcome: &sweep::Outcome) -> Event {
    let mut event = Event::new(clock::now(), Action::EndSessions, &account.name);
    event.input.insert("sessions", sessions.len().to_string());
    event.input.insert("processes", outcome.processes.to_string());
    if !outcome.units.is_empty() {
        event.input.insert("stopped_units", outcome.units.join(" "));
    }
    if !outcome.spared.is_empty() {
        event.input.insert("spared", outcome.spared.join("; "));
    }
    if !outcome.survivors.is_empty() {
        event.outcome = Outcome::Failed(format!("still running: {}", outcome.survivors.join("; ")));
    }
    event
}

async fn settle_ended(core: &Core, sessions: &[Session], event: Event) -> Result<(), StoreError> {
    core.store.write(move |change| change.record(event)).await?;
    for session in sessions.iter().filter(|session| !is_alive(session)) {
        mark_ended(core, session).await?;
    }
    Ok(())
}

/// Notes that a session has ended, once, whoever notices first.
///
/// # Errors
/// [`StoreError`]
pub async fn mark_ended(core: &Core, session: &Session) -> Result<(), StoreError> {
    let ended = session.clone();
    let was_open = core
        .store
        .write(move |change| {
            let now = clock::now();
            let was_open = sessions::end(change, ended.row, now)?;
            if was_open {
                let mut event = Event::new(now, Action::SessionEnd, &ended.account);
                event.target = format!("session:{}", ended.id());
                change.record(event)?;
            }
            Ok::<_, StoreError>(was_open)
        })
        .await?;
    if was_open {
        core.announce(Announcement::SessionEnded(session.account.clone(), view(session)));
        // sshd has a forced new password set within the session, and ends it.
        recovery::look(core, &session.account).await?;
    }
    Ok(())
}

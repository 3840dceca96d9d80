//! One row per session, from two sources: logind announces it, and the login path reports it with what only PAM
//! knows (the key that opened it, sessions of sudo and su). And the last gate: a session of a locked account is ended.

use std::sync::Arc;

use futures_util::StreamExt;
use rusqlite::Connection;
use zbus_systemd::login1::ManagerProxy;

use lockdown_dbus_api::{Error, options::EventFilter, views};
use lockdown_enforcement::{DenialKind, DenialReport, Phase, SessionReport, escape::escape, ssh};

use super::{
    recovery,
    sessions::{end_one, mark_ended, view},
};
use crate::{
    announcement::Announcement,
    core::Core,
    domain::{
        event::{Action, Event, Outcome},
        lock::{Lock, locked_until},
    },
    host::{
        clock,
        logind::{self, LogindSession},
        processes::{Held, Target},
        readiness::watch,
        sshd, sweep,
    },
    store::{
        StoreError, accounts, events, locks,
        sessions::{self, Session},
    },
};

/// Seconds for which one event tells of all that an account is denied in auth.
const SILENCE: i64 = 60;

/// Follows logind for as long as the daemon runs: first what there is, then what comes and goes. Returns when the bus
/// is gone.
///
/// # Errors
/// Those of the bus.
pub async fn follow_logind(core: Arc<Core>) -> zbus::Result<()> {
    let logind = ManagerProxy::new(&core.bus).await?;
    // Subscribe before listing, so that nothing falls in between.
    let mut new = logind.receive_session_new().await?;
    let mut removed = logind.receive_session_removed().await?;
    let listed = logind::list(&core.bus).await.unwrap_or_else(|error| {
        tracing::warn!("logind does not answer; only sessions that PAM reports are known: {error}");
        Vec::new()
    });
    if let Err(error) = close_vanished(&core, &listed).await {
        tracing::error!("sessions that ended while lockdownd was away cannot be closed: {error}");
    }
    for session in listed {
        announced(&core, session).await;
    }
    loop {
        tokio::select! {
            signal = new.next() => {
                let Some(signal) = signal else { return Ok(()) };
                let id = signal.args()?.session_id;
                let core = Arc::clone(&core);
                // A session that must end takes a sweep: the next announcement does not wait for it.
                tokio::spawn(async move {
                    if let Ok(session) = logind::get(&core.bus, &id).await {
                        announced(&core, session).await;
                    }
                });
            }
            signal = removed.next() => {
                let Some(signal) = signal else { return Ok(()) };
                let id = signal.args()?.session_id;
                gone(&core, |session| session.logind_id.as_deref() == Some(&id)).await;
            }
        }
    }
}

/// Sessions that the store has open and the host has no more.
async fn close_vanished(core: &Arc<Core>, listed: &[LogindSession]) -> Result<(), StoreError> {
    let boot_id = core.boot_id.clone();
    let (earlier, open) = core
        .store
        .read(move |connection| {
            Ok::<_, StoreError>((
                sessions::open_before_boot(connection, &boot_id)?,
                sessions::open(connection, None)?,
            ))
        })
        .await?;
    for session in &earlier {
        mark_ended(core, session).await?;
    }
    for session in open.into_iter().filter(|session| earlier.iter().all(|other| other.row != session.row)) {
        let alive = match &session.logind_id {
            Some(id) => listed.iter().any(|listed| listed.id == *id),
            None => watch_leader(core, &session),
        };
        if !alive {
            mark_ended(core, &session).await?;
        }
    }
    Ok(())
}

async fn announced(core: &Arc<Core>, session: LogindSession) {
    if session.is_manager() {
        return;
    }
    let new = Session {
        account: session.name,
        uid: session.uid,
        logind_id: Some(session.id),
        service: session.service,
        tty: session.tty,
        remote_host: session.remote_host,
        leader_pid: session.leader,
        started_at: session.started,
        ..Session::default()
    };
    put(core, new).await;
}

/// A report of the login path that a session was opened. `leader` is the process that reported it, by the kernel's word.
pub async fn opened(core: &Arc<Core>, report: SessionReport, leader: u32) {
    let SessionReport { login, logind_session, auth_info } = report;
    if login.service == "systemd-user" {
        // The user manager: nobody signed in by it.
        return;
    }
    // sudo and su within a session inherit its id; it is theirs only if they lead it.
    let logind_id = match logind_session {
        Some(id) => match logind::get(&core.bus, &id).await {
            Ok(session) if session.leader == leader => Some(id),
            _ => None,
        },
        None => None,
    };
    // The login path says what the user typed; the store goes by the name that NSS has.
    let name = match core.nss().by_uid(login.uid).await {
        Ok(Some(account)) => account.name,
        _ => login.account,
    };
    let new = Session {
        account: name,
        uid: login.uid,
        logind_id,
        service: login.service,
        tty: login.tty.as_deref().map(terminal).unwrap_or_default(),
        remote_host: login.remote_host.unwrap_or_default(),
        leader_pid: leader,
        authenticator: auth_info.as_deref().map(sshd::authenticator).unwrap_or_default(),
        authenticators: auth_info.as_deref().map(|info| ssh::used(info).ids).unwrap_or_default(),
        started_at: clock::now(),
        ..Session::default()
    };
    put(core, new).await;
}

/// The terminal in `PAM_TTY`, without `/dev/`. sshd and cron have none to name and put their own names there, as
/// pam_systemd(8) knows, too.
fn terminal(pam_tty: &str) -> String {
    match pam_tty {
        "ssh" | "cron" => String::new(),
        name => name.trim_start_matches("/dev/").to_owned(),
    }
}

/// A report of the login path that a session was closed.
pub async fn closed(core: &Arc<Core>, leader: u32) {
    // logind's own are closed by logind: more than PAM's closing goes on in them.
    gone(core, |session| session.logind_id.is_none() && session.leader_pid == leader).await;
}

/// A report of the login path that it denied a login. sshd goes on without a session, with forwardings: it is ended.
pub async fn denied(core: &Arc<Core>, report: DenialReport, reporter: u32) {
    let mut event = Event::new(clock::now(), Action::LoginDenied, &report.login.account);
    event.outcome = Outcome::Refused(why(&report.kind));
    event.input.insert("service", report.login.service.clone());
    event.input.insert("phase", report.phase.to_string());
    event.input.extend(authenticator(&report).map(|authenticator| ("authenticator", authenticator)));
    let DenialReport { login, phase, .. } = report;
    let is_sshd = login.service == "sshd";
    event.input.extend(login.tty.map(|tty| ("tty", tty)));
    event.input.extend(login.remote_host.map(|host| ("remote_host", host)));
    let recorded = core.store.write(move |change| {
        if phase == Phase::Auth && is_repeated(change.connection(), &event)? {
            return Ok(());
        }
        change.record(event)
    });
    if let Err(error) = recorded.await {
        let error: StoreError = error;
        tracing::error!("a denied login could not be recorded: {error}");
    }
    if phase == Phase::Session && is_sshd {
        let limit = core.settings().sessions.end_timeout;
        sweep::end_session(&core.bus, Target::Tree { leader: reporter }, None, limit).await;
    }
}

/// In auth it is what was asked for and is locked; later what sshd says.
fn authenticator(report: &DenialReport) -> Option<String> {
    match (&report.kind, report.phase) {
        (DenialKind::Locked { authenticator, .. }, Phase::Auth) => authenticator.clone(),
        _ => report.auth_info.as_deref().map(sshd::authenticator),
    }
}

/// Whether an event of this kind about the account is young. Who is denied in auth has not proved who it is: whoever guesses
/// at a locked password must not fill the audit trail. The system's log has each.
fn is_repeated(connection: &Connection, event: &Event) -> Result<bool, StoreError> {
    let filter = EventFilter {
        user: Some(event.account.clone()),
        action: Some(event.action.name().to_owned()),
        since: Some(event.time - SILENCE),
        ..EventFilter::default()
    };
    let of_auth = |event: &views::Event| {
        event.input.get("phase").is_some_and(|phase| *phase == Phase::Auth.to_string())
    };
    Ok(events::list(connection, &filter)?.iter().any(of_auth))
}

fn why(kind: &DenialKind) -> String {
    match kind {
        DenialKind::Locked { lock, owner, authenticator: None } => format!("lock {lock} of {owner}"),
        DenialKind::Locked { lock, owner, authenticator: Some(id) } => {
            format!("lock {lock} of {owner} on {id}")
        }
        DenialKind::Expired { .. } => "the account has expired".to_owned(),
        DenialKind::RecordUnreadable => "the deny record cannot be read".to_owned(),
    }
}

async fn put(core: &Arc<Core>, new: Session) {
    look_for_used_code(core, &new.account).await;
    let boot_id = core.boot_id.clone();
    let stored = core
        .store
        .write(move |change| {
            let now = clock::now();
            let id = accounts::ensure(change, &new.account, new.uid, now)?;
            let (session, is_new) = sessions::put(change, id, &boot_id, &new)?;
            if is_new {
                accounts::set_last_sign_in(change, id, session.started_at)?;
                let mut event = Event::new(now, Action::SessionStart, &session.account);
                event.target = format!("session:{}", session.id());
                event.input.insert("service", session.service.clone());
                event.input.insert("remote_host", session.remote_host.clone());
                change.record(event)?;
            }
            let mut standing = locks::of_account(change.connection(), &session.account)?;
            standing.retain(Lock::is_in_record);
            let account_denied = locked_until(&standing, now).is_some()
                || accounts::stored(change.connection(), &session.account)?.expired(now);
            let authenticator_denied = standing.iter().any(|lock| {
                let is_used = |id| session.authenticators.contains(id);
                lock.in_force(now) && lock.authenticator.as_ref().is_some_and(is_used)
            });
            // What opened the session is told by the second of its two sources.
            Ok::<_, StoreError>((session, is_new, is_new && account_denied || authenticator_denied))
        })
        .await;
    let (session, is_new, denied) = match stored {
        Ok(stored) => stored,
        Err(error) => return tracing::error!("a session could not be recorded: {error}"),
    };
    if is_new {
        core.announce(Announcement::SessionStarted(session.account.clone(), view(&session)));
        // A short session may have ended before it had a row to close.
        let alive = match &session.logind_id {
            Some(id) => logind::get(&core.bus, id).await.is_ok(),
            None => watch_leader(core, &session),
        };
        if !alive {
            gone(core, |open| open.row == session.row).await;
        }
    }
    if denied && session.uid != 0 {
        refuse(core, &session).await;
    }
}

/// A session of an account that is locked or expired: it slipped past the login path (a login in flight, a service without
/// PAM), or began before the daemon did.
async fn refuse(core: &Core, session: &Session) {
    let outcome = end_one(core, session).await;
    let mut event = Event::new(clock::now(), Action::SessionRefused, &session.account);
    event.target = format!("session:{}", session.id());
    event.input.insert("service", session.service.clone());
    event.input.insert("processes", outcome.processes.to_string());
    if !outcome.survivors.is_empty() {
        event.outcome = Outcome::Failed(format!("still running: {}", outcome.survivors.join("; ")));
    }
    let recorded: Result<(), StoreError> = core.store.write(move |change| change.record(event)).await;
    if let Err(error) = recorded.map_err(Error::from) {
        tracing::error!("a refused session of {} could not be recorded: {error}", escape(&session.account));
    }
}

async fn look_for_used_code(core: &Core, account: &str) {
    if let Err(error) = recovery::look(core, account).await {
        tracing::error!("whether {} has used its recovery code is unknown: {error}", escape(account));
    }
}

async fn gone(core: &Core, is_it: impl Fn(&Session) -> bool) {
    let open = core.store.read(|connection| Ok::<_, StoreError>(sessions::open(connection, None)?)).await;
    let result = async {
        for session in open?.iter().filter(|session| is_it(session)) {
            mark_ended(core, session).await?;
        }
        Ok::<_, StoreError>(())
    };
    if let Err(error) = result.await {
        tracing::error!("the end of a session could not be recorded: {error}");
    }
}

/// Closes the session when its leader ends without saying so. Returns whether the leader is alive.
fn watch_leader(core: &Arc<Core>, session: &Session) -> bool {
    let Some(leader) = Held::take(session.leader_pid) else { return false };
    let (core, session) = (Arc::clone(core), session.clone());
    tokio::spawn(async move {
        if let Ok(pidfd) = watch(leader.into_pidfd()) {
            let _ = pidfd.readable().await;
            if let Err(error) = mark_ended(&core, &session).await {
                tracing::error!("the end of a session could not be recorded: {error}");
            }
        }
    });
    true
}

#[cfg(test)]
mod tests {
    use super::terminal;

    #[test]
    fn what_only_fills_the_place_of_a_terminal_is_none() {
        assert_eq!(terminal("ssh"), "");
        assert_eq!(terminal("cron"), "");
        assert_eq!(terminal("/dev/pts/3"), "pts/3");
        assert_eq!(terminal("tty1"), "tty1");
    }
}

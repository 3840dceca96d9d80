//! Locking one authenticator of an account.

use lockdown_dbus_api::{Error, options, views};
use lockdown_enforcement::escape::escape;

use super::{Known, covering, no_such, notice};
use crate::{
    announcement::Announcement,
    bus::caller::Caller,
    core::Core,
    domain::{
        account::Account,
        authenticator::Kind,
        event::{Action, Event, Fields, Outcome},
        lock::{Lock, NewLock, Time},
        protection::Protection,
    },
    host::clock,
    operations::{
        lock::{checked_duration, owner_for},
        protect::Rule,
        sessions,
    },
    store::{StoreError, accounts, locks, sessions::Session},
};

/// Places a lock of the owner in `options` on the authenticator, or updates the one that stands, then ends the sessions that
/// it opened. When this returns the lock is durable.
///
/// # Errors
/// `InvalidArgument`, `NotAuthorized` (an owner that is not the caller's to use), `NoSuchAuthenticator`, `NotLockable`,
/// `LastAuthenticator`, `Protected`, `Failed`.
pub async fn lock(
    core: &Core,
    caller: &Caller,
    account: &Account,
    id: &str,
    options: options::LockAuthenticator,
) -> Result<views::Authenticator, Error> {
    let owner = owner_for(caller, options.owner.as_deref())?;
    let duration = checked_duration(options.duration.unwrap_or_default())?;
    let kind = Kind::of_id(id).ok_or_else(|| no_such(account, id, &[]))?;
    let known = Known::gather(core, account).await?;
    if !known.has(id) {
        return Err(no_such(account, id, &known.found.problems));
    }
    // From here to the commit: of two keys that two administrators lock at the same moment one stays.
    let deciding = core.deciding().await;
    let known = known.with_current_locks(core, account).await?;
    if let Err(refusal) = judge(core, account, id, kind, &known, &options).await {
        record_refusal(core, caller, account, id, &refusal).await;
        return Err(refusal);
    }
    let terms = NewLock {
        owner,
        reason: options.reason.clone().unwrap_or_default(),
        message: options.message.clone().unwrap_or_default(),
        created_by: caller.name.clone(),
        expires_at: duration.map(clock::after),
    };
    let lock = put(core, caller, account, id, terms, input(&options)).await?;
    drop(deciding);
    core.announce(Announcement::AuthenticatorLocked(account.name.clone(), notice(id, &lock, true)));

    let (ended, survivors) = end_opened(core, caller, account, id).await?;
    let known = known.with_current_locks(core, account).await?;
    Ok(views::Authenticator {
        sessions_ended: Some(ended),
        survivors: Some(survivors).filter(|survivors| !survivors.is_empty()),
        ..known.view(id, clock::now())
    })
}

/// Why a lock by configuration cannot be placed on an authenticator; `None` if it can. The account need not have it: what got
/// into wrong hands is not to open it later either.
pub async fn refusal_of_document(
    core: &Core,
    account: &Account,
    id: &str,
    unenforced: bool,
) -> Result<Option<String>, Error> {
    let Some(kind) = Kind::of_id(id) else { return Ok(Some("no authenticator can have this id".to_owned())) };
    let known = Known::gather(core, account).await?;
    let options = options::LockAuthenticator { unenforced: Some(unenforced), ..Default::default() };
    match judge(core, account, id, kind, &known, &options).await {
        Ok(()) => Ok(None),
        Err(refusal) => Ok(Some(refusal.message())),
    }
}

impl Known {
    async fn with_current_locks(self, core: &Core, account: &Account) -> Result<Self, StoreError> {
        let name = account.name.clone();
        let locks =
            core.store.read(move |connection| Ok::<_, StoreError>(locks::of_account(connection, &name)?));
        Ok(Self { locks: locks.await?, ..self })
    }
}

async fn judge(
    core: &Core,
    account: &Account,
    id: &str,
    kind: Kind,
    known: &Known,
    options: &options::LockAuthenticator,
) -> Result<(), Error> {
    let name = escape(&account.name);
    // One's own authenticator may be lost, and the last administrator has more than one.
    let rule = Rule::for_oneself(core);
    match rule.check(account).await {
        None | Some(Protection::LastAdministrator) => {}
        Some(protection) => return Err(Error::Protected(format!("{name} is protected: {protection}"))),
    }
    if !kind.is_lockable() {
        return Err(Error::NotLockable(format!(
            "{} of {name} cannot be locked: {}",
            escape(id),
            known.found.obstacle(kind).unwrap_or("lock another authenticator, or the account")
        )));
    }
    if let Some(obstacle) = known.found.obstacle(kind)
        && options.unenforced != Some(true)
    {
        return Err(Error::NotLockable(format!(
            "this host would not heed a lock on {} of {name}: {obstacle}; the option unenforced locks it all the same",
            escape(id)
        )));
    }
    if options.force != Some(true)
        && leaves_no_way_in(known, id, clock::now())
        && rule.is_administrator(account).await
    {
        return Err(Error::LastAuthenticator(format!(
            "{} is the last authenticator with which {name}, who can administer this host, gets in; the option force locks it \
             all the same",
            escape(id)
        )));
    }
    Ok(())
}

/// Whether the account had a way in by itself, and loses the last one by a lock on `id`. Passwords and keys are such ways on
/// every host; what else there is stands beside them. An authority is one to lose, but none that is left: whether it has
/// certified a key of the account's nobody here knows.
fn leaves_no_way_in(known: &Known, id: &str, now: Time) -> bool {
    let ways = known.found.authenticators.iter().filter(|found| {
        matches!(found.kind, Kind::Password | Kind::Ssh)
            && covering(&found.id, &known.locks, now).next().is_none()
    });
    let (mut lost, mut left) = (false, false);
    for way in ways {
        let is_lost = Kind::covers(id, &way.id);
        lost |= is_lost;
        left |= !is_lost && !way.id.starts_with("ssh-ca:");
    }
    lost && !left
}

async fn put(
    core: &Core,
    caller: &Caller,
    account: &Account,
    id: &str,
    terms: NewLock,
    input: Fields,
) -> Result<Lock, StoreError> {
    let (name, uid, caller, id) = (account.name.clone(), account.uid, caller.clone(), id.to_owned());
    core.store
        .write(move |change| {
            let now = clock::now();
            let row = accounts::ensure(change, &name, uid, now)?;
            let lock = locks::put_on(change, row, uid, Some(&id), &terms, now)?;
            let mut event = Event::new(now, Action::LockAuthenticator, &name);
            event.target = format!("lock:{}", lock.id);
            event.owner = terms.owner.to_string();
            event.reason = terms.reason;
            caller.sign(&mut event);
            event.input = input;
            event.input.insert("authenticator", id);
            change.record(event)?;
            Ok(lock)
        })
        .await
}

async fn record_refusal(core: &Core, caller: &Caller, account: &Account, id: &str, refusal: &Error) {
    let mut event = Event::new(clock::now(), Action::LockAuthenticator, &account.name);
    caller.sign(&mut event);
    event.input.insert("authenticator", id.to_owned());
    event.outcome = Outcome::Refused(refusal.message());
    if let Err(error) = core.store.write(move |change| change.record(event)).await {
        let error: StoreError = error;
        tracing::error!("the refusal could not be recorded: {error}");
    }
}

/// Ends the sessions that the authenticator opened, but not the caller's own, which waits for the answer: how many have ended,
/// and what goes on.
pub async fn end_opened(
    core: &Core,
    caller: &Caller,
    account: &Account,
    id: &str,
) -> Result<(u32, Vec<String>), Error> {
    let open = sessions::open(core, Some(account.name.clone())).await?;
    let opened: Vec<Session> = open.into_iter().filter(|session| is_opened_by(session, id)).collect();
    let lineage = caller.lineage();
    let (mut ending, mut survivors) = (Vec::new(), Vec::new());
    for session in opened {
        if lineage.iter().any(|mark| mark.pid == session.leader_pid) {
            survivors.push(format!("session {} (it is your own)", session.id()));
            continue;
        }
        let outcome = sessions::end_one(core, &session).await;
        survivors.extend(outcome.survivors);
        let mut event = Event::new(clock::now(), Action::EndSessions, &session.account);
        event.target = format!("session:{}", session.id());
        event.reason = "lock-authenticator".to_owned();
        event.input.insert("authenticator", id.to_owned());
        event.input.insert("processes", outcome.processes.to_string());
        core.store.write(move |change| change.record(event)).await?;
        ending.push(session);
    }
    Ok((sessions::settle(core, &ending).await, survivors))
}

fn is_opened_by(session: &Session, id: &str) -> bool {
    session.authenticator == id || session.authenticators.contains(id)
}

fn input(options: &options::LockAuthenticator) -> Fields {
    let given = [
        ("duration", options.duration.map(|seconds| seconds.to_string())),
        ("message", options.message.clone()),
        ("unenforced", options.unenforced.map(|given| given.to_string())),
        ("force", options.force.map(|given| given.to_string())),
    ];
    given.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::authenticator::tests::{found, locked};

    #[test]
    fn the_last_way_in_is_the_last_password_or_key_that_is_not_locked() {
        let known = |ids: &[&str], locks: Vec<Lock>| Known { found: found(ids), locks, ..Known::default() };
        let both = known(&["password", "ssh:SHA256:a", "face:0"], Vec::new());
        assert!(!leaves_no_way_in(&both, "password", 0));
        assert!(!leaves_no_way_in(&both, "face:0", 0));
        let one_locked = known(&["password", "ssh:SHA256:a"], vec![locked("ssh", Some(10))]);
        assert!(leaves_no_way_in(&one_locked, "password", 9));
        assert!(!leaves_no_way_in(&one_locked, "password", 10), "that lock has ended");
        let keys = known(&["ssh:SHA256:a", "ssh:SHA256:b"], Vec::new());
        assert!(leaves_no_way_in(&keys, "ssh", 0));
        assert!(!leaves_no_way_in(&keys, "ssh:SHA256:b", 0));
        let certified = known(&["password", "ssh-ca:SHA256:a"], Vec::new());
        assert!(leaves_no_way_in(&certified, "password", 0), "there may be no certificate");
        assert!(!leaves_no_way_in(&certified, "ssh-ca:SHA256:a", 0));
        assert!(leaves_no_way_in(&known(&["ssh-ca:SHA256:a"], Vec::new()), "ssh-ca:SHA256:a", 0));
        assert!(!leaves_no_way_in(&known(&["face:0"], Vec::new()), "face:0", 0), "there was none before");
    }

    #[test]
    fn a_session_is_opened_by_every_id_of_what_opened_it() {
        let session = Session {
            authenticator: "ssh:SHA256:k".into(),
            authenticators: ["ssh", "ssh:SHA256:k", "ssh-ca:SHA256:a"].map(String::from).into(),
            ..Session::default()
        };
        for id in ["ssh", "ssh:SHA256:k", "ssh-ca:SHA256:a"] {
            assert!(is_opened_by(&session, id), "{id}");
        }
        assert!(!is_opened_by(&session, "password"));
    }
}

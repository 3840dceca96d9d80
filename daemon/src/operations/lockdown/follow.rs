//! Follows the account's keys: into sessions of others that they opened, into authorized keys of others, and names units that
//! the account may have had systemd start as root.

use std::collections::BTreeSet;

use lockdown_config::FollowKeys;
use lockdown_dbus_api::views;
use lockdown_enforcement::escape::escape;

use crate::{
    core::Core,
    domain::{
        account::Account,
        event::{Action, Event},
        lock::Time,
        lockdown::Suspects,
    },
    host::{
        clock,
        keys_elsewhere::{self, KeyElsewhere},
        processes::Mark,
        quarantine::KeptKind,
        suspects,
        tokens::key_lines::keys,
        units,
    },
    operations::{prior, sessions},
    store::{
        StoreError,
        lockdowns::{Lockdown, LockdownId},
        sessions::Session,
    },
};

/// Rounds in which files that change under one's hands are looked at anew.
const ROUNDS: u32 = 3;

/// What the keys led to.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    /// Sessions of others that were ended, in words.
    pub sessions: Vec<String>,
    /// Keys in the authorized keys of others.
    pub keys: Vec<views::KeyElsewhere>,
    /// Units under suspicion.
    pub suspects: Vec<views::Suspect>,
    /// What could not be done.
    pub problems: Vec<String>,
    /// What an administrator should know.
    pub notes: Vec<String>,
}

/// Follows the keys in `fingerprints` (`SHA256:…`) and those that opened sessions of the account. What is marked in `spared` goes
/// on.
pub async fn follow(
    core: &Core,
    lockdown: &Lockdown,
    account: &Account,
    fingerprints: &BTreeSet<String>,
    spared: &[Mark],
) -> Followed {
    let mut followed = Followed::default();
    let (used, since) = history(core, account).await;
    let mut fingerprints = fingerprints.clone();
    fingerprints.extend(used);
    fingerprints.extend(kept_keys(core, lockdown.id, account).await);
    let actions = lockdown.wanted.actions;
    if actions.end_sessions {
        end_opened_sessions(core, account, &fingerprints, spared, &mut followed).await;
    }
    if actions.revoke_tokens {
        find_keys(core, lockdown.id, account, &fingerprints, &mut followed).await;
    }
    if actions.end_sessions {
        find_suspects(core, lockdown, account, since, &mut followed).await;
    }
    followed
}

/// The keys that opened sessions of the account, and the start of the first session of this boot.
async fn history(core: &Core, account: &Account) -> (BTreeSet<String>, Option<Time>) {
    let (name, boot_id) = (account.name.clone(), core.boot_id.clone());
    let history = core
        .store
        .read(move |connection| {
            use crate::store::sessions::{authenticators_of, first_of_boot};
            Ok::<_, StoreError>((
                authenticators_of(connection, &name)?,
                first_of_boot(connection, &name, &boot_id)?,
            ))
        })
        .await;
    let (authenticators, since) = history.unwrap_or_else(|error| {
        tracing::error!("the keys of {} are unknown: {error}", escape(&account.name));
        (Vec::new(), None)
    });
    let keys = authenticators.iter().filter_map(|id| id.strip_prefix("ssh:")).map(str::to_owned).collect();
    (keys, since)
}

/// Keys in files that this lockdown took away before, for one that is carried on.
async fn kept_keys(core: &Core, lockdown: LockdownId, account: &Account) -> BTreeSet<String> {
    let kept = prior::files(core, lockdown, account).await.unwrap_or_default();
    kept.iter()
        .filter(|file| file.kind == KeptKind::AuthorizedKeys)
        .flat_map(|file| keys(&file.content))
        .filter(|key| !key.authority)
        .map(|key| key.fingerprint)
        .collect()
}

async fn end_opened_sessions(
    core: &Core,
    account: &Account,
    fingerprints: &BTreeSet<String>,
    spared: &[Mark],
    followed: &mut Followed,
) {
    let open = sessions::open(core, None).await.unwrap_or_default();
    let opened = open.into_iter().filter(|session| {
        session.uid != account.uid
            && session.authenticator.strip_prefix("ssh:").is_some_and(|key| fingerprints.contains(key))
    });
    for session in opened {
        if spared.iter().any(|mark| mark.pid == session.leader_pid) {
            followed.problems.push(format!(
                "your own session {} was opened with a key of {}: leave it, and use another key",
                escape(&session.id()),
                escape(&account.name)
            ));
            continue;
        }
        let outcome = sessions::end_one(core, &session).await;
        let words = format!("{} of {}", session.id(), session.account);
        if outcome.survivors.is_empty() {
            followed.sessions.push(words);
        } else {
            let survivors = outcome.survivors.join(", ");
            followed.problems.push(format!("session {} goes on: {survivors}", escape(&words)));
        }
        record_end(core, account, &session).await;
    }
}

async fn record_end(core: &Core, account: &Account, session: &Session) {
    let mut event = Event::new(clock::now(), Action::EndSessions, &session.account);
    event.target = format!("session:{}", session.id());
    event.reason = format!("opened with a key of {}, which is locked down", account.name);
    event.input.insert("authenticator", session.authenticator.clone());
    let recorded: Result<(), StoreError> = core.store.write(move |change| change.record(event)).await;
    if let Err(error) = recorded {
        tracing::error!("the end of a session could not be recorded: {error}");
    }
    sessions::settle(core, std::slice::from_ref(session)).await;
}

async fn find_keys(
    core: &Core,
    lockdown: LockdownId,
    account: &Account,
    fingerprints: &BTreeSet<String>,
    followed: &mut Followed,
) {
    if fingerprints.is_empty() {
        return;
    }
    let others: Vec<Account> = match core.nss().enumerate().await {
        Ok(all) => all.into_iter().filter(|other| other.uid != account.uid).collect(),
        Err(error) => return followed.problems.push(format!("keys in other accounts are unknown: {error}")),
    };
    let settings = core.settings();
    let is_to_go = |key: &KeyElsewhere| {
        settings.lockdown.follow_keys == FollowKeys::Quarantine
            && (key.account.uid != 0 || settings.lockdown.follow_keys_of_root)
    };
    for _ in 0..ROUNDS {
        let search = keys_elsewhere::find(fingerprints, others.clone()).await;
        let (to_go, to_stay): (Vec<KeyElsewhere>, Vec<KeyElsewhere>) =
            search.keys.into_iter().partition(is_to_go);
        let prepared = keys_elsewhere::prepare(&to_go).await;
        let (problems, changed) = match prior::keep_files(core, lockdown, &prepared.kept).await {
            Ok(()) => {
                let taken = keys_elsewhere::apply(&prepared.kept).await;
                ([prepared.problems, taken.problems].concat(), taken.changed)
            }
            Err(error) => {
                (vec![format!("keys in other accounts stay, as they could not be kept: {error}")], false)
            }
        };
        let quarantined = problems.is_empty() && !changed;
        followed.keys.extend(to_stay.iter().map(|key| key_view(key, false)));
        followed.keys.extend(to_go.iter().map(|key| key_view(key, quarantined)));
        if !changed {
            followed.notes.extend(search.problems);
            followed.problems.extend(problems);
            return;
        }
        followed.keys.clear();
    }
    followed.problems.push("authorized keys of others change faster than they can be edited".to_owned());
}

async fn find_suspects(
    core: &Core,
    lockdown: &Lockdown,
    account: &Account,
    since: Option<Time>,
    followed: &mut Followed,
) {
    let found = suspects::find(&core.bus, account, since).await;
    followed.notes.extend(found.note);
    for suspect in found.suspects {
        let mut view = views::Suspect { unit: suspect.unit, evidence: suspect.evidence, stopped: false };
        if lockdown.wanted.suspects == Suspects::Stop {
            match units::stop(&core.bus, &view.unit).await {
                Ok(()) => view.stopped = true,
                Err(error) => {
                    followed.problems.push(format!("{} could not be stopped: {error}", escape(&view.unit)));
                }
            }
        }
        followed.suspects.push(view);
    }
}

fn key_view(key: &KeyElsewhere, quarantined: bool) -> views::KeyElsewhere {
    views::KeyElsewhere {
        user: key.account.name.clone(),
        path: key.path.to_string_lossy().into_owned(),
        line: key.line,
        fingerprint: key.fingerprint.clone(),
        quarantined,
    }
}

/// For the audit trail.
pub fn key_in_words(key: &views::KeyElsewhere) -> String {
    let fate = if key.quarantined { "quarantined" } else { "reported" };
    format!("{} in {} line {} of {} ({fate})", key.fingerprint, key.path, key.line, key.user)
}

/// For the audit trail.
pub fn suspect_in_words(suspect: &views::Suspect) -> String {
    let fate = if suspect.stopped { "stopped" } else { "reported" };
    format!("{} ({fate}): {}", suspect.unit, suspect.evidence)
}

//! `authenticator=TYPE`: whether the module that follows in the stack may be asked.

use std::ffi::CStr;

use lockdown_enforcement::{DenialKind, DenialReport, Phase, ReadError, Record, Request, escape};

use super::{Account, Code, Host, Priority, ask_password, because, breaks_glass, is_root, login, tell, who};
use crate::arguments::{Arguments, AuthenticatorType, OnError};

/// Why an authenticator may not be used.
pub(super) enum Obstacle {
    /// It is locked.
    Locked(Account, DenialKind),
    /// Nobody can say whether it is, for this reason.
    Unknown(String),
}

/// Answers for the guarded module. Nothing is said, and an account that is not locked, that does not exist or that has no such
/// authenticator gets the same answer.
pub(super) fn check(host: &dyn Host, arguments: &Arguments, kind: AuthenticatorType) -> Code {
    if let Err(code) = host.ask_user().or_answer() {
        return code;
    }
    // The service has not said who it is, and neither has the user: whatever is guarded knows no more.
    let Some(user) = host.user() else { return Code::Success };
    let Some(obstacle) = obstacle(host, arguments, kind, &user) else { return Code::Success };
    let code = unavailable(host, kind);
    if code != Code::Incomplete {
        obstacle.announce(host, kind, &user);
    }
    code
}

/// What stands against the use of an authenticator of this type; loud where it is usable because nobody can say.
pub(super) fn obstacle(
    host: &dyn Host,
    arguments: &Arguments,
    kind: AuthenticatorType,
    user: &CStr,
) -> Option<Obstacle> {
    let account = match host.account(user) {
        Ok(Some(account)) => account,
        Ok(None) => {
            // For no longer and no shorter than for an account that has no record.
            let _ = host.record(Account::NOBODY.uid);
            return None;
        }
        Err(error) => {
            let why = format!("NSS cannot say who that is ({error})");
            return undecided(host, arguments, (user, None), arguments.on_error, why);
        }
    };
    match host.record(account.uid) {
        Ok(None) => None,
        Ok(Some(record)) => {
            let denial = locked(&record, host.now(), kind)?;
            if account.uid == 0 {
                unchecked(host, user, "root cannot be locked, but there is a deny record that says so");
                return None;
            }
            Some(Obstacle::Locked(account, denial))
        }
        Err(ReadError::DirectoryMissing) => {
            let why = "the directory of deny records is missing; \"lockdownctl doctor\" says what to do";
            undecided(host, arguments, (user, Some(account)), arguments.on_error, why.to_owned())
        }
        // A screen locker: it opens a session for nobody, and its account phase asks the daemon.
        Err(error) if error.is_permission_denied() && host.process().effective_uid != 0 => None,
        Err(error) => {
            let why = format!("the deny record of uid {} {error}", account.uid);
            undecided(host, arguments, (user, Some(account)), OnError::Deny, why)
        }
    }
}

/// A lock on the type or on one of its enrolments. Nobody can know here which finger will be shown, so one that is locked
/// keeps the others out, too: a lock that stands is never passed by.
fn locked(record: &Record, now: i64, kind: AuthenticatorType) -> Option<DenialKind> {
    let is_meant = |id: &str| {
        id.strip_prefix(kind.name())
            .is_some_and(|enrolment| enrolment.is_empty() || enrolment.starts_with(':'))
    };
    let mut in_force = record.locks.iter().filter(|lock| lock.in_force(now));
    let lock = in_force.find(|lock| lock.authenticator.as_deref().is_some_and(is_meant))?;
    Some(DenialKind::Locked {
        lock: lock.id,
        owner: lock.owner.clone(),
        authenticator: lock.authenticator.clone(),
    })
}

/// Nobody can say what is enforced.
fn undecided(
    host: &dyn Host,
    arguments: &Arguments,
    (user, account): (&CStr, Option<Account>),
    on_error: OnError,
    why: String,
) -> Option<Obstacle> {
    if is_root(user, account) || on_error == OnError::Allow || breaks_glass(host, arguments, user, account) {
        unchecked(host, user, &why);
        return None;
    }
    Some(Obstacle::Unknown(why))
}

fn unchecked(host: &dyn Host, user: &CStr, why: &str) {
    host.log(Priority::Alert, &format!("NOT CHECKED: user=\"{}\": {why}", escape(user.to_bytes())));
}

/// It cannot be told what is locked.
pub(super) fn after_panic(host: &dyn Host, arguments: &Arguments, kind: AuthenticatorType) -> Code {
    let user = host.user().unwrap_or_default();
    let why = "pam_lockdown has failed inside; please report this".to_owned();
    let account = host.account(&user).ok().flatten();
    match undecided(host, arguments, (&user, account), arguments.on_error, why) {
        None => Code::Success,
        Some(obstacle) => {
            obstacle.announce(host, kind, &user);
            unavailable(host, kind)
        }
    }
}

impl Obstacle {
    /// To the log and to the daemon; the user is told nothing.
    pub(super) fn announce(self, host: &dyn Host, kind: AuthenticatorType, user: &CStr) {
        let (account, denial) = match self {
            Self::Locked(account, denial) => (account, denial),
            Self::Unknown(why) => {
                let line =
                    format!("{} of \"{}\" cannot be checked: {why}", kind.name(), escape(user.to_bytes()));
                return host.log(Priority::Error, &line);
            }
        };
        let circumstances = host.circumstances();
        let who = who(user, account, &circumstances);
        host.log(Priority::Notice, &format!("{} unavailable: {who} {}", kind.name(), because(&denial)));
        let report = DenialReport {
            login: login(user, account, &circumstances, host.process().pid),
            auth_info: circumstances.auth_info,
            phase: Phase::Auth,
            kind: denial,
        };
        tell(host, &Request::Denied(report));
    }
}

/// The stack will pass over the module. What a password's module would have shown, this one shows: the same question, and
/// the same delay of a failure; and no other module gets the password that was typed. The others ask nothing of who has not
/// enrolled either.
fn unavailable(host: &dyn Host, kind: AuthenticatorType) -> Code {
    if kind == AuthenticatorType::Password {
        if let Err(code) = ask_password(host) {
            return code;
        }
        host.spoil_password();
    }
    Code::AuthInfoUnavailable
}

//! `authenticator=TYPE`: whether the module that follows in the stack may be asked.

use std::ffi::CStr;

use lockdown_enforcement::{DenialKind, DenialReport, Phase, ReadError, Record, Request, escape};

use super::{Account, Asked, Code, Host, Priority, because, breaks_glass, is_root, tell, who};
use crate::arguments::{Arguments, AuthenticatorType, OnError};

/// Answers for the guarded module. Nothing is said, and an account that is not locked, that does not exist or that has no such
/// authenticator gets the same answer.
pub(super) fn check(host: &dyn Host, arguments: &Arguments, kind: AuthenticatorType) -> Code {
    match host.ask_user() {
        Asked::Given => {}
        Asked::Later => return Code::Incomplete,
        Asked::Failed => return Code::ConversationError,
    }
    // The service has not said who it is, and neither has the user: whatever is guarded knows no more.
    let Some(user) = host.user() else { return Code::Success };
    let account = match host.account(&user) {
        Ok(Some(account)) => account,
        Ok(None) => return Code::Success,
        Err(error) => {
            let why = format!("NSS cannot say who that is ({error})");
            return undecided(host, arguments, kind, (&user, None), arguments.on_error, &why);
        }
    };
    match host.record(account.uid) {
        Ok(None) => Code::Success,
        Ok(Some(record)) => match locked(&record, host.now(), kind) {
            None => Code::Success,
            Some(_) if account.uid == 0 => {
                unchecked(host, &user, "root cannot be locked, but there is a deny record that says so")
            }
            Some(denial) => deny(host, &user, account, denial, kind),
        },
        Err(ReadError::DirectoryMissing) => {
            let why = "the directory of deny records is missing; \"lockdownctl doctor\" says what to do";
            undecided(host, arguments, kind, (&user, Some(account)), arguments.on_error, why)
        }
        // A screen locker: it opens a session for nobody, and its account phase asks the daemon.
        Err(error) if error.is_permission_denied() && host.process().effective_uid != 0 => Code::Success,
        Err(error) => {
            let why = format!("the deny record of uid {} {error}", account.uid);
            undecided(host, arguments, kind, (&user, Some(account)), OnError::Deny, &why)
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
    kind: AuthenticatorType,
    (user, account): (&CStr, Option<Account>),
    on_error: OnError,
    why: &str,
) -> Code {
    if is_root(user, account) || on_error == OnError::Allow || breaks_glass(host, arguments, user, account) {
        return unchecked(host, user, why);
    }
    let line = format!("{} of \"{}\" cannot be checked: {why}", kind.name(), escape(user.to_bytes()));
    host.log(Priority::Error, &line);
    unavailable(host, kind)
}

/// It cannot be told what is locked.
pub(super) fn after_panic(host: &dyn Host, arguments: &Arguments, kind: AuthenticatorType) -> Code {
    let user = host.user().unwrap_or_default();
    let why = "pam_lockdown has failed inside; please report this";
    let account = host.account(&user).ok().flatten();
    undecided(host, arguments, kind, (&user, account), arguments.on_error, why)
}

fn unchecked(host: &dyn Host, user: &CStr, why: &str) -> Code {
    host.log(Priority::Alert, &format!("NOT CHECKED: user=\"{}\": {why}", escape(user.to_bytes())));
    Code::Success
}

fn deny(host: &dyn Host, user: &CStr, account: Account, denial: DenialKind, kind: AuthenticatorType) -> Code {
    let code = unavailable(host, kind);
    let circumstances = host.circumstances();
    let line =
        format!("{} unavailable: {} {}", kind.name(), who(user, account, &circumstances), because(&denial));
    host.log(Priority::Notice, &line);
    let report = DenialReport {
        account: user.to_string_lossy().into_owned(),
        uid: account.uid,
        service: circumstances.service,
        tty: circumstances.tty,
        remote_host: circumstances.remote_host,
        auth_info: circumstances.auth_info,
        pid: host.process().pid,
        phase: Phase::Auth,
        kind: denial,
    };
    tell(host, &Request::Denied(report));
    code
}

/// The stack will pass over the module. What a password's module would have shown, this one shows: the same question, and
/// the same delay of a failure. The others ask nothing of who has not enrolled either.
fn unavailable(host: &dyn Host, kind: AuthenticatorType) -> Code {
    if kind == AuthenticatorType::Password {
        let asked = host.ask_password();
        if asked == Asked::Later {
            return Code::Incomplete;
        }
        host.delay_failure();
        if asked == Asked::Failed {
            return Code::ConversationError;
        }
    }
    Code::AuthInfoUnavailable
}

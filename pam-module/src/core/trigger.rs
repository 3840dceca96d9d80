//! `trigger=lockdown`: whoever reaches the line is reported to be locked down, and sees what a wrong password shows.

use std::ffi::CStr;

use lockdown_enforcement::{Phase, Request, TriggerReport, escape};

use super::{Account, Code, Host, Priority, ask_password, login, who};

/// In auth: the dialogue, the wait and the answer of pam_unix(8) for a wrong password. The report goes out after the
/// question, so that a lockdown that begins at once shows in nothing.
pub(super) fn in_auth(host: &dyn Host) -> Code {
    if let Err(code) = host.ask_user().or_answer() {
        return code;
    }
    let asked = ask_password(host);
    if asked != Err(Code::Incomplete) {
        pull(host, Phase::Auth);
    }
    asked.err().unwrap_or(Code::AuthError)
}

/// In account: there is nothing to ask, and nothing is said.
pub(super) fn in_account(host: &dyn Host) -> Code {
    pull(host, Phase::Account);
    Code::AuthError
}

/// The line was reached, and still denies.
pub(super) fn after_panic(host: &dyn Host) -> Code {
    let user = host.user().unwrap_or_default();
    not_triggered(host, &user, "pam_lockdown has failed inside; please report this");
    Code::AuthError
}

fn pull(host: &dyn Host, phase: Phase) {
    let Some(user) = host.user() else {
        return not_triggered(host, c"", "the service has not said who logs in (PAM_USER is not set)");
    };
    match host.account(&user) {
        Ok(Some(account)) => report(host, &user, account, phase),
        Ok(None) => {
            let line =
                format!("user=\"{}\" reached trigger=lockdown, but is no account", escape(user.to_bytes()));
            host.log(Priority::Notice, &line);
        }
        Err(error) => not_triggered(host, &user, &format!("NSS cannot say who that is ({error})")),
    }
}

fn report(host: &dyn Host, user: &CStr, account: Account, phase: Phase) {
    let process = host.process();
    if process.effective_uid != 0 {
        return not_triggered(host, user, "the process is not root's, and lockdownd believes no other");
    }
    let circumstances = host.circumstances();
    let line = format!("lockdown triggered: {} phase={phase}", who(user, account, &circumstances));
    let report = TriggerReport { login: login(user, account, &circumstances, process.pid), phase };
    match host.report(&Request::Trigger(report)) {
        Ok(()) => host.log(Priority::Notice, &line),
        Err(error) => not_triggered(host, user, &format!("lockdownd cannot be told ({error})")),
    }
}

fn not_triggered(host: &dyn Host, user: &CStr, why: &str) {
    let user = escape(user.to_bytes());
    host.log(
        Priority::Alert,
        &format!("LOCKDOWN NOT TRIGGERED: user=\"{user}\" reached trigger=lockdown: {why}"),
    );
}

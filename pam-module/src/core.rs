//! Decides. What it has to know it asks a [`Host`], one question at a time; it touches nothing itself.
//!
//! # In which direction it fails
//!
//! | what is the case | account, session open |
//! |---|---|
//! | the record has a lock in force, or the account has expired | denied |
//! | the same, but the account is root | let in, loudly: root is protected, such a record is a fault |
//! | no record | let in |
//! | the record is unreadable or damaged | denied; root and `break_glass` members are let in, loudly |
//! | the directory of records is missing | as `on_error=` says, default denied; root and `break_glass` likewise let in |
//! | NSS fails to say who the account is | the same |
//! | NSS says that there is no such account | no opinion (`PAM_IGNORE`): without a uid nothing on this host can act as it, and services with users of their own go on working |
//! | not root, and the account is this process's own: | |
//! | – the daemon answers | as it says |
//! | – the daemon does not answer | let in: whoever locked that screen is on the host already, and such a process opens a session for nobody |
//! | not root, and the account is another | as `on_error=` says: the daemon tells a uid only about itself |
//! | no user name at all | denied |
//! | the module panics | as for a missing directory |
//! | the daemon is down or its socket full | decides as ever; the report waits in the socket or is dropped |
//!
//! Session close never fails, and auth has no opinion without an argument that gives it one.
//!
//! In the session of sshd the authenticators that were used are known (`SSH_AUTH_INFO_0`), and a lock on one of them denies:
//!
//! | what is the case | session open |
//! |---|---|
//! | one of several is locked: a key, a certificate's key, its authority, its key id, the password | denied, and nothing is said |
//! | a key is named that cannot be read, and some key is locked | denied |
//! | nothing is named | as without |
//!
//! `authenticator=TYPE` stands before the module that asks for TYPE:
//!
//! | what is the case | auth |
//! |---|---|
//! | the type or one of its enrolments is locked | `PAM_AUTHINFO_UNAVAIL`; for `password` after the question and with the delay of a wrong one |
//! | the account itself is locked, or has expired | usable: that is for account to say, to who has proved who it is |
//! | not locked, no record, no such account, no user name | usable (`PAM_SUCCESS`) |
//! | the record is damaged | unavailable; for root and `break_glass` members usable, loudly |
//! | the directory of records is missing, NSS fails, or the module panics | as `on_error=` says, default unavailable; root and `break_glass` likewise |
//! | root has locked authenticators | usable, loudly: such a record is a fault |
//! | the process is not root's (a screen locker) | usable: it cannot look, and is on the host already |
//!
//! `preauth`, `authfail` and `authsucc` protect against guessing:
//!
//! | what is the case | `preauth` | `authfail` | `authsucc` |
//! |---|---|---|---|
//! | there is no file of settings | no opinion | `PAM_AUTH_ERR` | `PAM_SUCCESS` |
//! | that file is damaged | the defaults hold, loudly | the same | the same |
//! | no lock is in force for the source | no opinion, once no other attempt from there is being judged | counted | the source's count ends |
//! | a lock is | refused: the question, the delay and the answer of a wrong password; who judges it is given another, which nothing matches | not counted | refused |
//! | the line has `authenticator=password`, which would find it unavailable | the same, with or without settings | not counted | refused |
//! | others from that source do not come to an end in ten seconds | refused | | |
//! | root without `even-deny-root`, a trusted source | no opinion | recorded, and does not count | `PAM_SUCCESS` |
//! | no such account | no opinion, after the turn that an account would have had | recorded for nobody, and does not count | `PAM_SUCCESS` |
//! | an ignored service | no opinion | `PAM_AUTH_ERR` | `PAM_SUCCESS` |
//! | NSS fails, the tally cannot be opened or written | no opinion, loudly: nobody is locked out by a full disk | loudly | `PAM_SUCCESS`, loudly |
//! | the process is not root's | no opinion | `PAM_AUTH_ERR` | `PAM_SUCCESS` |
//! | the module panics | no opinion | `PAM_AUTH_ERR` | `PAM_SUCCESS` |
//!
//! Whatever `authfail` is reached by is answered at a multiple of `answer_after=` after the password was there, and up to a fifth of it
//! later: modules that judge take their time for an account, and less or more for a name that is none.
//!
//! In account a remote login is denied while such a lock is in force for its source, and told until when: it got there by
//! another way than a password that was judged. Local ones are not looked at, so that jobs of cron go on.
//!
//! With `trigger=lockdown` nobody gets past the line, whoever it is; what varies is whether a lockdown follows:
//!
//! | what is the case | auth, account |
//! |---|---|
//! | the line is reached | reported; answers what a wrong password answers, and says nothing |
//! | the account is root | the same: the daemon refuses to lock root down, and keeps the event |
//! | NSS says that there is no such account | the same answer; there is nobody to report |
//! | NSS fails to say who the account is, the process is not root's, the daemon is down or its socket full | the same answer; not reported, loudly |
//! | no user name, or no password, because the conversation failed | reported if there is a name; answers that the conversation failed, as pam_unix does |
//! | the module panics | the same answer as ever; not reported, loudly |
//! | in session | the argument has no function there, and the log says so: decides as without |

use std::collections::BTreeSet;
use std::ffi::{CStr, c_int};

use lockdown_enforcement::{
    Denial, DenialKind, DenialReport, Login, Phase, ReadError, Record, Reply, Request, SessionReport,
    Verdict, decide, escape, ssh,
};

use crate::arguments::{Arguments, AuthFunction, OnError};
use crate::message;

mod attempts;
mod authenticator;
mod host;
mod trigger;

pub use host::{Account, Asked, Circumstances, Code, Held, Host, Priority, Process, SILENT, Turn};

/// pam_acct_mgmt(3)
pub fn check_account(host: &dyn Host, arguments: &Arguments, flags: c_int) -> Code {
    if arguments.trigger {
        complain(host, arguments);
        return trigger::in_account(host);
    }
    // In a stack without authsucc.
    host.end_attempt();
    complain_of_function(host, arguments);
    Check { host, arguments, phase: Phase::Account, flags }.run()
}

/// pam_open_session(3)
pub fn open_session(host: &dyn Host, arguments: &Arguments, flags: c_int) -> Code {
    if arguments.trigger {
        host.log(Priority::Error, "trigger= has no function in session: it belongs into auth or account");
    }
    complain_of_function(host, arguments);
    Check { host, arguments, phase: Phase::Session, flags }.run()
}

/// pam_close_session(3)
pub fn close_session(host: &dyn Host, _: &Arguments, _: c_int) -> Code {
    if let Some(user) = host.user()
        && let Ok(Some(account)) = host.account(&user)
    {
        tell(host, &Request::SessionClosed(session(host, &user, account)));
    }
    Code::Success
}

/// pam_authenticate(3)
pub fn authenticate(host: &dyn Host, arguments: &Arguments, flags: c_int) -> Code {
    complain(host, arguments);
    match arguments.function {
        _ if arguments.trigger => trigger::in_auth(host),
        Some(AuthFunction::Guard(kind)) => authenticator::check(host, arguments, kind),
        Some(AuthFunction::PreAuth) => attempts::before(host, arguments, false),
        Some(AuthFunction::PreAuthOfPassword) => attempts::before(host, arguments, true),
        Some(AuthFunction::AuthFail) => attempts::failed(host, arguments.answer_after),
        Some(AuthFunction::AuthSucc) => attempts::succeeded(host, arguments.quiet || flags & SILENT != 0),
        None => Code::Ignore,
    }
}

/// What is left to do when that has panicked.
pub fn authenticate_after_panic(host: &dyn Host, arguments: &Arguments, _: c_int) -> Code {
    match arguments.function {
        _ if arguments.trigger => trigger::after_panic(host),
        Some(AuthFunction::Guard(kind)) => authenticator::after_panic(host, arguments, kind),
        Some(AuthFunction::AuthFail) => Code::AuthError,
        Some(AuthFunction::PreAuth) => Code::Ignore,
        Some(AuthFunction::PreAuthOfPassword) => attempts::before_after_panic(host, arguments),
        Some(AuthFunction::AuthSucc) => Code::Success,
        None => Code::Ignore,
    }
}

/// pam_setcred(3): an attempt is over in any case.
pub fn set_credentials(host: &dyn Host, _: &Arguments, _: c_int) -> Code {
    host.end_attempt();
    Code::Ignore
}

/// What is left to do when one of the first two has panicked: it cannot be told what is enforced.
pub fn after_panic(host: &dyn Host, arguments: &Arguments, flags: c_int) -> Code {
    if arguments.trigger {
        return trigger::after_panic(host);
    }
    let check = Check { host, arguments, phase: Phase::Account, flags };
    match host.user() {
        Some(user) => {
            let account = host.account(&user).ok().flatten();
            check.undecided(
                &user,
                account,
                arguments.on_error,
                "pam_lockdown has failed inside; please report this",
            )
        }
        None => Code::UserUnknown,
    }
}

fn complain(host: &dyn Host, arguments: &Arguments) {
    for complaint in &arguments.complaints {
        host.log(Priority::Error, complaint);
    }
}

fn complain_of_function(host: &dyn Host, arguments: &Arguments) {
    if arguments.function.is_some() {
        let line = "preauth, authfail, authsucc and authenticator= have a function in auth only";
        host.log(Priority::Error, line);
    }
}

/// A report that gets lost changes nothing.
/// Asks for a password. Who fails after that waits as long as pam_unix(8) has them wait, also where no module that judges does.
fn ask_password(host: &dyn Host) -> Result<(), Code> {
    let asked = host.ask_password();
    if asked != Asked::Later {
        host.delay_failure();
    }
    asked.or_answer()
}

fn tell(host: &dyn Host, request: &Request) {
    let _ = host.report(request);
}

fn session(host: &dyn Host, user: &CStr, account: Account) -> SessionReport {
    let circumstances = host.circumstances();
    SessionReport {
        login: login(user, account, &circumstances, host.process().pid),
        logind_session: circumstances.logind_session,
        auth_info: circumstances.auth_info,
    }
}

/// For a report.
fn login(user: &CStr, Account { uid, .. }: Account, circumstances: &Circumstances, pid: u32) -> Login {
    let Circumstances { service, tty, remote_host, remote_user, .. } = circumstances.clone();
    let account = user.to_string_lossy().into_owned();
    Login { account, uid, service, tty, remote_host, remote_user, pid }
}

/// One question of libpam's.
struct Check<'a> {
    host: &'a dyn Host,
    arguments: &'a Arguments,
    phase: Phase,
    flags: c_int,
}

impl Check<'_> {
    fn run(&self) -> Code {
        complain(self.host, self.arguments);
        let Some(user) = self.host.user() else {
            self.host
                .log(Priority::Error, "denied: the service has not said who logs in (PAM_USER is not set)");
            return Code::UserUnknown;
        };
        let account = match self.host.account(&user) {
            Ok(Some(account)) => account,
            Ok(None) => {
                self.debug(&user, "no opinion: NSS knows no such account");
                return Code::Ignore;
            }
            Err(error) => {
                let why = format!("NSS cannot say who that is ({error})");
                return self.undecided(&user, None, self.arguments.on_error, &why);
            }
        };
        match self.host.record(account.uid) {
            Ok(record) => match self.decide(record.as_ref(), account) {
                Verdict::Allow => self.allow(&user, account),
                Verdict::Deny(denial) => self.deny_unless_root(&user, account, &denial),
            },
            Err(ReadError::DirectoryMissing) => {
                let why = "the directory of deny records is missing; \"lockdownctl doctor\" says what to do";
                self.undecided(&user, Some(account), self.arguments.on_error, why)
            }
            Err(error) if error.is_permission_denied() && self.host.process().effective_uid != 0 => {
                self.ask_daemon(&user, account)
            }
            Err(error) => {
                let why = format!(
                    "the deny record of uid {} {error}; \"lockdownctl doctor\" says what to do",
                    account.uid
                );
                self.undecided(&user, Some(account), OnError::Deny, &why)
            }
        }
    }

    fn decide(&self, record: Option<&Record>, account: Account) -> Verdict {
        let now = self.host.now();
        match decide(record, now, &self.authenticators(record)) {
            Verdict::Allow if self.phase == Phase::Account => {
                attempts::standing_lock(self.host, account, now).map_or(Verdict::Allow, Verdict::Deny)
            }
            verdict => verdict,
        }
    }

    /// Those that the login has used, if any is locked: sshd says so, and not before the session.
    fn authenticators(&self, record: Option<&Record>) -> BTreeSet<String> {
        let locked = record.into_iter().flat_map(|record| &record.locks);
        let mut locked = locked.filter_map(|lock| lock.authenticator.as_ref()).peekable();
        if self.phase != Phase::Session || locked.peek().is_none() {
            return BTreeSet::new();
        }
        let used = ssh::used(&self.host.circumstances().auth_info.unwrap_or_default());
        let mut ids = used.ids;
        if used.unreadable_key {
            self.host.log(
                Priority::Error,
                "sshd names a key that cannot be read: it counts as every one that is locked",
            );
            ids.extend(locked.filter(|id| id.starts_with("ssh")).cloned());
        }
        ids
    }

    /// For a process that may not read the records: a screen locker, crontab(1).
    fn ask_daemon(&self, user: &CStr, account: Account) -> Code {
        let process = self.host.process();
        if process.effective_uid != account.uid && process.uid != account.uid {
            let why = "only root can look up another account's deny record";
            return self.undecided(user, Some(account), self.arguments.on_error, why);
        }
        if process.effective_uid != account.uid {
            // A set-uid program that the account itself has started: the daemon would answer about the other uid.
            self.debug(
                user,
                "allowed: the process is the account's own already, and its record cannot be read",
            );
            return self.allow(user, account);
        }
        match self.host.ask() {
            Ok(Reply::Allow) => self.allow(user, account),
            Ok(Reply::Deny(denial)) => self.deny(user, account, &denial),
            Err(error) => {
                self.debug(user, &format!("allowed: the process is the account's own already, and lockdownd does not answer ({error})"));
                self.allow(user, account)
            }
        }
    }

    fn allow(&self, user: &CStr, account: Account) -> Code {
        self.debug(user, "allowed");
        if self.phase == Phase::Session {
            tell(self.host, &Request::SessionOpened(session(self.host, user, account)));
        }
        Code::Success
    }

    fn deny_unless_root(&self, user: &CStr, account: Account, denial: &Denial) -> Code {
        if account.uid != 0 {
            return self.deny(user, account, denial);
        }
        self.let_in(user, Some(account), "root cannot be locked, but there is a deny record that says so; \"lockdownctl doctor\" says what to do")
    }

    fn deny(&self, user: &CStr, account: Account, denial: &Denial) -> Code {
        let circumstances = self.host.circumstances();
        let line = format!("denied: {} {}", who(user, account, &circumstances), because(&denial.kind));
        self.host.log(Priority::Notice, &line);
        // sshd writes what it is told in this phase into the user's data stream, which breaks sftp.
        let breaks_sftp =
            self.phase == Phase::Session && (circumstances.is_ssh || circumstances.service == "sshd");
        if !self.arguments.quiet && self.flags & SILENT == 0 && !breaks_sftp {
            self.host.say(&message::to_user(denial));
        }
        let report = DenialReport {
            login: login(user, account, &circumstances, self.host.process().pid),
            auth_info: circumstances.auth_info,
            phase: self.phase,
            kind: denial.kind.clone(),
        };
        tell(self.host, &Request::Denied(report));
        match denial.kind {
            DenialKind::Expired { .. } => Code::AccountExpired,
            DenialKind::Locked { .. } | DenialKind::RecordUnreadable => Code::PermissionDenied,
        }
    }

    /// Nobody can say what is enforced.
    fn undecided(&self, user: &CStr, account: Option<Account>, on_error: OnError, why: &str) -> Code {
        let breaks_glass = || breaks_glass(self.host, self.arguments, user, account);
        if is_root(user, account) || on_error == OnError::Allow || breaks_glass() {
            return self.let_in(user, account, why);
        }
        self.host.log(Priority::Error, &format!("\"{}\" cannot be checked: {why}", escape(user.to_bytes())));
        match account {
            Some(account) => {
                let denial = Denial { kind: DenialKind::RecordUnreadable, expires_at: None, message: None };
                self.deny(user, account, &denial)
            }
            None => Code::PermissionDenied,
        }
    }

    fn let_in(&self, user: &CStr, account: Option<Account>, why: &str) -> Code {
        self.host
            .log(Priority::Alert, &format!("LET IN UNCHECKED: user=\"{}\": {why}", escape(user.to_bytes())));
        account.map_or(Code::Success, |account| self.allow(user, account))
    }

    fn debug(&self, user: &CStr, what: &str) {
        if self.arguments.debug {
            self.host.log(Priority::Debug, &format!("user=\"{}\" {what}", escape(user.to_bytes())));
        }
    }
}

/// By name, too: should NSS be what is broken, root is still the one who can mend it.
fn is_root(user: &CStr, account: Option<Account>) -> bool {
    account.map_or(user == c"root", |account| account.uid == 0)
}

fn breaks_glass(host: &dyn Host, arguments: &Arguments, user: &CStr, account: Option<Account>) -> bool {
    match (&arguments.break_glass, account) {
        (Some(group), Some(account)) => host.is_member(user, account, group),
        _ => false,
    }
}

/// For a log line.
fn who(user: &CStr, account: Account, circumstances: &Circumstances) -> String {
    format!(
        "user=\"{}\" uid={} service=\"{}\" tty=\"{}\" rhost=\"{}\"",
        escape(user.to_bytes()),
        account.uid,
        escape(&circumstances.service),
        escape(circumstances.tty.as_deref().unwrap_or_default()),
        escape(circumstances.remote_host.as_deref().unwrap_or_default())
    )
}

fn because(kind: &DenialKind) -> String {
    match kind {
        DenialKind::Locked { lock, owner, authenticator: None } => {
            format!("lock={lock} owner=\"{}\"", escape(owner))
        }
        DenialKind::Locked { lock, owner, authenticator: Some(authenticator) } => {
            format!("lock={lock} owner=\"{}\" authenticator=\"{}\"", escape(owner), escape(authenticator))
        }
        DenialKind::Expired { valid_until } => format!("expired={valid_until}"),
        DenialKind::RecordUnreadable => "record=unreadable".to_owned(),
    }
}

#[cfg(test)]
mod tests;

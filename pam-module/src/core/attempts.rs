//! `preauth`, `authfail` and `authsucc`: attack protection. Counts failed attempts, and refuses who has failed too often,
//! before the password is judged and in a way that shows nothing.

use std::ffi::CStr;
use std::time::Duration;

use lockdown_enforcement::{
    AttackProtection, AttemptOutcome, AttemptReport, Denial, DenialKind, Failure, Request, Source, Table,
    TallyLock, escape, tally::Standing,
};

use super::{
    Account, Circumstances, Code, Held, Host, Priority, Turn, ask_password, authenticator, login, tell, who,
};
use crate::arguments::{Arguments, AuthenticatorType};
use crate::message;

/// The owner of a lock that a tally has.
const OWNER: &str = "attack-protection";

/// An attempt on an account. One on a name that is none takes the same way, for as long, as nobody's.
struct Attempt<'a> {
    host: &'a dyn Host,
    settings: AttackProtection,
    user: &'a CStr,
    account: Account,
    circumstances: Circumstances,
    source: Source,
}

/// Right before the module that judges the password: asks for it, so that there is nothing to wait for between here and the
/// verdict, and an attempt has the same dialogue whether or not it is refused. One that is refused goes on with a password that
/// nothing matches: the modules that judge take the time for it that they take for every wrong one.
pub(super) fn before(host: &dyn Host, arguments: &Arguments, guards_password: bool) -> Code {
    host.end_attempt();
    let protection = settings(host)
        .map(|settings| (settings, host.circumstances()))
        .filter(|(settings, circumstances)| !settings.ignores(&circumstances.service));
    if protection.is_none() && !guards_password {
        return Code::Ignore;
    }
    if let Err(code) = host.ask_user().or_answer().and_then(|()| ask_password(host)) {
        return code;
    }
    host.begin_attempt();
    let Some(user) = host.user() else { return Code::Ignore };
    let obstacle = guards_password
        .then(|| authenticator::obstacle(host, arguments, AuthenticatorType::Password, &user))
        .flatten();
    let attempt = protection
        .and_then(|(settings, circumstances)| Attempt::of(host, settings, circumstances, &user))
        .filter(Attempt::is_in_turn);
    let code = attempt.map_or(Code::Ignore, |attempt| attempt.take_turn());
    let Some(obstacle) = obstacle else { return code };
    obstacle.announce(host, AuthenticatorType::Password, &user);
    refuse(host)
}

/// What attack protection would have found is not known; whether the password is locked, is not either.
pub(super) fn before_after_panic(host: &dyn Host, arguments: &Arguments) -> Code {
    match authenticator::after_panic(host, arguments, AuthenticatorType::Password) {
        Code::Success => Code::Ignore,
        _ => refuse(host),
    }
}

/// What comes later judges in vain, and a verdict in favour does not help.
fn refuse(host: &dyn Host) -> Code {
    host.spoil_password();
    host.delay_failure();
    host.hold(Held::Refused);
    Code::AuthError
}

/// The password was wrong. Answers at a multiple of `step` after it was there, unless that is zero, and up to a fifth later: a
/// busy machine wakes whoever has worked a little later than whoever has not.
pub(super) fn failed(host: &dyn Host, step: Duration) -> Code {
    if host.held() != Some(Held::Refused)
        && let Some(settings) = settings(host)
        && let Some(user) = host.user()
        && let Some(attempt) = Attempt::of(host, settings, host.circumstances(), &user)
        && !attempt.settings.ignores(&attempt.circumstances.service)
    {
        attempt.count();
    }
    let rest = host.since_begin().map(|since| rest(since, step));
    // Others need not wait as well.
    host.end_attempt();
    if let Some(rest) = rest {
        let fifth = step / 5;
        host.wait(rest + fifth * u32::from(host.random()) / (1 << u16::BITS));
    }
    Code::AuthError
}

/// From `since` to the next multiple of `step`; nothing if that is zero.
fn rest(since: Duration, step: Duration) -> Duration {
    let passed = since.as_nanos().checked_rem(step.as_nanos());
    passed.map_or(Duration::ZERO, |passed| step - Duration::from_nanos(passed as u64))
}

/// It was right. Who was refused, or was not in turn and is too late, is told that it was not; who got in is told of the
/// attempts that failed before, unless `quiet`.
pub(super) fn succeeded(host: &dyn Host, quiet: bool) -> Code {
    let held = host.held();
    let code = match held {
        Some(Held::Refused) => Code::AuthError,
        Some(Held::InTurn(0)) => Code::Success,
        _ => end_count(host, quiet),
    };
    host.end_attempt();
    code
}

/// A lock of attack protection that the user may be told of, who has proved who it is in another way than those it counts.
/// Whoever is on the host already, and what runs there unattended, is not affected.
pub(super) fn standing_lock(host: &dyn Host, account: Account, now: i64) -> Option<Denial> {
    // A key is root's way back in, also where its password is locked.
    if account.uid == 0 {
        return None;
    }
    let remote_host = host.remote_host().filter(|name| !name.is_empty())?;
    // An error has been loud where it was to be counted.
    let table = host.tally(account.uid).ok().flatten().filter(|table| table.has_lock(now))?;
    let settings = settings(host)?;
    let source = Source::new(Some(&remote_host), None);
    let lock = table.lock(&source, &settings, now)?;
    if !settings.counts(account.uid, &host.circumstances().service, &source) {
        return None;
    }
    let kind = DenialKind::Locked { lock: 0, owner: OWNER.to_owned(), authenticator: None };
    Some(Denial { kind, expires_at: lock.until, message: None })
}

/// `None`: there is no attack protection.
fn settings(host: &dyn Host) -> Option<AttackProtection> {
    host.attack_protection().unwrap_or_else(|error| {
        // Not to be switched off by damage.
        host.log(
            Priority::Error,
            &format!("the file of attack protection {error}: it goes on with the default settings"),
        );
        Some(AttackProtection::default())
    })
}

fn end_count(host: &dyn Host, quiet: bool) -> Code {
    if let Some(settings) = settings(host)
        && let Some(user) = host.user()
        && let Some(attempt) = Attempt::of(host, settings, host.circumstances(), &user)
        && attempt.counts()
    {
        return attempt.end_count(quiet);
    }
    Code::Success
}

impl<'a> Attempt<'a> {
    /// `None`: NSS cannot say for whom to count. The dialogue goes on as ever.
    fn of(
        host: &'a dyn Host,
        settings: AttackProtection,
        circumstances: Circumstances,
        user: &'a CStr,
    ) -> Option<Self> {
        let account = match host.account(user) {
            Ok(account) => account.unwrap_or(Account::NOBODY),
            Err(error) => {
                let user = escape(user.to_bytes());
                let line = format!("NOT COUNTED: user=\"{user}\": NSS cannot say who that is ({error})");
                host.log(Priority::Alert, &line);
                return None;
            }
        };
        let source = Source::new(circumstances.remote_host.as_deref(), circumstances.remote_user.as_deref());
        Some(Self { host, settings, user, account, circumstances, source })
    }

    /// Whether the name is no account.
    fn is_on_nobody(&self) -> bool {
        self.account == Account::NOBODY
    }

    /// Whether it is judged in turn.
    fn is_in_turn(&self) -> bool {
        self.settings.counts(self.account.uid, &self.circumstances.service, &self.source)
    }

    /// Services may have users of their own, which NSS does not know: those are never locked out.
    fn counts(&self) -> bool {
        !self.is_on_nobody() && self.is_in_turn()
    }

    fn take_turn(&self) -> Code {
        let source = if self.settings.per_source { self.source } else { Source::new(None, None) };
        // Names that are no account share a tally, and not their turns.
        let name = if self.is_on_nobody() { self.user } else { c"" };
        match self.host.take_turn(self.account.uid, name, &source) {
            Ok(Turn::Taken(table)) => {
                let now = self.host.now();
                match table.lock(&self.source, &self.settings, now) {
                    Some(lock) => self.refuse(lock.until, "locked"),
                    None => {
                        let counted = table.counted(&self.source, &self.settings, now);
                        self.host.hold(Held::InTurn(counted));
                        Code::Ignore
                    }
                }
            }
            Ok(Turn::Busy) if self.is_on_nobody() => Code::Ignore,
            Ok(Turn::Busy) => {
                self.refuse(None, "other attempts from there are under way and do not come to an end")
            }
            Err(error) => {
                self.uncounted(&error);
                Code::Ignore
            }
        }
    }

    /// As a wrong password is answered, whatever it is.
    fn refuse(&self, until: Option<i64>, why: &str) -> Code {
        let code = refuse(self.host);
        let who = who(self.user, self.account, &self.circumstances);
        self.host.log(Priority::Notice, &format!("refused: {who} owner=\"{OWNER}\": {why}{}", Until(until)));
        self.report(AttemptOutcome::Refused { until });
        code
    }

    fn count(&self) {
        let attempt = (self.circumstances.service.as_str(), &self.source);
        let now = self.host.now();
        match self.host.add_failure(self.account.uid, attempt, self.counts(), &self.settings, now) {
            Ok(Failure { number, standing, lock, .. }) => {
                if let Some(lock) = lock {
                    self.log_lock(lock);
                }
                self.report(AttemptOutcome::Failed { number, counted: standing == Standing::Counted, lock });
            }
            Err(error) => self.uncounted(&error),
        }
    }

    fn log_lock(&self, lock: TallyLock) {
        let which = match lock {
            TallyLock { all: true, .. } => "the account",
            TallyLock { remote: true, .. } => "the account, for remote hosts",
            _ => "the account, for this source",
        };
        let who = who(self.user, self.account, &self.circumstances);
        let line = format!(
            "locked: {who} owner=\"{OWNER}\": too many attempts have failed: {which}{}",
            Until(lock.until)
        );
        self.host.log(Priority::Notice, &line);
    }

    fn end_count(&self, quiet: bool) -> Code {
        let table = match self.host.tally(self.account.uid) {
            Ok(Some(table)) => table,
            Ok(None) => return Code::Success,
            Err(error) => {
                self.uncounted(&error);
                return Code::Success;
            }
        };
        let now = self.host.now();
        if let Some(lock) = table.lock(&self.source, &self.settings, now) {
            return self.refuse(lock.until, "locked");
        }
        let counted = table.counted(&self.source, &self.settings, now);
        if counted > 0 {
            let source = Some(&self.source).filter(|_| self.settings.per_source);
            match self.host.clear_failures(self.account.uid, source) {
                Ok(cleared) => self.report(AttemptOutcome::Succeeded { cleared: cleared as u64 }),
                Err(error) => self.uncounted(&error),
            }
            if !quiet {
                self.warn(counted, &table, now);
            }
        }
        Code::Success
    }

    /// If few more would have locked, tells of the `counted` attempts that have failed. It may have been others who tried.
    fn warn(&self, counted: u32, table: &Table, now: i64) {
        let left = self.settings.max_attempts.saturating_sub(counted);
        if (1..=self.settings.warn_attempts_left).contains(&left)
            && let Some(since) = table.counted_since(&self.source, &self.settings, now)
        {
            let user = self.user.to_string_lossy();
            self.host.say(&message::of_failures(&user, counted, self.settings.per_source, since, left));
        }
    }

    /// An attempt that cannot be counted goes on: a full disk locks nobody out.
    fn uncounted(&self, error: &std::io::Error) {
        // A screen locker, which opens a session for nobody.
        if error.kind() == std::io::ErrorKind::PermissionDenied && self.host.process().effective_uid != 0 {
            return;
        }
        let who = who(self.user, self.account, &self.circumstances);
        let line = format!(
            "NOT COUNTED: {who}: the tally cannot be used ({error}); \"lockdownctl doctor\" says what to do"
        );
        self.host.log(Priority::Alert, &line);
    }

    fn report(&self, outcome: AttemptOutcome) {
        let login = login(self.user, self.account, &self.circumstances, self.host.process().pid);
        tell(self.host, &Request::Attempt(AttemptReport { login, outcome }));
    }
}

/// For the end of a log line.
struct Until(Option<i64>);

impl std::fmt::Display for Until {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |until| write!(out, " until={until}"))
    }
}

//! The host of the tests: every question in its order with its answer, and none left over.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::io;
use std::time::Duration;

use lockdown_enforcement::{
    AttackProtection, AttackProtectionError, Failure, ReadError, Record, Reply, Request, Source, Table,
    tally::NOBODYS_UID,
};

use super::NOW;
use crate::core::{Account, Asked, Circumstances, Held, Host, Priority, Process, Turn};
use Step::*;

/// A question that the module is expected to ask, with the answer.
pub enum Step {
    User(Option<&'static CStr>),
    Nss(io::Result<Option<Account>>),
    IsMember(&'static str, bool),
    File(Result<Option<Record>, ReadError>),
    Ids(u32, u32),
    Ask(io::Result<Reply>),
    Now,
    About(&'static str),
    AskUser(Asked),
    AskPassword(Asked),
    SpoilPassword,
    DelayFailure,
    RemoteHost(&'static str),
    Settings(Result<Option<AttackProtection>, AttackProtectionError>),
    Tally(io::Result<Option<Table>>),
    Add(bool, io::Result<Failure>),
    Clear(usize),
    TakeTurn(&'static str, io::Result<Turn>),
    Hold(Held),
    IsHeld(Option<Held>),
    EndAttempt,
    AuthInfo(String),
    Say(&'static str),
    Log(Priority, &'static str),
    SinceBegin(Duration),
    Wait(Duration),
    Report(fn(&Request) -> bool),
    Lost(io::ErrorKind),
}

/// A host that answers as scripted, and is asked for all of it.
pub struct Script(RefCell<VecDeque<Step>>);

impl Script {
    pub fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        Self(RefCell::new(steps.into_iter().collect()))
    }

    fn next(&self, question: &str) -> Step {
        self.0.borrow_mut().pop_front().unwrap_or_else(|| panic!("{question} is not in the script"))
    }

    fn next_if(&self, is_meant: fn(&Step) -> bool) -> Option<Step> {
        let mut steps = self.0.borrow_mut();
        if steps.front().is_some_and(is_meant) { steps.pop_front() } else { None }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(
                self.0.borrow().is_empty(),
                "{} questions of the script were not asked",
                self.0.borrow().len()
            );
        }
    }
}

macro_rules! next {
    ($script:expr, $question:literal, $step:pat => $answer:expr) => {
        match $script.next($question) {
            $step => $answer,
            _ => panic!(concat!($question, " is not what the script has next")),
        }
    };
}

impl Host for Script {
    fn user(&self) -> Option<CString> {
        next!(self, "user", User(name) => name.map(CStr::to_owned))
    }
    fn account(&self, _: &CStr) -> io::Result<Option<Account>> {
        next!(self, "account", Nss(answer) => answer)
    }
    fn is_member(&self, _: &CStr, _: Account, group: &str) -> bool {
        next!(self, "is_member", IsMember(expected, answer) => {
            assert_eq!(group, expected);
            answer
        })
    }
    fn record(&self, _: u32) -> Result<Option<Record>, ReadError> {
        next!(self, "record", File(answer) => answer)
    }
    fn process(&self) -> Process {
        next!(self, "process", Ids(uid, effective_uid) => Process { uid, effective_uid, pid: 7 })
    }
    fn ask(&self) -> io::Result<Reply> {
        next!(self, "ask", Ask(answer) => answer)
    }
    fn now(&self) -> i64 {
        next!(self, "now", Now => NOW)
    }
    fn circumstances(&self) -> Circumstances {
        if let Some(AuthInfo(auth_info)) = self.next_if(|step| matches!(step, AuthInfo(_))) {
            return Circumstances { auth_info: Some(auth_info), ..Circumstances::default() };
        }
        next!(self, "circumstances", About(service) => Circumstances {
            service: service.into(),
            tty: Some("pts/1\n".into()),
            remote_host: Some("192.0.2.1".into()),
            ..Circumstances::default()
        })
    }
    fn ask_user(&self) -> Asked {
        next!(self, "ask_user", AskUser(answer) => answer)
    }
    fn ask_password(&self) -> Asked {
        next!(self, "ask_password", AskPassword(answer) => answer)
    }
    fn spoil_password(&self) {
        next!(self, "spoil_password", SpoilPassword => ());
    }
    fn delay_failure(&self) {
        next!(self, "delay_failure", DelayFailure => ());
    }
    /// Only for scripts that are about it: otherwise the login is from this host.
    fn remote_host(&self) -> Option<String> {
        match self.next_if(|step| matches!(step, RemoteHost(_))) {
            Some(RemoteHost(name)) => Some(name.to_owned()),
            _ => None,
        }
    }
    fn attack_protection(&self) -> Result<Option<AttackProtection>, AttackProtectionError> {
        next!(self, "attack_protection", Settings(answer) => answer)
    }
    fn tally(&self, _: u32) -> io::Result<Option<Table>> {
        next!(self, "tally", Tally(answer) => answer)
    }
    fn add_failure(
        &self,
        _: u32,
        _: (&str, &Source),
        counts: bool,
        _: &AttackProtection,
        now: i64,
    ) -> io::Result<Failure> {
        next!(self, "add_failure", Add(expected, answer) => {
            assert_eq!((counts, now), (expected, NOW));
            answer
        })
    }
    fn clear_failures(&self, _: u32, _: Option<&Source>) -> io::Result<usize> {
        next!(self, "clear_failures", Clear(answer) => Ok(answer))
    }
    fn take_turn(&self, uid: u32, name: &CStr, source: &Source) -> io::Result<Turn> {
        next!(self, "take_turn", TakeTurn(expected, answer) => {
            assert_eq!(source.text(), expected);
            assert_eq!(name.is_empty(), uid != NOBODYS_UID, "{name:?}");
            answer
        })
    }
    fn hold(&self, held: Held) {
        next!(self, "hold", Hold(expected) => assert_eq!(held, expected));
    }
    fn held(&self) -> Option<Held> {
        next!(self, "held", IsHeld(answer) => answer)
    }
    fn begin_attempt(&self) {}
    /// This, and the waiting, only for scripts that are about it.
    fn since_begin(&self) -> Option<Duration> {
        match self.next_if(|step| matches!(step, SinceBegin(_))) {
            Some(SinceBegin(since)) => Some(since),
            _ => None,
        }
    }
    fn wait(&self, time: Duration) {
        next!(self, "wait", Wait(expected) => assert_eq!(time, expected));
    }
    fn random(&self) -> u16 {
        1 << 15
    }
    /// Only for scripts that are about it.
    fn end_attempt(&self) {
        self.next_if(|step| matches!(step, EndAttempt));
    }
    fn say(&self, text: &str) {
        next!(self, "say", Say(expected) => assert_eq!(text, expected));
    }
    fn log(&self, priority: Priority, line: &str) {
        next!(self, "log", Log(expected, start) => {
            assert_eq!(priority, expected, "{line}");
            assert!(line.starts_with(start) && !line.contains('\n'), "{line}");
        });
    }
    fn report(&self, request: &Request) -> io::Result<()> {
        match self.next("report") {
            Report(expected) => assert!(expected(request), "{request:?}"),
            Lost(error) => return Err(error.into()),
            _ => panic!("report is not what the script has next"),
        }
        Ok(())
    }
}

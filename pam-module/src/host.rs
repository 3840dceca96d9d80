//! The [`Host`] that the module runs on: a PAM transaction, NSS, the deny records, the clock and the login socket.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lockdown_enforcement::{
    AttackProtection, AttackProtectionError, DenyDirectory, Failure, ReadError, Record, Reply, Request,
    Source, Table, TallyDirectory, TallyFile,
};

use crate::arguments::Arguments;
use crate::core::{Account, Asked, Circumstances, Held, Host, Priority, Process, Turn};
use crate::pam::{Item, Transaction};
use crate::turn::{self, Attempt, Known, State};
use crate::{login_socket, nss};

/// What pam_unix(8) asks for.
const FAIL_DELAY: Duration = Duration::from_secs(2);
/// What sshd gives to PAM in the place of a password that it has refused itself.
const JUNK: &CStr = c"\x08\n\r\x7fINCORRECT";

pub(crate) struct PamHost<'a> {
    transaction: Transaction<'a>,
    records: DenyDirectory,
    tallies: TallyDirectory,
    attack_protection: &'a Path,
    socket: &'a Path,
    /// In which the attempt has its turn, until it is known whether that is to be kept.
    turn: Cell<Option<(u32, TallyFile)>>,
    /// What this call has found out, to be kept with the turn.
    account: Cell<Option<(CString, Option<Account>)>>,
    settings: Cell<Option<AttackProtection>>,
}

impl<'a> PamHost<'a> {
    pub(crate) fn new(transaction: Transaction<'a>, arguments: &'a Arguments) -> Self {
        Self {
            transaction,
            records: DenyDirectory::new(&arguments.directory),
            tallies: TallyDirectory::new(&arguments.tally),
            attack_protection: &arguments.attack_protection,
            socket: &arguments.socket,
            turn: Cell::default(),
            account: Cell::default(),
            settings: Cell::default(),
        }
    }

    fn item(&self, item: Item) -> Option<String> {
        self.transaction.item(item).map(text)
    }

    /// What `preauth` has found out about the attempt under way.
    fn known(&self) -> Option<Known> {
        let known = self.transaction.kept(|attempt| match &attempt.state {
            State::InTurn { known, .. } => Some(known.clone()),
            State::Begun | State::Refused { .. } => None,
        });
        known.flatten()
    }

    /// The tally in which the attempt has its turn, with the uid whose it is; the attempt has it no more.
    fn turn_held(&self) -> Option<(u32, TallyFile)> {
        let tally = self.transaction.kept(|attempt| match &attempt.state {
            State::InTurn { tally, .. } => tally.take(),
            State::Begun | State::Refused { .. } => None,
        });
        tally.flatten()
    }

    fn variable(&self, name: &CStr) -> Option<String> {
        self.transaction.variable(name).map(text)
    }
}

/// These go to logs and reports only.
fn text(bytes: &CStr) -> String {
    bytes.to_string_lossy().into_owned()
}

impl Host for PamHost<'_> {
    fn user(&self) -> Option<CString> {
        self.transaction.item(Item::User).map(CStr::to_owned)
    }

    fn account(&self, user: &CStr) -> io::Result<Option<Account>> {
        if let Some(known) = self.known()
            && *known.user == *user
        {
            return Ok(known.account);
        }
        // A call may ask twice.
        if let Some((name, account)) = self.account.take()
            && *name == *user
        {
            self.account.set(Some((name, account)));
            return Ok(account);
        }
        let account = nss::account(user)?;
        self.account.set(Some((user.to_owned(), account)));
        Ok(account)
    }

    fn is_member(&self, user: &CStr, account: Account, group: &str) -> bool {
        nss::is_member(user, account, group)
    }

    fn record(&self, uid: u32) -> Result<Option<Record>, ReadError> {
        self.records.read(uid)
    }

    fn process(&self) -> Process {
        let effective_uid = nss::effective_uid();
        Process { uid: nss::real_uid(), effective_uid, pid: std::process::id() }
    }

    fn ask(&self) -> io::Result<Reply> {
        login_socket::ask(self.socket)
    }

    fn now(&self) -> i64 {
        // A clock that stands before 1970 is as good as one that stands there.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
    }

    fn circumstances(&self) -> Circumstances {
        Circumstances {
            service: self.item(Item::Service).unwrap_or_default(),
            tty: self.item(Item::Tty),
            remote_host: self.item(Item::RemoteHost),
            remote_user: self.item(Item::RemoteUser),
            logind_session: self.variable(c"XDG_SESSION_ID"),
            auth_info: self.variable(c"SSH_AUTH_INFO_0"),
            is_ssh: self.transaction.variable(c"SSH_CONNECTION").is_some(),
        }
    }

    fn remote_host(&self) -> Option<String> {
        self.item(Item::RemoteHost)
    }

    fn attack_protection(&self) -> Result<Option<AttackProtection>, AttackProtectionError> {
        if let Some(known) = self.known() {
            return Ok(Some(known.settings));
        }
        let settings = AttackProtection::read(self.attack_protection)?;
        self.settings.set(settings.clone());
        Ok(settings)
    }

    fn tally(&self, uid: u32) -> io::Result<Option<Table>> {
        self.tallies.open(uid)?.map(|tally| tally.read()).transpose()
    }

    fn add_failure(
        &self,
        uid: u32,
        attempt: (&str, &Source),
        counts: bool,
        settings: &AttackProtection,
        now: i64,
    ) -> io::Result<Failure> {
        let tally = match self.turn_held() {
            Some((its, tally)) if its == uid => tally,
            _ => self.tallies.create(uid)?,
        };
        tally.add(attempt, counts, settings, now)
    }

    fn clear_failures(&self, uid: u32, source: Option<&Source>) -> io::Result<usize> {
        self.tallies.open(uid)?.map_or(Ok(0), |tally| tally.clear(source))
    }

    fn take_turn(&self, uid: u32, name: &CStr, source: &Source) -> io::Result<Turn> {
        let tally = self.tallies.create(uid)?;
        if !turn::wait(&tally, name, source)? {
            return Ok(Turn::Busy);
        }
        let table = tally.read()?;
        self.turn.set(Some((uid, tally)));
        Ok(Turn::Taken(table))
    }

    fn hold(&self, held: Held) {
        // A turn that is held already stays.
        let tally = self.turn.take().or_else(|| self.turn_held());
        let state = match (held, tally, self.account.take()) {
            (Held::Refused, tally, _) => State::Refused { _tally: tally.map(|(_, tally)| tally) },
            (Held::InTurn(counted), Some(tally), Some((user, account))) => {
                // Without any, the defaults hold.
                let settings = self.settings.take().unwrap_or_default();
                let known = Known { user, account, settings };
                State::InTurn { tally: Cell::new(Some(tally)), counted, known }
            }
            (Held::InTurn(_), ..) => return,
        };
        let began = self.transaction.kept(|attempt| attempt.began).unwrap_or_else(Instant::now);
        self.transaction.keep(Attempt { began, state });
    }

    fn held(&self) -> Option<Held> {
        let held = self.transaction.kept(|attempt| match &attempt.state {
            State::Begun => None,
            State::InTurn { counted, .. } => Some(Held::InTurn(*counted)),
            State::Refused { .. } => Some(Held::Refused),
        });
        held.flatten()
    }

    fn begin_attempt(&self) {
        self.transaction.keep(Attempt { began: Instant::now(), state: State::Begun });
    }

    fn since_begin(&self) -> Option<Duration> {
        self.transaction.kept(|attempt| attempt.began.elapsed())
    }

    fn wait(&self, time: Duration) {
        sleep(time);
    }

    fn random(&self) -> u16 {
        // A hash with keys of the kernel's randomness.
        RandomState::new().hash_one(()) as u16
    }

    fn end_attempt(&self) {
        self.transaction.forget();
    }

    fn ask_user(&self) -> Asked {
        self.transaction.ask_user()
    }

    fn ask_password(&self) -> Asked {
        self.transaction.ask_password()
    }

    fn spoil_password(&self) {
        self.transaction.set_password(JUNK);
    }

    fn delay_failure(&self) {
        self.transaction.delay_failure(FAIL_DELAY);
    }

    fn say(&self, text: &str) {
        self.transaction.say(text);
    }

    fn log(&self, priority: Priority, line: &str) {
        self.transaction.log(priority as i32, line);
    }

    fn report(&self, request: &Request) -> io::Result<()> {
        login_socket::report(self.socket, request)
    }
}

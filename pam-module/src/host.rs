//! The [`Host`] that the module runs on: a PAM transaction, NSS, the deny records, the clock and the login socket.

use std::ffi::{CStr, CString};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lockdown_enforcement::{DenyDirectory, ReadError, Record, Reply, Request};

use crate::arguments::Arguments;
use crate::core::{Account, Asked, Circumstances, Host, Priority, Process};
use crate::pam::{Item, Transaction};
use crate::{login_socket, nss};

/// What pam_unix(8) asks for.
const FAIL_DELAY: Duration = Duration::from_secs(2);

pub(crate) struct PamHost<'a> {
    transaction: Transaction<'a>,
    records: DenyDirectory,
    socket: &'a Path,
}

impl<'a> PamHost<'a> {
    pub(crate) fn new(transaction: Transaction<'a>, arguments: &'a Arguments) -> Self {
        Self { transaction, records: DenyDirectory::new(&arguments.directory), socket: &arguments.socket }
    }

    fn item(&self, item: Item) -> Option<String> {
        self.transaction.item(item).map(text)
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
        nss::account(user)
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

    fn ask_user(&self) -> Asked {
        self.transaction.ask_user()
    }

    fn ask_password(&self) -> Asked {
        self.transaction.ask_password()
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

//! A client of libpam's that makes attempts to sign in with the stacks of `/etc/pam.d`, for [hosts](crate::host::attempts): many
//! at once if wanted, and without the delay that follows a wrong password.

use std::ffi::CString;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libpam::{Item, SUCCESS, Transaction, c_path};
use serde_json::{Value, json};

#[path = "../../pam-module/tests/libpam/mod.rs"]
mod libpam;

/// As many processes at once it starts at most.
const MAX_PROCESSES: usize = 128;
/// Each process ends after this time, whatever hangs.
const LIMIT: Duration = Duration::from_secs(240);

/// An attempt that is about to be made.
#[derive(Clone, Debug)]
pub struct Attempt {
    service: String,
    user: String,
    password: String,
    remote_host: Option<String>,
    remote_user: Option<String>,
}

/// What came of an attempt.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What libpam returned: that of `pam_authenticate(3)`, or if it succeeded of `pam_acct_mgmt(3)`.
    pub code: i32,
    /// What the user was asked and told, in that order.
    pub heard: Vec<String>,
    /// From `pam_start(3)` to the verdict.
    pub took: Duration,
    /// How long libpam would have waited after it.
    pub delay: Duration,
}

impl Attempt {
    /// At a service, by a person on a console.
    pub fn new(service: &str, user: &str, password: &str) -> Self {
        let [service, user, password] = [service, user, password].map(str::to_owned);
        Self { service, user, password, remote_host: None, remote_user: None }
    }

    /// From this host.
    pub fn from(self, remote_host: &str) -> Self {
        Self { remote_host: Some(remote_host.to_owned()), ..self }
    }

    /// By a person who is on the host already, as su and sudo say.
    pub fn by(self, remote_user: &str) -> Self {
        Self { remote_user: Some(remote_user.to_owned()), ..self }
    }

    /// By another password.
    pub fn with(self, password: &str) -> Self {
        Self { password: password.to_owned(), ..self }
    }

    pub(crate) fn to_json(&self) -> Value {
        let Self { service, user, password, remote_host, remote_user } = self;
        json!([service, user, password, remote_host, remote_user])
    }

    fn of_json(value: &Value) -> Self {
        let text = |index: usize| value[index].as_str().map(str::to_owned);
        let needed = |index: usize| text(index).expect("a text");
        Self {
            service: needed(0),
            user: needed(1),
            password: needed(2),
            remote_host: text(3),
            remote_user: text(4),
        }
    }

    fn make(&self) -> Outcome {
        let c_text = |text: &str| CString::new(text).expect("a text without NUL");
        let items = [(Item::RemoteHost, &self.remote_host), (Item::RemoteUser, &self.remote_user)];
        let (service, user, password) = (c_text(&self.service), c_text(&self.user), c_text(&self.password));
        let directory = c_path(Path::new("/etc/pam.d"));
        let start = Instant::now();
        let transaction = Transaction::start(&service, &user, &directory);
        transaction.answer(&password);
        for (item, value) in items {
            if let Some(value) = value {
                transaction.set(item, &c_text(value));
            }
        }
        let code = transaction.authenticate();
        let took = start.elapsed();
        let code = if code == SUCCESS { transaction.check_account(0) } else { code };
        let delay = transaction.delays().into_iter().max().unwrap_or_default();
        Outcome { code, heard: transaction.heard(), took, delay }
    }
}

impl Outcome {
    /// Whether it led in.
    pub fn entered(&self) -> bool {
        self.code == SUCCESS
    }

    fn to_json(&self) -> Value {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).expect("less than centuries");
        json!([self.code, self.heard, nanoseconds(self.took), nanoseconds(self.delay)])
    }

    pub(crate) fn of_json(value: &Value) -> Self {
        let time = |index: usize| Duration::from_nanos(value[index].as_u64().expect("nanoseconds"));
        let heard = value[1].as_array().expect("texts").iter();
        Self {
            code: value[0].as_i64().and_then(|code| i32::try_from(code).ok()).expect("a code"),
            heard: heard.map(|text| text.as_str().expect("a text").to_owned()).collect(),
            took: time(2),
            delay: time(3),
        }
    }
}

/// The whole program: reads lists of attempts, a list for each process, and writes what came of them. All processes begin at the
/// same time, as nearly as can be.
pub fn main() {
    std::thread::spawn(|| {
        std::thread::sleep(LIMIT);
        std::process::abort();
    });
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).expect("read standard input");
    let lists: Value = serde_json::from_str(&input).expect("JSON");
    let lists = lists.as_array().expect("lists");
    assert!(lists.len() <= MAX_PROCESSES, "too many processes");
    let outcomes = match lists.as_slice() {
        [list] => vec![one_after_the_other(list)],
        lists => at_once(lists),
    };
    println!("{}", Value::from(outcomes));
}

fn one_after_the_other(list: &Value) -> Value {
    let attempts = list.as_array().expect("attempts").iter();
    attempts.map(|attempt| Attempt::of_json(attempt).make().to_json()).collect()
}

/// Each list in a process of its own, which reads all of it before it begins: that its input is closed is the signal.
fn at_once(lists: &[Value]) -> Vec<Value> {
    let program = std::env::current_exe().expect("a program has a path");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut children: Vec<Child> = Vec::new();
    for list in lists {
        let mut command = Command::new(&program);
        let mut child = command
            .args(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start a process");
        let input = Value::from(vec![list.clone()]).to_string();
        child.stdin.as_mut().expect("it is piped").write_all(input.as_bytes()).expect("write to a process");
        children.push(child);
    }
    children.iter_mut().for_each(|child| drop(child.stdin.take()));
    let outcome = |child: Child| {
        let output = child.wait_with_output().expect("wait for a process");
        assert!(output.status.success(), "{}", output.status);
        let outcomes: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        outcomes[0].clone()
    };
    children.into_iter().map(outcome).collect()
}

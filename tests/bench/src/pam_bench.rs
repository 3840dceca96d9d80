//! What the account check and the attack protection of `pam_lockdown.so` cost, beside `pam_faillock.so` and `pam_unix.so` in
//! the same run.
//!
//! ```text
//! pam-bench [--check] [--module PATH] [--user NAME]
//! ```
//!
//! Runs real libpam transactions, as root, with the stacks of a temporary directory. All stacks take turns, so that
//! whatever else the machine does falls on all of them; what pam_permit.so costs is what libpam costs, and is taken off.
//! `--check` makes a missed goal an exit code of 1. `--user` (default `daemon`) should not be root, for which the others
//! do less.

#![expect(clippy::expect_used, clippy::panic, reason = "a benchmark that cannot run says why and ends")]

mod attempts;
#[path = "../../../pam-module/tests/libpam/mod.rs"]
mod libpam;
mod measure;

use std::error::Error;
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use lockdown_enforcement::{DenyDirectory, LockEntry, Record};
use measure::{Measured, Stack, Work, measure};

/// Record files are made for uids from here on.
const FIRST_UID: u32 = 1_000_000;

struct Options {
    check: bool,
    /// The module; `None`: what is built of this tree.
    module: Option<PathBuf>,
    user: CString,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options { check: false, module: None, user: c"daemon".into() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--check" => options.check = true,
            "--module" => options.module = Some(words.next().ok_or("--module needs a path")?.into()),
            "--user" => options.user = CString::new(words.next().ok_or("--user needs a name")?)?,
            _ => {
                return Err(format!(
                    "unknown argument {word:?}; known are --check, --module PATH, --user NAME"
                )
                .into());
            }
        }
    }
    Ok(options)
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = options()?;
    let scratch = tempfile::tempdir()?;
    let stacks = stacks(&options, scratch.path())?;
    let [permit, faillock, unix, none, thousand, many] = measure(&stacks, &options.user, scratch.path());
    let net = [&faillock, &unix, &none, &thousand, &many].map(|measured| measured.net_of(&permit));
    print_net("pam_permit", &permit, stacks.iter().skip(1).zip(&net));
    let (attempts, mut goals) = (attempts::run(&options, scratch.path())?, goals(&net));
    goals.extend(attempts);
    let missed = goals.into_iter().filter(|goal| !goal.met_aloud()).count();
    Ok(if options.check && missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Builds the module as the package has it: what lies there may be of an earlier tree.
fn build() -> Result<PathBuf, Box<dyn Error>> {
    let arguments = ["build", "--release", "--quiet", "--locked", "--package", "pam-lockdown"];
    let status = Command::new(env!("CARGO")).args(arguments).status()?;
    if !status.success() {
        return Err("the module cannot be built, see above".into());
    }
    Ok(std::env::current_exe()?.with_file_name("libpam_lockdown.so"))
}

fn print_net<'a>(
    floor_name: &str,
    floor: &Measured,
    measured: impl Iterator<Item = (&'a Stack, &'a Measured)>,
) {
    println!(
        "µs, net of {floor_name} ({:.1} per call, {:.1} per transaction)",
        floor.call.median, floor.transaction.median
    );
    println!("{:<40} {:>10} {:>10} {:>11} {:>10}", "", "call p50", "min", "transaction", "min");
    for (stack, Measured { call, transaction }) in measured {
        let name = &stack.name;
        println!(
            "{name:<40} {:>10.1} {:>10.1} {:>11.1} {:>10.1}",
            call.median, call.min, transaction.median, transaction.min
        );
    }
    println!();
}

struct Goal {
    what: &'static str,
    ratio: f64,
    at_most: f64,
}

impl Goal {
    fn met_aloud(&self) -> bool {
        let met = self.ratio <= self.at_most;
        let verdict = if met { "met" } else { "MISSED" };
        println!("{:<58} {:>5.2}  goal ≤ {:<4}  {verdict}", self.what, self.ratio, self.at_most);
        met
    }
}

fn goals([faillock, unix, none, _, many]: &[Measured; 5]) -> Vec<Goal> {
    let goal = |what, ratio, at_most| Goal { what, ratio, at_most };
    vec![
        goal("call / pam_faillock", none.call.median / faillock.call.median, 0.45),
        goal("call / pam_unix", none.call.median / unix.call.median, 0.33),
        goal("transaction / pam_faillock", none.transaction.median / faillock.transaction.median, 1.0),
        goal("transaction / pam_unix", none.transaction.median / unix.transaction.median, 0.1),
        goal("call with 100,000 records / with none", many.call.median / none.call.median, 1.1),
    ]
}

fn stacks(options: &Options, scratch: &Path) -> Result<[Stack; 6], Box<dyn Error>> {
    let faillock = scratch.join("tallies");
    fs::create_dir(&faillock)?;
    // Read for every service; what it says is not used.
    fs::write(scratch.join("other"), "")?;
    let stack = |service: &str, name: String, line: String| -> Result<Stack, Box<dyn Error>> {
        fs::write(scratch.join(service), format!("account required {line}\n"))?;
        Ok(Stack { name, service: CString::new(service)?, work: Work::Account, tally: None })
    };
    // As an installation leaves it: what a linker has written lies in the page cache in single pages, and costs some
    // microseconds more to map.
    let module = scratch.join("pam_lockdown.so");
    let built = match &options.module {
        Some(path) => path.clone(),
        None => build()?,
    };
    fs::copy(built, &module)?;
    let lockdown = |service: &str, count: u32| -> Result<Stack, Box<dyn Error>> {
        let directory = DenyDirectory::new(scratch.join(format!("deny-{count}")));
        fill(&directory, count)?;
        let name = format!("pam_lockdown, {count} records");
        stack(service, name, format!("{} directory={}", module.display(), directory.path().display()))
    };
    Ok([
        stack("permit", "pam_permit".into(), "pam_permit.so".into())?,
        stack(
            "faillock",
            "pam_faillock account".into(),
            format!("pam_faillock.so dir={}", faillock.display()),
        )?,
        stack("unix", "pam_unix account".into(), "pam_unix.so".into())?,
        lockdown("lockdown-0", 0)?,
        lockdown("lockdown-1000", 1_000)?,
        lockdown("lockdown-100000", 100_000)?,
    ])
}

/// As the daemon would, only without waiting for the disk.
fn fill(directory: &DenyDirectory, count: u32) -> std::io::Result<()> {
    directory.create()?;
    for uid in FIRST_UID..FIRST_UID + count {
        let lock = LockEntry {
            id: i64::from(uid),
            owner: "operator".into(),
            authenticator: None,
            expires_at: None,
            message: Some("Call the help desk.".into()),
        };
        let record = Record { uid, account: format!("user{uid}"), valid_until: None, locks: vec![lock] };
        fs::write(directory.record_path(uid), record.encode())?;
    }
    Ok(())
}

//! A hundred thousand accounts in a state document: how long applying it takes on a booted host, and what memory the daemon
//! needs for it.
//!
//! ```text
//! state-bench [--accounts NUMBER] [--check]
//! ```
//!
//! Boots a Debian host, as root, as the stories of `tests/accept` do, with the package that `LOCKDOWN_DEB` names, and gives it
//! so many accounts in passwd(5) (100,000 if nothing else is said). `--check` makes it an exit code of 1 if a limit is passed.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a benchmark that cannot run says why and ends")]

use std::{
    fmt::Write,
    process::ExitCode,
    time::{Duration, Instant},
};

use lockdown_tests::{Host, Release};

const DOCUMENT: &str = "/etc/lockdown/state.d/staff.toml";
/// Nobody waits longer for the first of all; what it takes is printed.
const LONGEST: Duration = Duration::from_secs(600);
/// After that, what was only needed for the call is given back.
const QUIET: Duration = Duration::from_secs(15);
/// Each is applied so often, but the first; the median counts.
const ROUNDS: u32 = 5;

/// How long one hundredth that is changed may take, and nothing that is.
const LIMIT: Duration = Duration::from_secs(2);
const LIMIT_UNCHANGED: Duration = Duration::from_millis(500);
/// Most memory for it, in KiB.
const MOST_MEMORY: u64 = 120 * 1024;
/// So much more may be held after the last than after the first, in KiB.
const MOST_GROWTH: u64 = 2 * 1024;

struct Arguments {
    accounts: u32,
    check: bool,
}

fn arguments() -> Arguments {
    let mut arguments = Arguments { accounts: 100_000, check: false };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--check" => arguments.check = true,
            "--accounts" => match given.next().and_then(|number| number.parse().ok()) {
                Some(accounts @ 100..=1_000_000) => arguments.accounts = accounts,
                _ => panic!("--accounts needs a number from 100 to 1000000"),
            },
            other => panic!("unknown argument {other:?}; known are --accounts and --check"),
        }
    }
    arguments
}

/// What one application has cost.
#[derive(Clone, Copy)]
struct Cost {
    time: Duration,
    /// Most memory that the daemon held meanwhile, in KiB.
    peak: u64,
}

fn main() -> ExitCode {
    let Arguments { accounts, check } = arguments();
    let host = Host::with_lockdown(Release::Trixie);
    let passwd: String = (0..accounts)
        .map(|number| format!("staff{number:06}:x:{}:100::/nonexistent:/bin/sh\n", 100_000 + number))
        .collect();
    host.command(&["sh", "-c", "cat >> /etc/passwd"]).stdin(passwd).timeout(LONGEST).run().ok();
    println!("{accounts} accounts in one document; the daemon holds {} KiB before", memory(&host, "VmRSS"));
    println!("{:<36} {:>10} {:>12} {:>6}", "", "time", "peak", "ratio");
    let mut missed = 0;
    let mut show = |what: &str, cost: Cost, limit: Option<Duration>| {
        let ratio = limit.map(|limit| cost.time.as_secs_f64() / limit.as_secs_f64());
        let shown = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        println!("{what:<36} {:>7} ms {:>8} KiB {shown:>6}", cost.time.as_millis(), cost.peak);
        missed += usize::from(ratio.is_some_and(|ratio| ratio > 1.0)) + usize::from(cost.peak > MOST_MEMORY);
    };

    let nothing = Changed { reasons: 0, unlocked: None };
    show("the first", apply(&host, accounts, nothing), None);
    let first = quiet_memory(&host);
    let unchanged = (0..ROUNDS).map(|_| apply(&host, accounts, nothing));
    show("unchanged", median(unchanged.collect()), Some(LIMIT_UNCHANGED));
    let reasons = (1..=ROUNDS).map(|reasons| apply(&host, accounts, Changed { reasons, unlocked: None }));
    show("1 % with another reason", median(reasons.collect()), Some(LIMIT));
    // Who was unlocked in the round before is locked again.
    let others = (0..=ROUNDS)
        .map(|round| apply(&host, accounts, Changed { reasons: ROUNDS, unlocked: Some(round) }))
        .skip(1);
    show("1 % locked, another 1 % unlocked", median(others.collect()), Some(LIMIT));
    let last = quiet_memory(&host);
    let export = Instant::now();
    host.sh("lockdownctl export --document staff | wc --bytes").ok();
    println!("exported in {} ms", export.elapsed().as_millis());
    println!(
        "held {} s after the first: {first} KiB, after the last: {last} KiB, {} KiB of it the program itself",
        QUIET.as_secs(),
        memory(&host, "RssFile")
    );
    missed += usize::from(last > first + MOST_GROWTH);
    println!("ratio: of the limit, {LIMIT:?} and {LIMIT_UNCHANGED:?} for nothing");
    if check && missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// In what a document differs from the first.
#[derive(Clone, Copy)]
struct Changed {
    /// Every hundredth has a reason with this number.
    reasons: u32,
    /// Of every hundred, the one that is not locked.
    unlocked: Option<u32>,
}

fn apply(host: &Host, accounts: u32, changed: Changed) -> Cost {
    let mut text = String::from("version = 1\n");
    for number in 0..accounts {
        // Writing to a String cannot fail.
        let _ = write!(text, "[[account]]\nname = \"staff{number:06}\"\n");
        let _ = match number % 100 {
            place if Some(place) == changed.unlocked => writeln!(text, "state = \"unlocked\""),
            99 => writeln!(text, "state = \"locked\"\nreason = \"left, see {}\"", changed.reasons),
            _ => writeln!(text, "state = \"locked\"\nreason = \"left the company\""),
        };
    }
    host.write(DOCUMENT, text);
    // Forgets what was the most until now, see proc_pid_clear_refs(5).
    host.sh("echo 5 > /proc/$(systemctl show --property=MainPID --value lockdownd)/clear_refs").ok();
    let applied = host.command(&["lockdownctl", "apply", "--quiet"]).timeout(LONGEST).run().ok();
    Cost { time: applied.took, peak: memory(host, "VmHWM") }
}

/// The daemon's memory by this key of proc_pid_status(5), in KiB.
fn memory(host: &Host, key: &str) -> u64 {
    let script = format!(
        "pid=$(systemctl show --property=MainPID --value lockdownd); awk '/^{key}:/ {{ print $2 }}' /proc/$pid/status"
    );
    host.sh(&script).ok().text().parse().unwrap()
}

fn quiet_memory(host: &Host) -> u64 {
    std::thread::sleep(QUIET);
    memory(host, "VmRSS")
}

/// The median of each.
fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by_key(|cost| cost.time);
    let time = costs[costs.len() / 2].time;
    costs.sort_by_key(|cost| cost.peak);
    Cost { time, peak: costs[costs.len() / 2].peak }
}

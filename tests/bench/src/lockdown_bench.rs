//! How long a lockdown takes until the last process has gone, beside the commands of today on the same booted host, and what
//! each leaves behind.
//!
//! ```text
//! lockdown-bench [--check]
//! ```
//!
//! Boots Debian hosts, as root, as the stories of `tests/accept` do, with the package that `LOCKDOWN_DEB` names. `--check`
//! makes it an exit code of 1 if a lockdown is slower or leaves anything behind.

#![expect(clippy::panic, reason = "a benchmark that cannot run says why and ends")]

mod left_behind;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use lockdown_tests::{Host, Release};

/// Lockdown and peer take turns so often; the median counts.
const ROUNDS: usize = 3;

/// The two that are compared.
#[derive(Clone, Copy)]
pub enum Way {
    /// One call.
    Lockdown,
    /// The commands that administrators use today.
    Peer,
}

impl Way {
    /// What a shell runs.
    pub fn command(self) -> &'static str {
        match self {
            Self::Lockdown => "lockdownctl lockdown alice --reason bench --yes >/dev/null",
            Self::Peer => "usermod -L -e 1 alice; loginctl terminate-user alice; pkill -KILL -u alice",
        }
    }

    /// What takes it back.
    pub fn undo(self) -> &'static str {
        match self {
            Self::Lockdown => "lockdownctl restore alice --undo >/dev/null",
            Self::Peer => "usermod -U -e '' alice",
        }
    }
}

/// What alice has.
struct Load {
    sessions: u32,
    processes: u32,
}

const LOADS: [Load; 4] = [
    Load { sessions: 1, processes: 0 },
    Load { sessions: 10, processes: 0 },
    Load { sessions: 100, processes: 0 },
    Load { sessions: 1, processes: 1000 },
];

impl Load {
    /// Returns when all of it runs.
    fn put_on(&self, host: &Host) {
        let Self { sessions, processes } = self;
        // Fewer at once than sshd's MaxStartups.
        host.command(&["bash", "-euc", &format!(
            "
            for number in $(seq {sessions}); do
                setsid --fork ssh -tt -oBatchMode=yes alice@127.0.0.1 'sleep 7001' </dev/null >/dev/null 2>&1
                if [ $((number % 5)) = 0 ]; then
                    until [ $(pgrep --count --uid alice --exact sleep) -ge $((number - 5)) ]; do sleep 0.02; done
                fi
            done
            until [ $(pgrep --count --uid alice --exact sleep) = {sessions} ]; do sleep 0.02; done
            "
        )])
        .timeout(Duration::from_secs(120))
        .run()
        .ok();
        if *processes > 0 {
            let start = format!(
                "for number in $(seq {processes}); do setsid --fork sleep 7002 </dev/null >/dev/null 2>&1; done"
            );
            host.ssh("alice").timeout(Duration::from_secs(120)).run(&start).ok();
        }
    }

    fn name(&self) -> String {
        let plural = if self.sessions == 1 { "" } else { "s" };
        match self.processes {
            0 => format!("{} session{plural}", self.sessions),
            processes => format!("{} session{plural}, {processes} processes", self.sessions),
        }
    }
}

fn main() -> ExitCode {
    let check = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(other) => panic!("unknown argument {other:?}; known is --check"),
    };
    let mut missed = 0;
    for release in [Release::Bookworm, Release::Trixie] {
        let host = Host::with_lockdown(release);
        println!("{release}: ms from the call to the last process gone, median of {ROUNDS}");
        println!("{:<28} {:>10} {:>10} {:>7}", "", "lockdown", "peer", "ratio");
        for load in &LOADS {
            let [lockdown, peer] = times(&host, load);
            let ratio = lockdown / peer;
            println!("{:<28} {lockdown:>10.1} {peer:>10.1} {ratio:>7.2}", load.name());
            missed += usize::from(ratio > 1.0);
        }
        for (way, name) in [(Way::Lockdown, "lockdown"), (Way::Peer, "peer")] {
            let left = left_behind::by(&host, way);
            let text = if left.is_empty() { "nothing".to_owned() } else { left.join("; ") };
            println!("left behind by {name}: {text}");
            missed += if matches!(way, Way::Lockdown) { left.len() } else { 0 };
        }
        println!();
    }
    println!("peer: {}", Way::Peer.command());
    if check && missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The medians, in milliseconds.
fn times(host: &Host, load: &Load) -> [f64; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (way, times) in [Way::Lockdown, Way::Peer].into_iter().zip(&mut times) {
            load.put_on(host);
            times.push(watch::until_gone(host, way.command()));
            host.sh(way.undo()).ok();
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

//! A long trail in the hands of the daemon of a booted host.

use std::{path::Path, time::Duration};

use lockdown_tests::{Host, Release};

use crate::{LIMIT, median};

const DATABASE: &str = "/var/lib/lockdown/lockdown.db";
const CALLS: usize = 25;
/// What an event may make of a lock that somebody asks for.
const MOST: f64 = 0.10;

/// Locks alice as any program would that talks to the daemon, and prints how long each call took, in nanoseconds.
const LOCKS: &str = r#"
import dbus, sys, time
manager = dbus.Interface(dbus.SystemBus().get_object("org.lockdown1", "/org/lockdown1"), "org.lockdown1.Manager")
options = {"reason": "seen in two places at once", "duration": dbus.UInt64(3600), "end_sessions": False}
for number in range(int(sys.argv[1])):
    start = time.monotonic_ns()
    manager.LockAccount("alice", options)
    print(time.monotonic_ns() - start)
    manager.UnlockAccount("alice", {}, signature="sa{sv}")
"#;

/// Prints what it costs there, of which `event` is what an event adds to a lock; how many limits are passed.
pub fn on_a_host(database: &Path, event: Duration) -> usize {
    let host = Host::with_lockdown(Release::Trixie);
    host.run(&["systemctl", "stop", "lockdownd.service", "lockdownd.socket"]).ok();
    host.sh(&format!("rm -f {DATABASE}*")).ok();
    std::fs::copy(database, format!("/proc/{}/root{DATABASE}", host.pid1())).unwrap();
    let start = host.command(&["systemctl", "start", "lockdownd.socket", "lockdownd.service"]);
    let start = start.timeout(Duration::from_secs(120)).run().ok().took;
    println!("{:<44} {start:>9.2?}", "lockdownd starts");

    let listing = nanoseconds(&host, &format!(
        "for number in $(seq {CALLS}); do
             start=$(date +%s%N); lockdownctl --json events --user alice --since 1d >/dev/null; echo $(($(date +%s%N) - start))
         done"
    ));
    let note = if listing > LIMIT { "over the limit" } else { "" };
    println!("{:<44} median {listing:>9.2?}  {note}", "lockdownctl events --user alice --since 1d");

    host.write("/root/locks.py", LOCKS);
    let lock = nanoseconds(&host, &format!("python3 /root/locks.py {CALLS}"));
    let share = event.as_secs_f64() / lock.as_secs_f64();
    let note_of_share = if share > MOST { "over the limit" } else { "" };
    println!(
        "{:<44} median {lock:>9.2?}, its event {:.1} % of it  {note_of_share}",
        "LockAccount",
        share * 100.0
    );
    usize::from(listing > LIMIT) + usize::from(share > MOST)
}

/// The median of what a script prints, a number a line.
fn nanoseconds(host: &Host, script: &str) -> Duration {
    let output = host.command(&["bash", "-euc", script]).timeout(Duration::from_secs(120)).run().ok();
    let number = |line: &str| Duration::from_nanos(line.parse().unwrap());
    median(&mut output.stdout.lines().map(number).collect::<Vec<_>>())
}

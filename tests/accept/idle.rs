//! The daemon when nothing happens: what it costs to have it.

use std::time::Duration;

use lockdown_tests::{Host, eventually, on_each_release};

/// Most memory it may hold, in KiB.
const MOST_MEMORY: u64 = 12 * 1024;
/// How long nothing happens, in seconds.
const IDLE: &str = "20";
/// The runtime's, the two of the store, and the one that tells the journal of events.
const LASTING_THREADS: u64 = 4;
/// Something periodic that comes once a minute may fall into that time; a thread that wakes is a switch or two.
const MOST_SWITCHES: u64 = 2;

/// The numbers of all lines of the daemon's `/proc/PID/FILES` that begin with one of the keys, added up.
fn sum(host: &Host, files: &str, keys: &str) -> u64 {
    let script = format!(
        "pid=$(systemctl show --property=MainPID --value lockdownd); cat /proc/$pid/{files} | awk '/^({keys}):/ {{ n += $2 }} END {{ print n }}'"
    );
    host.sh(&script).ok().text().parse().expect("a number")
}

fn threads(host: &Host) -> u64 {
    sum(host, "status", "Threads")
}

fn memory(host: &Host) -> u64 {
    sum(host, "status", "VmRSS")
}

fn switches(host: &Host) -> u64 {
    sum(host, "task/*/status", "voluntary_ctxt_switches|nonvoluntary_ctxt_switches")
}

on_each_release!(
    fn an_idle_daemon_sleeps_and_is_small(host: &Host) {
        let at_first = memory(host);
        for _ in 0..25 {
            host.lockdownctl(&["lock", "alice", "--reason", "test"]).ok();
            host.lockdownctl(&["unlock", "alice"]).ok();
        }
        let after_calls = memory(host);
        // Threads for blocking calls end by themselves when they have had nothing to do for a while.
        eventually(Duration::from_secs(60), || threads(host) == LASTING_THREADS);
        let before = switches(host);
        assert!(before > 0, "it has done something until now");
        host.run(&["sleep", IDLE]).ok();
        let woken = switches(host) - before;
        println!(
            "{:?}: VmRSS {at_first} KiB at start, {after_calls} KiB after 50 calls; {woken} context switches in {IDLE} s",
            host.release()
        );
        assert!(at_first.max(after_calls) <= MOST_MEMORY, "{at_first} KiB, then {after_calls} KiB");
        assert!(woken <= MOST_SWITCHES, "{woken} context switches in {IDLE} s");
    }
);

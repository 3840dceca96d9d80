//! Ten thousand messages that wait: how long they take to leave a booted host once they can, and what memory the relay and the
//! daemon take for it.
//!
//! ```text
//! outbox-bench [--check]
//! ```
//!
//! Boots a Debian host, as root, as the stories of `tests/accept` do, with the package that `LOCKDOWN_DEB` names. `--check` makes
//! it an exit code of 1 if a limit is passed or a message is lost.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a benchmark that cannot run says why and ends")]

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use lockdown_tests::{Host, Release, wait};

const ACCOUNTS: usize = 1_000;
/// Each is told of each lock.
const RULES: usize = 10;
const MESSAGES: usize = ACCOUNTS * RULES;
/// Most memory of the relay, in KiB.
const MOST_MEMORY: u64 = 64 * 1024;
const LONGEST: Duration = Duration::from_secs(600);

/// Takes everything, and counts the ids.
const RECEIVER: &str = r#"
import http.server
class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        with open("/root/ids", "a") as ids: ids.write(self.headers["webhook-id"] + "\n")
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Receiver).serve_forever()
"#;

fn main() -> ExitCode {
    let check = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(other) => panic!("unknown argument {other:?}; known is --check"),
    };
    let host = Host::with_lockdown(Release::Trixie);
    let accounts: Vec<String> = (0..ACCOUNTS).map(|number| format!("user{number}")).collect();
    let lines: String =
        (0..ACCOUNTS).map(|number| format!("user{number}:x:{}:100::/:/bin/sh\n", 5000 + number)).collect();
    host.command(&["sh", "-c", "cat >> /etc/passwd"]).stdin(lines).run().ok();
    host.write("/root/receiver.py", RECEIVER);
    host.run(&["systemd-run", "--quiet", "--unit=receiver", "python3", "/root/receiver.py"]).ok();
    host.sh("umask 077; echo a-key-of-thirty-two-bytes-or-so-0 > /etc/lockdown/key").ok();
    let rules: String = (0..RULES).map(rule).collect();
    host.write("/etc/lockdown/lockdown.d/60-notify.toml", rules);
    host.run(&["systemctl", "stop", "lockdown-relay.socket", "lockdown-relay.service"]).ok();
    host.run(&["systemctl", "reload", "lockdownd"]).ok();

    let start = Instant::now();
    let lock: Vec<&str> =
        ["lockdownctl", "lock", "--quiet"].into_iter().chain(accounts.iter().map(String::as_str)).collect();
    host.command(&lock).timeout(LONGEST).run().ok();
    let each = start.elapsed() / ACCOUNTS as u32;
    assert_eq!(waiting(&host), MESSAGES);
    println!("{ACCOUNTS} locks, with {RULES} messages each: {each:.2?} each");

    let start = Instant::now();
    host.run(&["systemctl", "start", "lockdown-relay.socket"]).ok();
    // It would leave a relay alone that was not there, for up to a minute.
    host.run(&["systemctl", "restart", "lockdownd"]).ok();
    let mut memory = [0, 0];
    let drained = wait::poll(LONGEST, || {
        memory = ["lockdown-relay", "lockdownd"].map(|unit| most_memory(&host, unit));
        std::thread::sleep(Duration::from_millis(200));
        (waiting(&host) == 0).then_some(())
    });
    let took = start.elapsed();
    let arrived = host.sh("sort --unique /root/ids | wc --lines").ok().text().parse::<usize>().unwrap();
    println!(
        "{MESSAGES} messages: {arrived} arrived in {took:.1?}, {:.0} a second; at most {} KiB in the relay, {} KiB in the daemon",
        arrived as f64 / took.as_secs_f64(),
        memory[0],
        memory[1]
    );
    let missed = drained.is_none() || arrived != MESSAGES || memory[0] == 0 || memory[0] > MOST_MEMORY;
    if check && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn rule(number: usize) -> String {
    format!(
        "[[notify]]\nname = 'rule{number}'\nmatch = {{ actions = ['lock'] }}\ntransport = 'webhook'\n\
         url = 'http://localhost:8080/{number}'\nsecret_file = '/etc/lockdown/key'\n"
    )
}

fn waiting(host: &Host) -> usize {
    let metrics = host.lockdownctl(&["metrics"]).ok().stdout;
    let of = |line: &str| {
        Some(line.strip_prefix("lockdown_outbox_messages{")?.split_once("} ")?.1.parse::<usize>().unwrap())
    };
    metrics.lines().filter_map(of).sum()
}

/// Most memory that the process of a unit has held up to now, in KiB; 0 if it does not run.
fn most_memory(host: &Host, unit: &str) -> u64 {
    let script = format!(
        "pid=$(systemctl show --property=MainPID --value {unit}); awk '/^VmHWM:/ {{ print $2 }}' /proc/$pid/status"
    );
    host.sh(&script).text().parse().unwrap_or_default()
}

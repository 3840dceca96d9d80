//! What lockdown counts, as Prometheus reads it: on a command line, and in node_exporter's directory.

use std::time::Duration;

use lockdown_tests::{Host, Output, eventually, on_each_release, wait};

use crate::exit_codes::NOT_AUTHORIZED;

const SOON: Duration = Duration::from_secs(10);
const DIRECTORY: &str = "/var/lib/prometheus/node-exporter";

/// The value of a line, and that there is but one.
#[track_caller]
fn value(text: &str, name: &str) -> f64 {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(&format!("lockdown_{name} ")));
    let value = values.next().unwrap_or_else(|| panic!("no {name}: {text}"));
    assert_eq!(values.next(), None, "{name}: {text}");
    value.parse().expect("a number")
}

on_each_release!(
    fn what_happens_is_counted_and_node_exporter_finds_it(host: &Host) {
        let metrics = || host.lockdownctl(&["metrics"]).ok().stdout;
        let before = metrics();
        let session = host.ssh_session("alice");
        eventually(SOON, || value(&metrics(), "sessions") == 1.0);
        host.lock_down_wholly("alice");
        drop(session);
        host.lockdownctl(&["lock", "bob"]).ok();
        host.run(&["su", "bob", "-c", "true"]).fails();
        let grew = |name: &str| value(&metrics(), name) - value(&before, name);
        for (name, by) in [
            ("locks{owner=\"lockdown\"}", 1.0),
            ("locks{owner=\"operator\"}", 1.0),
            ("locked_accounts", 2.0),
            ("denials_total", 1.0),
            ("sessions_ended_total", 1.0),
            ("outbox_messages{state=\"queued\"}", 0.0),
        ] {
            let came_true = wait::poll(SOON, || (grew(name) == by).then_some(()));
            assert!(came_true.is_some(), "{name} grew by {}: {}", grew(name), metrics());
        }
        assert!(grew("sweep_seconds_count") >= 1.0 && grew("sweep_seconds_sum") > 0.0);
        assert!(grew("sweep_processes_total") >= 1.0);
        // What a daemon finds when it starts is the first that it counts.
        host.sh("echo garbage >> /var/lib/lockdown/deny/1001; systemctl restart lockdownd").ok();
        assert_eq!(["record_drifts_total", "denials_total"].map(|name| value(&metrics(), name)), [1.0, 0.0]);
        host.run_as("bob", &["lockdownctl", "metrics"]).code(NOT_AUTHORIZED);

        // Where there is no node_exporter, the timer does nothing; where there is, it keeps the file up to date.
        let once = || -> Output { host.run(&["systemctl", "start", "lockdown-metrics.service"]).ok() };
        once();
        host.run(&["ls", DIRECTORY]).fails();
        host.sh(&format!("useradd --system --home-dir /var/lib/prometheus prometheus; install -d -o prometheus -m 0700 {DIRECTORY}")).ok();
        host.run(&["systemctl", "enable", "--now", "lockdown-metrics.timer"]).ok();
        let file = format!("{DIRECTORY}/lockdown.prom");
        eventually(SOON, || host.run(&["test", "-e", &file]).succeeded());
        let as_prometheus = || host.run_as("prometheus", &["cat", &file]).ok().stdout;
        assert_eq!(value(&as_prometheus(), "locked_accounts"), 2.0);
        host.lockdownctl(&["unlock", "bob"]).ok();
        once();
        assert_eq!(value(&as_prometheus(), "locked_accounts"), 1.0);
        assert_eq!(host.run(&["ls", "--almost-all", DIRECTORY]).ok().text(), "lockdown.prom");
    }
);

//! What the daemon tells the journal and classic collectors, and what nobody can make it tell.

use std::time::Duration;

use lockdown_tests::{Host, eventually, on_each_release};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(10);
/// What would be escape sequences or the bell on a terminal.
const CONTROLS: [char; 2] = ['\u{1b}', '\u{7}'];
const FORGED: &str = "lock account=bob target=lock:9 owner=operator";

/// The newest entry of the journal that these matches select, once it is there.
#[track_caller]
fn entry(host: &Host, matches: &[&str]) -> Value {
    let mut found = Value::Null;
    eventually(SOON, || {
        let query = [&["journalctl", "--quiet", "--lines=1", "--output=json", "--all"], matches].concat();
        let output = host.run(&query).ok();
        found = output
            .stdout
            .lines()
            .last()
            .map_or(Value::Null, |line| serde_json::from_str(line).expect("JSON"));
        !found.is_null()
    });
    found
}

on_each_release!(
    fn an_event_has_fields_and_an_explanation(host: &Host) {
        let tag = ["--tag", "change-id=INC 4711"];
        host.lockdownctl(
            &[&["lock", "alice", "--reason", "stolen laptop", "--for", "1h"], &tag[..]].concat(),
        )
        .ok();
        let found = entry(host, &["LOCKDOWN_ACTION=lock", "LOCKDOWN_USER=alice"]);
        let event = &host.events_about("alice", "lock")[0];
        let expected = [
            ("LOCKDOWN_EVENT_ID", event["id"].to_string()),
            ("LOCKDOWN_SEVERITY", "notice".to_owned()),
            ("LOCKDOWN_OWNER", "operator".to_owned()),
            ("LOCKDOWN_REASON", "stolen laptop".to_owned()),
            ("LOCKDOWN_OUTCOME", "success".to_owned()),
            ("LOCKDOWN_CALLER_NAME", "root".to_owned()),
            ("LOCKDOWN_CALLER_UID", "0".to_owned()),
            ("LOCKDOWN_CALLER_EXECUTABLE", "/usr/bin/lockdownctl".to_owned()),
            ("LOCKDOWN_INPUT", "duration=3600".to_owned()),
            ("LOCKDOWN_TAG_CHANGE_ID", "INC 4711".to_owned()),
            ("SYSLOG_FACILITY", "10".to_owned()),
            ("SYSLOG_IDENTIFIER", "lockdownd".to_owned()),
            ("PRIORITY", "5".to_owned()),
        ];
        for (field, value) in expected {
            assert_eq!(found[field], value, "{field}: {found}");
        }
        let text = found["MESSAGE"].as_str().expect("a text");
        assert!(text.starts_with("lock account=alice target=lock:1 owner=operator"), "{text}");

        let explained = |matches: &str| host.journalctl(&["--catalog", "--unit=lockdownd", matches]).ok();
        explained("LOCKDOWN_ACTION=lock")
            .says("Subject: alice was locked (success)")
            .says("Defined-By: lockdown")
            .says("Reason: stolen laptop")
            .says("lockdownctl unlock alice");
        host.lockdownctl(&["lock", "root"]).code(6);
        entry(host, &["LOCKDOWN_USER=root"]);
        explained("LOCKDOWN_USER=root").says("root was locked (refused)").says("nothing was locked");
        // Every one of them can be explained on this host, and none of another package's is in the way.
        let listed = host.run(&["journalctl", "--list-catalog"]).ok().stdout;
        let catalog = include_str!("../../packaging/catalog/lockdown.catalog");
        for id in catalog.lines().filter_map(|line| line.strip_prefix("-- ")) {
            assert!(listed.lines().any(|line| line.starts_with(&format!("{id} lockdown: "))), "{id}");
        }

        // A lockdown stands out.
        host.lock_down_wholly("bob");
        let found = entry(host, &["LOCKDOWN_ACTION=lockdown"]);
        assert_eq!((&found["LOCKDOWN_SEVERITY"], &found["PRIORITY"]), (&"critical".into(), &"3".into()));
    }
);

on_each_release!(
    fn nobody_writes_lines_or_fields_of_their_own(host: &Host) {
        let reason =
            format!("x\n{FORGED}\u{1b}[2J\u{7}\nLOCKDOWN_OUTCOME=forged\n\"\u{202e} @LOCKDOWN_OWNER@");
        host.lockdownctl(&["lock", "alice", "--reason", &reason]).ok();
        entry(host, &["LOCKDOWN_USER=alice"]);
        // Who may not lock down is told so, and what they wrote as a name is in the trail.
        let name = format!("eve\n{FORGED}\u{1b}[2J");
        let call = ["busctl", "call", "org.lockdown1", "/org/lockdown1", "org.lockdown1.Manager", "Lockdown"];
        let arguments = ["asa{sv}", "1", &name, "1", "reason", "s", &reason];
        host.run_as("bob", &[&call[..], &arguments].concat()).fails();
        let refused = entry(host, &["LOCKDOWN_ACTION=lockdown"]);
        assert_eq!(
            (&refused["LOCKDOWN_OUTCOME"], &refused["LOCKDOWN_CALLER_NAME"]),
            (&"refused".into(), &"bob".into())
        );
        assert_eq!(host.ask_lockdown(&["events", "--action", "lockdown"])[0]["user"], name);

        for output in ["short", "verbose", "json", "cat", "export"] {
            let options = ["--unit=lockdownd", "--all", "--catalog", "--output", output];
            let shown = host.journalctl(&options).ok().stdout;
            assert!(!shown.contains(CONTROLS) && !shown.contains('\u{202e}'), "{output}: {shown}");
            let forged = |line: &str| {
                line.trim_start().starts_with(FORGED) || line.trim() == "LOCKDOWN_OUTCOME=forged"
            };
            assert!(!shown.lines().any(forged), "{output}: {shown}");
        }
        for args in [&["events"][..], &["events", "--action", "lockdown"], &["events", "verify"]] {
            let shown = host.lockdownctl(args).ok();
            assert!(!shown.stdout.contains(CONTROLS) && !shown.stdout.contains('\u{202e}'), "{shown}");
            assert!(!shown.stdout.lines().any(|line| line.trim_start().starts_with(FORGED)), "{shown}");
        }
    }
);

/// A collector as of old: writes what journald forwards to syslog's socket into a file, a datagram on a line.
const COLLECTOR: &str = r#"
use Socket; use strict;
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die $!;
bind($socket, pack_sockaddr_un("/run/systemd/journal/syslog")) or die $!;
open(my $file, ">>", "/root/collected") or die $!; $file->autoflush(1);
while (defined recv($socket, my $datagram, 65536, 0)) { print $file "$datagram\n"; }
"#;

on_each_release!(
    fn a_classic_collector_gets_authpriv(host: &Host) {
        host.write("/root/collector.pl", COLLECTOR);
        host.sh("mkdir -p /etc/systemd/journald.conf.d; printf '[Journal]\\nForwardToSyslog=yes\\n' > /etc/systemd/journald.conf.d/syslog.conf").ok();
        host.sh("rm -f /run/systemd/journal/syslog; touch /root/collected").ok();
        host.run(&[
            "systemd-run",
            "--quiet",
            "--unit=collector",
            "perl",
            "-MIO::Handle",
            "/root/collector.pl",
        ])
        .ok();
        host.run(&["systemctl", "restart", "systemd-journald"]).ok();
        host.lockdownctl(&["lock", "alice", "--reason", "a\nb"]).ok();
        host.lockdownctl(&["lock", "root"]).code(6);
        // RFC 5424: facility 10, times 8; severity notice is 5, warning 4.
        let line = |start: &str, text: &str| {
            host.read("/root/collected")
                .lines()
                .any(|line| line.starts_with(start) && line.contains(" lockdownd[") && line.contains(text))
        };
        eventually(SOON, || line("<85>", r": lock account=alice target=lock:1 owner=operator reason=a\nb"));
        eventually(SOON, || line("<84>", ": lock account=root"));
    }
);

on_each_release!(
    fn a_journal_that_hangs_delays_no_lock(host: &Host) {
        let signal = |signal: &str| {
            host.run(&["systemctl", "kill", "--kill-whom=main", "--signal", signal, "systemd-journald"]).ok();
        };
        signal("STOP");
        // More than its socket holds.
        let many = "for number in $(seq 150); do lockdownctl lock alice --keep-sessions --quiet; done";
        let locked = host.command(&["bash", "-euc", many]).timeout(Duration::from_secs(60)).run();
        signal("CONT");
        locked.ok();
        assert_eq!(host.ask_lockdown(&["events", "--action", "lock"]).as_array().map(Vec::len), Some(150));
        entry(host, &["LOCKDOWN_EVENT_ID=150"]);
        host.lockdownctl(&["events", "verify"]).ok();
    }
);

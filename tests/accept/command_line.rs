//! lockdownctl on a real host: exit codes, who may do what, tables and JSON, another host over ssh.

use std::time::Duration;

use lockdown_tests::{Host, Output, on_each_release, password_of};
use serde_json::Value;

use crate::exit_codes::{FAILED, NOT_AUTHORIZED, NOT_FOUND, REFUSED, UNREACHABLE, USAGE};

/// Exactly one line, by which its reader knows which program it comes from.
#[track_caller]
fn one_line(output: Output) -> Output {
    let line = output.stderr.trim_end_matches('\n');
    assert!(line.starts_with("lockdownctl: ") && !line.contains('\n'), "should say it in one line: {output}");
    output
}

/// Whether an account is locked, by the daemon's word.
fn is_locked(host: &Host, user: &str) -> bool {
    host.ask_lockdown(&["status", user])["locked"] == true
}

#[track_caller]
fn keys(value: &Value, documented: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    for key in documented {
        assert!(object.contains_key(*key), "{key} is missing: {value}");
    }
}

on_each_release!(
    fn exit_codes(host: &Host) {
        let lock = |users: &[&str]| one_line(host.lockdownctl(&[&["lock"], users].concat()));
        for protected in ["root", "nobody", "www-data", "daemon", "uid:0"] {
            lock(&[protected]).code(REFUSED).says("is protected");
        }
        lock(&["mallory"]).code(NOT_FOUND).says("no account is called mallory");
        lock(&["uid:4000000"]).code(NOT_FOUND);
        one_line(host.lockdownctl(&["end-sessions", "alice", "--session", "c99"])).code(NOT_FOUND);
        lock(&["alice", "--until", "14:00", "--for", "1h"]).code(USAGE).says("--until").says("--for");
        lock(&["alice", "--for", "soon"]).code(USAGE);
        lock(&[]).code(USAGE);

        // One of several fails: the others are locked all the same.
        lock(&["alice", "mallory", "bob"]).code(FAILED).says("mallory");
        assert!(is_locked(host, "alice") && is_locked(host, "bob"));
        lock(&["root", "nobody"]).code(REFUSED);
        host.lockdownctl(&["unlock", "alice", "bob"]).ok();
        assert!(!is_locked(host, "alice") && !is_locked(host, "bob"));

        // Who may not is told so at once, with or without a session.
        one_line(host.run_as("bob", &["lockdownctl", "lock", "alice"])).code(NOT_AUTHORIZED);
        one_line(host.ssh("bob").run("lockdownctl lock alice")).code(NOT_AUTHORIZED);
        assert!(!is_locked(host, "alice"));

        host.run(&["systemctl", "mask", "lockdownd"]).ok();
        host.kill_daemon();
        lock(&["alice"]).code(UNREACHABLE);
        host.run(&["systemctl", "unmask", "lockdownd"]).ok();
        // Asked for, the bus starts it.
        assert!(!is_locked(host, "alice"));
    }
);

on_each_release!(
    fn nobody_locks_themselves_or_the_last_administrator_out(host: &Host) {
        // Root by sudo, but the kernel knows who logged in.
        let as_root = |command: &str| {
            let password = password_of("carol");
            host.ssh("carol").run(&format!("echo {password} | sudo --stdin --prompt= {command}"))
        };
        one_line(as_root("lockdownctl lock carol")).code(REFUSED).says("your own account");
        as_root("lockdownctl lock bob").ok();
        assert!(is_locked(host, "bob") && !is_locked(host, "carol"));

        host.lockdownctl(&["lock", "carol", "--for", "1h"]).ok();
        host.lockdownctl(&["unlock", "carol"]).ok();
        // Now root has no way in, and carol is the only one in group sudo.
        host.run(&["passwd", "--lock", "root"]).ok();
        host.run(&["rm", "/root/.ssh/authorized_keys"]).ok();
        one_line(host.lockdownctl(&["lock", "carol"])).code(REFUSED).says("administer this host");
        host.run(&["usermod", "--append", "--groups", "sudo", "bob"]).ok();
        // bob is locked: he is no way in either.
        host.lockdownctl(&["lock", "carol"]).code(REFUSED);
        host.lockdownctl(&["unlock", "bob"]).ok();
        host.lockdownctl(&["lock", "carol"]).ok();
        host.lockdownctl(&["lock", "bob"]).code(REFUSED);
    }
);

on_each_release!(
    fn everybody_sees_their_own_account_only(host: &Host) {
        let alice = host.ssh("alice");
        alice.run("lockdownctl status alice").ok().says("alice (uid 1000)").says("unlocked");
        alice.run("lockdownctl sessions alice").ok().says("sshd");
        alice.run("lockdownctl events --user alice").ok().says("session-start");
        for asks in
            ["status bob", "status", "accounts", "sessions", "sessions bob", "events", "end-sessions alice"]
        {
            one_line(alice.run(&format!("lockdownctl {asks}"))).code(NOT_AUTHORIZED);
        }
    }
);

on_each_release!(
    fn an_administrator_authenticates_on_the_terminal(host: &Host) {
        let carol = host.ssh_session("carol");
        carol.send("lockdownctl lock alice --reason 'seen in two places'; echo ended=$?");
        host.answer_polkit(&carol, &password_of("carol"));
        carol.wait_for("ended=0");
        assert!(is_locked(host, "alice"));
        let event = &host.ask_lockdown(&["events", "--user", "alice", "--action", "lock"])[0];
        assert_eq!(
            (&event["caller"]["name"], &event["caller"]["loginuid"]),
            (&"carol".into(), &"1002".into())
        );

        carol.send("lockdownctl unlock alice; echo again=$?");
        host.answer_polkit(&carol, "wrong");
        carol.wait_for("again=4");
        assert!(is_locked(host, "alice"));
        // The agent has given the terminal back as it was.
        carol.ask("stty -a | grep --word-regexp echo").ok();
    }
);

on_each_release!(
    fn tables_and_json(host: &Host) {
        let _alice = host.ssh_session("alice");
        host.lockdownctl(&[
            "lock",
            "bob",
            "--for",
            "1h",
            "--reason",
            "stolen laptop",
            "--message",
            "Call us.",
        ])
        .ok()
        .says("in 1 h");
        let columns = |args: &[&str], header: &str, row: &str| {
            let table = host.lockdownctl(args).ok();
            let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(table.stdout.lines().any(|line| words(line) == header), "no header {header:?}: {table}");
            assert!(table.stdout.lines().any(|line| words(line).starts_with(row)), "no row {row:?}: {table}");
            // Columns stand below each other, and nothing is coloured where there is no terminal.
            assert!(
                !table.stdout.contains('\u{1b}') && table.stdout.lines().all(|line| line == line.trim_end())
            );
        };
        columns(&["status"], "Locked 1 account", "bob 1001 locked in 1 h");
        columns(&["status", "bob"], "Locks", "Reason stolen laptop");
        columns(&["accounts", "--locked"], "USER UID STATE UNTIL EXPIRES SESSIONS", "bob 1001 locked in 1 h");
        columns(&["events"], "ID TIME ACTION USER BY OUTCOME DETAILS", "1 20");
        columns(
            &["sessions"],
            "SESSION USER SERVICE TTY FROM PID STARTED AUTHENTICATOR",
            &format!("{} alice sshd", host.ask_lockdown(&["sessions"])[0]["id"].as_str().expect("an id")),
        );

        let lock = ["id", "owner", "reason", "message", "created_at", "created_by", "expires_at"];
        let account = [
            "name",
            "uid",
            "locked",
            "locked_until",
            "deactivated",
            "expired",
            "valid_until",
            "protected",
            "password_usable",
            "failed_attempts",
            "last_sign_in",
            "locks",
            "sessions",
        ];
        let session =
            ["id", "user", "service", "tty", "remote_host", "leader_pid", "started", "authenticator"];
        let bob = host.ask_lockdown(&["status", "bob"]);
        keys(&bob, &account);
        keys(&bob["locks"][0], &lock);
        assert_eq!(bob["locks"][0]["message"], "Call us.");
        keys(
            &host.ask_lockdown(&["status"]),
            &["version", "lockdown_enabled", "locked_accounts", "accounts"],
        );
        keys(&host.ask_lockdown(&["accounts", "--locked"])[0], &account);
        assert_eq!(host.ask_lockdown(&["accounts", "--locked"]).as_array().map(Vec::len), Some(1));
        keys(&host.ask_lockdown(&["sessions"])[0], &session);
        keys(
            &host.ask_lockdown(&["events"])[0],
            &[
                "id", "time", "action", "severity", "user", "target", "owner", "reason", "outcome", "error",
                "caller", "input",
            ],
        );
        // Failures are JSON too, beside the line on stderr.
        let failure = host.lockdownctl(&["--json", "status", "mallory"]).code(NOT_FOUND);
        assert_eq!(failure.json()["error"]["name"], "org.lockdown1.Error.NoSuchAccount");
    }
);

on_each_release!(
    fn another_host_over_ssh(host: &Host) {
        let there = |args: &[&str]| {
            host.command(&[&["lockdownctl", "-H", "root@127.0.0.1"], args].concat())
                .timeout(Duration::from_secs(20))
                .run()
        };
        there(&["status"]).ok().says("lockdownd");
        there(&["lock", "mallory"]).code(NOT_FOUND);
        there(&["lock", "root"]).code(REFUSED);
        there(&["lock", "alice", "--for", "1h", "--until", "14:00"]).code(USAGE);
        // What is quoted here arrives as it is there.
        let reason = "it's $(id) \"so\"; --json";
        there(&["lock", "alice", "--reason", reason]).ok();
        assert_eq!(host.ask_lockdown(&["status", "alice"])["locks"][0]["reason"], reason);
        host.run(&["systemctl", "stop", "ssh.socket", "ssh.service"]).says_not("Failed to stop ssh.service");
        let output = there(&["status"]).code(UNREACHABLE);
        assert!(
            output.stderr.lines().last().is_some_and(|line| line.starts_with("lockdownctl: ")),
            "{output}"
        );
    }
);

//! Several other hosts at once, with an ssh of the test's own.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    run::{Outcome, lockdownctl},
    terminal::Terminal,
};

/// An ssh that prints what it was told, and what it reads; what it does else goes by the name of the host.
const SSH: &str = r#"#!/bin/sh
options=
while [ "$1" != -- ]; do options="$options $1"; shift; done
host=$2; shift 2
case $host in
  dead*) echo "ssh: connect to host $host port 22: No route to host" >&2; exit 255;;
  bare*) echo "sh: 1: lockdownctl: not found" >&2; exit 127;;
  slow*) [ "$(cut -d' ' -f5 /proc/$$/stat)" = $$ ] || touch "$MARKS/in-the-group-of-the-terminal"
    touch "$MARKS/$host"; exec sleep 30;;
  meet*) touch "$MARKS/$host"
    for try in $(seq 100); do [ "$(ls "$MARKS" | wc -l)" = 16 ] && break; sleep 0.05; done
    ls "$MARKS" | wc -l; sleep 0.5; exit 0;;
  exit*) echo "lockdownctl: no" >&2; exit "${host#exit}";;
  json*) echo '{"changed": true}'; exit 0;;
  evil*) printf 'a\033[2Jb\n\nweb9:\n'; exit 0;;
  silent*) exit 0;;
esac
echo "options$options"
echo "command $*"
cat
"#;

struct Ssh {
    directory: tempfile::TempDir,
}

impl Ssh {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ssh");
        fs::write(&path, SSH).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(directory.path().join("marks")).unwrap();
        Self { directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn marks(&self) -> Vec<String> {
        let marks = fs::read_dir(self.path().join("marks")).unwrap();
        marks.map(|mark| mark.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Waits until so many hosts have been reached.
    fn wait_for_marks(&self, number: usize) {
        let give_up = Instant::now() + Duration::from_secs(20);
        while self.marks().len() < number {
            assert!(Instant::now() < give_up, "{:?}", self.marks());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = lockdownctl("unix:path=/nonexistent/bus", args);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path().display()));
        command.env("MARKS", self.path().join("marks"));
        command
    }

    fn run(&self, args: &[&str]) -> Outcome {
        self.command(args).output().unwrap().into()
    }

    fn run_with(&self, args: &[&str], input: &str) -> Outcome {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    }
}

#[test]
fn each_host_has_its_answer_and_its_row() {
    let ssh = Ssh::new();
    let outcome = ssh.run(&["-H", "root@web1,dead1", "--host", "exit6", "lock", "it's"]);
    assert_eq!(outcome.code, Some(1));
    let options = "options -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=15 -o ServerAliveCountMax=3 \
                   -o ControlMaster=no -o LogLevel=ERROR -T";
    assert_eq!(
        outcome.stdout,
        format!(
            "root@web1:\n  {options}\n  command lockdownctl 'lock' 'it'\\''s'\n\nHOST       RESULT\nroot@web1  done\n\
             dead1      unreachable\nexit6      refused\n"
        )
    );
    let lines: Vec<_> = outcome.stderr.lines().collect();
    assert!(lines.contains(&"dead1: ssh: connect to host dead1 port 22: No route to host"), "{outcome:?}");
    assert!(lines.contains(&"exit6: lockdownctl: no"), "{outcome:?}");
    assert_eq!(
        lines.last(),
        Some(&"lockdownctl: failed for 2 of 3: dead1: unreachable; exit6: refused"),
        "{outcome:?}"
    );
}

#[test]
fn answers_as_json() {
    let ssh = Ssh::new();
    let outcome = ssh.run(&["-H", "json1,bare1,exit2", "apply", "--json", "--detailed-exitcode"]);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(
        outcome.json(),
        json!([
            {"host": "json1", "exit": 0, "result": "done", "output": {"changed": true}, "stderr": ""},
            {"host": "bare1", "exit": 5, "result": "no lockdownctl", "output": null,
             "stderr": "sh: 1: lockdownctl: not found\n"},
            {"host": "exit2", "exit": 2, "result": "changed", "output": null, "stderr": "lockdownctl: no\n"},
        ])
    );
    // A list is one whatever is in it: those who read the answer need not count.
    let list = ssh.path().join("hosts");
    fs::write(&list, "# the first\n\njson1 # web\n").unwrap();
    let outcome = ssh.run(&["-H", &format!("@{}", list.display()), "status", "--json"]);
    assert_eq!((outcome.code, outcome.json()[0]["host"].as_str()), (Some(0), Some("json1")));
}

#[test]
fn exit_codes_of_several() {
    let ssh = Ssh::new();
    let code = |hosts: &str, args: &[&str]| ssh.run(&[&["-H", hosts][..], args].concat()).code.unwrap();
    assert_eq!(code("silent1,silent2", &["status"]), 0);
    assert_eq!(code("dead1,dead2", &["status"]), 5);
    assert_eq!(code("exit6,dead1", &["status"]), 1);
    assert_eq!(code("exit4,silent1", &["status"]), 1);
    let detailed = ["apply", "--detailed-exitcode"];
    assert_eq!(code("exit2,silent1", &detailed), 2);
    assert_eq!(code("exit2,exit1", &detailed), 1);
    assert_eq!(code("exit2,dead1", &detailed), 1);
}

#[test]
fn what_is_on_standard_input_goes_to_every_host() {
    let ssh = Ssh::new();
    let text = "version = 1 # it's\n";
    let outcome = ssh.run_with(&["-H", "web1,web2", "apply", "-", "--name", "web", "--diff"], text);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let sent =
        format!("'apply' '--bundle' '--name=web' '--diff'\n  {}", json!([{"path": null, "text": text}]));
    assert_eq!(outcome.stdout.matches(&sent).count(), 2, "{outcome:?}");
    // Of one host as well.
    assert!(ssh.run_with(&["-H", "web1", "apply", "-", "--name", "web"], text).stdout.contains("'--bundle'"));
    let outcome = ssh.run_with(&["-H", "web1,web2", "restore", "alice", "--password-stdin"], "secret\n");
    assert_eq!(outcome.stdout.matches("'--password-stdin'\n  secret\n").count(), 2, "{outcome:?}");
    // What is not asked for is not read: a loop over hosts keeps its own.
    let outcome = ssh.run_with(&["-H", "web1,web2", "status"], "mine\n");
    assert!(!outcome.stdout.contains("mine"), "{outcome:?}");
}

#[test]
fn files_go_along() {
    let ssh = Ssh::new();
    let (web, db) = (ssh.path().join("web.toml"), ssh.path().join("db.toml"));
    fs::write(&web, "version = 1\n").unwrap();
    fs::write(&db, "version = 1\nx = 1\n").unwrap();
    let bundle =
        json!([{"path": web, "text": "version = 1\n"}, {"path": db, "text": "version = 1\nx = 1\n"}]);
    let files = [web.to_str().unwrap(), db.to_str().unwrap()];
    for hosts in ["web1", "web1,web2"] {
        for command in ["apply", "validate"] {
            let outcome = ssh.run(&[&["-H", hosts, command, "--quiet"], &files[..]].concat());
            let quiet = hosts.contains(',');
            assert_eq!(outcome.code, Some(0), "{outcome:?}");
            assert_eq!(outcome.stdout.is_empty(), quiet, "{outcome:?}");
            if !quiet {
                assert!(
                    outcome.stdout.ends_with(&format!("'{command}' '--bundle' '--quiet'\n{bundle}\n"))
                        || outcome.stdout.ends_with(&format!("'{command}' '--bundle' '--quiet'\n{bundle}")),
                    "{outcome:?}"
                );
            }
        }
        // What is wrong with the call is seen before any host is.
        let outcome = ssh.run(&["-H", hosts, "apply", files[0], files[0]]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome:?}");
        let outcome = ssh.run(&["-H", hosts, "apply", "/nonexistent.toml", "--json"]);
        assert_eq!((outcome.code, &outcome.json()["failed"]), (Some(1), &json!(true)), "{outcome:?}");
    }
}

#[test]
fn what_would_ask_or_not_end_is_refused() {
    let ssh = Ssh::new();
    for args in [
        &["lockdown", "alice"][..],
        &["lockdown", "alice", "--reason", "r"],
        &["restore", "alice"],
        &["monitor"],
        &["events", "--follow"],
        &["status", "-H", "-oProxyCommand=x"],
        &["status", "-H", "root@-oProxyCommand=x"],
    ] {
        let outcome = ssh.run(&[&["-H", "web1,web2"], args].concat());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{args:?}: {outcome:?}");
    }
    let outcome = ssh.run(&["-H", "web1,web2", "lockdown", "alice", "--reason", "r", "--yes"]);
    assert_eq!(outcome.code, Some(0));
    assert_eq!(outcome.stdout.matches("'--yes'").count(), 2);
}

#[test]
fn what_a_host_says_cannot_pass_for_something_else() {
    let outcome = Ssh::new().run(&["-H", "evil1,silent1", "status"]);
    assert_eq!(
        outcome.stdout,
        "evil1:\n  a\\u{1b}[2Jb\n\n  web9:\n\nHOST     RESULT\nevil1    done\nsilent1  done\n"
    );
}

#[test]
fn sixteen_at_a_time() {
    let ssh = Ssh::new();
    let hosts: Vec<_> = (1..=20).map(|number| format!("meet{number}")).collect();
    let outcome = ssh.run(&["-H", &hosts.join(","), "status"]);
    assert_eq!(outcome.code, Some(0));
    // The first sixteen wait until they are all there, and have not seen the seventeenth.
    assert_eq!(outcome.stdout.matches(":\n  16\n").count(), 16, "{outcome:?}");
}

#[test]
fn ctrl_c_is_no_failure_of_a_host() {
    let ssh = Ssh::new();
    let hosts: Vec<_> = (1..=20).map(|number| format!("slow{number}")).collect();
    let mut terminal = Terminal::run(&ssh.command(&["-H", &hosts.join(","), "status"]));
    ssh.wait_for_marks(16);
    terminal.type_in("\u{3}");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(1), "{shown}");
    assert_eq!(shown.matches("not finished").count(), 20, "{shown}");
    assert!(shown.ends_with("interrupted: what has begun on a host goes on there\r\n"), "{shown}");
    // It is not begun on others, and no ssh is interrupted itself: that would look like a host that failed.
    assert!(ssh.marks().iter().all(|mark| mark.starts_with("slow")), "{:?}", ssh.marks());
    assert_eq!(ssh.marks().len(), 16);
}

#[test]
fn an_interruption_ends_all() {
    let ssh = Ssh::new();
    let mut command = ssh.command(&["-H", "silent1,slow1,slow2", "status", "--json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let give_up = Instant::now() + Duration::from_secs(20);
    ssh.wait_for_marks(2);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let outcome = Outcome::from(child.wait_with_output().unwrap());
    assert!(Instant::now() < give_up);
    assert_eq!(outcome.code, Some(1));
    let rows = outcome.json();
    assert_eq!((&rows[1]["exit"], &rows[1]["result"]), (&json!(null), &json!("not finished")));
    assert!(outcome.stderr.contains("interrupted: what has begun on a host goes on there"), "{outcome:?}");
}

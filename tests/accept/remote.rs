//! lockdownctl on several hosts at once, over a real ssh. One booted host has several names: it is asked by each.

use std::time::{Duration, Instant};

use lockdown_tests::{Host, Output, Session, on_each_release};
use serde_json::Value;

use crate::exit_codes::{CHANGED, DONE, FAILED, NOT_FOUND, REFUSED, UNREACHABLE, USAGE};

/// As long as a host that says nothing is waited for, and what the rest takes on a busy machine.
const GIVEN_UP: Duration = Duration::from_secs(25);

/// `web1` to `web4` are this host, `dead` is not there, `silent` takes connections and says nothing, `closed` wants a password.
const NAMES: &str = "\
Host web* closed
    HostName 127.0.0.1
    User root
Host dead
    HostName 127.0.0.1
    Port 9
Host silent
    HostName 127.0.0.1
    Port 2222
Host closed
    PubkeyAuthentication no
    User carol
";

const SILENT: &str = "import socket, time; s = socket.create_server(('127.0.0.1', 2222)); time.sleep(600)";

fn name_hosts(host: &Host) {
    host.write("/etc/ssh/ssh_config.d/names.conf", NAMES);
    host.run(&["systemd-run", "--quiet", "--unit=silent", "python3", "-c", SILENT]).ok();
    host.sh(
        "until ss -tln 2>/dev/null | grep -q ':2222 ' || grep -q ':08AE ' /proc/net/tcp; do sleep 0.1; done",
    )
    .ok();
}

/// lockdownctl, told to work elsewhere.
fn there(host: &Host, hosts: &str, args: &[&str]) -> Output {
    host.command(&[&["lockdownctl", "-H", hosts], args].concat()).timeout(GIVEN_UP).run()
}

/// One key of every row.
fn column<'r>(rows: &'r Value, key: &str) -> Vec<&'r Value> {
    rows.as_array().unwrap_or_else(|| panic!("no array: {rows}")).iter().map(|row| &row[key]).collect()
}

/// What is left of the ssh processes that lockdownctl has started.
fn clients(host: &Host) -> Vec<String> {
    host.commands().into_iter().filter(|command| command.contains("BatchMode=yes")).collect()
}

on_each_release!(
    fn several_hosts_have_a_row_each(host: &Host) {
        name_hosts(host);
        let output = there(host, "web1,dead,web2", &["lock", "alice", "--reason", "it's $(id)"]).code(FAILED);
        assert!(
            output.stdout.ends_with("\n\nHOST  RESULT\nweb1  done\ndead  unreachable\nweb2  done\n"),
            "{output}"
        );
        // In the order in which they were done; what one of them printed stands together.
        for name in ["web1", "web2"] {
            let answer = format!("{name}:\n  USER   RESULT  UNTIL");
            assert!(output.stdout.contains(&answer), "{output}");
        }
        output
            .says("dead: ssh: connect to host 127.0.0.1 port 9: Connection refused")
            .says("lockdownctl: failed for 1 of 3: dead: unreachable");
        assert_eq!(host.ask_lockdown(&["status", "alice"])["locks"][0]["reason"], "it's $(id)");

        // Each says the same: that is the exit code.
        there(host, "web1,web2", &["status", "alice"]).code(DONE);
        there(host, "web1,web2", &["lock", "root"]).code(REFUSED);
        there(host, "web1,web2", &["lock", "mallory"]).code(NOT_FOUND);
        there(host, "dead,web1,web2", &["lock", "mallory"]).code(FAILED);
        there(host, "dead", &["status"]).code(UNREACHABLE);
        there(host, "web1,web2", &["lock"]).code(USAGE);

        // From a file, as JSON; a list of one is a list.
        host.write("/root/hosts", "# the web servers\nweb1\n\n  dead # broken\n");
        let rows = there(host, "@/root/hosts", &["status", "alice", "--json"]).code(FAILED).json();
        assert_eq!(column(&rows, "host"), ["web1", "dead"]);
        assert_eq!(column(&rows, "exit"), [DONE, UNREACHABLE]);
        assert_eq!(column(&rows, "result"), ["done", "unreachable"]);
        assert_eq!((&rows[0]["output"]["locked"], &rows[1]["output"]), (&true.into(), &Value::Null));
        host.write("/root/hosts", "web3\n");
        assert_eq!(there(host, "@/root/hosts", &["status", "--json"]).ok().json()[0]["host"], "web3");
        there(host, "@/root/none", &["status"]).code(FAILED).says("/root/none cannot be read");
        host.write("/root/hosts", "web1\n-oProxyCommand=touch /root/owned\n");
        there(host, "@/root/hosts", &["status"]).code(USAGE).says("/root/hosts:2: is no host");
        assert_eq!(host.sh("ls /root/owned").status, 2);
    }
);

on_each_release!(
    fn a_document_goes_along_to_several_hosts(host: &Host) {
        name_hosts(host);
        let document =
            "version = 1\n\n[[account]]\nname = \"alice\"\nstate = \"locked\"\nreason = \"left\"\n";
        host.write("/root/fleet.toml", document);
        // The other hosts do not have the file: the mount is the caller's alone.
        let with_file = |args: &str| {
            let script = format!(
                "mount -t tmpfs none /mnt && cp /root/fleet.toml /mnt && exec lockdownctl -H web1,web2,web3 {args}"
            );
            host.command(&["unshare", "--mount", "sh", "-c", &script]).timeout(GIVEN_UP).run()
        };
        let locked = || host.ask_lockdown(&["status", "alice"])["locks"].clone();
        with_file("validate /mnt/fleet.toml").ok().says("1 document checked, no problems");
        let rows = with_file("apply /mnt/fleet.toml --check --detailed-exitcode --json").code(CHANGED).json();
        assert_eq!(column(&rows, "result"), ["changed"; 3]);
        assert_eq!(locked(), Value::Array(Vec::new()));
        // They are one host: for one of them there is something to do.
        let rows = with_file("apply /mnt/fleet.toml --detailed-exitcode --json").code(CHANGED).json();
        let mut results = column(&rows, "result");
        results.sort_by_key(|result| result.to_string());
        assert_eq!(results, ["changed", "done", "done"], "{rows}");
        assert_eq!(locked()[0]["owner"], "config:fleet");
        with_file("apply /mnt/fleet.toml --detailed-exitcode").code(DONE).says("web3:\n  nothing to change");

        // Standard input is read once.
        let stdin = document.replace("left", "moved");
        let output = host
            .command(&["lockdownctl", "-H", "web1,dead,web2", "apply", "-", "--name", "fleet", "--diff"])
            .stdin(stdin)
            .timeout(GIVEN_UP)
            .run()
            .code(FAILED);
        assert_eq!(output.stdout.matches("+fleet: locked, reason \"moved\"").count(), 1, "{output}");
        assert_eq!(locked()[0]["reason"], "moved");
        // To one host it goes as well.
        let one = |args: &[&str], stdin: &str| {
            let args = [&["lockdownctl", "-H", "web1", "apply"], args].concat();
            host.command(&args).stdin(stdin).timeout(GIVEN_UP).run()
        };
        one(&["-", "--name", "fleet", "--detailed-exitcode"], document).code(CHANGED);

        // What is wrong is said for each, by the name that the file has here.
        host.write("/root/fleet.toml", document.replace("state", "stat"));
        let output = with_file("apply /mnt/fleet.toml").code(FAILED);
        for name in ["web1", "web2", "web3"] {
            let expected = format!("{name}: lockdownctl: /mnt/fleet.toml:5:1: account.stat: ");
            assert!(output.stderr.contains(&expected), "{output}");
        }
        assert_eq!(locked()[0]["reason"], "left");
        one(&["--remove", "fleet", "--detailed-exitcode"], "").code(CHANGED);
        one(&["--remove", "fleet", "--detailed-exitcode"], "").code(DONE);
        assert_eq!(locked(), Value::Array(Vec::new()));
    }
);

fn on_terminal(host: &Host, hosts: &str, args: &[&str]) -> Session {
    host.terminal(&[&["lockdownctl", "-H", hosts], args].concat())
}

on_each_release!(
    fn nobody_is_asked_by_several_hosts_and_a_silent_one_ends(host: &Host) {
        name_hosts(host);
        // By itself, this host asks.
        let alone = on_terminal(host, "closed", &["status"]);
        alone.wait_for("password:");
        drop(alone);

        let start = Instant::now();
        let ended = on_terminal(host, "web1,closed,silent", &["status"]).wait_ended(GIVEN_UP);
        assert_eq!(ended.status, FAILED, "{}", ended.text);
        assert!(!ended.text.contains("assword:"), "{}", ended.text);
        assert!(ended.text.contains("Permission denied"), "{}", ended.text);
        for row in ["web1    done", "closed  unreachable", "silent  unreachable"] {
            assert!(ended.text.contains(row), "no {row:?}: {}", ended.text);
        }
        // The silent one was waited for, and not for long.
        assert!(start.elapsed() > Duration::from_secs(9), "{:?}", start.elapsed());

        // What would be asked is to be said before.
        for (args, missing) in [
            (&["lockdown", "alice"][..], "--reason and --yes"),
            (&["lockdown", "alice", "--reason", "r"], "--yes"),
            (&["restore", "alice"], "--recovery-code, --password-stdin or --undo"),
        ] {
            let ended = on_terminal(host, "web1,web2", args).wait_ended(GIVEN_UP);
            assert_eq!(ended.status, USAGE, "{}", ended.text);
            assert!(ended.text.contains(&format!("{missing} must be given")), "{}", ended.text);
        }
        assert_eq!(host.ask_lockdown(&["status", "alice"])["locked"], false);

        // Ctrl-C ends every ssh.
        let session = on_terminal(host, "silent,web1", &["status"]);
        session.wait_for("web1:");
        assert_eq!(clients(host).len(), 1);
        session.send("\u{3}");
        let ended = session.wait_ended(Duration::from_secs(5));
        assert_eq!(ended.status, FAILED, "{}", ended.text);
        assert!(
            ended.text.contains("silent  not finished") && ended.text.contains("web1    done"),
            "{}",
            ended.text
        );
        assert!(ended.text.contains("interrupted: what has begun on a host goes on there"), "{}", ended.text);
        assert_eq!(clients(host), [""; 0]);
    }
);

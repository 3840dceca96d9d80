//! The audit trail as those read it who look after a host: what is in it, found, followed and announced.

use std::time::Duration;

use lockdown_tests::{Host, eventually, on_each_release};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(10);

#[track_caller]
fn rows(value: Value) -> Vec<Value> {
    match value {
        Value::Array(rows) => rows,
        other => panic!("no array: {other}"),
    }
}

fn events(host: &Host, args: &[&str]) -> Vec<Value> {
    rows(host.ask_lockdown(&[&["events"], args].concat()))
}

fn ids(host: &Host, args: &[&str]) -> Vec<i64> {
    events(host, args).iter().map(|event| event["id"].as_i64().expect("a number")).collect()
}

on_each_release!(
    fn what_is_asked_for_is_found(host: &Host) {
        host.lockdownctl(&["lock", "alice", "--reason", "one"]).ok();
        host.lockdownctl(&["lock", "bob"]).ok();
        host.lockdownctl(&["unlock", "bob"]).ok();
        host.lockdownctl(&["lock", "root"]).code(6);
        host.ssh("carol").run("echo carol-secret-7 | sudo -S -p '' lockdownctl lock bob").ok();
        let all = events(host, &[]);
        let of = |wanted: &dyn Fn(&Value) -> bool| -> Vec<i64> {
            all.iter()
                .filter(|event| wanted(event))
                .map(|event| event["id"].as_i64().expect("a number"))
                .collect()
        };
        let is = |key: &'static str, value: &'static str| move |event: &Value| event[key] == value;
        for (args, wanted) in [
            (&["--user", "bob"][..], of(&is("user", "bob"))),
            (
                &["--action", "lock", "--action", "unlock"],
                of(&|event| event["action"] == "lock" || event["action"] == "unlock"),
            ),
            (
                &["--owner", "operator", "--user", "bob"],
                of(&|event| event["owner"] == "operator" && event["user"] == "bob"),
            ),
            (&["--severity", "warning"], of(&is("outcome", "refused"))),
            (&["--caller", "root", "--action", "lock"], of(&is("action", "lock"))),
            (&["--caller", "uid:0", "--action", "lock"], of(&is("action", "lock"))),
            (&["--since", "1h"], of(&|_| true)),
            (&["--until", "1h"], vec![]),
        ] {
            let found = ids(host, args);
            // Sessions come and go meanwhile.
            let found: Vec<i64> = found.into_iter().filter(|id| *id <= all.len() as i64).collect();
            assert_eq!(found, wanted, "{args:?}");
            assert!(!args.contains(&"--user") || !wanted.is_empty(), "{args:?}");
        }
        host.lockdownctl(&["events", "--action", "lokc"]).code(2).says("known are lock, unlock");
        // Pages, from the newest back to the first.
        let newest = ids(host, &["--limit", "3"]);
        let before = ids(host, &["--limit", "3", "--before", &newest[0].to_string()]);
        assert_eq!(before.last().map(|last| last + 1), newest.first().copied());
        assert_eq!(ids(host, &["--before", "1"]), Vec::<i64>::new());

        // Who asked, behind sudo.
        let by_carol = events(host, &["--user", "bob", "--action", "lock"]).pop().expect("hers");
        let caller = &by_carol["caller"];
        assert_eq!((&caller["uid"], &caller["loginuid"]), (&"0".into(), &"1002".into()), "{caller}");
        for key in ["name", "pid", "executable", "session", "remote_host", "bus_name"] {
            assert!(caller[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {caller}");
        }
        assert_eq!(caller["executable"], "/usr/bin/lockdownctl");
    }
);

on_each_release!(
    fn refusals_are_events_and_fill_no_disk(host: &Host) {
        host.run_as("bob", &["lockdownctl", "lock", "alice"]).code(4);
        host.run_as("bob", &["lockdownctl", "lockdown", "alice", "--reason", "x", "--yes"]).code(4);
        host.run_as("bob", &["lockdownctl", "status", "alice"]).code(4);
        let refused = events(host, &["--caller", "bob"]);
        let told: Vec<_> =
            refused.iter().map(|event| (&event["action"], &event["user"], &event["outcome"])).collect();
        let (lock, lockdown, alice, no) =
            ("lock".into(), "lockdown".into(), "alice".into(), "refused".into());
        assert_eq!(
            told,
            [(&lock, &alice, &no), (&lockdown, &alice, &no)],
            "a look that is refused changes nothing"
        );
        assert_eq!(
            (&refused[0]["severity"], &refused[0]["caller"]["uid"]),
            (&"warning".into(), &"1001".into())
        );

        let call =
            "busctl call org.lockdown1 /org/lockdown1 org.lockdown1.Manager LockAccount 'sa{sv}' alice 0";
        let often = format!("for number in $(seq 40); do {call} 2>/dev/null || true; done");
        host.run_as("bob", &["bash", "-c", &often]).ok();
        let told = events(host, &["--caller", "bob"]).len();
        // Ten a minute, and a minute may have passed.
        assert!((10..=21).contains(&told), "{told}");
        // Others' are told all the same.
        host.run_as("carol", &["lockdownctl", "unlock", "alice"]).code(4);
        assert_eq!(events(host, &["--caller", "carol"]).len(), 1);

        host.write("/etc/lockdown/lockdown.d/50-local.toml", "[lockdown]\nenabled = false\n");
        host.run(&["systemctl", "reload", "lockdownd"]).ok();
        host.lockdownctl(&["lockdown", "alice", "--reason", "x", "--yes"]).code(6);
        let last = events(host, &["--action", "lockdown", "--caller", "root"]).pop().expect("it was refused");
        assert_eq!((&last["outcome"], &last["user"]), (&"refused".into(), &"alice".into()));
        host.lockdownctl(&["events", "verify"]).ok();
    }
);

/// Runs lockdownctl until the host ends, with its output in a file.
fn listen(host: &Host, unit: &str, args: &[&str]) {
    let output = format!("--property=StandardOutput=file:/root/{unit}");
    host.run(&[&["systemd-run", "--quiet", "--unit", unit, &output, "lockdownctl"], args].concat()).ok();
}

/// The lines that were printed meanwhile, of which each has to be JSON.
fn lines(host: &Host, unit: &str) -> Vec<Value> {
    let text = host.read(&format!("/root/{unit}"));
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

on_each_release!(
    fn followers_and_monitors_see_it_as_it_comes(host: &Host) {
        listen(
            host,
            "follower",
            &["events", "--follow", "--json", "--user", "alice", "--action", "lock", "--action", "unlock"],
        );
        listen(host, "monitor", &["monitor", "--json"]);
        listen(host, "reader", &["monitor"]);
        let announced = |signal: &str| -> Vec<Value> {
            lines(host, "monitor").into_iter().filter(|line| line["signal"] == signal).collect()
        };
        // When it listens, it does not say.
        eventually(SOON, || {
            host.lockdownctl(&["lock", "bob"]).ok();
            !announced("AccountLocked").is_empty()
        });
        host.lockdownctl(&["lock", "alice", "--reason", "one\ntwo"]).ok();
        host.lockdownctl(&["unlock", "alice"]).ok();
        eventually(SOON, || lines(host, "follower").len() == 2);
        let followed = lines(host, "follower");
        assert_eq!((&followed[0]["action"], &followed[0]["reason"]), (&"lock".into(), &"one\ntwo".into()));
        assert_eq!(followed[1]["action"], "unlock");

        eventually(SOON, || !announced("AccountUnlocked").is_empty());
        let unlocked = &announced("AccountUnlocked")[0];
        assert_eq!((&unlocked["user"], &unlocked["details"]["ended"]), (&"alice".into(), &"lifted".into()));
        assert!(!host.read("/root/monitor").contains("one"), "everybody may listen: no reasons");
        eventually(SOON, || host.read("/root/reader").contains("AccountUnlocked  alice  ended=lifted"));

        // Both stay on while the daemon goes and comes back.
        host.run(&["systemctl", "restart", "lockdownd"]).ok();
        host.lockdownctl(&["lock", "alice"]).ok();
        eventually(SOON, || lines(host, "follower").len() == 3);
        eventually(SOON, || {
            announced("AccountLocked").iter().filter(|line| line["user"] == "alice").count() == 2
        });
    }
);

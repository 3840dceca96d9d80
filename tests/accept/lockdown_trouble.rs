//! A lockdown in the face of trouble: hooks that fail or hang, a daemon that is killed, a disk that is full.

use std::thread;
use std::time::Duration;

use lockdown_tests::{Host, eventually, on_each_release, poll};

const SOON: Duration = Duration::from_secs(30);
const HOOKS: &str = "/etc/lockdown/revoke.d";

/// A hook that is a shell script.
fn hook(host: &Host, name: &str, script: &str) {
    let path = format!("{HOOKS}/{name}");
    host.run(&["mkdir", "--parents", HOOKS]).ok();
    host.write(&path, format!("#!/bin/sh\n{script}\n"));
    host.run(&["chmod", "0755", &path]).ok();
}

on_each_release!(
    fn hooks_revoke_what_only_the_site_knows(host: &Host) {
        host.write("/etc/lockdown/lockdown.d/50-hooks.toml", "[lockdown]\nhook_timeout = \"2s\"\n");
        host.run(&["systemctl", "reload", "lockdownd"]).ok();
        // What a hook is given goes to the journal, which its sandbox leaves open.
        hook(host, "10-tells", "logger --tag revoke-hook \"$(id -u) $(cat)\"");
        hook(host, "20-fails", "echo the vault is sealed >&2; exit 3");
        hook(host, "30-hangs", "trap '' TERM; sleep 1000 & sleep 1000");
        hook(host, "40-works", "logger --tag revoke-hook works");
        host.write(&format!("{HOOKS}/50-not-executable"), "#!/bin/sh\nlogger --tag revoke-hook no\n");
        host.sh(&format!("cp {HOOKS}/40-works {HOOKS}/60-of-others; chmod 0777 {HOOKS}/60-of-others")).ok();

        let result = host.lock_down(&["alice"]).remove(0);
        let hooks = &result["hooks"];
        let outcome = |name: &str| hooks[name].as_str().unwrap_or_default().to_owned();
        assert_eq!((outcome("10-tells"), outcome("40-works")), ("done".into(), "done".into()), "{result:#}");
        for (name, why) in [("20-fails", "the vault is sealed"), ("30-hangs", "took too long")] {
            assert!(
                outcome(name).starts_with("failed: ") && outcome(name).contains(why),
                "{name}: {result:#}"
            );
        }
        // Whoever else can write to it would be root.
        assert_ne!(outcome("60-of-others"), "done", "{result:#}");
        // It is an incomplete lockdown, and one all the same.
        assert_eq!(result["success"], false, "{result:#}");
        assert!(
            result["actions"]["revoke_tokens"]
                .as_str()
                .is_some_and(|outcome| outcome.starts_with("failed: ")),
            "{result:#}"
        );
        host.ssh("alice").run("true").code(255);
        eventually(Duration::from_secs(5), || !host.commands().contains(&"sleep 1000".to_owned()));

        let told = host.journalctl(&["--identifier=revoke-hook", "--output=cat"]).ok();
        let given = told
            .stdout
            .lines()
            .find_map(|line| line.split_once(" {").map(|(uid, _)| (uid, &line[uid.len()..])));
        let (uid, json) = given.unwrap_or_else(|| panic!("nothing was told: {told}"));
        let given: serde_json::Value =
            serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
        assert_eq!(
            (uid, &given["user"], &given["uid"], &given["reason"]),
            ("0", &"alice".into(), &1000.into(), &"test".into()),
            "{given}"
        );
        assert!(told.stdout.lines().any(|line| line == "works"), "{told}");
        assert!(!told.stdout.lines().any(|line| line == "no"), "{told}");
        // What failed is tried again in the background, and then it is whole.
        host.run(&[
            "rm",
            &format!("{HOOKS}/20-fails"),
            &format!("{HOOKS}/30-hangs"),
            &format!("{HOOKS}/60-of-others"),
        ])
        .ok();
        let finished = || {
            host.events_about("alice", "lockdown-finished").iter().any(|event| event["outcome"] == "success")
        };
        eventually(Duration::from_secs(90), finished);
    }
);

/// What a lockdown has left to alice; empty if it is complete.
fn is_left(host: &Host) -> String {
    let (password, expiry) = host.shadow_of("alice");
    let mut left = host.tokens_of("alice");
    if !password.starts_with('!') {
        left.push(format!("the password {password}"));
    }
    if expiry != "1" {
        left.push(format!("the expiry {expiry:?}"));
    }
    left.extend(host.belongings_of(1000).lines().map(str::to_owned));
    left.join("\n")
}

/// Whether all four actions show on alice, or none; a panic if neither comes true.
fn whole_or_nothing(host: &Host, before: &str) -> bool {
    let nothing = || {
        host.sign_in_state("alice") == before && host.ask_lockdown(&["status", "alice"])["locked"] == false
    };
    if host.ask_lockdown(&["status", "alice"])["locked"] == false {
        assert!(
            nothing(),
            "not locked down, and yet changed:\n{}\nbefore:\n{before}",
            host.sign_in_state("alice")
        );
        return false;
    }
    poll(SOON, || is_left(host).is_empty().then_some(()));
    assert_eq!(is_left(host), "", "of a lockdown that is complete");
    host.run(&["pamtester", "su", "alice", "acct_mgmt"]).fails();
    true
}

on_each_release!(
    fn a_daemon_killed_in_the_middle_finishes_when_it_comes_back(host: &Host) {
        host.sh("
            mkdir /run/systemd/system/lockdownd.service.d
            printf '[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=50ms\n' > /run/systemd/system/lockdownd.service.d/soon.conf
            systemctl daemon-reload
        ")
        .ok();
        host.command(&["crontab", "-"]).as_user("alice").stdin("@yearly true\n").run().ok();
        host.command(&["at", "now + 3 days"]).as_user("alice").stdin("true\n").run().ok();
        host.run(&["loginctl", "enable-linger", "alice"]).ok();
        let before = host.sign_in_state("alice");
        let (mut locked_down, mut cut_short) = (0, 0);
        let rounds = 12;
        for round in 0..rounds {
            let session = host.ssh("alice").key("/home/alice/.ssh/id_ed25519").open();
            session.ask("(nohup sleep 7001 </dev/null >/dev/null 2>&1 &)").ok();
            // From before the commit to after the end.
            let pause = format!("0.{:03}", round * 25);
            let killed = thread::scope(|scope| {
                let kill = scope
                    .spawn(|| host.sh(&format!("sleep {pause}; systemctl kill --signal=KILL lockdownd")));
                let answer = host.lockdownctl(&["--json", "lockdown", "alice", "--reason", "test", "--yes"]);
                kill.join().expect("the killer").ok();
                !answer.succeeded()
            });
            eventually(SOON, || host.lockdownctl(&["status"]).succeeded());
            let whole = whole_or_nothing(host, &before);
            assert!(whole || killed, "acknowledged, and lost");
            cut_short += u32::from(killed && whole);
            if whole {
                locked_down += 1;
                assert_eq!(host.drifts(), "aa{sv} 0");
                host.undo("alice");
            }
            assert_eq!(host.sign_in_state("alice"), before, "round {round}, after {pause} s");
        }
        println!(
            "{locked_down} of {rounds} were locked down, {cut_short} after the daemon was killed in the middle"
        );
        assert!(cut_short > 0, "the kills came too early or too late");
    }
);

on_each_release!(
    /// Killed by one of its own steps: whatever was left is done by the next, and that includes the file that was about to go.
    fn what_was_left_is_done_by_the_next_daemon(host: &Host) {
        host.sh("cp --preserve /home/alice/.ssh/authorized_keys /root/keys").ok();
        let leave = "cp --preserve /root/keys /home/alice/.ssh/.authorized_keys.lockdown";
        hook(host, "10-kills", &format!("{leave}; systemctl kill --signal=KILL lockdownd; sleep 5"));
        host.run(&["loginctl", "enable-linger", "alice"]).ok();
        let before = host.sign_in_state("alice");
        let killed = host.lockdownctl(&["lockdown", "alice", "--reason", "test", "--yes"]);
        host.run(&["rm", &format!("{HOOKS}/10-kills")]).ok();
        killed.fails();
        assert!(whole_or_nothing(host, &before), "the commit came before the hook");
        eventually(SOON, || !host.events_about("alice", "lockdown-finished").is_empty());
        host.undo("alice");
        assert_eq!(host.sign_in_state("alice"), before);
        host.ssh("alice").run("true").ok();
    }
);

on_each_release!(
    /// What cannot be kept is not taken away; the deny stands all the same, or nothing was changed.
    fn a_full_disk_makes_no_half_lockdown(host: &Host) {
        let before = host.sign_in_state("alice");
        host.sh("
            systemctl stop lockdownd
            cp -a /var/lib/lockdown /root/lockdown
            mount -t tmpfs -o size=1M,mode=0700 tmpfs /var/lib/lockdown
            cp -a /root/lockdown/. /var/lib/lockdown/
            systemctl start lockdownd
        ")
            .ok();
        let filler = "/var/lib/lockdown/filler";
        host.run(&["dd", "if=/dev/zero", &format!("of={filler}"), "bs=1k"]).fails().says("No space left");
        let mut refusals = 0;
        loop {
            let answer = host.lockdownctl(&["--json", "lockdown", "alice", "--reason", "test", "--yes"]);
            if answer.succeeded() {
                break;
            }
            refusals += 1;
            assert!(refusals < 100, "it never works again: {answer}");
            if host.ask_lockdown(&["status", "alice"])["locked"] == false {
                assert_eq!(host.sign_in_state("alice"), before, "{answer}");
            }
            host.run(&["truncate", "--size=-4K", filler]).ok();
        }
        assert!(refusals > 0, "the disk was not full");
        host.run(&["rm", filler]).ok();
        assert!(whole_or_nothing(host, &before));
        host.undo("alice");
        assert_eq!(host.sign_in_state("alice"), before);
    }
);

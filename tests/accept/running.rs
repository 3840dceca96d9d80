//! What an account runs ends when it is locked, whatever it did to stay; what others run goes on.

use std::time::Duration;

use lockdown_tests::{Host, Session, eventually, on_each_release, on_releases, password_of, stays};

const SOON: Duration = Duration::from_secs(10);
const A_WHILE: Duration = Duration::from_millis(400);
/// A client that is the master of its connection, or uses the one of the master.
const SHARED: &str = "-oControlPath=/root/control";

/// Whether a process with this command line runs.
fn runs(host: &Host, command: &str) -> bool {
    host.run(&["pgrep", "--full", &format!("^(/[a-z/]*/)?{command}$")]).succeeded()
}

/// What alice leaves running, by each of the ways that outlive a session or a uid.
fn leave_running(host: &Host, alice: &Session) -> Vec<&'static str> {
    let quiet = "</dev/null >/dev/null 2>&1";
    alice.ask(&format!("(nohup sleep 7001 {quiet} &)")).ok();
    alice.ask(&format!("setsid --fork sleep 7002 {quiet}")).ok();
    alice.ask("tmux new-session -d 'exec sleep 7003'").ok();
    alice.ask("systemd-run --user --quiet --property=Restart=always sleep 7004").ok();
    // Root's from here on, but for its loginuid.
    alice.ask(&format!("sudo -n setsid --fork sleep 7005 {quiet}")).ok();
    // Root's, and no more in her slice.
    alice
        .ask(&format!(
            "sudo -n sh -c 'echo $$ > /sys/fs/cgroup/system.slice/cgroup.procs; exec setsid --fork sleep 7006' {quiet}"
        ))
        .ok();
    host.command(&["at", "now"]).as_user("alice").stdin("exec sleep 7007\n").run().ok();
    host.run(&[
        "systemd-run",
        "--quiet",
        "--uid=alice",
        "--unit=hers",
        "--property=Restart=always",
        "sleep",
        "7008",
    ])
    .ok();

    host.run(&["loginctl", "enable-linger", "alice"]).ok();
    alice.ask("mkdir -p ~/.config/systemd/user").ok();
    let unit = "[Service]\nExecStart=sleep 7009\nRestart=always\n[Install]\nWantedBy=default.target\n";
    host.write("/home/alice/.config/systemd/user/lingering.service", unit);
    alice.ask("systemctl --user daemon-reload; systemctl --user enable --now --quiet lingering").ok();
    vec![
        "sleep 7001",
        "sleep 7002",
        "sleep 7003",
        "sleep 7004",
        "sleep 7005",
        "sleep 7006",
        "sleep 7007",
        "sleep 7008",
        "sleep 7009",
    ]
}

on_releases!([bookworm, trixie, trixie_broker]
    fn everything_ends_and_what_others_run_goes_on(host: &Host) {
        let bob = host.ssh_session("bob");
        bob.ask("(nohup sleep 8001 </dev/null >/dev/null 2>&1 &)").ok();
        bob.ask("tmux new-session -d 'exec sleep 8002'").ok();
        bob.ask("systemd-run --user --quiet sleep 8003").ok();

        let alice = host.ssh_session("alice");
        let mut left = leave_running(host, &alice);
        // Others who became her, and she who became root.
        let sudo = host.ssh_session("bob");
        sudo.send("sudo -n -u alice sleep 7010; echo bob-'is back'");
        let su = host.terminal(&["su", "-", "alice", "-c", "exec sleep 7011"]);
        let root = host.ssh_session("alice");
        root.send("sudo -n -i");
        root.wait_for("# ");
        root.send("sleep 7012");
        left.extend(["sleep 7010", "sleep 7011", "sleep 7012"]);
        // Connections without a session of their own.
        let forward = host.ssh("alice").arg("-N").arg("-L7100:127.0.0.1:22").start();
        let master = host.ssh("alice").arg("-N").arg("-M").arg(SHARED).start();
        eventually(SOON, || host.ssh("alice").arg(SHARED).arg("-Ocheck").run("").succeeded());
        eventually(SOON, || host.sh("exec 3<>/dev/tcp/127.0.0.1/7100; head -c4 <&3").text() == "SSH-");
        eventually(SOON, || left.iter().all(|command| runs(host, command)));
        // ssh: two shells, the forward and the master; sudo: bob's and root's; su; at.
        eventually(SOON, || host.sessions_of("alice").len() >= 7);
        let sessions = host.sessions_of("alice").len();

        let locked = host.ask_lockdown(&["lock", "alice", "--reason", "test"]);
        assert_eq!(host.belongings_of(1000), "", "after the lock has returned:\n{locked:#}");
        for command in left {
            assert!(!runs(host, command), "{command} goes on:\n{locked:#}");
        }
        assert!(locked.get("survivors").is_none(), "{locked:#}");
        assert_eq!(locked["sessions_ended"], sessions, "{locked:#}");
        assert!(locked["processes_ended"].as_u64().is_some_and(|number| number >= 20), "{locked:#}");
        let events = host.events_about("alice", "end-sessions");
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0]["input"]["sessions"], sessions.to_string());
        assert_eq!(events[0]["input"]["processes"], locked["processes_ended"].to_string());
        assert!(events[0]["input"]["stopped_units"].as_str().is_some_and(|units| units.contains("hers.service")));

        for session in [&alice, &root, &forward, &master, &su] {
            session.wait_ended(SOON);
        }
        sudo.wait_for("bob-is back");
        host.ssh("alice").arg(SHARED).run("true").code(255);
        host.run(&["systemctl", "is-active", "hers"]).fails();
        // Nothing starts anew.
        stays(A_WHILE, || host.belongings_of(1000).is_empty());
        eventually(SOON, || host.sessions_of("alice").is_empty());

        for command in ["sleep 8001", "sleep 8002", "sleep 8003"] {
            assert!(runs(host, command), "bob's {command} has ended");
        }
        bob.ask("tmux list-sessions; id -un").ok().says("bob");
        assert_eq!(host.sessions_of("bob").len(), 2);
        host.run(&["systemctl", "is-active", "ssh", "cron", "atd", "systemd-logind", "user@1001"]).ok();
    }
);

/// Forks, lets the parent end and leaves the session, again and again; ends by itself after 30,000 generations, and
/// tells so. One process at a time.
fn runaway(name: &str) -> String {
    let tell = |what: &str| format!("open my $file, q(>), q(/tmp/{name}-{what})");
    format!(
        "prlimit --nproc=200 perl -MPOSIX=setsid -e '{}; for (1..30_000) {{ exit if fork // 1; setsid }} {}' </dev/null >/dev/null 2>&1",
        tell("began"),
        tell("outran")
    )
}

on_each_release!(
    /// It has no process when the lock comes, and systemd would start it without asking PAM.
    fn a_service_that_waits_to_be_restarted_does_not_come_back(host: &Host) {
        let restart = ["--property=Restart=always", "--property=RestartSec=2s", "--unit=waiting"];
        let run = ["systemd-run", "--quiet", "--uid=alice"];
        host.run(&[&run[..], &restart, &["sh", "-c", "touch /tmp/ran; exit 1"]].concat()).ok();
        let waits = || {
            host.run(&["systemctl", "show", "--property=SubState", "waiting"]).ok().text()
                == "SubState=auto-restart"
        };
        eventually(SOON, waits);
        host.run(&["lockdownctl", "lock", "alice"]).ok();
        host.run(&["rm", "-f", "/tmp/ran"]).ok();
        stays(Duration::from_secs(4), || !host.run(&["test", "-e", "/tmp/ran"]).succeeded());
    }
);

/// Starts three of alice's: in her slice, in a service, and where no control group of hers gets hold of it.
fn run_away(host: &Host) {
    host.ssh_session("alice").ask(&runaway("slice")).ok();
    let service =
        ["systemd-run", "--quiet", "--uid=alice", "--property=TasksMax=50", "--property=Restart=always"];
    host.run(&[&service[..], &["--remain-after-exit", "sh", "-c", &runaway("service")]].concat()).ok();
    let bob = host.ssh("bob").key("/home/bob/.ssh/id_ed25519").open();
    bob.ask(&format!("sudo -n -u alice {}", runaway("sudo"))).ok();
    for name in ["slice", "service", "sudo"] {
        eventually(SOON, || host.run(&["test", "-e", &format!("/tmp/{name}-began")]).succeeded());
    }
}

/// What ran away has ended, and none of it before it was caught.
#[track_caller]
fn is_caught(host: &Host, answer: &serde_json::Value) {
    assert_eq!(host.belongings_of(1000), "", "{answer:#}");
    stays(A_WHILE, || !host.run(&["pgrep", "perl"]).succeeded());
    assert_eq!(host.sh("ls /tmp").ok().text().matches("outran").count(), 0);
    host.sh("rm --force /tmp/*-began").ok();
}

on_each_release!(
    fn a_process_that_runs_away_is_caught(host: &Host) {
        run_away(host);
        let locked = host.ask_lockdown(&["lock", "alice"]);
        is_caught(host, &locked);
        assert!(locked.get("survivors").is_none(), "{locked:#}");
        host.lockdownctl(&["unlock", "alice"]).ok();

        run_away(host);
        is_caught(host, &host.lock_down_wholly("alice"));
    }
);

on_each_release!(
    fn sessions_can_be_kept(host: &Host) {
        let alice = host.ssh_session("alice");
        let is_kept = || {
            assert_eq!(alice.ask("id -un").ok().text(), "alice");
            host.ssh("alice").run("true").code(255).says("locked");
            assert_eq!(host.sessions_of("alice").len(), 1);
            assert!(host.events_about("alice", "end-sessions").is_empty());
            host.lockdownctl(&["unlock", "alice"]).ok();
        };
        let locked = host.ask_lockdown(&["lock", "alice", "--keep-sessions"]);
        assert!(locked.get("sessions_ended").is_none(), "{locked:#}");
        is_kept();

        host.write("/etc/lockdown/lockdown.toml", "[lock]\nend_sessions = false\n");
        host.run(&["systemctl", "reload", "lockdownd"]).ok();
        host.lockdownctl(&["lock", "alice"]).ok();
        is_kept();
    }
);

fn id(session: &serde_json::Value) -> String {
    session["id"].as_str().expect("an id").to_owned()
}

on_each_release!(
    fn a_session_is_one_row_from_its_start_to_its_end(host: &Host) {
        let key = "/home/alice/.ssh/id_ed25519";
        let by_key = host.ssh("alice").key(key).open();
        let fingerprint = host.run(&["ssh-keygen", "-lf", key]).ok();
        let fingerprint = fingerprint.text().split(' ').nth(1).expect("a fingerprint").to_owned();
        eventually(SOON, || host.sessions_of("alice").len() == 1);
        let row = |number: usize| host.sessions_of("alice")[number].clone();
        eventually(SOON, || row(0)["authenticator"] == format!("ssh:{fingerprint}"));
        let first = row(0);
        assert_eq!(
            (&first["service"], &first["remote_host"], &first["user"]),
            (&"sshd".into(), &"127.0.0.1".into(), &"alice".into())
        );
        assert_eq!(id(&first), by_key.ask("echo $XDG_SESSION_ID").ok().text());
        assert_ne!(first["tty"], "ssh");

        let by_password = host.ssh("alice").password(&password_of("alice")).open();
        eventually(SOON, || host.sessions_of("alice").len() == 2 && row(1)["authenticator"] == "password");

        // A session of sudo is one more, of whom it leads to.
        by_key.send("sudo -n -u bob sleep 1000");
        eventually(SOON, || host.sessions_of("bob").len() == 1);
        let sudo = host.sessions_of("bob").remove(0);
        assert_eq!(sudo["service"], "sudo");
        assert!(id(&sudo).starts_with("pam-"), "{sudo}");
        assert_eq!(host.sessions_of("alice").len(), 2);

        // Rows go with their sessions, however those end, and whether or not the daemon sees it.
        by_password.send("exit");
        eventually(SOON, || host.sessions_of("alice").len() == 1);
        host.run(&["systemctl", "restart", "lockdownd"]).ok();
        assert_eq!((id(&row(0)), host.sessions_of("bob").len()), (id(&first), 1));
        host.run(&["kill", "-KILL", &sudo["leader_pid"].to_string()]).ok();
        eventually(SOON, || host.sessions_of("bob").is_empty());
        host.run(&["systemctl", "stop", "lockdownd"]).ok();
        host.run(&["loginctl", "kill-session", "--signal=KILL", &id(&first)]).ok();
        by_key.wait_ended(SOON);
        host.run(&["systemctl", "start", "lockdownd"]).ok();
        eventually(SOON, || host.sessions_of("alice").is_empty());

        let starts = host.events_about("alice", "session-start");
        assert_eq!((starts.len(), host.events_about("alice", "session-end").len()), (2, 2), "{starts:?}");
    }
);

on_each_release!(
    fn one_session_or_all_are_ended(host: &Host) {
        let (kept, other, third) =
            (host.ssh_session("alice"), host.ssh_session("alice"), host.ssh_session("alice"));
        let own_id = |session: &Session| session.ask("echo $XDG_SESSION_ID").ok().text().to_owned();
        other.ask("setsid --fork sleep 7001 </dev/null >/dev/null 2>&1").ok();
        let ended = host.ask_lockdown(&["end-sessions", "alice", "--session", &own_id(&other)]);
        assert_eq!((ended.as_array().map(Vec::len), &ended[0]["ended"]), (Some(1), &true.into()), "{ended}");
        other.wait_ended(SOON);
        assert!(!runs(host, "sleep 7001"));

        // sudo's session lies within another one, which goes on.
        third.send("sudo -n -u alice sleep 7002; echo third-'is back'");
        eventually(SOON, || runs(host, "sleep 7002") && host.sessions_of("alice").len() == 3);
        let sudo =
            host.sessions_of("alice").iter().map(id).find(|id| id.starts_with("pam-")).expect("sudo's");
        host.lockdownctl(&["end-sessions", "alice", "--session", &sudo]).ok();
        third.wait_for("third-is back");
        assert!(!runs(host, "sleep 7002"));
        eventually(SOON, || host.sessions_of("alice").len() == 2);
        assert_eq!(kept.ask("id -un").ok().text(), "alice");
        host.lockdownctl(&["end-sessions", "alice", "--session", &sudo]).code(3).says(&sudo);

        let ended = host.ask_lockdown(&["end-sessions", "alice", "--reason", "left open"]);
        assert_eq!(ended.as_array().map(Vec::len), Some(2), "{ended}");
        kept.wait_ended(SOON);
        third.wait_ended(SOON);
        assert_eq!(host.belongings_of(1000), "");
        let events = host.events_about("alice", "end-sessions");
        assert_eq!((events.len(), &events[2]["reason"]), (3, &"left open".into()), "{events:?}");
        // It is no lock.
        host.ssh("alice").run("true").ok();
    }
);

on_each_release!(
    fn a_login_that_is_on_its_way_does_not_come_alive(host: &Host) {
        // Our account check is done when the lock comes, whatever is slow after it.
        for (phase, line) in [
            ("account", "account optional pam_exec.so /root/slow"),
            ("session", "session optional pam_exec.so /root/slow"),
        ] {
            host.sh("printf '#!/bin/sh\\ntouch /run/waiting; exec sleep 2\\n' > /root/slow; chmod +x /root/slow; rm -f /run/waiting").ok();
            host.sh(&format!(
                "sed -i '/slow/d' /etc/pam.d/sshd; sed -i '/@include common-{phase}/a {line}' /etc/pam.d/sshd"
            ))
            .ok();
            let login = host.ssh("alice").arg("-tt").start();
            let tunnel = host.ssh("alice").arg("-N").start();
            eventually(SOON, || host.run(&["test", "-e", "/run/waiting"]).succeeded());
            host.lockdownctl(&["lock", "alice"]).ok();
            login.wait_ended(SOON);
            tunnel.wait_ended(SOON);
            assert!(!login.screen().contains("$ "), "{}", login.screen());
            assert_eq!(host.belongings_of(1000), "", "{phase}");
            stays(A_WHILE, || host.belongings_of(1000).is_empty());
            eventually(SOON, || host.sessions_of("alice").is_empty());
            host.lockdownctl(&["unlock", "alice"]).ok();
        }
    }
);

on_each_release!(
    fn a_session_that_passed_by_the_module_is_ended(host: &Host) {
        host.write("/etc/pam.d/su", "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_systemd.so class=user\n");
        let start = || host.terminal(&["su", "alice", "-c", "exec sleep 7001"]);
        let before = start();
        eventually(SOON, || host.sessions_of("alice").len() == 1);

        host.lockdownctl(&["lock", "alice"]).ok();
        before.wait_ended(SOON);
        let passed = start();
        eventually(SOON, || !host.events_about("alice", "session-refused").is_empty());
        eventually(SOON, || host.belongings_of(1000).is_empty());
        stays(A_WHILE, || host.belongings_of(1000).is_empty());
        let refused = host.events_about("alice", "session-refused");
        assert_eq!((refused.len(), &refused[0]["input"]["service"]), (1, &"su".into()), "{refused:?}");
        passed.wait_ended(SOON);
    }
);

on_each_release!(
    /// It never asks PAM, and root's timer may start it at any time.
    fn a_service_that_systemd_starts_as_her_is_stopped(host: &Host) {
        let start = ["systemd-run", "--quiet", "--unit=hers", "--uid=alice", "sleep", "7001"];
        host.lockdownctl(&["lock", "alice"]).ok();
        // Its exit code says whether it was stopped before systemd had it started, which may be.
        let _ = host.run(&start);
        eventually(SOON, || !host.events_about("alice", "session-refused").is_empty());
        eventually(SOON, || host.belongings_of(1000).is_empty());
        let refused = host.events_about("alice", "session-refused");
        assert_eq!((refused.len(), &refused[0]["target"]), (1, &"unit:hers.service".into()), "{refused:?}");
        // Of others nothing is.
        host.run(&["systemd-run", "--quiet", "--unit=bobs", "--uid=bob", "sleep", "7002"]).ok();
        stays(A_WHILE, || runs(host, "sleep 7002"));
    }
);

//! One key is locked: it gets nothing from sshd in any of its ways, and everything else goes on.

use std::time::Duration;

use lockdown_tests::{Host, Output, Session, Ssh, eventually, on_each_release, stays, wait::poll};

use super::{HERS, ROOTS, SOON, by, id_of, list, listed, lock, unlock};
use crate::without_daemon::{bring_back, kill_and_mask, now};

const A_WHILE: Duration = Duration::from_secs(1);
/// What a client is asked to forward: the host's own sshd, which says `SSH-2.0-…` to whoever connects.
const FORWARD: &str = "-L7100:127.0.0.1:22";
const BACKWARD: &str = "-R7200:127.0.0.1:22";
const SHARED: &str = "-oControlPath=/root/control";

/// Whether sshd answers behind this port.
fn leads_to_sshd(host: &Host, port: u16) -> bool {
    let says = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && timeout 2 head -c4 <&3");
    host.run(&["bash", "-c", &says]).stdout == "SSH-"
}

/// Commands, copies, forwarding and shared connections: everything leads in.
#[track_caller]
fn opens(host: &Host, ssh: &Ssh<'_>) {
    assert_eq!(ssh.run("echo in").ok().text(), "in");
    ssh.sftp("put /etc/hostname by-sftp").ok();
    ssh.upload("/etc/hostname", "by-scp").ok();
    assert!(ssh.clone().arg("-W").arg("127.0.0.1:22").run("").stdout.starts_with("SSH-"));
    let tunnel = ssh.clone().arg("-N").arg(FORWARD).arg(BACKWARD).start();
    eventually(SOON, || leads_to_sshd(host, 7100) && leads_to_sshd(host, 7200));
    drop(tunnel);
    let master = ssh.clone().arg("-N").arg("-M").arg(SHARED).start();
    eventually(SOON, || ssh.clone().arg(SHARED).arg("-Ocheck").run("").succeeded());
    assert_eq!(ssh.clone().arg(SHARED).run("echo in").ok().text(), "in");
    drop(master);
    host.run(&["rm", "-f", "/root/control", "/home/alice/by-sftp", "/home/alice/by-scp"]).ok();
}

/// Watches a client that is not to be served until the connection has been ended.
#[track_caller]
fn is_ended(host: &Host, client: &Session) {
    let forwarded = poll(SOON, || {
        let forwards = leads_to_sshd(host, 7100) || leads_to_sshd(host, 7200);
        (forwards || !client.is_alive()).then_some(forwards)
    });
    assert_eq!(forwarded, Some(false), "forwarded, or not ended:\n{}", client.screen());
    let text = client.wait_ended(SOON).text;
    assert!(!text.contains("$ ") && !text.contains("locked"), "{text}");
}

/// None of the same leads in, and nobody is told why.
#[track_caller]
fn gets_nothing(host: &Host, ssh: &Ssh<'_>) {
    // What stands on the terminal before the connection has been ended is the message of the day, at most.
    let silent = |output: Output| drop(output.fails().says_not("locked").says_not("served").says_not("SSH-"));
    silent(ssh.run("touch /tmp/in; echo served"));
    silent(ssh.sftp("put /etc/hostname by-sftp"));
    silent(ssh.upload("/etc/hostname", "by-scp"));
    silent(ssh.clone().arg("-W").arg("127.0.0.1:22").run(""));
    host.sh("! ls /tmp/in /home/alice/by-sftp /home/alice/by-scp").ok();
    is_ended(host, &ssh.clone().arg("-N").arg(FORWARD).arg(BACKWARD).start());
    is_ended(host, &ssh.clone().arg("-tt").start());
    is_ended(host, &ssh.clone().arg("-N").arg("-M").arg(SHARED).start());
    silent(ssh.clone().arg(SHARED).run("echo served"));
    eventually(SOON, || host.sessions_of("alice").is_empty());
}

on_each_release!(
    fn each_is_locked_alone(host: &Host) {
        for (locked, other) in [(ROOTS, HERS), (HERS, ROOTS)] {
            let id = id_of(host, locked);
            opens(host, &by(host, locked));
            lock(host, "alice", &id, &["--reason", "stolen laptop"]).ok().says("until it is lifted");
            gets_nothing(host, &by(host, locked));
            opens(host, &by(host, other));
            // It is her key that is locked, and nobody else's.
            host.ssh("bob").run("true").ok();
            host.ssh("root").run("true").ok();
            assert_eq!(host.ask_lockdown(&["status", "alice"])["locked"], false);

            let row = listed(host, "alice", &id);
            assert_eq!(
                (&row["locked"], &row["locked_until"], &row["locks"][0]["reason"]),
                (&true.into(), &0.into(), &"stolen laptop".into()),
                "{row:#}"
            );
            let denied = host.events_about("alice", "login-denied").pop().expect("an event");
            assert_eq!(denied["input"]["authenticator"], id, "{denied:#}");
            unlock(host, "alice", &id).ok().says("is unlocked");
        }
        for key in [ROOTS, HERS] {
            opens(host, &by(host, key));
        }
        assert!(list(host, "alice").iter().all(|one| one["locked"] == false));
        assert_eq!(host.drifts(), "aa{sv} 0");
    }
);

on_each_release!(
    /// Whatever sshd is doing at the moment when it is ended: it forks for each connection once more.
    fn no_connection_is_left_over(host: &Host) {
        lock(host, "alice", &id_of(host, HERS), &[]).ok();
        for _ in 0..5 {
            let clients: Vec<Session> = (0..8).map(|_| by(host, HERS).arg("-N").start()).collect();
            for client in &clients {
                client.wait_ended(SOON);
            }
        }
        eventually(SOON, || host.sessions_of("alice").is_empty());
        let left: Vec<_> =
            host.commands().into_iter().filter(|command| command.contains(": alice")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
);

on_each_release!(
    fn sessions_that_it_opened_end_and_others_go_on(host: &Host) {
        let others = [by(host, ROOTS).open(), host.console_login("alice", "alice-secret-7").shell()];
        let (shell, root) = (by(host, HERS).open(), by(host, HERS).open());
        shell.ask("(nohup sleep 7001 </dev/null >/dev/null 2>&1 &)").ok();
        shell.ask("tmux new-session -d 'exec sleep 7002'").ok();
        root.send("sudo -n -i sleep 7003");
        let tunnel = by(host, HERS).arg("-N").arg(FORWARD).start();
        let master = by(host, HERS).arg("-N").arg("-M").arg(SHARED).start();
        eventually(SOON, || by(host, HERS).arg(SHARED).arg("-Ocheck").run("").succeeded());
        let shared = by(host, HERS).arg(SHARED).open();
        eventually(SOON, || leads_to_sshd(host, 7100));
        let runs = || host.commands().iter().filter(|command| command.starts_with("sleep 700")).count();
        eventually(SOON, || runs() == 3);
        let id = id_of(host, HERS);
        let opened =
            || host.sessions_of("alice").iter().filter(|session| session["authenticator"] == *id).count();
        eventually(SOON, || opened() == 4);

        let locked = host.ask_lockdown(&["authenticator", "lock", "alice", &id]);
        assert_eq!((&locked["sessions_ended"], &locked["id"]), (&4.into(), &id.clone().into()), "{locked:#}");
        assert!(locked.get("survivors").is_none(), "{locked:#}");
        for session in [&shell, &root, &tunnel, &master, &shared] {
            session.wait_ended(SOON);
        }
        assert_eq!((runs(), opened(), leads_to_sshd(host, 7100)), (0, 0, false));
        for other in &others {
            assert_eq!(other.ask("id -un").ok().text(), "alice");
        }
        let events = host.events_about("alice", "end-sessions");
        assert!(
            events.len() == 4 && events.iter().all(|event| event["input"]["authenticator"] == *id),
            "{events:#?}"
        );
        stays(A_WHILE, || others.iter().all(Session::is_alive));
    }
);

on_each_release!(
    /// Our check is done when the lock comes, whatever is slow after it.
    fn a_login_that_is_on_its_way_does_not_come_alive(host: &Host) {
        host.sh("
            printf '#!/bin/sh\\ntouch /run/waiting; exec sleep 2\\n' > /root/slow; chmod +x /root/slow
            sed -i '/@include common-session/a session optional pam_exec.so /root/slow' /etc/pam.d/sshd
        ")
            .ok();
        let (login, tunnel) =
            (by(host, HERS).arg("-tt").start(), by(host, HERS).arg("-N").arg(FORWARD).start());
        eventually(SOON, || host.run(&["test", "-e", "/run/waiting"]).succeeded());
        lock(host, "alice", &id_of(host, HERS), &[]).ok();
        is_ended(host, &login);
        is_ended(host, &tunnel);
        eventually(SOON, || host.sessions_of("alice").is_empty());
    }
);

on_each_release!(
    fn one_that_is_taken_out_and_put_back_stays_locked(host: &Host) {
        let id = id_of(host, HERS);
        lock(host, "alice", &id, &[]).ok();
        let keys = "/home/alice/.ssh/authorized_keys";
        host.sh(&format!("cp {keys} /root/kept; sed -i '/ alice$/d' {keys}")).ok();
        let gone = listed(host, "alice", &id);
        assert_eq!((&gone["present"], &gone["locked"]), (&false.into(), &true.into()), "{gone:#}");
        host.lockdownctl(&["authenticators", "alice"]).ok().says("locked, not there");

        host.power_cut();
        // With other options and another comment, in the other of the two files where sshd looks.
        host.sh(&format!("
            printf 'environment=\"A=b\",no-pty %s other-comment\\n' \"$(cut -d' ' -f1,2 {HERS}.pub)\" > {keys}2
            chown alice: {keys}2
        "))
        .ok();
        let back = listed(host, "alice", &id);
        assert_eq!(
            (&back["present"], &back["label"], &back["locked"]),
            (&true.into(), &"other-comment".into(), &true.into())
        );
        gets_nothing(host, &by(host, HERS));
        by(host, ROOTS).run("true").ok();

        host.reboot();
        gets_nothing(host, &by(host, HERS));
        unlock(host, "alice", &id).ok();
        by(host, HERS).run("true").ok();
        host.run(&["rm", &format!("{keys}2")]).ok();
        host.run(&["cp", "/root/kept", keys]).ok();
        opens(host, &by(host, HERS));
    }
);

on_each_release!(
    fn a_lock_holds_and_ends_without_the_daemon(host: &Host) {
        let id = id_of(host, HERS);
        lock(host, "alice", &id, &[]).ok();
        kill_and_mask(host);
        let served_nothing = || {
            by(host, HERS).run("echo served").fails().says_not("served");
            by(host, HERS).sftp("put /etc/hostname by-sftp").fails();
            host.run(&["test", "-e", "/home/alice/by-sftp"]).fails();
            by(host, HERS).arg("-W").arg("127.0.0.1:22").run("").fails().says_not("SSH-");
            let tunnel = by(host, HERS).arg("-N").arg(FORWARD).arg(BACKWARD).start();
            let listens = || host.run(&["bash", "-c", ": < /dev/tcp/127.0.0.1/7100"]).succeeded();
            // Nobody is there to end the connection; sshd gives it nothing.
            eventually(SOON, || !tunnel.is_alive() || listens());
            stays(A_WHILE, || !leads_to_sshd(host, 7100) && !leads_to_sshd(host, 7200));
            tunnel
        };
        drop(served_nothing());
        by(host, ROOTS).run("true").ok();
        bring_back(host);
        unlock(host, "alice", &id).ok();

        // A daemon that hangs is told when it goes on.
        lock(host, "alice", &id, &[]).ok();
        host.run(&["systemctl", "kill", "--signal=STOP", "lockdownd"]).ok();
        let tunnel = served_nothing();
        host.run(&["systemctl", "kill", "--signal=CONT", "lockdownd"]).ok();
        tunnel.wait_ended(SOON);
        unlock(host, "alice", &id).ok();

        let locked = host.ask_lockdown(&["authenticator", "lock", "alice", &id, "--for", "4s"]);
        let ends = locked["locked_until"].as_i64().expect("a moment");
        kill_and_mask(host);
        by(host, HERS).run("true").fails();
        eventually(SOON, || by(host, HERS).run("true").succeeded());
        assert!((ends..=ends + 2).contains(&now(host)), "let in too early or too late");
        bring_back(host);
        eventually(SOON, || host.events_about("alice", "lock-expired").len() == 1);
        assert_eq!(listed(host, "alice", &id)["locked"], false);
        host.run(&["test", "-e", "/var/lib/lockdown/deny/1000"]).fails();
    }
);

on_each_release!(
    fn all_of_them_by_their_type(host: &Host) {
        let (hers, roots) = (id_of(host, HERS), id_of(host, ROOTS));
        let shell = by(host, HERS).open();
        lock(host, "alice", "ssh", &["--reason", "all laptops stolen"]).ok();
        shell.wait_ended(SOON);
        // One that comes later as well.
        super::make_key(host, "/root/new", "new");
        host.sh("cat /root/new.pub >> /home/alice/.ssh/authorized_keys").ok();
        for key in [HERS, ROOTS, "/root/new"] {
            gets_nothing(host, &by(host, key));
            assert_eq!(listed(host, "alice", &id_of(host, key))["locked"], true, "{key}");
        }
        assert_eq!(listed(host, "alice", "password")["locked"], false);
        host.ssh("alice").password("alice-secret-7").run("true").ok();
        // One of them is not lifted out of it.
        unlock(host, "alice", &hers).code(1).says("locked: ssh by operator");
        unlock(host, "alice", "ssh").ok();
        opens(host, &by(host, HERS));

        let unlock_type = || host.lockdownctl(&["authenticator", "unlock", "alice", "--type", "ssh"]);
        for id in [&hers, &roots, &"ssh".to_owned()] {
            lock(host, "alice", id, &[]).ok();
        }
        unlock_type().ok().says(&hers).says(&roots).says("ssh of alice is unlocked");
        unlock_type().code(1).says("no ssh of alice is locked");
        for key in [HERS, ROOTS, "/root/new"] {
            by(host, key).run("true").ok();
        }
        host.lockdownctl(&["authenticator", "unlock", "alice", "--type", "totp"]).code(2);
    }
);

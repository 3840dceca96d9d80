//! The harness itself: hosts boot, people can log in, and a login is a real one.

use std::time::{Duration, Instant};

use lockdown_tests::host::image::RootFs;
use lockdown_tests::{Host, Release, eventually, on_each_release, on_releases, password_of, stays};

const SOON: Duration = Duration::from_secs(10);

on_releases!([bookworm, trixie, trixie_broker] bare
    /// Nothing failed at boot, and the release is the one asked for.
    fn boots(host: &Host) {
        host.run(&["systemctl", "--failed", "--plain", "--no-legend"]).ok().code(0);
        assert_eq!(host.run(&["systemctl", "is-system-running"]).ok().text(), "running");
        assert!(host.read("/etc/os-release").contains(host.release().suite()));
        let bus = host.run(&["systemctl", "is-active", "dbus-broker.service"]);
        assert_eq!(bus.succeeded(), host.release() == Release::TrixieBroker, "{bus}");
        for service in ["ssh", "cron", "atd", "systemd-logind"] {
            host.run(&["systemctl", "is-active", service]).ok();
        }
    }
);

on_each_release!(bare
    fn commands_tell_how_they_ended(host: &Host) {
        host.run(&["true"]).ok();
        host.run(&["false"]).fails().code(1);
        host.run(&["no-such-program"]).code(127);
        host.sh("kill -KILL $$").code(137);
        let both = host.sh("echo out; echo err >&2; exit 3").code(3);
        assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(host.command(&["cat"]).stdin("a line").run().ok().stdout, "a line");
        assert_eq!(host.command(&["printenv", "WORD"]).env("WORD", "x y").run().ok().text(), "x y");
        let inherited = host.run(&["env"]).ok();
        assert!(!inherited.stdout.contains("CARGO"), "{inherited}");

        host.run_as("alice", &["sh", "-c", "id -un; id -Gn; pwd; echo $HOME"]).ok().says("alice\nalice\n/home/alice\n/home/alice\n");
        assert_eq!(host.run_as("carol", &["id", "-Gn"]).ok().text(), "carol sudo");

        host.write("/root/note", "kept");
        assert_eq!(host.read("/root/note"), "kept");
    }
);

on_each_release!(bare
    fn a_command_that_hangs_is_killed_with_its_children(host: &Host) {
        let start = Instant::now();
        let hangs = host.command(&["sh", "-c", "echo begun; sleep 1000 & wait"]).timeout(Duration::from_millis(500));
        let problem = hangs.attempt().expect_err("it sleeps longer than it may");
        assert!(problem.contains("killed after 500ms") && problem.contains("begun"), "{problem}");
        assert!(start.elapsed() < SOON);
        eventually(SOON, || host.run(&["pgrep", "-x", "sleep"]).status == 1);
        // What a command leaves behind with its pipes open does not hold it up, and lives on.
        host.sh("sleep 1000 &").ok();
        host.run(&["pgrep", "-x", "sleep"]).ok();
    }
);

on_each_release!(bare
    fn ssh_by_key_and_by_password(host: &Host) {
        for user in ["root", "alice", "bob", "carol"] {
            let output = host.ssh(user).run("id -un").ok();
            assert_eq!((output.text(), output.stderr.as_str()), (user, ""), "nothing but the answer");
        }
        let alice = host.ssh("alice").password(&password_of("alice"));
        assert_eq!(alice.run("id -un").ok().text(), "alice");
        host.ssh("alice").password("wrong").run("true").code(255).says("Permission denied");
        // Root logs in by key only.
        host.ssh("root").password(&password_of("root")).run("true").code(255).says("Permission denied");

        let own_key = "/home/alice/.ssh/id_ed25519";
        host.ssh("alice").key(own_key).run("true").ok();
        host.ssh("bob").key(own_key).run("true").code(255);
        host.ssh("bob").from("bob").run("true").ok();
        host.ssh("alice").from("bob").run("true").code(255);
    }
);

on_each_release!(bare
    fn scp_and_sftp_by_key_and_by_password(host: &Host) {
        host.write("/root/note", "a note");
        for (name, alice) in [("key", host.ssh("alice")), ("password", host.ssh("alice").password(&password_of("alice")))] {
            alice.upload("/root/note", &format!("{name}-scp")).ok();
            alice.download(&format!("{name}-scp"), "/root/back").ok();
            assert_eq!(host.read("/root/back"), "a note");
            alice.sftp(&format!("put /root/note {name}-sftp\nls")).ok().says(&format!("{name}-sftp"));
            assert_eq!(host.read(&format!("/home/alice/{name}-sftp")), "a note");
        }
        host.ssh("alice").sftp("get no-such-file").fails();
    }
);

on_each_release!(bare
    fn an_ssh_session_is_a_session_of_logind(host: &Host) {
        let shell = host.ssh_session("alice");
        assert_eq!(shell.ask("id -un").ok().text(), "alice");
        shell.ask("false").code(1);
        shell.ask("printf 'one\\ntwo\\n'; ls /no-such-file").code(2).says("one\ntwo\n").says("No such file");
        assert!(shell.ask("tty").ok().text().starts_with("/dev/pts/"));
        assert_eq!(shell.ask("cat /proc/self/loginuid").ok().text(), "1000");
        shell.ask("systemctl --user is-system-running --wait").ok();
        let listed = host.run(&["loginctl", "list-sessions", "--no-legend"]).ok().says("alice");
        assert!(!listed.stdout.contains("bob"));
        assert!(shell.is_alive());

        // A tty, sudo and tmux are as on any host.
        assert_eq!(shell.ask("sudo -n id -u").ok().text(), "0");
        shell.ask("tmux new-session -d 'sleep 1000'; sleep 0.1; tmux list-sessions").ok();

        host.run(&["pkill", "-KILL", "-u", "alice"]).ok();
        shell.wait_ended(SOON);
        assert!(!shell.is_alive());
        eventually(SOON, || host.run(&["pgrep", "-u", "alice"]).status == 1);
    }
);

on_each_release!(bare
    fn ssh_connections_without_a_session_and_shared_ones(host: &Host) {
        let control = "-oControlPath=/root/control";
        let master = host.ssh("alice").arg("-N").arg("-M").arg(control).start();
        let second = host.ssh("alice").arg(control);
        eventually(SOON, || second.clone().arg("-Ocheck").run("").succeeded());
        assert_eq!(second.run("id -un").ok().text(), "alice");
        stays(Duration::from_millis(200), || master.is_alive());
        second.clone().arg("-Oexit").run("").ok();
        master.wait_ended(SOON);
    }
);

on_each_release!(bare
    fn sudo_and_su(host: &Host) {
        assert_eq!(host.run_as("alice", &["sudo", "-n", "id", "-un"]).ok().text(), "root");
        assert_eq!(host.run_as("bob", &["sudo", "-n", "-u", "alice", "id", "-un"]).ok().text(), "alice");
        host.run_as("bob", &["sudo", "-n", "id"]).fails();
        assert_eq!(host.run(&["su", "-", "alice", "-c", "id -un"]).ok().text(), "alice");

        let su = host.command(&["su", "-", "alice"]).as_user("bob").on_terminal();
        su.wait_for("Password: ");
        su.send(&password_of("alice"));
        assert_eq!(su.ask("id -un").ok().text(), "alice");

        let sudo = host.ssh_session("carol");
        sudo.ask("sudo -n true").fails();
        sudo.send("sudo -k id -un");
        sudo.wait_for("password for carol: ");
        sudo.send(&password_of("carol"));
        sudo.wait_for("root\r\n");
    }
);

on_each_release!(bare
    fn console_login(host: &Host) {
        let shell = host.console_login("alice", &password_of("alice")).shell();
        assert_eq!(shell.ask("id -un; tty").ok().text().split('\n').next(), Some("alice"));
        host.run(&["loginctl", "list-sessions", "--no-legend"]).ok().says("alice").says("pts/");
        shell.send("exit");
        shell.wait_ended(SOON);

        host.console_login("root", &password_of("root")).shell();
        let refusal = host.console_login("alice", "wrong").refused();
        assert!(refusal.contains("Login incorrect"), "{refusal}");
    }
);

on_each_release!(bare
    fn cron_and_at_jobs_run(host: &Host) {
        host.command(&["at", "now"]).as_user("alice").stdin("id -un > ~/at-ran\n").run().ok();
        eventually(SOON, || host.run(&["cat", "/home/alice/at-ran"]).text() == "alice");
        host.command(&["crontab", "-"]).as_user("alice").stdin("@reboot id -un > ~/cron-ran\n").run().ok();
        // cron runs @reboot jobs at its first start only.
        host.reboot();
        eventually(SOON, || host.run(&["cat", "/home/alice/cron-ran"]).text() == "alice");
    }
);

on_each_release!(bare
    fn a_reboot_and_a_power_cut_keep_files(host: &Host) {
        host.write("/etc/marker", "one");
        let (before, session) = (host.pid1(), host.ssh_session("alice"));
        let boot_id = "/proc/sys/kernel/random/boot_id";
        assert!(!host.read(boot_id).is_empty());
        host.reboot();
        assert_ne!(host.pid1(), before);
        session.wait_ended(SOON);
        assert_eq!(host.read("/etc/marker"), "one");

        host.write("/etc/marker", "two");
        host.power_cut();
        assert_eq!(host.read("/etc/marker"), "two");
        assert_eq!(host.ssh("alice").run("id -un").ok().text(), "alice");
    }
);

on_each_release!(bare
    fn two_hosts_at_once_do_not_see_each_other(host: &Host) {
        let other = Host::bare(host.release());
        std::thread::scope(|scope| {
            for (name, host) in [("one", host), ("other", &other)] {
                scope.spawn(move || {
                    host.write("/etc/marker", name);
                    host.ssh("alice").run("nohup sleep 1000 >/dev/null 2>&1 </dev/null &").ok();
                });
            }
        });
        assert_eq!((host.read("/etc/marker"), other.read("/etc/marker")), ("one".into(), "other".into()));
        for host in [host, &other] {
            assert_eq!(host.run(&["pgrep", "-c", "-x", "sleep"]).ok().text(), "1");
        }
        drop(other);
        host.run(&["pgrep", "-x", "sleep"]).ok();
    }
);

on_each_release!(bare
    /// A runaway test may fill its host, not the machine.
    fn the_number_of_processes_is_bounded(host: &Host) {
        // dash gives up at once where bash tries again for fifteen seconds.
        host.run(&["sh", "-c", "for i in $(seq 2500); do sleep 1000 & done"]).fails().says("Cannot fork");
        host.power_cut();
        host.ssh("alice").run("true").ok();
    }
);

on_each_release!(bare
    fn a_package_is_installed_for_later_boots(host: &Host) {
        host.sh("
            mkdir -p /tmp/p/DEBIAN /tmp/p/etc
            echo as-shipped > /tmp/p/etc/harness-conf
            echo /etc/harness-conf > /tmp/p/DEBIAN/conffiles
            printf 'Package: harness-proof\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@localhost>\nDescription: proof\n' > /tmp/p/DEBIAN/control
            printf '#!/bin/sh\nid -un > /var/lib/harness-proof\nsystemctl is-system-running >> /var/lib/harness-proof\n' > /tmp/p/DEBIAN/postinst
            chmod 0755 /tmp/p/DEBIAN/postinst
            SOURCE_DATE_EPOCH=0 dpkg-deb --build --root-owner-group /tmp/p /tmp/proof.deb
        ")
        .ok();
        // The same bytes at every run, so that the cache holds one layer of it.
        let scratch = tempfile::tempdir().expect("create a directory");
        let deb = scratch.path().join("proof.deb");
        std::fs::write(&deb, host.read_bytes("/tmp/proof.deb")).expect("write the package");

        let installed = RootFs::image(host.release()).with_packages(&[deb]);
        for _ in 0..2 {
            let other = Host::boot(&installed);
            other.run(&["dpkg-query", "--show", "--showformat=${db:Status-Status}", "harness-proof"]).ok().says("installed");
            assert_eq!(other.read("/var/lib/harness-proof"), "root\nrunning\n", "it was installed on a booted host");
            // What one host does to it, the next one does not see.
            assert_eq!(other.read("/etc/harness-conf"), "as-shipped\n");
            other.write("/etc/harness-conf", "changed");
        }
    }
);

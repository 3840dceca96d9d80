//! The Debian package: at every step of its life people can log in, and whoever is locked cannot while it is installed.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use lockdown_tests::host::layer::packages_under_test;
use lockdown_tests::{Host, Output, on_each_release};

const DEB: &str = "/root/lockdown.deb";
const NEXT: &str = "/root/next.deb";

fn package() -> Vec<u8> {
    let [deb] = &packages_under_test()[..] else { panic!("one package should be under test") };
    std::fs::read(deb).unwrap_or_else(|e| panic!("cannot read {}: {e}", deb.display()))
}

/// Whether an account comes in by ssh, su, and sudo of another.
fn comes_in(host: &Host, user: &str) -> [bool; 3] {
    let other = if user == "alice" { "bob" } else { "alice" };
    [
        host.ssh(user).run("id -un").text() == user,
        host.run(&["su", "-", user, "-c", "id -un"]).text() == user,
        host.run_as(other, &["sudo", "-n", "-u", user, "id", "-un"]).text() == user,
    ]
}

/// Runs dpkg while one account or two try to log in all the time: `always` has to come in each time, `never` not once.
#[track_caller]
fn dpkg(host: &Host, args: &[&str], always: &str, never: Option<&str>) -> Output {
    let done = AtomicBool::new(false);
    let su = |user: &str| host.run(&["su", user, "-c", "true"]).succeeded();
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            loop {
                assert!(su(always), "{always} was kept out during dpkg {args:?}");
                if let Some(never) = never {
                    assert!(!su(never), "{never} came in during dpkg {args:?}");
                }
                if done.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let output = host.command(&[&["dpkg"], args].concat()).env("DEBIAN_FRONTEND", "noninteractive").run();
        done.store(true, Ordering::Relaxed);
        watch.join().unwrap_or_else(|problem| std::panic::resume_unwind(problem));
        output.ok()
    })
}

/// What is left of the package in PAM, among the units and in the file system, one a line.
fn traces(host: &Host) -> String {
    host.sh("grep -rs '^[^#]*pam_lockdown' /etc/pam.d || true
         systemctl list-units --plain --no-legend 'lockdown*'
         systemctl --failed --plain --no-legend
         pgrep --list-full lockdown || true
         busctl --no-pager --no-legend list | grep lockdown || true
         find /usr/lib /usr/bin /usr/sbin /run -path '*lockdown*' -not -path '/run/udev/*'")
        .ok()
        .stdout
}

on_each_release!(bare
    fn from_install_to_purge(host: &Host) {
        let everybody_comes_in = |when: &str| {
            for user in ["alice", "bob", "root"] {
                assert_eq!(comes_in(host, user), [true; 3], "{user} {when}");
            }
        };
        let only_alice_is_kept_out = |when: &str| {
            assert_eq!(comes_in(host, "alice"), [false; 3], "alice {when}");
            assert_eq!(comes_in(host, "bob")[..2], [true; 2], "bob {when}");
            assert_eq!(comes_in(host, "root")[..2], [true; 2], "root {when}");
        };
        host.write(DEB, package());
        // The next version: a package of its own, whose postinst is told of an upgrade.
        host.sh(&format!(
            "dpkg-deb --raw-extract {DEB} /root/next
             sed -i 's/^Version: .*/&.1/' /root/next/DEBIAN/control
             dpkg-deb --build --root-owner-group -Zgzip /root/next {NEXT}"
        ))
        .ok();

        dpkg(host, &["-i", DEB], "bob", None);
        everybody_comes_in("installed");
        host.run(&["systemctl", "is-enabled", "lockdown-relay.socket", "lockdownd.socket", "lockdownd.service"]).ok();
        host.lockdownctl(&["doctor"]).ok();
        host.lockdownctl(&["lock", "alice", "--indefinite"]).ok();
        only_alice_is_kept_out("locked");

        // Upgraded, and the same version once more: the lock holds, the daemon is the new one, edits stay.
        host.sh("sed -i 's/^#duration = .*/duration = \"2h\"/' /etc/lockdown/lockdown.toml").ok();
        host.sh("sed -i 's/pam_lockdown.so/& quiet/' /etc/pam.d/common-account").ok();
        for deb in [NEXT, NEXT] {
            let pid = host.run(&["systemctl", "show", "--property=MainPID", "lockdownd"]).ok().stdout;
            dpkg(host, &["-i", deb], "bob", Some("alice"));
            assert_ne!(host.run(&["systemctl", "show", "--property=MainPID", "lockdownd"]).ok().stdout, pid);
            only_alice_is_kept_out("upgraded");
            assert_eq!(host.ask_lockdown(&["status", "alice"])["locked"], true);
        }
        assert!(host.read("/etc/lockdown/lockdown.toml").contains("\nduration = \"2h\""));
        assert!(host.read("/etc/pam.d/common-account").contains("pam_lockdown.so quiet"));
        host.lockdownctl(&["config", "show"]).ok().says("2h");

        dpkg(host, &["-r", "lockdown"], "bob", None).says("1 account(s) have locks");
        everybody_comes_in("removed");
        assert_eq!(traces(host), "");
        host.reboot();
        everybody_comes_in("removed, after a reboot");

        dpkg(host, &["-i", NEXT], "bob", None);
        only_alice_is_kept_out("reinstalled");
        assert_eq!(host.ask_lockdown(&["status", "alice"])["locked"], true);
        assert!(host.read("/etc/lockdown/lockdown.toml").contains("\nduration = \"2h\""));
        host.lockdownctl(&["doctor"]).ok();

        dpkg(host, &["-P", "lockdown"], "bob", None);
        everybody_comes_in("purged");
        assert_eq!(traces(host), "");
        host.run(&["ls", "-d", "/var/lib/lockdown"]).fails();
        host.run(&["ls", "-d", "/etc/lockdown"]).fails();
        let left = "find /etc /var/lib -name '*lockdown*' -not -path '/var/lib/dpkg/*'";
        assert_eq!(host.sh(left).ok().text(), "");
    }
);

on_each_release!(bare
    fn a_line_of_ones_own_keeps_it_from_being_removed(host: &Host) {
        host.write(DEB, package());
        dpkg(host, &["-i", DEB], "bob", None);
        host.write("/etc/pam.d/mine", "account required pam_lockdown.so\naccount required pam_unix.so\n");
        let removed = host.run(&["dpkg", "-r", "lockdown"]).fails();
        removed.says("/etc/pam.d/mine:1:");
        host.run(&["pamtester", "mine", "alice", "acct_mgmt"]).ok();
        host.run(&["rm", "/etc/pam.d/mine"]).ok();
        dpkg(host, &["-r", "lockdown"], "bob", None);

        // Where nothing else says yes, our lines would deny everybody: they are left out, and that is said.
        host.sh("DEBIAN_FRONTEND=noninteractive pam-auth-update --disable unix").ok();
        dpkg(host, &["-i", DEB], "root", None).says("check is left out").says("checks there are left");
        for phase in ["account", "auth"] {
            assert!(!host.read(&format!("/etc/pam.d/common-{phase}")).contains("pam_lockdown"));
        }
        let advice = "pam-auth-update --enable unix lockdown lockdown-session";
        host.lockdownctl(&["doctor"]).code(1).says("does not run pam_lockdown.so").says(advice);
        host.sh(&format!("DEBIAN_FRONTEND=noninteractive {advice}")).ok();
        let advice = "pam-auth-update --enable lockdown-preauth lockdown-authfail lockdown-authsucc";
        host.lockdownctl(&["doctor"]).ok().says("nothing guards pam_unix.so").says(advice);
        host.sh(&format!("DEBIAN_FRONTEND=noninteractive {advice}")).ok();
        host.lockdownctl(&["doctor"]).ok().says_not("pam-auth-update");
        assert_eq!(comes_in(host, "bob"), [true; 3]);
    }
);

on_each_release!(
    fn units_are_correct_and_sandboxed(host: &Host) {
        let units = [
            "lockdownd.service",
            "lockdownd.socket",
            "lockdown-relay.service",
            "lockdown-relay.socket",
            "lockdown-metrics.service",
            "lockdown-metrics.timer",
        ];
        host.run(&[&["systemd-analyze", "verify", "--man=no"], &units[..]].concat()).ok();
        // Tenths of the exposure level.
        for (threshold, unit) in [("30", "lockdownd.service"), ("15", "lockdown-relay.service")] {
            let threshold = format!("--threshold={threshold}");
            host.run(&["systemd-analyze", "security", "--no-pager", &threshold, unit]).ok();
        }
    }
);

#[test]
fn lintian_finds_no_error() {
    for deb in packages_under_test() {
        let checked = Command::new("lintian").args(["--fail-on", "error", "--allow-root"]).arg(&deb).output();
        // Not everywhere: tests/prepare installs it on Debian.
        let Ok(checked) = checked else { return eprintln!("lintian is not installed: nothing was checked") };
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }
}

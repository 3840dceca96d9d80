//! Accounts that are not in /etc/passwd, and a directory that does not answer.

use std::process::Command;
use std::thread;
use std::time::Duration;

use lockdown_tests::{Host, on_each_release};

/// `[nss] timeout` is 3 s: with all around it, a call ends within this.
const BOUNDED: Duration = Duration::from_secs(6);
const AT_ONCE: Duration = Duration::from_secs(2);

/// The daemon keeps 32 threads for look-ups.
const MORE_THAN_THREADS: u32 = 40;

/// Makes an NSS service of fixtures/nss_hang.c the host's second source of accounts.
fn add_directory(host: &Host) {
    let scratch = tempfile::tempdir().expect("create a directory");
    let library = scratch.path().join("libnss_hang.so.2");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/accept/fixtures/nss_hang.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Werror", "-Wl,-soname,libnss_hang.so.2", "-o"])
        .arg(&library)
        .arg(source)
        .output()
        .expect("run cc");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let libraries = host.sh("dirname $(find /usr/lib -name libnss_compat.so.2)").ok().text().to_owned();
    host.write(&format!("{libraries}/libnss_hang.so.2"), std::fs::read(library).expect("read the library"));
    host.run(&["sed", "-i", "s/^passwd:.*/passwd: files hang/", "/etc/nsswitch.conf"]).ok();
    host.run(&["install", "-d", "--owner=5000", "--group=100", "/home/dora"]).ok();
    assert_eq!(host.run(&["id", "-u", "dora"]).ok().text(), "5000");
}

on_each_release!(
    fn a_directory_that_hangs_holds_up_its_own_accounts_only(host: &Host) {
        add_directory(host);
        thread::scope(|scope| {
            let slow = scope.spawn(|| host.lockdownctl(&["lock", "slowpoke"]));
            let slower = scope.spawn(|| host.run(&["lockdownctl", "status", "slowcoach"]));
            for _ in 0..3 {
                for command in ["lock", "unlock"] {
                    let output = host.lockdownctl(&[command, "alice"]).ok();
                    assert!(output.took < AT_ONCE, "{output}");
                }
            }
            for waiting in [slow, slower] {
                let output = waiting.join().expect("no panic").code(1).says("NSS did not answer for slow");
                assert!(output.took < BOUNDED, "{output}");
            }
        });
        host.lockdownctl(&["lock", "alice", "slowpoke"]).code(1);
        assert_eq!(host.ask_lockdown(&["status", "alice"])["locked"], true);

        // More of them than the daemon has threads to lose: bob, of whom it has not heard yet, is found all the same.
        host.sh(&format!(
            "for n in $(seq {MORE_THAN_THREADS}); do lockdownctl status slow$n & done >/dev/null 2>&1; wait"
        ))
        .ok();
        let output = host.lockdownctl(&["lock", "bob"]).ok();
        assert!(output.took < AT_ONCE, "{output}");
        host.run(&["su", "bob", "-c", "true"]).fails();
        // It stops in time, whatever still hangs.
        let stopped = host.run(&["systemctl", "restart", "lockdownd"]).ok();
        assert!(stopped.took < BOUNDED, "{stopped}");
    }
);

on_each_release!(
    fn an_account_of_a_directory_is_locked_and_unlocked(host: &Host) {
        add_directory(host);
        let comes_in = || {
            let su = host.run(&["su", "-", "dora", "-c", "id -un"]);
            let sudo = host.run_as("alice", &["sudo", "-n", "-u", "dora", "id", "-un"]);
            let pam = host.run(&["pamtester", "sshd", "dora", "acct_mgmt", "open_session"]);
            [su.stdout == "dora\n", sudo.stdout == "dora\n", pam.succeeded()]
        };
        assert_eq!(comes_in(), [true; 3], "before");
        let runs = host.command(&["su", "-", "dora", "-c", "exec sleep 1000"]).on_terminal();
        lockdown_tests::eventually(AT_ONCE, || host.run(&["pgrep", "-u", "dora", "-x", "sleep"]).succeeded());
        host.lockdownctl(&["lock", "dora", "--message", "Ask the directory's people."]).ok();
        runs.wait_ended(BOUNDED);
        assert_eq!(comes_in(), [false; 3], "locked");
        host.run(&["su", "dora", "-c", "true"]).fails().says("Ask the directory's people.");
        assert_eq!(host.ask_lockdown(&["status", "uid:5000"])["name"], "dora");

        // Locked down, it has no password here that could be made unusable, which is no failure.
        let result = host.lock_down_wholly("dora");
        assert_eq!(result["actions"]["unusable_password"], "not local", "{result:#}");
        assert_eq!(result["actions"]["deactivate"], "done", "{result:#}");
        host.lockdownctl(&["restore", "dora", "--recovery-code"]).code(2).says("in a directory");
        host.undo("dora");
        assert_eq!(comes_in(), [false; 3], "the operator's lock stands");

        // The directory goes away: the lock stands, can be seen, and can be lifted by what the store knows.
        host.run(&["sed", "-i", "s/^passwd:.*/passwd: files/", "/etc/nsswitch.conf"]).ok();
        host.lockdownctl(&["accounts", "--locked"]).ok().says("dora");
        host.run(&["sed", "-i", "s/^passwd:.*/passwd: files hang/", "/etc/nsswitch.conf"]).ok();
        host.lockdownctl(&["unlock", "dora"]).ok();
        assert_eq!(comes_in(), [true; 3], "after");
    }
);

//! The main job: a locked account is refused whatever way it comes, and comes in again when the lock is lifted.

use std::time::Duration;

use lockdown_tests::{Host, eventually, on_releases, password_of};

const SOON: Duration = Duration::from_secs(10);

/// Every way into alice's account that goes through PAM. A way gives whether it led in, and what it said.
fn ways(host: &Host) -> Vec<(&'static str, bool, String)> {
    let password = password_of("alice");
    let mut ways = Vec::new();
    let mut way = |name, entered, text: String| ways.push((name, entered, text));

    let output = host.ssh("alice").run("echo in");
    way("ssh by key", output.stdout == "in\n", output.to_string());
    let output = host.ssh("alice").password(&password).run("echo in");
    way("ssh by password", output.stdout == "in\n", output.to_string());
    host.write("/root/file", "content");
    let output = host.ssh("alice").upload("/root/file", "file");
    way("scp", output.succeeded(), output.to_string());
    let output = host.ssh("alice").sftp("pwd");
    way("sftp", output.succeeded(), output.to_string());
    let console = host.console_login("alice", &password);
    way("console", console.entered(), console.text());
    let output = host.run(&["su", "-", "alice", "-c", "echo in"]);
    way("su by root", output.stdout == "in\n", output.to_string());
    let su = host.command(&["su", "-", "alice", "-c", "echo entered"]).as_user("bob").on_terminal();
    su.wait_for("assword");
    su.send(&password);
    let entered = su.wait_for_any(&["entered", "locked", "expired", "denied"], SOON) == Some(0);
    way("su by bob", entered, su.screen());
    let output = host.run_as("alice", &["sudo", "-n", "id", "-un"]);
    way("sudo by alice", output.stdout == "root\n", output.to_string());
    let output = host.run_as("bob", &["sudo", "-n", "-u", "alice", "id", "-un"]);
    way("sudo -u alice by bob", output.stdout == "alice\n", output.to_string());
    let output = host.run(&[
        "systemd-run",
        "--quiet",
        "--wait",
        "--pipe",
        "--property=PAMName=login",
        "--uid=alice",
        "id",
        "-un",
    ]);
    way("systemd-run with PAMName=", output.stdout == "alice\n", output.to_string());
    // pkexec wants a parent that it can see: a shell of the host.
    let output = host.sh("pkexec --user alice id -un; exit $?");
    way("pkexec", output.stdout == "alice\n", output.to_string());
    ways
}

/// Queues a job of cron and one of at (at a time of at(1)) for alice, does something, and waits until both have run or
/// were denied: which?
fn jobs(host: &Host, at: &str, meanwhile: impl FnOnce()) -> (bool, bool) {
    let denials = |service: &str| {
        let line = format!("pam_lockdown({service}:account): denied: user=\"alice\"");
        host.journal(None).matches(&line).count()
    };
    let before = (denials("cron"), denials("atd"));
    host.sh("rm -f /tmp/cron-ran /tmp/at-ran").ok();
    host.sh("echo '* * * * * alice touch /tmp/cron-ran' > /etc/cron.d/alice").ok();
    host.run_as("alice", &["sh", "-c", &format!("echo touch /tmp/at-ran | at -M {at}")]).ok();
    meanwhile();
    host.sh("rm -f /tmp/cron-ran").ok();
    let ran = |service: &str, file: &str, before: usize| {
        let ran = || host.run(&["test", "-e", file]).succeeded();
        eventually(Duration::from_secs(180), || ran() || denials(service) > before);
        ran()
    };
    (ran("cron", "/tmp/cron-ran", before.0), ran("atd", "/tmp/at-ran", before.1))
}

on_releases!([bookworm, trixie, trixie_broker]
    fn a_locked_account_is_refused_and_lifted_comes_in_again(host: &Host) {
        let all_lead_in = |when: &str| {
            for (way, entered, text) in ways(host) {
                assert!(entered, "{way} does not lead in {when}:\n{text}");
            }
        };
        all_lead_in("before");
        host.run(&["lockdownctl", "lock", "alice", "--reason", "test", "--message", "Call 555-1234."]).ok();
        for (way, entered, text) in ways(host) {
            assert!(!entered, "{way} leads in:\n{text}");
        }
        // Who proved who they are is told why.
        host.ssh("alice").run("true").code(255).says("locked").says("Call 555-1234.");
        // Who did not is told nothing.
        host.ssh("alice").password("wrong").run("true").code(255).says_not("locked");
        host.ssh("bob").run("true").ok();
        host.run(&["lockdownctl", "unlock", "alice"]).ok();
        all_lead_in("after");
    }
);

on_releases!([bookworm, trixie]
    fn cron_and_at_jobs_of_a_locked_account_do_not_run(host: &Host) {
        assert_eq!(jobs(host, "now", || ()), (true, true), "before");
        // Queued before the lock, with time for the lock to come.
        let lock = || drop(host.run(&["lockdownctl", "lock", "alice"]).ok());
        assert_eq!(jobs(host, "now + 2 minutes", lock), (false, false), "locked");
        host.run(&["lockdownctl", "unlock", "alice"]).ok();
        assert_eq!(jobs(host, "now", || ()), (true, true), "after");
    }
);

on_releases!([bookworm, trixie]
    fn user_services_of_a_locked_account_do_not_start(host: &Host) {
        let run = "systemd-run --user --wait --quiet --pipe echo ran";
        let session = host.ssh_session("alice");
        session.ask(run).ok().says("ran");
        host.run(&["lockdownctl", "lock", "alice"]).ok();
        session.wait_ended(SOON);
        // The user manager is what would run them, and PAM is asked when it starts.
        host.run(&["systemctl", "start", "user@1000.service"]).fails();
        host.run(&["lockdownctl", "unlock", "alice"]).ok();
        host.ssh_session("alice").ask(run).ok().says("ran");
    }
);

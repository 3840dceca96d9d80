//! Attack protection at the real doors: who guesses locks himself out, and with that nobody else.

use std::path::Path;
use std::thread;
use std::time::Duration;

use lockdown_enforcement::AttackProtection;
use lockdown_tests::{Attempt, Host, Output, PamClient, Ssh, eventually, on_each_release, password_of};

const SOON: Duration = Duration::from_secs(20);
/// Every address of 127/8 is the host's: remote hosts as far as sshd knows.
const ATTACKER: &str = "127.0.0.5";
const OTHER_ATTACKER: &str = "127.0.0.6";
const HOME: &str = "127.0.0.7";
const TRUSTED: &str = "127.0.0.9";

/// A login over ssh by password, or with `None` by root's key.
fn ssh<'h>(host: &'h Host, user: &str, address: &str, password: Option<&str>) -> Ssh<'h> {
    let ssh = host.ssh(user).arg(&format!("-oBindAddress={address}"));
    password.map_or(ssh.clone(), |password| ssh.password(password))
}

fn by_password(host: &Host, user: &str, address: &str) -> Output {
    ssh(host, user, address, Some(&password_of(user))).run("true")
}

fn by_key(host: &Host, user: &str, address: &str) -> Output {
    ssh(host, user, address, None).run("true")
}

/// As many wrong passwords over ssh, all at once.
fn guess(host: &Host, user: &str, address: &str, times: usize) {
    thread::scope(|scope| {
        for _ in 0..times {
            let guess =
                || ssh(host, user, address, Some("wrong")).run("true").code(255).says("Permission denied");
            scope.spawn(guess);
        }
    });
}

/// bob asks for a shell of `user`'s and knows the password.
fn by_su(host: &Host, user: &str) -> bool {
    let su = host.command(&["su", user, "-c", "echo let-in"]).as_user("bob").on_terminal();
    su.wait_for("Password: ");
    su.send(&password_of(user));
    su.wait_for_any(&["let-in", "failure"], SOON) == Some(0)
}

fn on_console(host: &Host, user: &str) -> bool {
    host.console_login(user, &password_of(user)).entered()
}

fn client(host: &Host) -> PamClient<'_> {
    host.pam_client(Path::new(env!("CARGO_BIN_EXE_pam-attempts")), &[])
}

on_each_release!(
    fn who_guesses_locks_himself_out_and_nobody_else(host: &Host) {
        host.protect(&AttackProtection { max_attempts: 3, ..AttackProtection::default() });
        let session = ssh(host, "carol", ATTACKER, None).open();
        guess(host, "carol", ATTACKER, 3);

        by_password(host, "carol", ATTACKER).code(255).says("Permission denied").says_not("locked");
        // Who has the key has proved who she is, and is told why.
        by_key(host, "carol", ATTACKER).code(255).says("locked until 20");
        // She herself gets in from wherever else she comes ...
        by_password(host, "carol", HOME).ok();
        by_key(host, "carol", HOME).ok();
        assert!(by_su(host, "carol") && on_console(host, "carol"));
        // ... others from there, too.
        by_password(host, "bob", ATTACKER).ok();
        // What was open goes on, with her password.
        session.send("sudo -k id -un");
        session.wait_for("password for carol: ");
        session.send(&password_of("carol"));
        session.wait_for("root\r\n");
        // One failure less does not lock.
        guess(host, "alice", ATTACKER, 2);
        by_password(host, "alice", ATTACKER).ok();
    }
);

on_each_release!(
    fn many_hosts_together_lock_the_account_for_all_that_are_remote(host: &Host) {
        host.protect(&AttackProtection {
            max_attempts: 2,
            max_attempts_total: 4,
            trusted_sources: vec![TRUSTED.parse().expect("an address")],
            ..AttackProtection::default()
        });
        let session = ssh(host, "carol", HOME, None).open();
        guess(host, "carol", ATTACKER, 2);
        by_password(host, "carol", HOME).ok();
        // That success was from home, and ends the count from there alone.
        guess(host, "carol", OTHER_ATTACKER, 2);

        by_password(host, "carol", HOME).code(255).says("Permission denied").says_not("locked");
        by_key(host, "carol", HOME).code(255).says("locked until 20");
        // It is no weapon against who is there already, nor at the console, nor where she is trusted.
        session.send("sudo -k id -un");
        session.wait_for("password for carol: ");
        session.send(&password_of("carol"));
        session.wait_for("root\r\n");
        assert!(by_su(host, "carol") && on_console(host, "carol"));
        by_password(host, "carol", TRUSTED).ok();
        by_key(host, "carol", TRUSTED).ok();
        by_password(host, "bob", HOME).ok();
        // From a trusted host failures do not count.
        guess(host, "bob", TRUSTED, 5);
        by_password(host, "bob", TRUSTED).ok();
        by_password(host, "bob", HOME).ok();
    }
);

on_each_release!(
    /// As pam_faillock does: then a lockout is a weapon, and only sessions and trusted hosts are out of its reach.
    fn without_per_source_everybody_is_locked_out(host: &Host) {
        host.protect(&AttackProtection {
            max_attempts: 3,
            per_source: false,
            trusted_sources: vec![TRUSTED.parse().expect("an address")],
            ..AttackProtection::default()
        });
        let session = ssh(host, "alice", HOME, None).open();
        guess(host, "alice", ATTACKER, 3);

        by_password(host, "alice", ATTACKER).code(255);
        by_password(host, "alice", HOME).code(255).says("Permission denied").says_not("locked");
        by_key(host, "alice", HOME).code(255).says("locked until 20");
        assert!(!by_su(host, "alice") && !on_console(host, "alice"));
        by_password(host, "alice", TRUSTED).ok();
        assert_eq!(session.ask("sudo -n id -un").ok().text(), "root");
        host.run_as("bob", &["sudo", "-n", "-u", "alice", "true"]).ok();
        host.run(&["su", "-", "alice", "-c", "true"]).ok();
        host.sh("echo '* * * * * alice touch /tmp/cron-ran' > /etc/cron.d/alice").ok();
        eventually(Duration::from_secs(90), || host.run(&["test", "-e", "/tmp/cron-ran"]).succeeded());
    }
);

on_each_release!(
    fn root_and_ignored_services_are_left_alone(host: &Host) {
        let client = client(host);
        let settings = AttackProtection { max_attempts: 3, ..AttackProtection::default() };
        let locks = |user: &str, service: &str| {
            let wrong = Attempt::new(service, user, "wrong").from(ATTACKER);
            client.attempts(&vec![wrong.clone(); 5]);
            !client.attempt(&wrong.with(&password_of(user))).entered()
        };
        host.protect(&AttackProtection { ignore_services: vec!["login".into()], ..settings.clone() });
        assert!(!locks("root", "sshd"), "root");
        assert!(!locks("alice", "login"), "an ignored service");
        assert_eq!(host.tally(1000).count(), 0);
        assert!(locks("alice", "sshd"), "another service");
        // A lock has nothing to do with a service that is not looked at.
        let at_login = Attempt::new("login", "alice", &password_of("alice")).from(ATTACKER);
        assert!(client.attempt(&at_login).entered());

        host.protect(&AttackProtection { even_deny_root: true, ..settings });
        assert!(locks("root", "sshd"));
        // Root's key is the way back in, and that is nothing to be alarmed about.
        by_key(host, "root", ATTACKER).ok();
        assert!(!host.journal(None).contains("root cannot be locked"));
    }
);

on_each_release!(
    fn the_account_s_own_user_is_warned_and_nobody_else(host: &Host) {
        host.protect(&AttackProtection {
            max_attempts: 4,
            warn_attempts_left: 2,
            ..AttackProtection::default()
        });
        let client = client(host);
        let warning = |attempt: &Attempt| {
            let outcome = client.attempt(attempt);
            assert!(outcome.entered(), "{outcome:?}");
            outcome.heard.into_iter().find(|text| text.contains("failed attempt"))
        };
        let right = Attempt::new("login", "alice", &password_of("alice")).from(ATTACKER);
        let wrong = right.clone().with("wrong");
        let guess = |times: usize| {
            for outcome in client.attempts(&vec![wrong.clone(); times]) {
                assert_eq!(outcome.heard, ["Password: "]);
            }
        };
        guess(1);
        assert_eq!(warning(&right), None, "three more would be needed");
        guess(2);
        let text = warning(&right).expect("a warning");
        assert!(text.starts_with("2 failed attempts to sign in as alice from here since 20"), "{text}");
        assert!(text.ends_with("2 more would have locked it."), "{text}");
        assert_eq!(warning(&right), None, "the count has ended");
        // At the console as well as in the client.
        let wrong = host.console_login("alice", "wrong").refused();
        assert!(!wrong.contains("failed attempt"), "{wrong}");
        for _ in 0..2 {
            host.console_login("alice", "wrong").refused();
        }
        let shown = host.console_login("alice", &password_of("alice")).text();
        assert!(
            shown.contains("3 failed attempts to sign in as alice") && shown.contains("1 more would"),
            "{shown}"
        );
    }
);

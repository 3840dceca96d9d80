//! A recovery code that nobody uses, an undo that fails, a lockdown that a dead daemon left unfinished: the account is shut.

use std::time::Duration;

use lockdown_tests::{Host, eventually, on_each_release, password_of};

const SOON: Duration = Duration::from_secs(30);
/// A code's shortest lifetime, a minute, and as long again for the daemon.
const LAPSE: Duration = Duration::from_secs(120);
/// Long and unlike any word, so that the host's own rules take it.
const NEW_PASSWORD: &str = "kW9-truv-Ohmzeh";

/// What does not ask PAM refuses the account as well: its line of shadow(5) has no hash, and has expired.
#[track_caller]
fn is_shut(host: &Host, user: &str) -> bool {
    host.shadow_of(user) == ("!*".to_owned(), "1".to_owned())
}

#[track_caller]
fn is_locked(host: &Host, user: &str) -> bool {
    host.ask_lockdown(&["status", user])["locked"].as_bool().expect("a status")
}

/// Locks an account down, and makes it a recovery code.
#[track_caller]
fn give_code(host: &Host, user: &str) -> String {
    host.lock_down_wholly(user);
    let restored = host.ask_lockdown(&["restore", user, "--recovery-code"]);
    restored["recovery_code"].as_str().unwrap_or_else(|| panic!("no code: {restored:#}")).to_owned()
}

/// The code is no password that an undo could put back; a new one is taken, and the account expires when it did before.
#[track_caller]
fn only_a_new_password_opens(host: &Host, user: &str, code: &str, expiry: &str) {
    assert!(is_locked(host, user));
    host.lockdownctl(&["restore", user, "--undo"]).fails().says("new password");
    assert!(is_shut(host, user));
    host.command(&["lockdownctl", "restore", user, "--password-stdin"]).stdin(NEW_PASSWORD).run().ok();
    host.ssh(user).password(code).run("true").code(255);
    host.ssh(user).password(NEW_PASSWORD).run("true").ok();
    assert_eq!(host.shadow_of(user).1, expiry);
}

on_each_release!(
    fn a_lockdown_ends_the_code_that_waits(host: &Host) {
        host.run(&["chage", "--expiredate", "2035-01-01", "alice"]).ok();
        let (_, expiry) = host.shadow_of("alice");
        let code = give_code(host, "alice");
        assert!(!is_locked(host, "alice"));

        host.lock_down_wholly("alice");
        assert!(is_shut(host, "alice"));
        assert_eq!(host.events_about("alice", "recovery-expired").len(), 1);
        only_a_new_password_opens(host, "alice", &code, &expiry);
        assert_eq!(host.events_about("alice", "recovery-used").len(), 0);
    }
);

on_each_release!(
    fn after_a_code_that_nobody_used_the_lockdown_stands_again(host: &Host) {
        host.write("/etc/lockdown/lockdown.d/50-soon.toml", "[lockdown]\nrecovery_code_lifetime = \"1m\"\n");
        host.run(&["systemctl", "reload", "lockdownd"]).ok();
        for user in ["alice", "bob"] {
            host.run(&["chage", "--expiredate", "2035-01-01", user]).ok();
        }
        let (_, expiry) = host.shadow_of("bob");
        let before = host.sign_in_state("alice");
        give_code(host, "alice");
        let code = give_code(host, "bob");
        // Another lockdown, which leaves the code alone.
        let waiting = host.shadow_of("bob");
        let results = host.lock_down(&["bob", "--no-deactivate", "--no-password"]);
        assert_eq!(results[0]["success"], true, "{results:#?}");
        assert_eq!(host.shadow_of("bob"), waiting);
        for user in ["alice", "bob"] {
            assert!(!is_locked(host, user));
        }

        for user in ["alice", "bob"] {
            eventually(LAPSE, || is_shut(host, user));
            let status = host.ask_lockdown(&["status", user]);
            assert_eq!((&status["locked"], &status["expired"]), (&true.into(), &false.into()), "{status:#}");
            assert_eq!(host.events_about(user, "recovery-expired").len(), 1);
        }
        // What the first lockdown found is still there to be put back, unless another has come since.
        host.undo("alice");
        assert_eq!(host.sign_in_state("alice"), before);
        host.ssh("alice").password(&password_of("alice")).run("true").ok();
        only_a_new_password_opens(host, "bob", &code, &expiry);
    }
);

on_each_release!(
    fn an_undo_that_fails_is_shut_again(host: &Host) {
        let before = host.sign_in_state("alice");
        host.lock_down_wholly("alice");
        // In the way of her own.
        host.sh("echo other > /home/alice/.ssh/authorized_keys").ok();
        host.lockdownctl(&["restore", "alice", "--undo"]).fails().says("stays locked down");
        assert!(is_shut(host, "alice") && is_locked(host, "alice"));
        host.ssh("alice").run("true").code(255);
        eventually(SOON, || host.events_about("alice", "lockdown-finished").len() == 2);
        assert_eq!(host.tokens_of("alice"), [""; 0]);

        host.undo("alice");
        assert_eq!(host.sign_in_state("alice"), before);
        host.ssh("alice").run("true").ok();
    }
);

on_each_release!(
    /// As a daemon leaves it that is killed after a restore has opened the account, and before the lock is lifted.
    fn an_unfinished_lockdown_is_finished_when_the_daemon_starts(host: &Host) {
        let before = host.sign_in_state("bob");
        host.lock_down_wholly("bob");
        host.sh("
            systemctl stop lockdownd.socket lockdownd.service
            sqlite3 /var/lib/lockdown/lockdown.db 'UPDATE lockdowns SET finished_at = NULL WHERE restored_at IS NULL'
            chage --expiredate -1 bob
            echo 'bob:bob-secret-7' | chpasswd
        ")
            .ok();
        assert!(!is_shut(host, "bob"));
        host.ssh("bob").password(&password_of("bob")).run("true").code(255);

        host.run(&["systemctl", "start", "lockdownd"]).ok();
        eventually(SOON, || is_shut(host, "bob"));
        eventually(SOON, || host.events_about("bob", "lockdown-finished").len() == 2);
        host.undo("bob");
        assert_eq!(host.sign_in_state("bob"), before);
    }
);

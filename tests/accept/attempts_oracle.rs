//! No oracle: who guesses sees and measures the same for a locked account, an unlocked one and one that there is not, and
//! for the right password while it is locked.

use std::path::Path;
use std::thread;
use std::time::Duration;

use lockdown_enforcement::AttackProtection;
use lockdown_tests::{Attempt, Host, Session, on_each_release, oracle, password_of};

/// A difference that chance brings about in one of a hundred runs tells nothing.
const CHANCE: f64 = 0.01;
const SOON: Duration = Duration::from_secs(30);
/// As many characters as alice and carol have.
const UNKNOWN: &str = "marvn";

/// What stands on a terminal once it is over, and the exit code; the name of the account left out.
fn transcript(session: &Session, user: &str) -> (String, i32) {
    let ended = session.wait_ended(SOON);
    (ended.text.replace(user, "USER"), ended.status)
}

fn over_ssh(host: &Host, user: &str, password: &str) -> (String, i32) {
    let address = format!("{user}@127.0.0.1");
    let session =
        host.terminal(&["ssh", "-oPubkeyAuthentication=no", "-oNumberOfPasswordPrompts=2", &address]);
    for _ in 0..2 {
        session.wait_for("password: ");
        session.send(password);
    }
    transcript(&session, user)
}

fn on_console(host: &Host, user: &str, password: &str) -> (String, i32) {
    let session = host.terminal(&["login"]);
    for _ in 0..2 {
        session.wait_for("login: ");
        session.send(user);
        session.wait_for("Password: ");
        session.send(password);
        session.wait_for("Login incorrect");
    }
    // It stands there a moment later than the answer.
    session.wait_for("login: ");
    (session.screen().replace(user, "USER"), 0)
}

fn by_su(host: &Host, user: &str, password: &str) -> (String, i32) {
    let session = host.command(&["su", user]).as_user("bob").on_terminal();
    session.wait_for("Password: ");
    session.send(password);
    transcript(&session, user)
}

on_each_release!(
    fn nothing_on_the_screen_tells_a_locked_account(host: &Host) {
        host.protect(&AttackProtection::default());
        let client = host.pam_client(Path::new(env!("CARGO_BIN_EXE_pam-attempts")), &[]);
        host.write("/etc/pam.d/guarded", "@include common-auth\n@include common-account\n");
        // From all three at once.
        let wrong = Attempt::new("guarded", "alice", "wrong");
        for attempt in [wrong.clone().from("127.0.0.1"), wrong.clone().by("bob"), wrong.clone()] {
            client.attempts(&vec![attempt.clone(); 10]);
            assert!(!client.attempt(&attempt.with(&password_of("alice"))).entered());
        }
        type Way = fn(&Host, &str, &str) -> (String, i32);
        let ways: [(&str, Way); 3] = [("ssh", over_ssh), ("login", on_console), ("su", by_su)];
        for (name, way) in ways {
            let right = password_of("alice");
            let mut kinds = vec![
                ("unlocked, wrong", "carol", "wrong"),
                ("locked, wrong", "alice", "wrong"),
                ("locked, right", "alice", &right),
                ("unknown", UNKNOWN, "wrong"),
            ];
            if name == "su" {
                // It says by itself that it does not know whom it shall become; who asks it reads /etc/passwd.
                kinds.pop();
            }
            let seen: Vec<_> = thread::scope(|scope| {
                let asked: Vec<_> = kinds
                    .iter()
                    .map(|&(_, user, password)| scope.spawn(move || way(host, user, password)))
                    .collect();
                asked.into_iter().map(|asked| asked.join().expect("a transcript")).collect()
            });
            for ((kind, ..), transcript) in kinds.iter().zip(&seen) {
                assert_eq!(transcript, &seen[0], "{name}: {kind}");
            }
        }
        // All of that was refused as too many, or did not count anywhere.
        assert_eq!(host.tally(1000).count(), 30);
    }
);

on_each_release!(
    fn the_time_that_an_answer_takes_tells_nothing(host: &Host) {
        let client = host.pam_client(Path::new(env!("CARGO_BIN_EXE_pam-attempts")), &[]);
        // What the same samples show where failures are answered at once: the time that pam_unix takes to judge.
        let common_auth = host.read("/etc/pam.d/common-auth");
        host.answer_at_once();
        let tells = oracle::measure(host, &client, 30).known_or_not();
        assert!(tells < CHANCE, "{tells}");
        host.write("/etc/pam.d/common-auth", common_auth);
        // By chance once in some ten thousand runs.
        let least = (0..3).map(|_| oracle::measure(host, &client, 54).least()).find(|&p| p > CHANCE);
        assert!(least.is_some(), "see what was measured, above");
    }
);

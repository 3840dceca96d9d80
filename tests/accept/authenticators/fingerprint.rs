//! A locked finger: the guard in front of pam_fprintd passes over it, and the password is asked for.
//!
//! Debian's pam_fprintd and its profile are real. fprintd and its reader are mocked (`fixtures/fprintd.py`): without the
//! hardware there is none.

use std::time::Duration;

use lockdown_tests::{Host, Session, eventually, on_each_release, password_of};

use super::{REFUSED, list, listed, lock, unlock};
use crate::without_daemon::{bring_back, kill_and_mask};

const READER: &str = include_str!("../fixtures/fprintd.py");
const FINGER: &str = "fingerprint:right-index-finger";
/// How long login takes for the reader and the shell.
const PATIENCE: Duration = Duration::from_secs(20);

fn start_reader(host: &Host) {
    host.write("/root/fprintd.py", READER);
    host.run(&["systemctl", "mask", "--now", "--quiet", "fprintd"]).ok();
    let mock = ["python3", "-m", "dbusmock", "--system", "--template", "/root/fprintd.py"];
    host.run(&[&["systemd-run", "--quiet", "--unit=reader"], &mock[..]].concat()).ok();
    let answers = ["busctl", "introspect", "net.reactivated.Fprint", "/net/reactivated/Fprint/Device/0"];
    eventually(PATIENCE, || host.run(&answers).stdout.contains("VerifyStart"));
}

/// How often the reader was asked.
fn verified(host: &Host) -> usize {
    host.sh("cat /run/verified 2>/dev/null || true").ok().stdout.lines().count()
}

/// sudo, su and login to carol's account, by what they are called.
fn doors(host: &Host) -> [(&'static str, Session); 3] {
    let login = host.terminal(&["login"]);
    login.wait_for("login: ");
    login.send("carol");
    [
        ("sudo", host.command(&["sudo", "-k", "echo", "$ "]).as_user("carol").on_terminal()),
        ("su", host.command(&["su", "-", "carol", "-c", "echo '$ '"]).as_user("bob").on_terminal()),
        ("login", login),
    ]
}

/// Whether the finger is enough. If the password is asked for, it is given, and has to be enough.
#[track_caller]
fn finger_opens(host: &Host) -> bool {
    let before = verified(host);
    let mut asked = Vec::new();
    for (door, session) in doors(host) {
        let texts = ["$ ", "assword: ", "for carol: "];
        let which = session.wait_for_any(&texts, PATIENCE);
        assert!(which.is_some(), "{door}:\n{}", session.screen());
        if which != Some(0) {
            asked.push(door);
            session.send(&password_of("carol"));
            let entered = session.wait_for_any(&["$ "], PATIENCE);
            assert!(entered.is_some(), "{door}:\n{}", session.screen());
        }
    }
    assert!(asked.is_empty() || asked == ["sudo", "su", "login"], "only {asked:?} ask for a password");
    let expected = if asked.is_empty() { 3 } else { 0 };
    assert_eq!(verified(host) - before, expected, "how often the reader was asked");
    asked.is_empty()
}

on_each_release!(
    fn a_locked_one_is_not_asked_for_and_the_password_is(host: &Host) {
        start_reader(host);
        let id = listed(host, "carol", FINGER);
        assert_eq!(
            (&id["label"], &id["type"], &id["present"]),
            (&"right index finger".into(), &"fingerprint".into(), &true.into())
        );
        assert!(!list(host, "alice").iter().any(|one| one["type"] == "fingerprint"), "she has enrolled none");
        // Debian leaves it off until somebody wants it.
        lock(host, "carol", FINGER, &[]).code(REFUSED).says("no service of PAM asks for it");
        host.run(&["pam-auth-update", "--enable", "fprintd"]).ok();
        assert_eq!(listed(host, "carol", FINGER)["enforced"], true);
        assert!(finger_opens(host));

        lock(host, "carol", FINGER, &["--reason", "seen with a cast of it"]).ok();
        assert!(!finger_opens(host));
        // Which one will be shown nobody knows before, so the other one is not asked for either.
        unlock(host, "carol", FINGER).ok();
        assert!(finger_opens(host));
        lock(host, "carol", "fingerprint:left-thumb", &[]).ok();
        assert!(!finger_opens(host));
        unlock(host, "carol", "fingerprint:left-thumb").ok();

        // All of them, and without the daemon. The password is one to lock by itself.
        lock(host, "carol", "fingerprint", &[]).ok();
        kill_and_mask(host);
        assert!(!finger_opens(host));
        bring_back(host);
        unlock(host, "carol", "fingerprint").ok();
        lock(host, "carol", "password", &[]).ok();
        assert!(finger_opens(host));

        // Both: nothing of hers is enough, and what is seen is a wrong password.
        lock(host, "carol", FINGER, &[]).ok();
        let refused = host.console_login("carol", &password_of("carol")).refused();
        assert_eq!(refused, host.console_login("carol", "wrong").refused());
        host.ssh("carol").run("true").ok();
    }
);

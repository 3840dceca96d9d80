//! A locked password is asked for as ever, and is as wrong as any other one. Keys go on working.

use std::time::{Duration, Instant};

use lockdown_tests::{Host, Session, eventually, on_each_release, password_of};

use super::{ROOTS, SOON, configure_sshd, listed, lock, make_key, unlock};
use crate::without_daemon::{bring_back, kill_and_mask, now};

/// How long a service may take to judge one password.
const JUDGEMENT: Duration = Duration::from_secs(20);
/// Least delay after a wrong one: pam_unix asks for two seconds, of which libpam takes half as much or half as much again.
const DELAY: Duration = Duration::from_secs(1);
const PASSWORD: [&str; 2] = ["-oPubkeyAuthentication=no", "-oPreferredAuthentications=password"];
const INTERACTIVE: [&str; 2] =
    ["-oPubkeyAuthentication=no", "-oPreferredAuthentications=keyboard-interactive"];

/// Where carol's password is asked for. Each says `entered` to who gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Ssh,
    Interactive,
    Console,
    Su,
    Sudo,
}

const PLACES: [Place; 5] = [Place::Ssh, Place::Interactive, Place::Console, Place::Su, Place::Sudo];

/// What came of it: all that stood on the screen, and whether somebody got in.
struct Attempt {
    text: String,
    entered: bool,
    took: Duration,
}

/// Types the same password wherever it is asked for, until the program ends.
fn answer(session: &Session, password: &str) {
    for _ in 0..4 {
        if session.wait_for_any(&["assword: ", "for carol: "], JUDGEMENT).is_none() {
            break;
        }
        session.send(password);
    }
    session.wait_ended(SOON);
}

fn attempt(host: &Host, place: Place, password: &str) -> Attempt {
    let start = Instant::now();
    let ssh = |options: [&str; 2]| {
        host.terminal(&["ssh", options[0], options[1], "carol@127.0.0.1", "echo entered"])
    };
    let session = match place {
        Place::Ssh => ssh(PASSWORD),
        Place::Interactive => ssh(INTERACTIVE),
        Place::Su => host.command(&["su", "-", "carol", "-c", "echo entered"]).as_user("bob").on_terminal(),
        Place::Sudo => host.command(&["sudo", "-k", "echo", "entered"]).as_user("carol").on_terminal(),
        Place::Console => {
            let login = host.console_login("carol", password);
            return Attempt { text: login.text(), entered: login.entered(), took: start.elapsed() };
        }
    };
    answer(&session, password);
    let text = session.screen();
    Attempt { entered: text.contains("entered"), text, took: start.elapsed() }
}

fn all_enter(host: &Host) {
    for place in PLACES {
        let attempt = attempt(host, place, &password_of("carol"));
        assert!(attempt.entered, "{place:?}:\n{}", attempt.text);
    }
}

on_each_release!(
    fn what_is_seen_is_a_wrong_password(host: &Host) {
        configure_sshd(host, "KbdInteractiveAuthentication yes\n");
        all_enter(host);
        let wrong = PLACES.map(|place| attempt(host, place, "wrong"));
        let row = listed(host, "carol", "password");
        assert_eq!((&row["enforced"], &row["locked"]), (&true.into(), &false.into()), "{row:#}");
        lock(host, "carol", "password", &["--reason", "phished", "--message", "Call 555-1234."]).ok();

        let by_key = host.ssh("carol").key(ROOTS).open();
        for (place, wrong) in PLACES.into_iter().zip(&wrong) {
            assert!(!wrong.entered && wrong.took >= DELAY, "{place:?}: {}", wrong.text);
            for (which, password) in [("right", password_of("carol")), ("wrong", "wrong".to_owned())] {
                let locked = attempt(host, place, &password);
                assert!(!locked.entered, "{place:?} by the {which} one:\n{}", locked.text);
                assert_eq!(locked.text, wrong.text, "{place:?} by the {which} one");
                assert!(locked.took >= DELAY, "{place:?}: refused after {:?}", locked.took);
            }
        }
        // The log has each attempt. Who guesses has not proved who they are, and does not fill the events with it.
        let journal = host.journal(None);
        for service in ["sshd", "login", "su-l", "sudo"] {
            let line = format!("pam_lockdown({service}:auth): password unavailable: user=\"carol\"");
            assert!(journal.contains(&line), "nothing about {service}");
        }
        let denied = host.events_about("carol", "login-denied");
        assert!((1..10).contains(&denied.len()), "{denied:#?}");
        let input = &denied[0]["input"];
        assert_eq!(
            (&input["authenticator"], &input["phase"]),
            (&"password".into(), &"auth".into()),
            "{input:#}"
        );
        // What asks for no password goes on, and so do others.
        by_key.ask("id -un").ok().says("carol");
        host.ssh("carol").key(ROOTS).sftp("pwd").ok();
        host.run(&["su", "-", "carol", "-c", "true"]).ok();
        host.run_as("alice", &["sudo", "-n", "-u", "carol", "true"]).ok();
        host.ssh("alice").password(&password_of("alice")).run("true").ok();
        assert_eq!(host.ask_lockdown(&["status", "carol"])["locked"], false);

        unlock(host, "carol", "password").ok();
        all_enter(host);
    }
);

on_each_release!(
    fn it_stays_locked_whatever_the_password_is(host: &Host) {
        lock(host, "carol", "password", &[]).ok();
        host.sh("echo carol:another-secret-8 | chpasswd").ok();
        assert_eq!(listed(host, "carol", "password")["locked"], true);
        let enters = |place, password: &str| attempt(host, place, password).entered;
        assert!(!enters(Place::Console, "another-secret-8"));
        host.reboot();
        assert!(!enters(Place::Console, "another-secret-8") && !enters(Place::Su, "another-secret-8"));
        kill_and_mask(host);
        assert!(!enters(Place::Console, "another-secret-8") && !enters(Place::Sudo, "another-secret-8"));
        host.ssh("carol").run("true").ok();
        bring_back(host);
        unlock(host, "carol", "password").ok();
        assert!(enters(Place::Console, "another-secret-8"));

        let locked = host.ask_lockdown(&["authenticator", "lock", "carol", "password", "--for", "6s"]);
        let ends = locked["locked_until"].as_i64().expect("a moment");
        kill_and_mask(host);
        assert!(!enters(Place::Su, "another-secret-8"));
        eventually(Duration::from_secs(30), || enters(Place::Su, "another-secret-8"));
        assert!(now(host) >= ends, "let in too early");
    }
);

on_each_release!(
    fn sessions_that_it_opened_end_and_those_of_keys_go_on(host: &Host) {
        let by_password = host.ssh("carol").password(&password_of("carol")).open();
        let tunnel = host.ssh("carol").password(&password_of("carol")).arg("-N").start();
        let (by_key, others) =
            (host.ssh("carol").key(ROOTS).open(), host.ssh("alice").password(&password_of("alice")).open());
        let opened = || {
            host.sessions_of("carol").iter().filter(|session| session["authenticator"] == "password").count()
        };
        eventually(SOON, || opened() == 2);
        let locked = host.ask_lockdown(&["authenticator", "lock", "carol", "password"]);
        assert_eq!(locked["sessions_ended"], 2, "{locked:#}");
        by_password.wait_ended(SOON);
        tunnel.wait_ended(SOON);
        by_key.ask("true").ok();
        others.ask("true").ok();
    }
);

on_each_release!(
    /// `AuthenticationMethods` of sshd_config(5): a key, and then the password.
    fn of_two_that_sshd_wants_each_is_one_to_lock(host: &Host) {
        make_key(host, "/root/other", "other");
        host.sh("cat /root/other.pub >> /home/carol/.ssh/authorized_keys").ok();
        configure_sshd(host, "Match User carol\nAuthenticationMethods publickey,password\n");
        let enters = |key: &str| {
            let options = ["-oIdentitiesOnly=yes", "-i", key, "-oNumberOfPasswordPrompts=1"];
            let argv = [&["ssh"], &options[..], &["carol@127.0.0.1", "echo entered"]].concat();
            let session = host.terminal(&argv);
            answer(&session, &password_of("carol"));
            session.screen().contains("entered")
        };
        assert!(enters(ROOTS) && enters("/root/other"));
        lock(host, "carol", "password", &[]).ok();
        assert!(!enters(ROOTS));
        unlock(host, "carol", "password").ok();
        lock(host, "carol", &super::id_of(host, ROOTS), &[]).ok();
        assert!(!enters(ROOTS) && enters("/root/other"));
    }
);

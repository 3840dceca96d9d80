//! People lock their own account down, and lines of PAM stacks that lock down whoever comes to them.

use std::time::{Duration, Instant};

use lockdown_tests::{Host, Session, eventually, on_each_release, password_of};

use crate::exit_codes::{NOT_AUTHORIZED, REFUSED};

const SOON: Duration = Duration::from_secs(15);
const KEY: &str = "/home/alice/.ssh/id_ed25519";
const MESSAGE: &str = "Walk over to the help desk, room 101.";
const URL: &str = "https://help.example/locked";
const PHONE: &str = "+1 555 0100";

/// Types the call on a terminal of hers, and who she is when polkit asks.
fn call(host: &Host, session: &Session, password: &str) {
    // Written so that the echo of what is typed is not taken for the answer.
    session.send("lockdownctl lockdown --self --reason 'my laptop was stolen' --yes; echo 'ended'=$?");
    host.answer_polkit(session, password);
}

on_each_release!(
    fn without_a_text_to_leave_the_user_with_it_is_refused(host: &Host) {
        let before = host.sign_in_state("alice");
        let session = host.ssh("alice").key(KEY).open();
        call(host, &session, &password_of("alice"));
        session.wait_for("self_service");
        session.wait_for(&format!("ended={REFUSED}"));
        assert_eq!(host.sign_in_state("alice"), before);
        assert_eq!(host.ask_lockdown(&["status", "alice"])["locked"], false);
        session.ask("true").ok();
        host.ssh("alice").run("true").ok();
    }
);

on_each_release!(
    fn the_user_is_told_whom_to_turn_to(host: &Host) {
        let config =
            format!("[self_service]\nmessage = \"{MESSAGE}\"\nurl = \"{URL}\"\nphone = \"{PHONE}\"\n");
        host.write("/etc/lockdown/lockdown.d/50-self.toml", config);
        host.run(&["systemctl", "reload", "lockdownd"]).ok();
        let other = host.ssh("alice").key(KEY).open();
        let bob = host.ssh("bob").key("/home/bob/.ssh/id_ed25519").open();

        // Whoever sits at her keyboard is asked who they are.
        host.ssh("alice")
            .key(KEY)
            .run("lockdownctl lockdown --self --reason stolen --yes")
            .code(NOT_AUTHORIZED);
        let session = host.ssh("alice").key(KEY).open();
        call(host, &session, "wrong");
        session.wait_for(&format!("ended={NOT_AUTHORIZED}"));
        assert_eq!(host.ask_lockdown(&["status", "alice"])["locked"], false);

        call(host, &session, &password_of("alice"));
        for terminal in [&session, &other] {
            let text = terminal.wait_ended(SOON).text;
            for part in [MESSAGE, URL, PHONE] {
                assert!(text.contains(part), "{part} was not shown:\n{text}");
            }
        }
        eventually(SOON, || host.belongings_of(1000).is_empty());
        assert!(!bob.screen().contains(MESSAGE), "others are told");
        let lock = &host.ask_lockdown(&["status", "alice"])["locks"][0];
        assert_eq!(
            (&lock["owner"], &lock["reason"], &lock["expires_at"]),
            (&"self".into(), &"my laptop was stolen".into(), &0.into()),
            "{lock:#}"
        );
        let event = &host.events_about("alice", "lockdown")[0];
        assert_eq!(
            (&event["caller"]["name"], &event["caller"]["uid"]),
            (&"alice".into(), &"1000".into()),
            "{event:#}"
        );

        // Later on: who proves who they are is told, and nobody else.
        let login = |password: &str| host.ssh("alice").password(password).run("true").code(255);
        login(&password_of("alice")).says(MESSAGE).says(URL).says(PHONE);
        login("wrong").says_not(MESSAGE).says_not("locked");
        let console = host.console_login("alice", &password_of("alice")).refused();
        assert!(console.contains(MESSAGE), "{console}");
        let console = host.console_login("alice", "wrong").refused();
        assert!(!console.contains(MESSAGE) && !console.contains("locked"), "{console}");
        host.ssh("alice").key(KEY).run("true").code(255).says_not(MESSAGE);

        // She cannot take it back herself; an operator can.
        host.run_as("alice", &["lockdownctl", "restore", "alice", "--undo"]).code(NOT_AUTHORIZED);
        host.undo("alice");
        host.ssh("alice").key(KEY).run("true").ok();
    }
);

/// What a login at a console says after the password, and how long it takes.
fn attempt(host: &Host, user: &str, password: &str) -> (String, Duration) {
    let start = Instant::now();
    let text = host.console_login(user, password).refused();
    (text.replace(user, "USER"), start.elapsed())
}

on_each_release!(
    /// A canary account: whoever knows its password has stolen it. The answer gives nothing away.
    fn reaching_the_trigger_looks_like_a_wrong_password(host: &Host) {
        host.sh("
            useradd --create-home canary; echo canary:canary-secret-7 | chpasswd
            for service in login sshd; do
                sed --in-place '0,/@include common-auth/s//auth [success=1 default=ignore] pam_succeed_if.so quiet user != canary\\nauth required pam_lockdown.so trigger=lockdown\\n&/' /etc/pam.d/$service
            done
        ")
        .ok();
        let is_locked_down = || host.ask_lockdown(&["status", "canary"])["deactivated"] == true;
        let wrong = attempt(host, "bob", "wrong");
        assert!(!is_locked_down());
        let trap = attempt(host, "canary", &password_of("canary"));
        eventually(SOON, is_locked_down);
        assert_eq!(trap.0, wrong.0);
        // PAM waits for about three seconds, at random half as long or half as much again.
        assert!(trap.1 >= Duration::from_secs(1), "{:?} and {:?}", trap.1, wrong.1);
        let lock = &host.ask_lockdown(&["status", "canary"])["locks"][0];
        assert!(lock["reason"].as_str().is_some_and(|reason| reason.contains("login")), "{lock:#}");
        host.run(&["pamtester", "su", "canary", "acct_mgmt"]).fails();
        // It goes on looking like that.
        assert_eq!(attempt(host, "canary", "wrong").0, wrong.0);

        // The same over ssh, with something of hers running.
        host.undo("canary");
        host.sh("systemd-run --quiet --uid=canary sleep 7001").ok();
        let wrong = host.ssh("bob").password("wrong").run("true").code(255);
        let trap = host.ssh("canary").password(&password_of("canary")).run("true").code(255);
        assert_eq!(trap.stderr.replace("canary", "bob"), wrong.stderr);
        assert!(trap.took >= Duration::from_secs(1), "{trap}");
        eventually(SOON, || is_locked_down() && !host.commands().contains(&"sleep 7001".to_owned()));

        // Others come in as before, and nobody who is protected is locked down.
        host.ssh("bob").password(&password_of("bob")).run("true").ok();
        host.sh("sed --in-place 's/user != canary/user != root/' /etc/pam.d/login").ok();
        host.console_login("root", &password_of("root")).refused();
        assert_eq!(host.ask_lockdown(&["status", "root"])["locked"], false);
        host.ssh("root").run("true").ok();
    }
);

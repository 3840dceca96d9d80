//! Listing, locking and unlocking authenticators, against a scripted manager.

use crate::{private_bus::Bus, terminal::Terminal};

#[test]
fn what_was_said_is_passed_on_and_no_more() {
    let bus = Bus::with_manager();
    for (args, call) in [
        (&["authenticators", "alice"][..], "ListAuthenticators alice"),
        (&["authenticator", "lock", "alice", "password"], "LockAuthenticator alice password "),
        (
            &["authenticator", "lock", "alice", "ssh", "--for", "2m", "--unenforced", "--force"],
            "LockAuthenticator alice ssh duration=uint64 120 force=true unenforced=true",
        ),
        (
            &[
                "authenticator",
                "lock",
                "alice",
                "ssh:SHA256:x",
                "--indefinite",
                "--reason",
                "r",
                "--message",
                "m",
            ],
            "LockAuthenticator alice ssh:SHA256:x duration=uint64 0 message=\"m\" reason=\"r\"",
        ),
        (
            &["authenticator", "unlock", "alice", "password", "--reason", "r"],
            "UnlockAuthenticator alice \"password\" reason=\"r\"",
        ),
        (
            &["authenticator", "unlock", "alice", "--type", "ssh"],
            "UnlockAuthenticator alice \"\" type=\"ssh\"",
        ),
    ] {
        let outcome = bus.run(args);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert_eq!(bus.calls(), [call], "{args:?}");
    }
}

#[test]
fn without_a_user_it_is_ones_own() {
    let bus = Bus::with_manager();
    assert_eq!(bus.run(&["authenticators"]).code, Some(0));
    assert_eq!(bus.calls(), [format!("ListAuthenticators uid:{}", rustix::process::geteuid().as_raw())]);
}

#[test]
fn answers() {
    let bus = Bus::with_manager();
    insta::assert_snapshot!("authenticators-json", bus.run(&["authenticators", "alice", "--json"]).stdout);
    let lock = ["authenticator", "lock", "alice", "password"];
    insta::assert_snapshot!("authenticator-lock", bus.run(&lock).stdout);
    insta::assert_snapshot!("authenticator-lock-json", bus.run(&[&lock[..], &["--json"]].concat()).stdout);
    let unlock = ["authenticator", "unlock", "alice", "--type", "ssh"];
    insta::assert_snapshot!("authenticator-unlock", bus.run(&unlock).stdout);
    assert_eq!(bus.run(&[&lock[..], &["--quiet"]].concat()).stdout, "");
}

#[test]
fn refusals_have_their_codes() {
    let bus = Bus::with_manager();
    for (user, id, code, name) in [
        ("alice", "totp:oath", 6, "NotLockable"),
        ("alice", "face:9", 3, "NoSuchAuthenticator"),
        ("bob", "password", 6, "LastAuthenticator"),
        ("root", "password", 6, "Protected"),
        ("ghost", "password", 3, "NoSuchAccount"),
    ] {
        let outcome = bus.run(&["authenticator", "lock", user, id, "--json"]);
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        assert_eq!(outcome.json()["error"]["name"], format!("org.lockdown1.Error.{name}"));
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    }
    let last = bus.run(&["authenticator", "lock", "bob", "password"]);
    assert!(last.stderr.contains("--force"), "{last:?}");
    bus.calls();
    assert_eq!(bus.run(&["authenticator", "lock", "bob", "password", "--force"]).code, Some(0));
    assert_eq!(bus.calls(), ["LockAuthenticator bob password force=true"]);
}

#[test]
fn sessions_that_go_on_are_a_failure() {
    let bus = Bus::with_manager();
    bus.script.lock().unwrap().survivors = Some(vec!["4711 (cc)".into()]);
    let outcome = bus.run(&["authenticator", "lock", "alice", "password"]);
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("password is locked") && outcome.stderr.contains("4711 (cc)"),
        "{outcome:?}"
    );
}

#[test]
fn an_administrators_last_authenticator_is_asked_about_on_a_terminal() {
    let bus = Bus::with_manager();
    let command = bus.lockdownctl(&["authenticator", "lock", "bob", "password"]);
    for (answer, code, calls) in [("no\n", 1, 1), ("\n", 1, 1), ("yes\n", 0, 2)] {
        let mut terminal = Terminal::run(&command);
        terminal.expect("the last authenticator of bob");
        terminal.expect("(yes/no) ");
        terminal.type_in(answer);
        let (end, shown) = terminal.end();
        assert_eq!(end, Some(code), "{answer:?} {shown}");
        assert_eq!(bus.calls().len(), calls, "{answer:?}");
        if code == 1 {
            assert!(shown.contains("nothing was changed"), "{shown}");
        }
    }
}

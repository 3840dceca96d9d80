//! A lockdown's four actions, several accounts at once, and whom it refuses.

use std::time::Duration;

use lockdown_tests::{Host, Session, eventually, on_each_release, password_of};
use serde_json::Value;

use crate::exit_codes::{FAILED, NOT_AUTHORIZED, REFUSED, USAGE};

const SOON: Duration = Duration::from_secs(10);
const ALICES_KEY: &str = "/home/alice/.ssh/id_ed25519";
/// The actions by their names, and the switches that turn them off.
const ACTIONS: [(&str, &str); 4] = [
    ("deactivate", "--no-deactivate"),
    ("unusable_password", "--no-password"),
    ("end_sessions", "--no-sessions"),
    ("revoke_tokens", "--no-tokens"),
];

/// Which of the four actions show on alice, who had this session.
fn effects(host: &Host, session: &Session) -> [bool; 4] {
    let (password, expiry) = host.shadow_of("alice");
    let denied = !host.run(&["pamtester", "su", "alice", "acct_mgmt"]).succeeded();
    assert_eq!(denied, expiry == "1", "PAM and shadow say the same");
    [denied, password.starts_with('!'), !session.is_alive(), host.tokens_of("alice").is_empty()]
}

/// The outcomes in a result, in the order of [`ACTIONS`].
#[track_caller]
fn outcomes(result: &Value) -> [&str; 4] {
    ACTIONS.map(|(action, _)| {
        result["actions"][action].as_str().unwrap_or_else(|| panic!("no {action}: {result:#}"))
    })
}

on_each_release!(
    fn each_action_can_be_switched_off_and_stands_in_the_result(host: &Host) {
        host.command(&["crontab", "-"]).as_user("alice").stdin("@yearly true\n").run().ok();
        let before = host.sign_in_state("alice");
        let none = [false; 4];
        let each = (0..4).map(|only| std::array::from_fn(|action| action == only));
        for (round, wanted) in [none, [true; 4]].into_iter().chain(each).enumerate() {
            let session = host.ssh("alice").key(ALICES_KEY).open();
            session.ask("(nohup sleep 7001 </dev/null >/dev/null 2>&1 &)").ok();
            let off =
                ACTIONS.iter().zip(wanted).filter(|(_, wanted)| !wanted).map(|((_, switch), _)| *switch);
            let args: Vec<&str> = std::iter::once("alice").chain(off).collect();
            let result = host.lock_down(&args).remove(0);
            if wanted[2] {
                session.wait_ended(SOON);
                assert!(
                    result["sessions_ended"].as_u64() >= Some(1)
                        && result["processes_ended"].as_u64() >= Some(3),
                    "{result:#}"
                );
            }
            assert_eq!(effects(host, &session), wanted, "{result:#}");
            let expected = wanted.map(|wanted| if wanted { "done" } else { "off" });
            assert_eq!((outcomes(&result), &result["success"]), (expected, &true.into()), "{result:#}");
            if wanted[3] {
                let tokens = &result["tokens"];
                assert_eq!(
                    (&tokens["authorized_keys"], &tokens["crontabs"]),
                    (&2.into(), &1.into()),
                    "{result:#}"
                );
            }
            // With every action off it is recorded all the same.
            let events = host.events_about("alice", "lockdown");
            assert_eq!((events.len(), &events[round]["reason"]), (round + 1, &"test".into()), "{events:?}");
            if wanted == none {
                host.lockdownctl(&["restore", "alice", "--undo"]).fails().says("not locked down");
            } else {
                host.undo("alice");
            }
            assert_eq!(host.sign_in_state("alice"), before);
        }
    }
);

on_each_release!(
    fn the_configuration_says_which_actions_there_are(host: &Host) {
        host.write(
            "/etc/lockdown/lockdown.d/50-less.toml",
            "[lockdown]\nunusable_password = false\nend_sessions = false\nrevoke_tokens = false\n",
        );
        host.run(&["systemctl", "reload", "lockdownd"]).ok();
        let session = host.ssh_session("alice");
        let result = host.lock_down_wholly("alice");
        assert_eq!(outcomes(&result), ["done", "off", "off", "off"], "{result:#}");
        assert_eq!(effects(host, &session), [true, false, false, false]);

        // Off is that the whole is switched off, too.
        host.undo("alice");
        host.write("/etc/lockdown/lockdown.d/60-none.toml", "[lockdown]\nenabled = false\n");
        host.run(&["systemctl", "reload", "lockdownd"]).ok();
        let refused =
            host.lockdownctl(&["--json", "lockdown", "alice", "--reason", "test", "--yes"]).code(REFUSED);
        assert_eq!(refused.json()["error"]["name"], "org.lockdown1.Error.Disabled", "{refused}");
        assert_eq!(effects(host, &session), [false; 4]);
        let enabled = [
            "busctl",
            "get-property",
            "org.lockdown1",
            "/org/lockdown1",
            "org.lockdown1.Manager",
            "LockdownEnabled",
        ];
        host.run(&enabled).ok().says("b false");
        // What stands stays in force, and locks are another thing.
        host.lockdownctl(&["lock", "alice"]).ok();
        host.ssh("alice").run("true").code(255);
    }
);

on_each_release!(
    /// sshd without PAM, and whatever else reads shadow(5).
    fn what_does_not_ask_pam_is_closed_by_shadow(host: &Host) {
        host.write("/etc/ssh/sshd_config.d/00-without-pam.conf", "UsePAM no\n");
        host.run(&["systemctl", "restart", "ssh"]).ok();
        let password = password_of("alice");
        let by_key = || host.ssh("alice").run("true");
        let by_password = || host.ssh("alice").password(&password).run("true");
        by_key().ok();
        by_password().ok();
        host.lock_down(&["alice", "--no-tokens", "--no-password"]);
        assert_eq!(host.tokens_of("alice").len(), 1);
        by_key().code(255);
        by_password().code(255);
        host.undo("alice");
        by_key().ok();
        by_password().ok();
    }
);

fn is_locked_down(host: &Host, user: &str) -> bool {
    host.ask_lockdown(&["status", user])["deactivated"] == true
}

/// Who, whether it succeeded, and the name of the error.
fn rows(results: &[Value]) -> Vec<(&str, bool, &str)> {
    results
        .iter()
        .map(|result| {
            let error =
                result["error_name"].as_str().unwrap_or_default().trim_start_matches("org.lockdown1.Error.");
            (result["user"].as_str().unwrap_or_default(), result["success"] == true, error)
        })
        .collect()
}

on_each_release!(
    fn one_that_fails_does_not_stop_the_others(host: &Host) {
        host.sh("useradd --create-home dave; echo dave:dave-secret-7 | chpasswd").ok();
        let several = ["alice", "bob", "nosuch", "alice", "carol", "uid:1001", "dave"];
        let args = [&["--json", "lockdown", "--reason", "stolen", "--yes"], &several[..]].concat();
        let output = host.lockdownctl(&args).code(FAILED).says("nosuch");
        let Value::Array(results) = output.json() else { panic!("no array: {output}") };
        let expected = [
            ("alice", true, ""),
            ("bob", true, ""),
            ("nosuch", false, "NoSuchAccount"),
            ("carol", true, ""),
            ("dave", true, ""),
        ];
        assert_eq!(rows(&results), expected, "{output}");
        for user in ["alice", "bob", "carol", "dave"] {
            assert!(is_locked_down(host, user), "{user}");
            host.run(&["pamtester", "su", user, "acct_mgmt"]).fails();
            assert_eq!(host.events_about(user, "lockdown")[0]["reason"], "stolen");
            host.undo(user);
        }

        let results = host.lock_down(&["alice", "root", "bob", "--on-error", "abort"]);
        assert_eq!(rows(&results)[..2], [("alice", true, ""), ("root", false, "Protected")]);
        assert!(is_locked_down(host, "alice") && !is_locked_down(host, "bob"));
        assert!(results.get(2).is_none_or(|bob| bob["success"] == false), "{results:#?}");

        host.lockdownctl(&["lockdown", "--reason", "test", "--yes"]).code(USAGE);
        host.lockdownctl(&["lockdown", "bob", "--yes"]).code(USAGE).says("--reason");
        host.lockdownctl(&["lockdown", "bob", "--reason", "test"]).code(USAGE).says("--yes");
        host.lockdownctl(&["lockdown", "bob", "--reason", " ", "--yes"]).code(USAGE);
        let call = [
            "busctl",
            "call",
            "org.lockdown1",
            "/org/lockdown1",
            "org.lockdown1.Manager",
            "Lockdown",
            "asa{sv}",
        ];
        let reason = ["1", "reason", "s", "test"];
        host.run(&[&call[..], &["0"], &reason].concat()).fails().says("no account is named");
        host.run(&[&call[..], &["1", "bob", "0"]].concat()).fails().says("reason");
        host.run(&[&call[..], &["1", "bob", "2"], &reason[1..], &["no_such_option", "b", "true"]].concat())
            .fails();
        assert!(!is_locked_down(host, "bob"));
        // Who may not, may not.
        host.run_as("bob", &["lockdownctl", "lockdown", "carol", "--reason", "test", "--yes"])
            .code(NOT_AUTHORIZED);
        host.run_as("bob", &["lockdownctl", "restore", "alice", "--undo"]).code(NOT_AUTHORIZED);
        assert!(!is_locked_down(host, "carol") && is_locked_down(host, "alice"));
    }
);

on_each_release!(
    fn protected_accounts_are_refused_and_not_touched(host: &Host) {
        host.write("/etc/lockdown/lockdown.d/50-protected.toml", "[protected]\nusers = [\"bob\"]\n");
        host.run(&["systemctl", "reload", "lockdownd"]).ok();
        let bob = host.ssh_session("bob");
        let shadow = host.read("/etc/shadow");
        let keys = || {
            ["root", "bob", "carol"]
                .map(|user| host.sh(&format!("sha256sum ~{user}/.ssh/authorized_keys")).ok().stdout)
        };
        let before = keys();
        let refuse = |user: &str| {
            let output =
                host.lockdownctl(&["lockdown", user, "--reason", "test", "--yes", "--force"]).code(REFUSED);
            assert!(output.stderr.starts_with("lockdownctl: "), "{output}");
        };
        for user in ["root", "nobody", "www-data", "uid:0", "bob"] {
            refuse(user);
        }
        // One's own, though root by sudo.
        let own = format!(
            "echo {} | sudo --stdin --prompt= lockdownctl lockdown carol --reason test --yes",
            password_of("carol")
        );
        host.ssh("carol").run(&own).code(REFUSED).says("your own account");
        assert!(bob.is_alive());

        // Now carol is the last who can administer the host; root can leave it without any.
        host.run(&["passwd", "--lock", "--quiet", "root"]).ok();
        host.run(&["mv", "/root/.ssh/authorized_keys", "/root/away"]).ok();
        let last = ["lockdown", "carol", "--reason", "test", "--yes"];
        host.lockdownctl(&last).code(REFUSED).says("administer this host");
        host.run(&["mv", "/root/away", "/root/.ssh/authorized_keys"]).ok();
        host.run(&["passwd", "--unlock", "--quiet", "root"]).ok();
        assert_eq!((keys(), host.read("/etc/shadow")), (before, shadow));
        for user in ["root", "bob", "carol"] {
            assert!(
                host.events_about(user, "lockdown").iter().all(|event| event["outcome"] != "success"),
                "{user}"
            );
        }
        host.run(&["passwd", "--lock", "--quiet", "root"]).ok();
        host.run(&["mv", "/root/.ssh/authorized_keys", "/root/away"]).ok();
        host.lockdownctl(&[&last[..], &["--force"]].concat()).ok();
        assert!(is_locked_down(host, "carol"));
    }
);

on_each_release!(
    /// Root with a loginuid of bob's, on a terminal that a shell of hers runs on.
    fn who_came_through_her_account_is_told_and_spared(host: &Host) {
        let admin = host.ssh("bob").key("/home/bob/.ssh/id_ed25519").open();
        for (command, prompt) in [("sudo -n -u alice bash", "alice@"), ("sudo -n -i", "root@")] {
            admin.send(command);
            admin.wait_for(prompt);
        }
        let hers = host.ssh("alice").key(ALICES_KEY).open();
        let output =
            admin.ask("lockdownctl --json lockdown alice --reason test --yes 2>/dev/null").code(FAILED);
        let result = output.json()[0].clone();
        let [deactivate, password, sessions, tokens] = outcomes(&result);
        assert_eq!([deactivate, password, tokens], ["done"; 3], "{result:#}");
        assert!(sessions.starts_with("failed: your own terminal runs in "), "{result:#}");
        hers.wait_ended(SOON);
        assert_eq!(admin.ask("id -un").ok().text(), "root");
        // When it has ended, nothing is left.
        drop(admin);
        eventually(SOON, || host.belongings_of(1000).is_empty());
    }
);

on_each_release!(
    fn on_a_terminal_it_shows_asks_and_tells(host: &Host) {
        let _hers = host.ssh("alice").key(ALICES_KEY).open();
        let dialog = host.terminal(&["lockdownctl", "lockdown", "alice", "root"]);
        for (shown, answer) in [
            // Whom it would meet, and that root is not one of them.
            ("USER", None),
            ("is protected", None),
            ("Reason", Some("seen in two places")),
            ("Type alice to lock it down", Some("bob")),
            ("Type alice to lock it down", Some("alice")),
        ] {
            dialog.wait_for(shown);
            assert!(!is_locked_down(host, "alice"), "before it was confirmed");
            if let Some(answer) = answer {
                dialog.send(answer);
            }
        }
        let ended = dialog.wait_ended(SOON);
        assert_eq!(ended.status, FAILED, "{}", ended.text);
        assert!(is_locked_down(host, "alice"));
        let lock = &host.ask_lockdown(&["status", "alice"])["locks"][0];
        assert_eq!((&lock["reason"], &lock["owner"]), (&"seen in two places".into(), &"lockdown".into()));

        // Given up, nothing was changed.
        let dialog = host.terminal(&["lockdownctl", "lockdown", "bob"]);
        dialog.wait_for("Reason");
        dialog.send("stolen");
        dialog.wait_for("Type bob");
        // Ctrl-C.
        dialog.send("\u{3}");
        assert_ne!(dialog.wait_ended(SOON).status, 0);
        assert!(!is_locked_down(host, "bob"));

        // The way back asks for a password, twice and unseen.
        let dialog = host.terminal(&["lockdownctl", "restore", "alice"]);
        for question in ["New password of alice", "The same again"] {
            dialog.wait_for(question);
            dialog.send("kW9-truv-Ohmzeh");
        }
        let ended = dialog.wait_ended(SOON);
        assert!(ended.status == 0 && !ended.text.contains("kW9-truv-Ohmzeh"), "{}", ended.text);
        host.ssh("alice").password("kW9-truv-Ohmzeh").run("true").ok();
    }
);

//! A lockdown is taken back: as a false alarm to the byte, or with a new password.

use std::time::Duration;

use lockdown_tests::{Host, eventually, on_each_release, password_of};

const SOON: Duration = Duration::from_secs(15);
/// Long and unlike any word, so that the host's own rules take it.
const NEW_PASSWORD: &str = "kW9-truv-Ohmzeh";
const ALICES_KEY: &str = "/home/alice/.ssh/id_ed25519";
const BOBS_KEY: &str = "/home/bob/.ssh/id_ed25519";

/// Gives alice one of everything that a lockdown takes away, in forms that are easily got wrong.
fn settle_in(host: &Host) {
    host.sh("
        chage --mindays 1 --maxdays 9000 --warndays 5 --inactive 300 --expiredate 2035-01-01 alice
        install --directory --owner=alice --group=alice --mode=0750 /home/alice/keys
        cd /home/alice
        mv .ssh/authorized_keys keys/here
        chmod 0604 keys/here
        ln --symbolic ../keys/here .ssh/authorized_keys
        chown --no-dereference alice: .ssh/authorized_keys
        printf '# no key, and no line end' > .ssh/authorized_keys2
        chmod 0640 .ssh/authorized_keys2
        chown alice:daemon .ssh/authorized_keys2
        loginctl enable-linger alice
    ")
        .ok();
    let table = "# hers\n\nMAILTO=\"\"\n*/5 * * * * echo 100%% of \"it\"\n@reboot true\n";
    host.command(&["crontab", "-"]).as_user("alice").stdin(table).run().ok();
    for (queue, time) in [("-qa", "now + 3 days"), ("-qf", "noon 1.1.2030")] {
        host.command(&["at", queue, time]).as_user("alice").stdin("echo 'what for'\n").run().ok();
    }
}

on_each_release!(
    fn an_undo_puts_everything_back_to_the_byte(host: &Host) {
        settle_in(host);
        let before = host.sign_in_state("alice");
        let shadow = host.read("/etc/shadow");
        for part in [
            "authorized_keys l ",
            "authorized_keys2 f 640 alice:daemon",
            "crontabs/alice",
            "atjobs/a0",
            "atjobs/f0",
            "linger/alice",
        ] {
            assert!(before.contains(part), "no {part} in\n{before}");
        }

        // Twice is as once: what the first one found is what comes back.
        for _ in 0..2 {
            host.lock_down_wholly("alice");
            assert_eq!(host.tokens_of("alice"), [""; 0]);
            assert!(!host.sign_in_state("alice").contains("linger"));
            host.ssh("alice").key(ALICES_KEY).run("true").code(255);
            host.ssh("alice").password(&password_of("alice")).run("true").code(255);
            let (password, expiry) = host.shadow_of("alice");
            assert!(password.starts_with('!') && expiry == "1", "{password} {expiry}");
        }

        let restored = host.undo("alice");
        assert_eq!(host.sign_in_state("alice"), before, "{restored:#}");
        assert_eq!(host.read("/etc/shadow"), shadow);
        assert_eq!(host.ask_lockdown(&["status", "alice"])["locked"], false);
        host.ssh("alice")
            .key(ALICES_KEY)
            .run("systemctl --user is-system-running --wait; crontab -l; atq")
            .ok()
            .says("100%% of");
        host.ssh("alice").password(&password_of("alice")).run("true").ok();
        assert_eq!(host.events_about("alice", "restore").len(), 1);
        // There is no more to take back.
        host.lockdownctl(&["restore", "alice", "--undo"]).fails().says("not locked down");
        assert_eq!(host.sign_in_state("alice"), before);
    }
);

on_each_release!(
    /// What is in the way is not overwritten, and what is missing is made again.
    fn an_undo_meets_what_has_changed_meanwhile(host: &Host) {
        let before = host.sign_in_state("alice");
        host.lock_down_wholly("alice");
        host.sh("rm --recursive /home/alice/.ssh").ok();
        host.undo("alice");
        host.ssh("alice").run("true").ok();
        let keys =
            |state: &str| state.lines().find(|line| line.contains("authorized_keys")).map(str::to_owned);
        assert_eq!(keys(&host.sign_in_state("alice")), keys(&before));

        host.lock_down_wholly("alice");
        // Somebody writes through what they think is her file.
        host.sh("
            rm --force --recursive /home/alice/.ssh/authorized_keys
            ln --symbolic /root/planted /home/alice/.ssh/authorized_keys
        ")
            .ok();
        let _ = host.lockdownctl(&["restore", "alice", "--undo"]);
        host.run(&["test", "-e", "/root/planted"]).fails();
    }
);

on_each_release!(
    fn a_new_password_is_needed_and_follows_the_hosts_rules(host: &Host) {
        host.lock_down_wholly("alice");
        let restore = |user: &str, password: &str, more: &[&str]| {
            host.command(&[&["lockdownctl", "--json", "restore", user, "--password-stdin"], more].concat())
                .stdin(password)
                .run()
        };
        let shut = host.sign_in_state("alice");
        let still_down = || {
            assert_eq!(host.ask_lockdown(&["status", "alice"])["locked"], true);
            assert_eq!(host.sign_in_state("alice"), shut);
            host.ssh("alice").password(NEW_PASSWORD).run("true").code(255);
        };
        host.lockdownctl(&["restore", "alice"]).code(2).says("--password-stdin");
        host.lockdownctl(&["restore", "alice", "--undo", "--recovery-code"]).code(2);
        still_down();
        for weak in ["short\n", "alice\n", "password\n", "\n", ""] {
            restore("alice", weak, &[]).code(2);
            assert_eq!(host.sign_in_state("alice"), shut, "{weak:?}");
        }
        still_down();

        let output = restore("alice", &format!("{NEW_PASSWORD}\n"), &[]).ok();
        assert!(!host.journal(None).contains(NEW_PASSWORD) && !output.to_string().contains(NEW_PASSWORD));
        host.ssh("alice").password(NEW_PASSWORD).run("true").ok();
        host.ssh("alice").password(&password_of("alice")).run("true").code(255);
        // Keys stay away, and the user is told to look.
        let restored = output.json();
        assert!(restored["kept"].to_string().contains("authorized_keys"), "{restored:#}");
        assert!(restored["review"].as_array().is_some_and(|advice| !advice.is_empty()), "{restored:#}");
        host.ssh("alice").run("true").code(255);
        assert_eq!(host.tokens_of("alice"), [""; 0]);

        let before = host.tokens_of("bob");
        host.lock_down_wholly("bob");
        restore("bob", NEW_PASSWORD, &["--tokens"]).ok();
        assert_eq!(host.tokens_of("bob"), before);
        host.ssh("bob").key(BOBS_KEY).run("true").ok();
        host.ssh("bob").password(NEW_PASSWORD).run("true").ok();
    }
);

/// The code of a restore that makes one.
#[track_caller]
fn recovery_code(host: &Host, user: &str) -> String {
    let restored = host.ask_lockdown(&["restore", user, "--recovery-code"]);
    restored["recovery_code"].as_str().unwrap_or_else(|| panic!("no code: {restored:#}")).to_owned()
}

on_each_release!(
    fn a_recovery_code_is_used_once_and_forces_a_new_password(host: &Host) {
        for user in ["alice", "bob"] {
            host.lock_down_wholly(user);
        }
        let (code, other) = (recovery_code(host, "alice"), recovery_code(host, "bob"));
        assert!(code != other && code.len() >= 12, "{code} {other}");
        let leaks = [host.journal(None), host.ask_lockdown(&["events"]).to_string()];
        assert!(leaks.iter().all(|text| !text.contains(&code)), "the code was written down");
        for user in ["alice", "bob"] {
            host.ssh(user).password(&password_of(user)).run("true").code(255);
        }

        // Over ssh.
        host.ssh("alice").password(&other).run("true").code(255);
        let ssh = host.ssh("alice").password(&code).arg("-tt").start();
        ssh.wait_for("urrent password:");
        ssh.send(&code);
        ssh.wait_for("New password:");
        ssh.send(NEW_PASSWORD);
        ssh.wait_for("etype new password:");
        ssh.send(NEW_PASSWORD);
        ssh.wait_ended(SOON);
        host.ssh("alice").password(&code).run("true").code(255);
        host.ssh("alice").password(NEW_PASSWORD).run("id -un").ok().says("alice");

        // On a console.
        let console = host.terminal(&["login"]);
        for (question, answer) in [
            ("login: ", "bob"),
            ("Password: ", &other),
            ("urrent password:", &other),
            ("New password:", NEW_PASSWORD),
            ("etype new password:", NEW_PASSWORD),
        ] {
            console.wait_for(question);
            console.send(answer);
        }
        assert_eq!(console.ask("id -un").ok().text(), "bob");
        host.console_login("bob", &other).refused();
        host.ssh("bob").password(NEW_PASSWORD).run("true").ok();
        for user in ["alice", "bob"] {
            let status = host.ask_lockdown(&["status", user]);
            assert_eq!((&status["locked"], &status["expired"]), (&false.into(), &false.into()), "{status:#}");
            assert_eq!(host.shadow_of(user).1, "", "the account expires");
        }
    }
);

on_each_release!(
    fn what_ends_with_time(host: &Host) {
        host.write(
            "/etc/lockdown/lockdown.d/50-soon.toml",
            "[lockdown]\nundo_window = \"1m\"\nrecovery_code_lifetime = \"1m\"\n",
        );
        host.run(&["systemctl", "reload", "lockdownd"]).ok();
        for user in ["alice", "bob"] {
            host.lock_down_wholly(user);
        }
        let code = recovery_code(host, "bob");
        let down = host.sign_in_state("alice");
        // The account's expiry is needed for a restore, however late.
        let secrets = "SELECT count(*) FROM prior_states WHERE length(content) > 0";
        let kept = || host.run(&["sqlite3", "/var/lib/lockdown/lockdown.db", secrets]).ok().text().to_owned();
        assert_ne!(kept(), "0");

        host.command(&["sleep", "61"]).timeout(Duration::from_secs(90)).run().ok();
        host.ssh("bob").password(&code).arg("-tt").run("true").code(255);
        host.console_login("bob", &code).refused();
        host.lockdownctl(&["restore", "alice", "--undo"]).fails().says("undo");
        assert_eq!(host.sign_in_state("alice"), down);
        host.ssh("alice").run("true").code(255);
        // Hashes are not kept for longer than they are of use.
        eventually(Duration::from_secs(120), || kept() == "0");
        // There is a way back all the same.
        host.command(&["lockdownctl", "restore", "alice", "--password-stdin"]).stdin(NEW_PASSWORD).run().ok();
        host.ssh("alice").password(NEW_PASSWORD).run("true").ok();
    }
);

on_each_release!(
    fn locks_of_others_stay_and_are_named(host: &Host) {
        host.lockdownctl(&["lock", "alice", "--indefinite", "--reason", "holiday", "--message", "See you."])
            .ok();
        host.lock_down_wholly("alice");
        // A lockdown is not lifted as an operator's lock is.
        host.lockdownctl(&["unlock", "alice"]).ok();
        assert_eq!(host.ask_lockdown(&["status", "alice"])["deactivated"], true);
        host.lockdownctl(&["lock", "alice", "--indefinite", "--reason", "holiday", "--message", "See you."])
            .ok();

        let restored = host.undo("alice");
        assert_eq!(restored["still_locked_by"], serde_json::json!(["operator"]), "{restored:#}");
        let status = host.ask_lockdown(&["status", "alice"]);
        assert_eq!((&status["locked"], &status["deactivated"]), (&true.into(), &false.into()), "{status:#}");
        assert_eq!(status["locks"][0]["reason"], "holiday");
        host.ssh("alice").run("true").code(255).says("See you.");
        host.lockdownctl(&["unlock", "alice"]).ok();
        host.ssh("alice").run("true").ok();
    }
);

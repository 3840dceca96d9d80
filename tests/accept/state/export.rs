//! The state of a host as a document.

use lockdown_tests::{Host, on_each_release};

use super::{apply, locked, write};

on_each_release!(
    fn what_export_writes_applies_without_change(host: &Host) {
        host.lockdownctl(&["lock", "carol", "--reason", "incident"]).ok();
        host.lockdownctl(&[
            "account",
            "set",
            "carol",
            "--email",
            "Carol@example.org",
            "--metadata",
            "a=\"b\" c\u{e9}\\",
        ])
        .ok();
        host.lockdownctl(&["expire", "carol", "--at", "2037-01-01"]).ok();
        write(
            host,
            "people",
            &format!(
                "{}expires = 2037-05-01T12:00:00+02:00\n[[account]]\nname = \"bob\"\nstate = \"deactivated\"\nidentifiers = {{ badge = \"B 17\" }}\n",
                locked("alice")
            ),
        );
        apply(host, &[]).ok();
        let before = super::state(host);

        // What was done by hand comes under configuration management, and is as it was.
        host.sh("umask 077; lockdownctl export > /root/by-hand.toml").ok();
        let by_hand = host.read("/root/by-hand.toml");
        assert!(by_hand.contains("carol") && !by_hand.contains("incident"), "{by_hand}");
        host.lockdownctl(&["validate", "/root/by-hand.toml"]).ok();
        for check in [&["--check"][..], &[]] {
            let args = [&["/root/by-hand.toml", "--detailed-exitcode"], check].concat();
            apply(host, &args).code(0).says("nothing to change");
        }
        // As a file of a host, too.
        host.run(&["cp", "/root/by-hand.toml", "/etc/lockdown/state.d/"]).ok();
        apply(host, &["--detailed-exitcode"]).code(0);
        assert_eq!(super::state(host), before);

        // A document's own state takes its place without a change.
        host.sh("lockdownctl export --document people > /root/people.toml").ok();
        host.run(&["cp", "/root/people.toml", "/etc/lockdown/state.d/people.toml"]).ok();
        apply(host, &["--detailed-exitcode"]).code(0).says("nothing to change");
        assert_eq!(super::state(host), before);

        // And brings it back where it was lost.
        host.sh("rm /etc/lockdown/state.d/*.toml").ok();
        apply(host, &["--detailed-exitcode"]).code(super::CHANGED);
        assert_ne!(super::state(host), before);
        host.run(&["cp", "/root/people.toml", "/root/by-hand.toml", "/etc/lockdown/state.d/"]).ok();
        apply(host, &[]).ok();
        for (document, file) in [("people", "/root/people.toml"), ("by-hand", "/root/by-hand.toml")] {
            let again = host.lockdownctl(&["export", "--document", document]).ok().stdout;
            let entries = |text: &str| text.split_once("version = 1").map(|(_, entries)| entries.to_owned());
            assert_eq!(entries(&again), entries(&host.read(file)), "{document}");
        }
    }
);

//! What documents have done stands beside what people and attack protection have done.

use lockdown_tests::{Host, on_each_release};

use super::{CHANGED, DIRECTORY, SOON, apply, gets_in, locked, owners, remove, write};

on_each_release!(
    fn neither_an_operators_lock_nor_a_documents_takes_the_other_along(host: &Host) {
        let open = host.ssh_session("bob");
        host.lockdownctl(&["lock", "alice", "--indefinite", "--reason", "incident"]).ok();
        write(host, "people", &(locked("alice") + &locked("bob")));
        apply(host, &[]).ok().says("alice").says("2 changes of 2 accounts, 1 session ended");
        // As any lock does.
        open.wait_ended(SOON);
        assert_eq!(owners(host, "alice"), ["operator", "config:people"]);

        // Without the file the operator's stays, and denies.
        remove(host, "people");
        apply(host, &[]).ok();
        assert_eq!(owners(host, "alice"), ["operator"]);
        assert!(!gets_in(host, "alice") && gets_in(host, "bob"));
        host.lockdownctl(&["unlock", "alice"]).ok();
        assert!(gets_in(host, "alice"));

        // The other way round.
        write(host, "people", &locked("alice"));
        host.run(&["systemctl", "reload", "lockdownd"]).ok();
        host.lockdownctl(&["lock", "alice", "--indefinite"]).ok();
        host.lockdownctl(&["unlock", "alice"]).ok().says("config:people");
        assert_eq!(owners(host, "alice"), ["config:people"]);
        assert!(!gets_in(host, "alice"));
        // Nothing is left for anybody to lift but the document.
        host.lockdownctl(&["unlock", "alice"]).says("config:people");
        assert!(!gets_in(host, "alice"));
        write(host, "people", "[[account]]\nname = \"alice\"\nstate = \"unlocked\"\n");
        apply(host, &["--diff"]).ok().says("-people: locked").says("+people: unlocked");
        assert!(gets_in(host, "alice"));

        // Two documents, and a lockdown that is restored.
        write(host, "other", &locked("alice"));
        host.command(&["lockdownctl", "apply", "-", "--name", "given"])
            .stdin(format!("version = 1\n{}", locked("alice")))
            .run()
            .ok();
        apply(host, &[]).ok();
        host.lock_down_wholly("alice");
        host.undo("alice");
        assert_eq!(owners(host, "alice"), ["config:given", "config:other"]);
        remove(host, "other");
        apply(host, &[]).ok();
        assert!(!gets_in(host, "alice"));
        apply(host, &["--remove", "given"]).ok();
        assert!(gets_in(host, "alice"));
    }
);

on_each_release!(
    fn what_is_foretold_comes_once(host: &Host) {
        write(
            host,
            "people",
            "[[account]]\nname = \"alice\"\nstate = \"deactivated\"\nmetadata = { team = \"blue\" }\n\
             [[account]]\nname = \"bob\"\nvalid_until = 2037-01-01\nidentifiers = { badge = \"B-17\" }\n\
             [[account]]\nname = \"nobody-here\"\nstate = \"locked\"\n",
        );
        let before = super::state(host);
        let foretold = apply(host, &["--check", "--detailed-exitcode", "--json"]).code(CHANGED).json();
        apply(host, &["--check", "--diff"]).ok().says("+people: deactivated").says("warning");
        assert_eq!(super::state(host), before, "a check has changed something");

        let done = apply(host, &["--detailed-exitcode", "--json"]).code(CHANGED).json();
        for key in ["changed", "changes", "diff", "warnings"] {
            assert_eq!(done[key], foretold[key], "{key}");
        }
        assert_eq!(done["changes"].as_array().map(Vec::len), Some(5), "{done:#}");
        let events = || host.ask_lockdown(&["events", "--limit", "10000"]).as_array().map(Vec::len);
        let (after, told) = (super::state(host), events());
        for way in [&["--detailed-exitcode"][..], &["--detailed-exitcode", "--json"]] {
            apply(host, way).code(0);
        }
        for _ in 0..2 {
            host.run(&["systemctl", "reload", "lockdownd"]).ok();
        }
        assert_eq!(super::state(host), after);
        let reloads = host.ask_lockdown(&["events", "--action", "config-reload", "--limit", "10000"]);
        assert_eq!(events(), told.map(|told| told + reloads.as_array().map_or(0, Vec::len)));

        // Who is no administrator neither changes nor learns anything.
        for args in [&["apply"][..], &["apply", "--check"], &["export"]] {
            let denied = host.run_as("bob", &[&["lockdownctl"], args].concat());
            assert_eq!(denied.status, 4, "{denied}");
        }
        let by_hand = ["busctl", "call", "org.lockdown1", "/org/lockdown1", "org.lockdown1.Manager"];
        for method in [&["ApplyState", "a{sv}", "0"][..], &["ExportState", "a{sv}", "0"]] {
            host.run_as("bob", &[&by_hand, method].concat()).fails();
        }
        host.run_as("bob", &["lockdownctl", "validate", &format!("{DIRECTORY}/people.toml")]).ok();
    }
);

//! Groups as NSS has them, accounts that come later, and what is kept for people.

use std::time::Duration;

use lockdown_tests::{Host, eventually, on_each_release};
use serde_json::Value;

use super::{SOON, apply, gets_in, locked, owners, remove, write};

/// `[state] groups_every` at its least, and what it takes.
const IN_TIME: Duration = Duration::from_secs(25);

on_each_release!(
    fn who_joins_a_group_is_locked_and_who_leaves_it_is_not(host: &Host) {
        host.write("/etc/lockdown/lockdown.d/50-soon.toml", "[state]\ngroups_every = \"10s\"\n");
        host.run(&["systemctl", "reload", "lockdownd"]).ok();
        host.run(&["groupadd", "--users", "alice", "contractors"]).ok();
        // One by his own group, one by a list, one later; and one who is protected is passed over.
        host.run(&["useradd", "--gid", "contractors", "dave"]).ok();
        host.run(&["usermod", "--append", "--groups", "contractors", "daemon"]).ok();
        write(
            host,
            "groups",
            &format!("[[account]]\ngroup = \"contractors\"\nstate = \"locked\"\n{}", locked("erin")),
        );
        apply(host, &[]).ok().says("alice").says("dave").says("daemon");
        assert!(!gets_in(host, "alice") && gets_in(host, "bob"));
        assert!(owners(host, "daemon").is_empty());

        // In time, as of a directory: that there is another group(5) by a mount, nothing tells.
        host.sh(
            "sed 's/^contractors:.*/&,bob/' /etc/group > /root/group; mount --bind /root/group /etc/group",
        )
        .ok();
        eventually(IN_TIME, || owners(host, "bob") == ["config:groups"]);
        host.run(&["umount", "/etc/group"]).ok();
        eventually(IN_TIME, || owners(host, "bob").is_empty());

        host.run(&["usermod", "--append", "--groups", "contractors", "bob"]).ok();
        host.run(&["gpasswd", "--delete", "alice", "contractors"]).ok();
        host.run(&["useradd", "--create-home", "erin"]).ok();
        eventually(IN_TIME, || owners(host, "bob") == ["config:groups"]);
        eventually(IN_TIME, || owners(host, "erin") == ["config:groups"]);
        assert!(!gets_in(host, "bob") && gets_in(host, "alice"));

        // At once, if somebody asks.
        host.lockdownctl(&["lock", "bob", "--indefinite"]).ok();
        host.run(&["gpasswd", "--delete", "bob", "contractors"]).ok();
        apply(host, &[]).ok();
        assert_eq!(owners(host, "bob"), ["operator"]);
        // A group that is no more: of what stands nothing is taken away on the word of a directory that may be down.
        host.sh("usermod --gid users dave && groupdel contractors").ok();
        apply(host, &[]).ok().says("contractors");
        assert_eq!(owners(host, "dave"), ["config:groups"]);
        remove(host, "groups");
        apply(host, &[]).ok();
        assert!(owners(host, "dave").is_empty() && owners(host, "erin").is_empty());
    }
);

on_each_release!(
    fn what_is_kept_for_people_comes_and_goes_with_the_document(host: &Host) {
        host.run(&["chage", "--expiredate", "2035-03-04", "alice"]).ok();
        let shadow = host.read("/etc/shadow");
        let key = host.run(&["ssh-keygen", "-lf", "/home/bob/.ssh/id_ed25519.pub"]).ok();
        let key = format!("ssh:{}", key.text().split(' ').nth(1).unwrap_or_default());
        host.lockdownctl(&["account", "set", "bob", "--metadata", "desk=3"]).ok();
        write(
            host,
            "people",
            &format!(
                "[[account]]\nname = \"alice\"\nstate = \"deactivated\"\n\
                 [[account]]\nname = \"bob\"\nidentifiers = {{ badge = \"B-17\" }}\nmetadata = {{ team = \"blue\" }}\n\
                 [[account]]\nname = \"carol\"\nvalid_until = 2001-01-01\n\
                 [[authenticator]]\naccount = \"bob\"\nid = \"{key}\"\nreason = \"lost laptop\"\n"
            ),
        );
        apply(host, &[]).ok();
        assert_eq!(host.shadow_of("alice").1, "1");
        let deactivated = host.ask_lockdown(&["accounts", "--deactivated"]);
        assert_eq!((&deactivated[0]["name"], &deactivated[1]), (&"alice".into(), &Value::Null));
        assert!(!gets_in(host, "alice") && !gets_in(host, "carol") && gets_in(host, "bob"));
        assert!(!host.ssh("bob").key("/home/bob/.ssh/id_ed25519").run("true").succeeded());
        let bob = host.ask_lockdown(&["status", "badge:B-17"]);
        assert_eq!((&bob["name"], &bob["metadata"]["team"]), (&"bob".into(), &"blue".into()), "{bob:#}");

        // What somebody has set since is theirs.
        host.lockdownctl(&["account", "set", "bob", "--metadata", "team=red"]).ok();
        remove(host, "people");
        apply(host, &[]).ok();
        assert_eq!(host.read("/etc/shadow"), shadow);
        for account in ["alice", "bob", "carol"] {
            assert!(gets_in(host, account), "{account}");
        }
        assert!(host.ssh("bob").key("/home/bob/.ssh/id_ed25519").run("true").succeeded());
        let bob = host.ask_lockdown(&["status", "bob"]);
        assert_eq!(
            (&bob["metadata"]["team"], &bob["metadata"]["desk"]),
            (&"red".into(), &"3".into()),
            "{bob:#}"
        );
        host.lockdownctl(&["status", "badge:B-17"]).code(3);

        // Deactivated by a document and locked down by somebody: each is taken back by itself, whichever comes first.
        for first in ["document", "lockdown"] {
            write(host, "people", "[[account]]\nname = \"alice\"\nstate = \"deactivated\"\n");
            apply(host, &[]).ok();
            host.lock_down_wholly("alice");
            if first == "lockdown" {
                host.undo("alice");
                eventually(SOON, || host.shadow_of("alice").1 == "1");
                assert!(!gets_in(host, "alice"));
            }
            remove(host, "people");
            apply(host, &[]).ok();
            if first == "document" {
                assert_eq!(host.shadow_of("alice").1, "1");
                host.undo("alice");
            }
            eventually(SOON, || host.read("/etc/shadow") == shadow);
            assert!(gets_in(host, "alice"), "{first} first");
        }
    }
);

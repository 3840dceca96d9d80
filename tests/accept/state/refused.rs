//! Documents that are wrong change nothing, and say where.

use lockdown_tests::{Host, eventually, on_each_release};
use serde_json::Value;

use super::{DIRECTORY, SOON, apply, gets_in, locked, owners, state, write};

on_each_release!(
    fn one_that_is_wrong_among_ten_changes_nothing_and_says_where(host: &Host) {
        write(host, "d0", &locked("bob"));
        apply(host, &[]).ok();
        // From now on bob would be free, and alice locked nine times.
        for number in 0..9 {
            write(host, &format!("d{number}"), &locked("alice"));
        }
        write(host, "d9", "\n[[account]]\nname = \"alice\"\nstat = \"locked\"\n");
        let place = format!("{DIRECTORY}/d9.toml:5:1: account.stat");
        let before = state(host);
        let stands = || {
            assert_eq!(state(host), before);
            assert!(gets_in(host, "alice") && !gets_in(host, "bob"));
            assert_eq!(owners(host, "bob"), ["config:d0"]);
        };
        apply(host, &[]).code(1).says(&place).says("nothing was changed");
        apply(host, &["--check"]).code(1).says(&place);
        apply(host, &["--detailed-exitcode", "--json"]).code(1).says(&place).says("\"failed\": true");
        host.lockdownctl(&["validate"]).code(1).says(&place);
        stands();
        for way in ["systemctl reload", "systemctl kill --signal=HUP", "systemctl restart"] {
            host.sh(&format!("{way} lockdownd")).ok();
            eventually(SOON, || host.lockdownctl(&["status"]).stdout.contains(&place));
            stands();
            host.lockdownctl(&["doctor"]).code(1).says(&place);
        }
        let applied = host.ask_lockdown(&["events", "--action", "apply"]);
        let refused = |event: &&Value| {
            event["outcome"] == "refused"
                && event["error"].as_str().is_some_and(|error| error.contains(&place))
        };
        assert!(applied.as_array().into_iter().flatten().filter(refused).count() >= 5, "{applied:#}");
        assert!(host.journal(Some("lockdownd")).contains(&place));

        write(host, "d9", &locked("carol"));
        apply(host, &["--check"]).code(0);
        host.run(&["systemctl", "reload", "lockdownd"]).ok();
        assert!(!gets_in(host, "alice") && gets_in(host, "bob"));
        host.lockdownctl(&["status"]).ok().says_not("State error");
        assert_eq!(owners(host, "alice").len(), 9);
    }
);

on_each_release!(
    fn what_no_document_may_do_is_refused_before_anything_is_changed(host: &Host) {
        let file = format!("{DIRECTORY}/bad.toml");
        let before = state(host);
        let refused = |text: &str, words: &[&str]| {
            host.write(&file, text);
            let output = words.iter().fold(apply(host, &[]).code(1), |output, words| output.says(words));
            output.says(&format!("{file}:"));
            assert_eq!(state(host), before, "{text}");
        };
        let bob = locked("bob");
        let version = "version = 1\n";
        let others = format!("{version}{bob}{}", locked("root"));
        refused(&others, &["bad.toml:7:8: account.name: root is protected", "1 problem:"]);
        refused(
            &format!("{version}protected = [\"alice\"]\n{bob}{}", locked("alice")),
            &["alice", "protected"],
        );
        refused(&format!("{version}{bob}{}", locked("daemon")), &["daemon", "system account"]);
        refused(&format!("{version}{bob}{bob}"), &["bob"]);
        refused(&format!("{version}{bob}{}", locked("uid:1001")), &["bob"]);
        refused(&format!("{version}{bob}expires = 1979-13-01\n"), &["bad.toml:6:"]);
        refused(&format!("{version}{bob}message = \"{}\"\n", "x".repeat(70_000)), &["bad.toml:6:"]);
        refused(&format!("{version}{}", locked("bob\\nroot")), &["account.name"]);
        refused("version = 2\n", &["bad.toml:1:"]);
        refused("", &["version"]);
        refused("\u{feff}{\"version\": 1}", &[]);

        host.write("/etc/lockdown/lockdown.d/50-protected.toml", "[protected]\ngroups = [\"oncall\"]\n");
        host.run(&["groupadd", "--users", "bob", "oncall"]).ok();
        host.run(&["systemctl", "reload", "lockdownd"]).ok();
        refused(&format!("{version}{bob}"), &["bad.toml:3:8", "oncall"]);

        // What others could have written is not read.
        let good = format!("{version}{}", locked("alice"));
        for (damage, words) in [
            ("chown bob bad.toml", "root"),
            ("chmod 0666 bad.toml", "writ"),
            ("install -o bob bad.toml /var/tmp/; ln -sf /var/tmp/bad.toml .", ""),
            ("rm bad.toml; mkfifo bad.toml", ""),
            ("rm bad.toml; mkdir bad.toml", ""),
            ("truncate --size=65M bad.toml", ""),
        ] {
            host.run(&["rm", "-rf", &file]).ok();
            host.write(&file, &good);
            host.sh(&format!("cd {DIRECTORY}; {damage}")).ok();
            apply(host, &[]).code(1).says(&file).says(words);
            assert_eq!(state(host), before, "{damage}");
        }
        host.run(&["rm", "-rf", &file]).ok();
        host.write(&file, &good);
        apply(host, &[]).ok();
        assert!(!gets_in(host, "alice"));
    }
);

on_each_release!(
    fn of_hundreds_the_few_that_are_protected_are_found(host: &Host) {
        const NUMBER: u32 = 300;
        let people = || (0..NUMBER).map(|number| (format!("staff{number:03}"), 30_000 + number));
        // Two of them are protected: one by the list of a group, one by her own group.
        let passwd: String = people()
            .map(|(name, uid)| {
                let group = if name == "staff131" { 4_000 } else { 100 };
                format!("{name}:x:{uid}:{group}::/nonexistent:/bin/sh\n")
            })
            .collect();
        host.command(&["sh", "-c", "cat >> /etc/passwd"]).stdin(passwd).run().ok();
        host.run(&["groupadd", "--gid", "4000", "--users", "staff017", "oncall"]).ok();
        host.write("/etc/lockdown/lockdown.d/50-protected.toml", "[protected]\ngroups = [\"oncall\"]\n");
        // Root has no way in any more, and carol is the only one in group sudo.
        host.sh("passwd --lock root && rm /root/.ssh/authorized_keys").ok();
        host.run(&["systemctl", "reload", "lockdownd"]).ok();

        let names: Vec<String> = people().map(|(name, _)| name).chain(["carol".to_owned()]).collect();
        write(host, "staff", &names.iter().map(|name| locked(name)).collect::<String>());
        let before = state(host);
        let place = |number: u32, name: &str| {
            format!("{DIRECTORY}/staff.toml:{}:8: account.name: {name}", 3 + 4 * number)
        };
        apply(host, &[])
            .code(1)
            .says(&place(17, "staff017"))
            .says(&place(131, "staff131"))
            .says(&place(NUMBER, "carol"))
            .says("oncall")
            .says("no other account could administer")
            .says("3 problems:");
        assert_eq!(state(host), before);

        // As members of a group they are passed over.
        host.run(&["groupadd", "--users", &names.join(","), "crowd"]).ok();
        write(host, "staff", "[[account]]\ngroup = \"crowd\"\nstate = \"locked\"\n");
        apply(host, &[]).ok().says("staff017").says("staff131").says("carol");
        let locked = host.ask_lockdown(&["accounts", "--locked"]);
        assert_eq!(locked.as_array().map(Vec::len), Some(298));
        for name in ["staff017", "staff131", "carol"] {
            assert!(owners(host, name).is_empty(), "{name}");
        }
    }
);

//! The configuration: what holds, where it comes from, and when a new one comes into force.

use lockdown_tests::{Host, on_each_release};
use serde_json::Value;

const DROP_IN: &str = "/etc/lockdown/lockdown.d/50-local.toml";

/// How long a new lock on alice without a duration stands, in seconds.
fn default_duration(host: &Host) -> i64 {
    host.lockdownctl(&["lock", "alice"]).ok();
    let lock = host.ask_lockdown(&["status", "alice"])["locks"][0].clone();
    host.lockdownctl(&["unlock", "alice"]).ok();
    let time = |key: &str| lock[key].as_i64().expect("a time");
    time("expires_at") - time("created_at")
}

/// The value that `lockdownctl config show` prints for a key, and where it says that was set.
fn shown(host: &Host, key: &str) -> (Value, String) {
    let Value::Array(entries) = host.ask_lockdown(&["config", "show"]) else { panic!("no array") };
    let entry = entries.iter().find(|entry| entry["key"] == key).unwrap_or_else(|| panic!("no {key}"));
    (entry["value"].clone(), entry["origin"].as_str().unwrap_or_default().to_owned())
}

on_each_release!(
    fn a_good_file_takes_effect_and_a_bad_one_changes_nothing(host: &Host) {
        let near = |seconds: i64, wanted: i64| (seconds - wanted).abs() <= 1;
        assert!(near(default_duration(host), 3600));
        host.lockdownctl(&["config", "check"]).ok();
        let pid = host.run(&["systemctl", "show", "--property=MainPID", "lockdownd"]).ok().stdout;
        let reload = || host.run(&["systemctl", "reload", "lockdownd"]).ok();

        host.run(&["groupadd", "--users", "bob", "oncall"]).code(0);
        host.write(
            DROP_IN,
            "[lock]\nduration = \"2m\"\n[lockdown]\nenabled = false\n[protected]\nusers = [\"carol\"]\ngroups = [\"oncall\"]\n",
        );
        host.lockdownctl(&["config", "check"]).ok();
        // Not before it is asked for.
        assert!(near(default_duration(host), 3600));
        reload();
        let in_force = || {
            assert!(near(default_duration(host), 120));
            assert_eq!(host.ask_lockdown(&["status"])["lockdown_enabled"], false);
            host.lockdownctl(&["lock", "carol"]).code(6).says("[protected] users");
            host.lockdownctl(&["lock", "bob"]).code(6).says("[protected] groups").says("oncall");
        };
        in_force();

        host.write(DROP_IN, "[lock]\nduration = \"2m\"\ndurration = \"3m\"\n");
        host.lockdownctl(&["config", "check"]).code(1).says(&format!("{DROP_IN}:3:")).says("durration");
        reload();
        in_force();
        let events = host.ask_lockdown(&["events", "--action", "config-reload"]);
        assert_eq!((&events[0]["outcome"], &events[1]["outcome"]), (&"success".into(), &"failed".into()));
        for told in [events[1]["error"].as_str().unwrap_or_default(), &host.journal(Some("lockdownd"))] {
            assert!(told.contains(&format!("{DROP_IN}:3:")) && told.contains("durration"), "{told}");
        }
        // It was the same process all along.
        assert_eq!(host.run(&["systemctl", "show", "--property=MainPID", "lockdownd"]).ok().stdout, pid);

        // What is wrong in kind is named as well, and a daemon that starts with it says so and does not come up.
        host.write(DROP_IN, "[lock]\nduration = 5\n");
        host.lockdownctl(&["config", "check"]).code(1).says(&format!("{DROP_IN}:2:")).says("lock.duration");
        host.run(&["systemctl", "restart", "lockdownd"]).fails();
        assert!(host.journal(Some("lockdownd")).contains("lock.duration"));
        host.run(&["rm", DROP_IN]).ok();
        host.run(&["systemctl", "restart", "lockdownd"]).ok();
        assert!(near(default_duration(host), 3600));
    }
);

on_each_release!(
    fn show_tells_where_each_value_was_set(host: &Host) {
        assert_eq!(shown(host, "lock.duration"), ("1h".into(), "default".into()));
        let vendor = "/usr/lib/lockdown/lockdown.d/50-local.toml";
        host.run(&["mkdir", "-p", "/usr/lib/lockdown/lockdown.d", "/run/lockdown/lockdown.d"]).ok();
        host.write(vendor, "[lock]\nduration = \"3h\"\nmessage = \"vendor's\"\n");
        assert_eq!(shown(host, "lock.duration"), ("3h".into(), format!("{vendor}:2")));

        // A later name wins, whatever directory it lies in.
        let later = "/usr/lib/lockdown/lockdown.d/60-later.toml";
        host.write(later, "[lock]\nduration = \"4h\"\n");
        host.write("/etc/lockdown/lockdown.toml", "[lock]\nduration = \"1m\"\nend_sessions = false\n");
        assert_eq!(shown(host, "lock.duration"), ("4h".into(), format!("{later}:2")));
        assert_eq!(shown(host, "lock.end_sessions"), (false.into(), "/etc/lockdown/lockdown.toml:3".into()));

        // The administrator's file of the same name takes the vendor's place wholly, and an empty one masks it.
        host.write(DROP_IN, "[protected]\nusers = [\"carol\"]\n");
        assert_eq!(shown(host, "lock.message"), ("".into(), "default".into()));
        assert_eq!(shown(host, "protected.users"), (Value::from(vec!["carol"]), format!("{DROP_IN}:2")));
        host.run(&["ln", "-sf", "/dev/null", DROP_IN]).ok();
        assert_eq!(shown(host, "protected.users").1, "default");
        host.lockdownctl(&["config", "show"]).ok().says(&format!("# {later}:2"));
        // Everybody may read how the host is configured.
        host.run_as("bob", &["lockdownctl", "config", "show"]).ok();
    }
);

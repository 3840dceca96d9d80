//! A host that was off, and a daemon that is dead.

use lockdown_tests::{Host, eventually, on_each_release};

use super::{SOON, apply, gets_in, locked, owners, remove, write};

on_each_release!(
    fn a_host_that_was_off_catches_up(host: &Host) {
        write(host, "people", &locked("alice"));
        // Not before it is asked for.
        assert!(gets_in(host, "alice"));
        host.run(&["systemctl", "stop", "lockdownd.socket", "lockdownd.service"]).ok();
        host.run(&["systemctl", "start", "lockdownd"]).ok();
        assert!(!gets_in(host, "alice"));

        // The lock holds with the daemon dead, and ends by time with the daemon dead.
        let soon = host.run(&["date", "--utc", "--date", "now + 4 seconds", "+%FT%TZ"]).ok();
        write(host, "people", &format!("{}expires = {}\n{}", locked("alice"), soon.text(), locked("bob")));
        apply(host, &[]).ok();
        host.run(&["systemctl", "mask", "--now", "--runtime", "lockdownd.service", "lockdownd.socket"]).ok();
        assert!(!gets_in(host, "bob"));
        eventually(SOON, || gets_in(host, "alice"));
        remove(host, "people");
        assert!(!gets_in(host, "bob"));
        host.run(&["systemctl", "unmask", "--runtime", "lockdownd.service", "lockdownd.socket"]).ok();
        host.run(&["systemctl", "start", "lockdownd.socket", "lockdownd.service"]).ok();
        assert!(gets_in(host, "bob"));

        // A file that came while the whole host was off.
        write(host, "people", &locked("bob"));
        host.reboot();
        eventually(SOON, || owners(host, "bob") == ["config:people"]);
        assert!(!gets_in(host, "bob") && gets_in(host, "alice"));
    }
);

//! Accounts that come, go, and are given other uids while something of them is locked. What passwd(5) and group(5) say is
//! followed at once: the intervals of comparison, minutes by default, are left as they are here.

use std::time::Duration;

use lockdown_tests::{Host, eventually, on_each_release};

use crate::exit_codes::{FAILED, NOT_FOUND, USAGE};

const SOON: Duration = Duration::from_secs(15);
const DOCUMENT: &str = "/etc/lockdown/state.d/people.toml";

/// Whether the account check of su(1) lets the account in.
fn passes(host: &Host, account: &str) -> bool {
    host.run(&["pamtester", "su", account, "acct_mgmt"]).succeeded()
}

/// And waits until the daemon has seen that: before, another account with the uid could be the same one by another name.
fn remove_account(host: &Host, account: &str) {
    host.sh(&format!("userdel --remove {account} 2>/dev/null")).ok();
    let gone = format!("{account} is gone");
    eventually(SOON, || host.sh("journalctl --unit=lockdownd --output=cat").ok().text().contains(&gone));
}

on_each_release!(
    fn whoever_has_the_uid_of_a_locked_account_that_is_gone_is_not_locked(host: &Host) {
        let uid = host.run(&["id", "--user", "carol"]).ok().text().to_owned();
        host.lockdownctl(&["lock", "carol", "--indefinite"]).ok();
        remove_account(host, "carol");
        host.run(&["useradd", "--create-home", "--uid", &uid, "dave"]).ok();
        eventually(SOON, || passes(host, "dave"));
        host.lockdownctl(&["doctor"]).ok();

        // A document that means carol does not mean him.
        let text = "version = 1\n[[account]]\nname = \"carol\"\nstate = \"locked\"\nmetadata = { team = \"blue\" }\n";
        host.write(DOCUMENT, text);
        host.run(&["systemd-run", "--uid=dave", "--unit=his", "sleep", "infinity"]).ok();
        host.lockdownctl(&["apply"]).ok().says("no account is called carol here");
        host.lockdownctl(&["lock", "carol"]).code(NOT_FOUND);
        assert!(passes(host, "dave"));
        host.run(&["systemctl", "is-active", "his"]).ok();

        // Her own lock stands, for when she is back, and can be lifted meanwhile.
        host.lockdownctl(&["accounts", "--locked"]).ok().says("carol");
        host.run(&["pamtester", "su", "dave", "acct_mgmt"]).ok();
        host.lockdownctl(&["unlock", "carol"]).ok();
        host.lockdownctl(&["unlock", "carol"]).code(NOT_FOUND);
        host.run(&["useradd", "--create-home", "carol"]).ok();
        eventually(SOON, || !passes(host, "carol"));
        host.lockdownctl(&["unlock", "carol"]).code(FAILED).says("config:people");
        assert!(passes(host, "dave"));
        host.run(&["systemctl", "is-active", "his"]).ok();
    }
);

on_each_release!(
    fn what_a_lockdown_leaves_of_somebody_who_is_gone_can_be_lifted(host: &Host) {
        host.lock_down_wholly("alice");
        host.lockdownctl(&["unlock", "alice", "--owner", "lockdown"]).code(USAGE);
        host.lockdownctl(&["unlock", "alice"]).code(FAILED).says("lockdownctl restore alice");
        remove_account(host, "alice");
        host.lockdownctl(&["restore", "alice", "--undo"]).code(NOT_FOUND);
        host.lockdownctl(&["unlock", "alice"]).code(FAILED).says("lockdownctl unlock alice --owner lockdown");
        host.lockdownctl(&["unlock", "alice", "--owner", "lockdown"]).ok();
        assert_eq!(host.ask_lockdown(&["accounts", "--locked"]).as_array().map(Vec::len), Some(0));
        host.run(&["useradd", "--create-home", "--uid", "1000", "alice"]).ok();
        assert!(passes(host, "alice"));
        host.lockdownctl(&["lockdown", "alice", "--yes", "--reason", "test"]).ok();
        assert!(!passes(host, "alice"));
    }
);

on_each_release!(
    fn a_locked_account_stays_locked_under_another_name(host: &Host) {
        host.lockdownctl(&["lock", "carol", "--indefinite"]).ok();
        host.run(&["usermod", "--login", "caroline", "carol"]).ok();
        let told =
            || host.sh("journalctl --unit=lockdownd --output=cat").ok().text().contains("is caroline's");
        eventually(SOON, told);
        assert!(!passes(host, "caroline"));
        host.run(&["systemctl", "restart", "lockdownd"]).ok();
        assert!(!passes(host, "caroline"));
        host.lockdownctl(&["unlock", "carol"]).ok();
        assert!(passes(host, "caroline"));
        host.lockdownctl(&["lock", "caroline"]).ok();
        host.run(&["usermod", "--login", "carol", "caroline"]).ok();
        assert!(!passes(host, "carol"));
    }
);

on_each_release!(
    fn a_locked_account_stays_locked_under_another_uid(host: &Host) {
        for account in ["bob", "carol"] {
            host.lockdownctl(&["lock", account, "--indefinite"]).ok();
        }
        host.run(&["usermod", "--uid", "2345", "bob"]).ok();
        eventually(SOON, || !passes(host, "bob"));
        assert_eq!(host.ask_lockdown(&["status", "bob"])["uid"], 2345);

        // Gone, and back as somebody else to the kernel.
        remove_account(host, "carol");
        host.run(&["useradd", "--create-home", "--uid", "2346", "carol"]).ok();
        eventually(SOON, || !passes(host, "carol"));
        // What they leave behind is nobody's.
        host.run(&["useradd", "--uid", "1001", "dave"]).ok();
        host.run(&["useradd", "--uid", "1002", "erin"]).ok();
        assert!(passes(host, "dave") && passes(host, "erin"));
        host.lockdownctl(&["doctor"]).ok();
    }
);

on_each_release!(
    fn whom_a_document_waits_for_is_locked_on_coming(host: &Host) {
        host.run(&["groupadd", "contractors"]).ok();
        let text = "version = 1\n[[account]]\nname = \"dave\"\nstate = \"locked\"\n\
                    [[account]]\ngroup = \"contractors\"\nstate = \"locked\"\n";
        host.write(DOCUMENT, text);
        host.lockdownctl(&["apply"]).ok().says("no account is called dave here");
        assert!(passes(host, "bob"));
        host.run(&["useradd", "dave"]).ok();
        eventually(SOON, || !passes(host, "dave"));
        host.run(&["usermod", "--append", "--groups", "contractors", "bob"]).ok();
        eventually(SOON, || !passes(host, "bob"));
        // By hand, as root does it.
        host.run(&["sed", "--in-place", "s/^contractors:.*/contractors:x:4000:alice/", "/etc/group"]).ok();
        eventually(SOON, || passes(host, "bob") && !passes(host, "alice"));
    }
);

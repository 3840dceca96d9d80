//! lockdownctl doctor: a fresh host is in order; each gap is named with what mends it, and that mends it.

use lockdown_tests::{Host, Output, on_each_release};
use serde_json::Value;

fn doctor(host: &Host) -> Output {
    host.lockdownctl(&["--json", "doctor"])
}

/// What is wrong: level, check and mend of each finding that is neither in order nor skipped.
fn findings(output: &Output) -> Vec<(String, String, String)> {
    let Value::Array(found) = output.json() else { panic!("no array: {output}") };
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    found
        .iter()
        .filter(|finding| finding["level"] != "ok" && finding["level"] != "skipped")
        .map(|finding| (word(finding, "level"), word(finding, "check"), word(finding, "mend")))
        .collect()
}

#[track_caller]
fn in_order(host: &Host) {
    let output = doctor(host);
    assert_eq!((output.status, findings(&output)), (0, vec![]), "{output}");
}

/// The mend of the one error, which is about `check`.
#[track_caller]
fn finds(host: &Host, check: &str, saying: &str) -> String {
    let output = doctor(host).code(1).says(saying);
    match findings(&output).as_slice() {
        [(level, found, mend)] if level == "error" && found == check => mend.clone(),
        _ => panic!("should find one error of {check}: {output}"),
    }
}

/// Runs the mend as it stands, and then all is in order.
#[track_caller]
fn mended_by(host: &Host, mend: &str) {
    host.command(&["bash", "-c", mend]).env("DEBIAN_FRONTEND", "noninteractive").run().ok();
    in_order(host);
}

/// Writes the line between the backquotes of a mend before or after the lines of its phase, as the mend says.
fn follow(host: &Host, mend: &str, file: &str) {
    let line = mend.split('`').nth(1).unwrap_or_else(|| panic!("no line in {mend:?}"));
    let stack = host.read(file);
    let text = if mend.contains("before") { format!("{line}\n{stack}") } else { format!("{stack}{line}\n") };
    host.write(file, text);
}

on_each_release!(
    fn gaps_are_named_and_the_mend_mends(host: &Host) {
        in_order(host);
        host.lockdownctl(&["doctor"]).ok().says("the account stacks of").says("sshd has UsePAM yes");

        // The shared stacks, by hand and by pam-auth-update.
        host.run(&["sed", "-i", "/pam_lockdown/d", "/etc/pam.d/common-account"]).ok();
        mended_by(host, &finds(host, "pam-account", "does not run pam_lockdown.so"));
        host.sh("DEBIAN_FRONTEND=noninteractive pam-auth-update --disable lockdown").ok();
        mended_by(host, &finds(host, "pam-account", "does not run pam_lockdown.so"));
        // With no other module to say yes, the fallback of common-account denies everybody.
        host.sh("DEBIAN_FRONTEND=noninteractive pam-auth-update --disable unix").ok();
        host.run(&["su", "alice", "-c", "true"]).fails();
        mended_by(host, &finds(host, "pam-account", "lets nobody in"));
        host.run(&["su", "alice", "-c", "true"]).ok();

        // A service with stacks of its own: no command can know where its lines belong.
        let file = "/etc/pam.d/vsftpd";
        host.write(file, "auth required pam_permit.so\naccount required pam_unix.so\n");
        let mend = finds(host, "pam-account", "account stack of vsftpd");
        follow(host, &mend, file);
        in_order(host);
        host.run(&["pamtester", "vsftpd", "alice", "acct_mgmt"]).ok();
        host.lockdownctl(&["lock", "alice"]).ok();
        host.run(&["pamtester", "vsftpd", "alice", "acct_mgmt"]).fails();
        host.lockdownctl(&["unlock", "alice"]).ok();
        // `required` there would keep everybody out when the module cannot be loaded.
        host.sh("mv /usr/lib/*/security/pam_lockdown.so /root/").ok();
        host.run(&["pamtester", "vsftpd", "alice", "acct_mgmt"]).ok();
        finds(host, "pam-module", "is not installed");
        host.sh("mv /root/pam_lockdown.so /usr/lib/*/security/").ok();

        host.write("/etc/ssh/sshd_config.d/old.conf", "UsePAM no\n");
        mended_by(host, &finds(host, "sshd", "UsePAM no"));

        host.lockdownctl(&["lock", "alice"]).ok();
        host.sh("echo garbage >> /var/lib/lockdown/deny/1000").ok();
        mended_by(host, &finds(host, "records", "alice"));
        host.run(&["su", "alice", "-c", "true"]).fails().says("locked");

        host.run(&["systemctl", "mask", "--now", "lockdownd"]).ok();
        mended_by(host, &finds(host, "daemon", "masked"));
        // Stopped, it is started by being asked.
        host.run(&["systemctl", "stop", "lockdownd.socket", "lockdownd"]).ok();
        in_order(host);
        host.run(&["rm", "/run/lockdown/login.sock"]).ok();
        mended_by(host, &finds(host, "login-socket", "is missing"));
    }
);

on_each_release!(
    fn it_tells_an_ordinary_user_what_it_could_not_look_at(host: &Host) {
        let output = host.run_as("bob", &["lockdownctl", "doctor"]).ok();
        assert!(
            output.stdout.lines().any(|line| line.starts_with("skipped") && line.contains("sshd")),
            "{output}"
        );
        assert!(
            output.stdout.lines().any(|line| line.starts_with("skipped") && line.contains("records")),
            "{output}"
        );
    }
);

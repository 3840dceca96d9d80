//! What pam-auth-update makes of the package's profiles in auth, and that people come in by their passwords whatever stands
//! beside them.

use lockdown_tests::host::layer::packages_under_test;
use lockdown_tests::{Host, on_each_release, password_of};

/// As PAM reads it: the lines of a phase, words set apart by one blank.
fn lines(host: &Host, phase: &str) -> Vec<String> {
    let text = host.read(&format!("/etc/pam.d/common-{phase}"));
    let lines = text.lines().filter(|line| line.starts_with(phase));
    lines.map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")).collect()
}

const FINGERPRINT: &str = "[success=ignore ignore=ignore module_unknown=ignore authinfo_unavail=1 default=ignore] \
                           pam_lockdown.so authenticator=fingerprint";
const PLACE: &str = "[default=ignore] pam_lockdown.so";
const PREAUTH: &str = "[success=ignore ignore=ignore module_unknown=ignore conv_err=die default=bad] pam_lockdown.so preauth \
                       authenticator=password";
const AUTHFAIL: &str = "[module_unknown=ignore ignore=ignore default=die] pam_lockdown.so authfail";
const DENY: &str = "requisite pam_deny.so";
const PERMIT: &str = "required pam_permit.so";
const AUTHSUCC: &str =
    "[success=ok ignore=ignore module_unknown=ignore default=die] pam_lockdown.so authsucc";

fn pam_auth_update(host: &Host, args: &str) {
    host.sh(&format!("DEBIAN_FRONTEND=noninteractive pam-auth-update {args}")).ok();
}

/// Whether the password lets carol in over ssh, at a console, by su, and to root by sudo.
fn comes_in(host: &Host, password: &str) -> [bool; 4] {
    let typed = format!("{password}\n");
    let by = |who: &str, argv: &[&str]| host.command(argv).as_user(who).stdin(&typed).run();
    [
        host.ssh("carol").password(password).run("id -un").text() == "carol",
        host.console_login("carol", password).entered(),
        by("bob", &["su", "carol", "-c", "id -un"]).text() == "carol",
        by("carol", &["sudo", "-S", "-k", "id", "-un"]).text() == "root",
    ]
}

/// The right password lets in, a wrong one does not, and root needs none for su.
#[track_caller]
fn passwords_count(host: &Host, when: &str) {
    assert_eq!(comes_in(host, &password_of("carol")), [true; 4], "{when}");
    assert_eq!(comes_in(host, "wrong"), [false; 4], "{when}");
    host.run(&["su", "-", "carol", "-c", "true"]).ok();
}

on_each_release!(
    fn lines_stand_in_their_order_and_passwords_count(host: &Host) {
        let common = |inner: &[&str], jump: usize| {
            let unix = format!("[success={jump} default=ignore] pam_unix.so nullok try_first_pass");
            let mut lines: Vec<String> = inner.iter().map(|line| (*line).to_owned()).collect();
            lines.extend([unix.as_str(), AUTHFAIL, DENY, PERMIT, AUTHSUCC].map(str::to_owned));
            lines
        };
        assert_eq!(lines(host, "auth")[..8], common(&[FINGERPRINT, PLACE, PREAUTH], 2));
        passwords_count(host, "as installed");
        host.lockdownctl(&["doctor"]).ok().says("heeded by every service that asks for it on: password, ssh");
        // Who gives no answer is asked once, not by each module anew.
        let no_answer = host.run_as("bob", &["su", "carol", "-c", "true"]).fails();
        assert_eq!(no_answer.stderr.matches("Password: ").count(), 1, "{no_answer}");

        // The guard of fingerprints jumps over their module, and where there is none over a line that does nothing.
        pam_auth_update(host, "--enable fprintd");
        let fprintd = "[success=5 default=ignore] pam_fprintd.so max-tries=1 timeout=10";
        let with_fprintd = common(&[FINGERPRINT, fprintd, PLACE, PREAUTH], 2);
        let found: Vec<String> =
            lines(host, "auth").iter().map(|line| line.replace(" # debug", "")).collect();
        assert_eq!(found[..9], with_fprintd);
        passwords_count(host, "with fprintd, and no reader");
        pam_auth_update(host, "--disable fprintd");
        assert_eq!(lines(host, "auth")[..8], common(&[FINGERPRINT, PLACE, PREAUTH], 2));

        // A locked finger does not touch the password.
        host.lockdownctl(&["authenticator", "lock", "carol", "fingerprint", "--unenforced"]).ok();
        passwords_count(host, "with a locked finger");
    }
);

on_each_release!(
    fn a_locked_password_is_refused_as_a_wrong_one(host: &Host) {
        host.lockdownctl(&["authenticator", "lock", "carol", "password"]).ok();
        assert_eq!(comes_in(host, &password_of("carol")), [false; 4]);
        let refused = |user: &str, password: &str| {
            let output = host.ssh(user).password(password).run("true").code(255);
            (output.stderr.replace(user, "USER"), output.took.as_secs() >= 1)
        };
        let locked = refused("carol", &password_of("carol"));
        assert_eq!(locked, refused("carol", "wrong"));
        assert_eq!(locked, refused("bob", "wrong"));
        assert_eq!(locked, refused("nobody-here", "wrong"));
        assert!(locked.1, "{locked:?}");
        // Her key and root's su are not touched.
        host.ssh("carol").run("true").ok();
        host.run(&["su", "-", "carol", "-c", "true"]).ok();
        // One event tells of all; the log of each.
        let denials = host.events_about("carol", "login-denied");
        assert_eq!(denials.len(), 1, "{denials:#?}");
        assert_eq!(
            (&denials[0]["input"]["phase"], &denials[0]["input"]["authenticator"]),
            (&"auth".into(), &"password".into())
        );
        assert_eq!(host.journal(None).matches("password unavailable: user=\"carol\"").count(), 6);

        host.lockdownctl(&["authenticator", "unlock", "carol", "password"]).ok();
        passwords_count(host, "lifted");
    }
);

on_each_release!(
    fn an_account_without_a_password_is_asked_for_one_and_any_will_do(host: &Host) {
        host.run(&["passwd", "-d", "carol"]).ok();
        let su =
            |typed: &str| host.command(&["su", "carol", "-c", "id -un"]).as_user("bob").stdin(typed).run();
        assert_eq!([su("\n").ok().text(), su("anything\n").ok().text()], ["carol"; 2]);
        // pam_unix does not look at what was typed; the lock holds all the same.
        host.lockdownctl(&["authenticator", "lock", "carol", "password", "--unenforced"]).ok();
        su("\n").fails();
        su("anything\n").fails();
    }
);

on_each_release!(
    fn other_profiles_stand_beside_ours(host: &Host) {
        // A second factor comes after the password, and only after a right one that was not refused.
        host.write("/usr/local/sbin/factor", "#!/bin/sh\necho \"$PAM_USER\" >> /run/factor\n");
        // pam_exec runs it with the rights of who starts su or sudo.
        host.sh("chmod +x /usr/local/sbin/factor; touch /run/factor; chmod 666 /run/factor").ok();
        host.write(
            "/usr/share/pam-configs/factor",
            "Name: a second factor\nDefault: no\nPriority: 0\nAuth-Type: Additional\nAuth:\n\
             \trequired pam_exec.so quiet /usr/local/sbin/factor\n",
        );
        pam_auth_update(host, "--enable factor");
        assert_eq!(lines(host, "auth")[7], AUTHSUCC);
        passwords_count(host, "with a second factor");
        assert_eq!(host.read("/run/factor"), "carol\n".repeat(4));
        pam_auth_update(host, "--disable factor");

        // Each of ours may be missing: passwords count as ever, and the doctor says so.
        for profile in ["lockdown-preauth", "lockdown-authfail", "lockdown-authsucc"] {
            pam_auth_update(host, &format!("--disable {profile}"));
            let su =
                |typed: &str| host.command(&["su", "carol", "-c", "true"]).as_user("bob").stdin(typed).run();
            su(&format!("{}\n", password_of("carol"))).ok();
            su("wrong\n").fails();
            let mend = "pam-auth-update --enable lockdown-preauth lockdown-authfail lockdown-authsucc";
            host.lockdownctl(&["doctor"]).ok().says(profile.trim_start_matches("lockdown-")).says(mend);
            pam_auth_update(host, mend.trim_start_matches("pam-auth-update "));
        }

        // A module like pam_krb5 asks for the password itself, before ours: it is not guarded.
        host.sh("cp /usr/lib/*/security/pam_unix.so /tmp/x && mv /tmp/x \"$(ls -d /usr/lib/*/security)/pam_krb5.so\"").ok();
        host.write(
            "/usr/share/pam-configs/krb5",
            "Name: Kerberos\nDefault: no\nPriority: 704\nAuth-Type: Primary\nAuth:\n\
             \t[success=end default=ignore] pam_krb5.so try_first_pass\nAuth-Initial:\n\
             \t[success=end default=ignore] pam_krb5.so\n",
        );
        pam_auth_update(host, "--enable krb5");
        assert_eq!(lines(host, "auth")[0], "[success=6 default=ignore] pam_krb5.so");
        passwords_count(host, "with a module before ours");
        host.lockdownctl(&["doctor"])
            .ok()
            .says("nothing guards in time pam_krb5.so")
            .says("asked before pam_lockdown.so preauth");
        host.lockdownctl(&["authenticator", "lock", "carol", "password"])
            .code(6)
            .says("pam_krb5.so")
            .says("Priority:");
        // With a lower priority it is.
        host.run(&["sed", "-i", "s/^Priority: .*/Priority: 257/", "/usr/share/pam-configs/krb5"]).ok();
        pam_auth_update(host, "");
        passwords_count(host, "with that module behind ours");
        host.lockdownctl(&["authenticator", "lock", "carol", "password"]).ok();
        assert_eq!(comes_in(host, &password_of("carol")), [false; 4]);
    }
);

on_each_release!(
    fn nobody_is_locked_out_while_the_module_cannot_be_loaded(host: &Host) {
        for damage in ["mv $module /root/", "cp /bin/true $module"] {
            host.sh(&format!(
                "module=$(echo /usr/lib/*/security/pam_lockdown.so); cp $module /root/kept; {damage}"
            ))
            .ok();
            passwords_count(host, damage);
            let root = host.console_login("root", &password_of("root"));
            assert!(root.entered(), "{damage}:\n{}", root.text());
            host.sh("cp /root/kept \"$(ls -d /usr/lib/*/security)/pam_lockdown.so\"").ok();
        }
    }
);

on_each_release!(bare
    fn removal_leaves_the_stacks_as_they_were(host: &Host) {
        let stacks = || host.sh("cd /etc/pam.d && tail -n +1 common-*").ok().stdout;
        let dpkg = |args: &[&str]| {
            host.command(&[&["dpkg"], args].concat()).env("DEBIAN_FRONTEND", "noninteractive").run().ok();
        };
        let [deb] = &packages_under_test()[..] else { panic!("one package should be under test") };
        host.write("/root/lockdown.deb", std::fs::read(deb).expect("the package under test"));
        let before = stacks();
        passwords_count(host, "before");
        for (removal, when) in [("-r", "removed"), ("-P", "purged")] {
            dpkg(&["-i", "/root/lockdown.deb"]);
            assert_eq!(lines(host, "auth")[2], PREAUTH);
            let mode = host.run(&["stat", "-c", "%a %U %G", "/var/lib/lockdown/tally"]).ok();
            assert_eq!(mode.text(), "700 root root");
            // Failures that were counted do not keep the package from being removed.
            host.ssh("carol").password("wrong").run("true").code(255);
            dpkg(&[removal, "lockdown"]);
            assert_eq!(stacks(), before, "{when}");
            passwords_count(host, when);
        }
    }
);

//! Guards that an administrator writes into a service by hand, as pam_lockdown(8) has it: for PINs, tokens and faces.

use std::time::Duration;

use lockdown_tests::{Host, on_each_release, password_of};

use super::{listed, lock, unlock};

const PATIENCE: Duration = Duration::from_secs(20);
const PIN: &str = "4711";
/// What pam_u2f(8) writes when it is asked.
const U2F_LOG: &str = "/run/u2f";

/// A service with these lines, and behind them the password.
fn make_service(host: &Host, guard: &str, module: &str) {
    let password = "auth required pam_unix.so\naccount required pam_permit.so\n";
    host.write("/etc/pam.d/kiosk", format!("{guard}auth sufficient {module}\n{password}"));
}

/// Whether a secret opens the service for alice, wherever it is asked for; an empty one is asked for nowhere.
fn opens(host: &Host, secret: &str) -> bool {
    let session = host.terminal(&["pamtester", "kiosk", "alice", "authenticate"]);
    for _ in 0..3 {
        let texts = ["assword: ", "successfully authenticated", "Authentication failure"];
        match session.wait_for_any(&texts, PATIENCE) {
            Some(0) => session.send(secret),
            which => return which == Some(1),
        }
    }
    panic!("asked again and again:\n{}", session.screen());
}

on_each_release!(
    fn a_pin_a_token_and_a_face_are_passed_over(host: &Host) {
        host.run_as("alice", &["mkdir", "-p", ".config/Yubico"]).ok();
        let token = host.command(&["tee", ".config/Yubico/u2f_keys"]).as_user("alice");
        token.stdin("alice:bGV0IG1lIGlu,cHVibGlj,es256,+presence\n").run().ok();
        host.sh(&format!(
            "
            perl -e 'print \"alice:\" . crypt(\"{PIN}\", \"\\$6\\$salt\\$\") . \"\\n\"' > /etc/pins
            install -D /dev/null /etc/howdy/models/alice.dat
            echo '[{{\"time\": 1700000000, \"label\": \"alice\", \"id\": 0, \"data\": [[0.5]]}}]' > /etc/howdy/models/alice.dat
            modules=$(dirname $(find /usr/lib /lib -name pam_unix.so | head -n 1))
            # howdy is no package of Debian's: here every face is hers.
            cp $modules/pam_permit.so $modules/pam_howdy.so
            "
        ))
        .ok();
        let u2f = format!("pam_u2f.so debug debug_file={U2F_LOG}");
        let u2f_asked = || {
            host.run(&["rm", "-f", U2F_LOG]).ok();
            host.write(U2F_LOG, "");
            assert!(
                opens(host, &password_of("alice")),
                "the password opens beside a token that is not plugged in"
            );
            !host.read(U2F_LOG).is_empty()
        };
        // What opens: the authenticator itself. A token that is not plugged in opens nothing; it can be seen to be asked for.
        let (pin, face) = (|| opens(host, PIN), || opens(host, ""));
        let cases: [(&str, &str, &str, &dyn Fn() -> bool); 3] = [
            ("pin", "pin:/etc/pins", "pam_pwdfile.so pwdfile=/etc/pins", &pin),
            ("u2f", "u2f", &u2f, &u2f_asked),
            ("face", "face:0", "pam_howdy.so", &face),
        ];
        for (kind, id, module, is_taken) in cases {
            make_service(host, "", module);
            assert!(is_taken(), "{kind} without a guard");
            lock(host, "alice", id, &[]).code(super::REFUSED).says("authenticator=").says("kiosk");

            make_service(
                host,
                &format!("auth [success=ignore default=1] pam_lockdown.so authenticator={kind}\n"),
                module,
            );
            assert!(is_taken(), "{kind} behind its guard");
            lock(host, "alice", id, &[]).ok().says_not("not heeded");
            assert!(!is_taken(), "{kind} is locked");
            assert!(opens(host, &password_of("alice")), "the password stands behind {kind}");
            assert_eq!(listed(host, "alice", id)["locked"], true);
            unlock(host, "alice", id).ok();
            assert!(is_taken(), "{kind} is unlocked");
        }
    }
);

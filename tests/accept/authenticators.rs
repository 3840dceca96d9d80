//! What an account signs in with is listed, and locked one by one while the others go on working.

mod by_hand;
mod certificates;
mod fingerprint;
mod keys;
mod password;

use std::time::Duration;

use lockdown_tests::{Host, Output, Ssh, on_each_release};
use serde_json::Value;

use crate::exit_codes::{FAILED, NOT_AUTHORIZED, NOT_FOUND, REFUSED};

const SOON: Duration = Duration::from_secs(10);
/// root's key and alice's own, which both open alice's account.
const ROOTS: &str = "/root/.ssh/id_ed25519";
const HERS: &str = "/home/alice/.ssh/id_ed25519";
/// The public key of a FIDO2 authenticator, as ssh-keygen(1) writes it: a type, 32 bytes and `ssh:`. None that exists.
const PASSKEY: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDo=";

/// `SHA256:…` of a key, by the path of either half.
fn fingerprint(host: &Host, path: &str) -> String {
    host.run(&["ssh-keygen", "-lf", path]).ok().text().split(' ').nth(1).expect("a fingerprint").to_owned()
}

/// The id of a key as an authenticator.
fn id_of(host: &Host, path: &str) -> String {
    format!("ssh:{}", fingerprint(host, path))
}

/// Makes a key pair of root's at this path.
fn make_key(host: &Host, path: &str, comment: &str) {
    host.run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path]).ok();
}

/// A login as alice by this key and nothing else.
fn by<'h>(host: &'h Host, key: &str) -> Ssh<'h> {
    host.ssh("alice").key(key)
}

fn lock(host: &Host, account: &str, id: &str, options: &[&str]) -> Output {
    host.lockdownctl(&[&["authenticator", "lock", account, id], options].concat())
}

fn unlock(host: &Host, account: &str, id: &str) -> Output {
    host.lockdownctl(&["authenticator", "unlock", account, id])
}

/// What `lockdownctl authenticators` lists.
#[track_caller]
fn list(host: &Host, account: &str) -> Vec<Value> {
    host.ask_lockdown(&["authenticators", account]).as_array().expect("an array").clone()
}

/// The one with this id.
#[track_caller]
fn listed(host: &Host, account: &str, id: &str) -> Value {
    let all = list(host, account);
    all.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("no {id}: {all:#?}")).clone()
}

fn configure_sshd(host: &Host, settings: &str) {
    host.write("/etc/ssh/sshd_config.d/story.conf", settings);
    host.run(&["systemctl", "restart", "ssh"]).ok();
}

/// Gives alice one of everything, as each program keeps it, and the ids that they have.
fn enrol(host: &Host) -> Vec<(String, &'static str)> {
    host.write("/root/passkey.pub", format!("{PASSKEY} blue token\n"));
    for (path, comment) in
        [("/root/second", "second file"), ("/root/directory", "directory"), ("/root/staff", "staff")]
    {
        make_key(host, path, comment);
    }
    host.sh("
        cat /root/passkey.pub >> /home/alice/.ssh/authorized_keys
        install -d /etc/ssh/keys /etc/howdy/models
        cp /root/second.pub /etc/ssh/keys/alice
        cp /root/directory.pub /root/staff.pub /etc/ssh/
        printf '#!/bin/sh\\n[ \"$1\" = alice ] && cat /etc/ssh/directory.pub\\n' > /usr/local/bin/keys-of
        chmod 0755 /usr/local/bin/keys-of
    ")
        .ok();
    configure_sshd(
        host,
        "AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/keys/%u\n\
         AuthorizedKeysCommand /usr/local/bin/keys-of %u\n\
         AuthorizedKeysCommandUser nobody\n\
         TrustedUserCAKeys /etc/ssh/staff.pub\n",
    );
    // As pamu2fcfg(1) prints it, in the file of its own manual; nothing here asks for it.
    host.run_as("alice", &["mkdir", "-p", ".config/Yubico"]).ok();
    host.command(&["tee", ".config/Yubico/u2f_keys"])
        .as_user("alice")
        .stdin("alice:bGV0IG1lIGlu,cHVibGlj,es256,+presence\n")
        .run()
        .ok();
    // As `howdy add` writes it; howdy is no package of Debian's.
    host.write(
        "/etc/howdy/models/alice.dat",
        r#"[{"time": 1700000000, "label": "with glasses", "id": 0, "data": [[0.5]]}]"#,
    );
    host.write("/etc/pins", "alice:$6$salt$hash\n");
    host.write("/etc/pam.d/kiosk", "auth required pam_pwdfile.so pwdfile=/etc/pins\n");
    host.run_as("alice", &["google-authenticator", "-tdfC", "-r3", "-R30", "-w3"]).ok();
    vec![
        ("password".into(), ""),
        (id_of(host, ROOTS), "root"),
        (id_of(host, HERS), "alice"),
        (id_of(host, "/root/passkey.pub"), "blue token"),
        (id_of(host, "/root/second"), "second file"),
        (format!("ssh-ca:{}", fingerprint(host, "/root/staff")), "certificates of staff"),
        (id_of(host, "/root/directory"), "directory"),
        ("u2f:".into(), "es256"),
        ("face:0".into(), "with glasses"),
        ("pin:/etc/pins".into(), "/etc/pins"),
        ("totp:google-authenticator".into(), "google-authenticator"),
    ]
}

on_each_release!(
    fn everything_that_the_account_has_is_listed(host: &Host) {
        let enrolled = enrol(host);
        let found = list(host, "alice");
        assert_eq!(found.len(), enrolled.len(), "{found:#?}");
        for (one, (id, label)) in found.iter().zip(&enrolled) {
            let is_it = one["id"]
                .as_str()
                .is_some_and(|found| found == id || id == "u2f:" && found.starts_with("u2f:SHA256:"));
            assert!(is_it && one["label"] == *label, "{id} {label:?}: {one:#}");
            assert_eq!(one["passkey"], *label == "blue token" || id == "u2f:", "{one:#}");
            assert_eq!(one["lockable"], !id.starts_with("totp"), "{one:#}");
            assert_eq!((&one["present"], &one["locked"]), (&true.into(), &false.into()), "{one:#}");
            // Of what a program answers nobody knows since when.
            assert_eq!(one["added"] != 0, *label != "directory", "{one:#}");
        }
        assert_eq!(found[8]["added"], 1_700_000_000, "{:#}", found[8]);
        // Nothing in the log about what could not be looked at, and nothing of a secret.
        let journal = host.journal(Some("lockdownd.service"));
        assert!(!journal.contains("authenticators of alice"), "{journal}");
        let table = host.lockdownctl(&["authenticators", "alice"]).ok().says("passkey, blue token");
        for (_, label) in &enrolled {
            assert!(table.stdout.contains(label), "{label}: {table}");
        }

        // What sshd takes shows when it was used.
        by(host, HERS).run("true").ok();
        assert!(listed(host, "alice", &enrolled[2].0)["last_used"].as_i64() > Some(0));
        assert_eq!(listed(host, "alice", &enrolled[1].0)["last_used"], 0);
        for (key, id) in [("/root/second", &enrolled[4].0), ("/root/directory", &enrolled[6].0)] {
            by(host, key).run("true").ok();
            lock(host, "alice", id, &[]).ok();
            by(host, key).run("true").code(255);
        }
    }
);

on_each_release!(
    fn what_would_not_be_a_lock_is_refused_with_the_reason(host: &Host) {
        let enrolled = enrol(host);
        lock(host, "alice", "totp:google-authenticator", &[])
            .code(REFUSED)
            .says("cannot be locked")
            .says("lock that one");
        lock(host, "alice", "totp:google-authenticator", &["--unenforced"]).code(REFUSED);
        lock(host, "alice", "totp", &["--force"]).code(REFUSED);
        // Ids that nobody has, or that none can have.
        for id in [
            "ssh:SHA256:AAAA",
            "fingerprint:left-thumb",
            "face:1",
            "password:x",
            "nonsense",
            "ssh-ca:SHA256:AAAA:x",
        ] {
            lock(host, "alice", id, &[]).code(NOT_FOUND).says(id).says("lockdownctl authenticators");
            unlock(host, "alice", id).code(NOT_FOUND);
        }
        lock(host, "mallory", "password", &[]).code(NOT_FOUND);
        lock(host, "alice", "", &[]).code(2);
        for id in ["password", "ssh"] {
            lock(host, "root", id, &["--force", "--unenforced"]).code(REFUSED).says("root is protected");
        }

        // No service asks for a token or a face on this host, and nothing guards the PIN's module.
        for (id, why) in [
            ("u2f", "no service of PAM"),
            ("face:0", "no service of PAM"),
            ("pin:/etc/pins", "authenticator=pin"),
        ] {
            lock(host, "alice", id, &[]).code(REFUSED).says("would not heed").says(why).says("unenforced");
            assert!(
                host.events_about("alice", "lock-authenticator")
                    .last()
                    .is_some_and(|event| event["outcome"] == "refused")
            );
            lock(host, "alice", id, &["--unenforced"]).ok().says("is locked").says("not heeded").says(why);
        }
        let face = listed(host, "alice", "face:0");
        assert_eq!((&face["locked"], &face["enforced"]), (&true.into(), &false.into()), "{face:#}");
        assert!(face["unenforced_reason"].as_str().is_some_and(|why| why.contains("no service")), "{face:#}");
        host.lockdownctl(&["authenticators", "alice"]).ok().says("locked, not heeded");
        unlock(host, "alice", "face:0").ok();
        unlock(host, "alice", "face:0").code(FAILED).says("is not locked");

        // A guard where the module stands makes it a lock.
        host.write(
            "/etc/pam.d/kiosk",
            "auth [success=ignore default=1] pam_lockdown.so authenticator=pin\nauth required pam_pwdfile.so pwdfile=/etc/pins\n",
        );
        assert_eq!(listed(host, "alice", "pin:/etc/pins")["enforced"], true);
        // And sshd without PAM makes a key none.
        configure_sshd(host, "UsePAM no\n");
        lock(host, "alice", &enrolled[1].0, &[]).code(REFUSED).says("UsePAM yes");
        by(host, ROOTS).run("true").ok();
    }
);

on_each_release!(
    fn everybody_sees_their_own_and_changes_none(host: &Host) {
        let alice = by(host, HERS);
        let own = alice.run("lockdownctl --json authenticators").ok().json();
        let ids: Vec<_> = own.as_array().expect("an array").iter().map(|one| one["id"].clone()).collect();
        assert_eq!(ids, ["password".to_owned(), id_of(host, ROOTS), id_of(host, HERS)], "{own:#}");
        alice.run("lockdownctl authenticators alice").ok().says("usable");
        for asks in [
            "authenticators bob".to_owned(),
            "authenticator lock alice password".to_owned(),
            format!("authenticator unlock alice {}", id_of(host, ROOTS)),
        ] {
            alice.run(&format!("lockdownctl {asks}")).code(NOT_AUTHORIZED);
        }
        let events = host.events_about("alice", "lock-authenticator");
        assert!(events.iter().all(|event| event["outcome"] == "refused") && events.len() == 1, "{events:#?}");
        let own = alice.run("lockdownctl --json authenticators").ok().json();
        assert!(own.as_array().expect("an array").iter().all(|one| one["locked"] == false), "{own:#}");
    }
);

on_each_release!(
    /// Of who administers the host; carol may, by her password, and root's key lets her in.
    fn the_last_way_in_is_asked_about(host: &Host) {
        let key = id_of(host, ROOTS);
        let is_locked = |id: &str| listed(host, "carol", id)["locked"] == true;
        // A password that is kept from matching is no way in.
        host.run(&["passwd", "--lock", "carol"]).ok();
        let refused =
            lock(host, "carol", &key, &[]).code(REFUSED).says("the last authenticator").says("--force");
        assert_eq!(refused.stderr.trim_end().lines().count(), 1, "{refused}");
        assert!(!is_locked(&key));
        lock(host, "carol", "ssh", &[]).code(REFUSED);

        let ask = |answer: &str| {
            let terminal = host.terminal(&["lockdownctl", "authenticator", "lock", "carol", &key]);
            terminal.wait_for("the last authenticator");
            terminal.wait_for("(yes/no)");
            terminal.send(answer);
            terminal.wait_ended(SOON)
        };
        assert_eq!(ask("no").status, FAILED);
        assert!(!is_locked(&key));
        host.ssh("carol").run("true").ok();
        let ended = ask("yes");
        assert_eq!(ended.status, 0, "{}", ended.text);
        assert!(is_locked(&key));
        host.ssh("carol").run("true").code(255);

        // With another way in nobody is asked, and --force asks nobody.
        unlock(host, "carol", &key).ok();
        lock(host, "carol", &key, &["--force"]).ok();
        unlock(host, "carol", &key).ok();
        host.run(&["passwd", "--unlock", "carol"]).ok();
        lock(host, "carol", &key, &[]).ok();
        lock(host, "carol", "password", &["--unenforced"]).code(REFUSED).says("the last authenticator");
        // Of others it is theirs to lose: bob administers nothing.
        host.run(&["passwd", "--lock", "bob"]).ok();
        lock(host, "bob", "ssh", &[]).ok();
        host.ssh("bob").run("true").code(255);
    }
);

//! Certificates, locked by the key that they certify, by their key id, or by their authority.

use lockdown_tests::{Host, on_each_release};

use super::{
    HERS, NOT_FOUND, ROOTS, SOON, by, configure_sshd, fingerprint, id_of, list, listed, lock, make_key,
    unlock,
};

/// Two authorities that sshd trusts, and one that alice's own keys name.
const AUTHORITIES: [&str; 3] = ["/root/staff", "/root/partners", "/root/hers"];
/// Keys that nothing but a certificate lets in: by whom it is signed, and the key id.
const CERTIFIED: [(&str, &str, &str); 4] = [
    ("/root/laptop", "/root/staff", "alice: laptop"),
    ("/root/phone", "/root/staff", "alice: phone"),
    ("/root/guest", "/root/partners", "alice: laptop"),
    ("/root/home", "/root/hers", "home"),
];

fn certify(host: &Host) {
    for path in AUTHORITIES {
        make_key(host, path, path.trim_start_matches("/root/"));
    }
    for (path, authority, key_id) in CERTIFIED {
        make_key(host, path, "");
        host.run(&[
            "ssh-keygen",
            "-q",
            "-s",
            authority,
            "-I",
            key_id,
            "-n",
            "staff-of-alice",
            &format!("{path}.pub"),
        ])
        .ok();
    }
    host.sh("
        cat /root/staff.pub /root/partners.pub > /etc/ssh/authorities.pub
        install -d /etc/ssh/principals; echo staff-of-alice > /etc/ssh/principals/alice
        echo \"cert-authority,principals=\\\"staff-of-alice\\\" $(cat /root/hers.pub)\" >> /home/alice/.ssh/authorized_keys
    ")
    .ok();
    configure_sshd(
        host,
        "TrustedUserCAKeys /etc/ssh/authorities.pub\nAuthorizedPrincipalsFile /etc/ssh/principals/%u\n",
    );
}

fn authority_of(host: &Host, path: &str) -> String {
    format!("ssh-ca:{}", fingerprint(host, path))
}

/// Which of the keys, by the position in `CERTIFIED`, let somebody in.
fn let_in(host: &Host) -> Vec<usize> {
    (0..CERTIFIED.len()).filter(|at| by(host, CERTIFIED[*at].0).run("echo in").stdout == "in\n").collect()
}

on_each_release!(
    fn are_locked_by_key_by_key_id_and_by_authority(host: &Host) {
        certify(host);
        let [staff, partners, hers] = AUTHORITIES.map(|path| authority_of(host, path));
        // Before any has been used: which authorities there are is known, and which certificates is not.
        let found = list(host, "alice");
        let ids: Vec<_> = found.iter().map(|one| one["id"].as_str().expect("an id")).collect();
        assert_eq!(
            ids,
            ["password", &id_of(host, ROOTS), &id_of(host, HERS), &hers, &staff, &partners],
            "{found:#?}"
        );
        assert_eq!(found[4]["label"], "certificates of staff");
        let laptop = format!("{staff}:alice: laptop");
        lock(host, "alice", &laptop, &[]).ok();
        assert_eq!(let_in(host), [1, 2, 3], "by key id, of this authority");
        unlock(host, "alice", &laptop).ok();
        assert_eq!(let_in(host), [0, 1, 2, 3]);
        println!(
            "{}",
            host.run(&["/var/lib/lockdown/lockdown.db", "select * from sessions; select * from events"])
        );

        // Now they are known, when they were used included.
        for (path, authority, key_id) in CERTIFIED {
            let row = listed(host, "alice", &format!("{}:{key_id}", authority_of(host, authority)));
            assert_eq!(
                (&row["label"], &row["present"]),
                (&format!("certificate {key_id}").into(), &true.into()),
                "{row:#}"
            );
            assert!(row["last_used"].as_i64() > Some(0), "{path}: {row:#}");
        }
        for (id, left) in [
            (id_of(host, "/root/phone"), vec![0, 2, 3]),
            (staff.clone(), vec![2, 3]),
            (partners, vec![0, 1, 3]),
            (hers, vec![0, 1, 2]),
            (format!("{staff}:alice: phone"), vec![0, 2, 3]),
            ("ssh".to_owned(), vec![]),
        ] {
            let open = CERTIFIED.map(|(path, ..)| by(host, path).open());
            lock(host, "alice", &id, &[]).ok();
            for (at, session) in open.iter().enumerate() {
                if left.contains(&at) {
                    session.ask("true").ok();
                } else {
                    session.wait_ended(SOON);
                }
            }
            assert_eq!(let_in(host), left, "with a lock on {id}");
            assert_eq!(by(host, HERS).run("true").succeeded(), id != "ssh", "{id}");
            unlock(host, "alice", &id).ok();
        }
        assert_eq!(let_in(host), [0, 1, 2, 3]);
        let nobodys = format!("ssh-ca:{}:alice: laptop", fingerprint(host, HERS));
        lock(host, "alice", &nobodys, &[]).code(NOT_FOUND);
    }
);

use super::{super::host::tests::host, *};

const WIRED: &str = "account required pam_lockdown.so\naccount required pam_unix.so\n";
const SO: (&str, &str) = ("usr/lib/x86_64-linux-gnu/security/pam_lockdown.so", "");

fn findings(files: &[(&str, &str)]) -> Vec<(Level, String)> {
    let (_root, host) = host(files);
    pam(&host)
        .into_iter()
        .map(|finding| {
            let mend = finding.mend.map(|mend| format!(" → {mend}")).unwrap_or_default();
            (finding.level, format!("{}: {}{mend}", finding.check, finding.message))
        })
        .collect()
}

#[test]
fn a_host_in_order() {
    let found = findings(&[
        ("etc/pam.d/common-account", WIRED),
        ("etc/pam.d/common-session", "session optional pam_systemd.so\nsession required pam_lockdown.so\n"),
        ("etc/pam.d/sshd", "@include common-account\n@include common-session\n"),
        ("etc/pam.d/login", "@include common-account\n@include common-session\n"),
        ("etc/pam.d/chpasswd", "password required pam_unix.so\n"),
        ("etc/pam.d/runuser", "session required pam_unix.so\n"),
        SO,
    ]);
    assert_eq!(
        found,
        [
            (Level::Ok, "pam-account: the account stacks of 2 services run pam_lockdown.so".into()),
            (Level::Ok, "pam-session: the session stacks of 2 services run pam_lockdown.so".into()),
            (Level::Ok, "pam-module: pam_lockdown.so is installed".into()),
        ]
    );
}

#[test]
fn services_with_the_same_gap_are_one_finding() {
    let found = findings(&[
        ("etc/pam.d/common-account", "account required pam_unix.so\n"),
        ("etc/pam.d/sshd", "@include common-account\n"),
        ("etc/pam.d/login", "@include common-account\n"),
        ("etc/pam.d/vsftpd", "account required pam_unix.so\n"),
        ("usr/sbin/pam-auth-update", ""),
    ]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(
        found[0],
        (
            Level::Error,
            "pam-account: account stack of login, sshd: does not run pam_lockdown.so → pam-auth-update --enable \
             lockdown lockdown-session"
                .into()
        )
    );
    assert_eq!(
        found[1],
        (
            Level::Error,
            "pam-account: account stack of vsftpd: does not run pam_lockdown.so → put `account [success=ignore \
             ignore=ignore module_unknown=ignore default=die] pam_lockdown.so` before the other account lines of \
             /etc/pam.d/vsftpd"
                .into()
        )
    );
    assert_eq!(found[2].0, Level::Error);
    assert!(found[2].1.starts_with("pam-module: pam_lockdown.so is not installed"), "{found:?}");
}

#[test]
fn the_lines_it_advises_are_those_of_the_package() {
    for (profile, our) in [("lockdown", ACCOUNT), ("lockdown-session", SESSION)] {
        let path = format!("{}/../packaging/pam-configs/{profile}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        let words: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(words.join(" "), format!("{} {MODULE}", our.control), "{path}");
    }
}

#[test]
fn a_host_that_lets_nobody_in_is_an_error() {
    let found = findings(&[
        (
            "etc/pam.d/common-account",
            "account [success=ignore default=die] pam_lockdown.so\naccount requisite pam_deny.so\n",
        ),
        ("etc/pam.d/sshd", "@include common-account\n"),
        ("usr/sbin/pam-auth-update", ""),
        SO,
    ]);
    assert_eq!(
        found[0],
        (
            Level::Error,
            "pam-account: account stack of sshd: lets nobody in, locked or not: no module of it says yes → \
             pam-auth-update --enable unix"
                .into()
        )
    );
}

#[test]
fn our_line_is_not_advised_alone() {
    let found = findings(&[
        (
            "etc/pam.d/common-account",
            "account [default=1] pam_permit.so\naccount requisite pam_deny.so\naccount required pam_permit.so\n",
        ),
        ("etc/pam.d/sshd", "account required pam_nologin.so\n@include common-account\n"),
        ("usr/sbin/pam-auth-update", ""),
        SO,
    ]);
    assert!(found[0].1.ends_with("→ pam-auth-update --enable unix lockdown lockdown-session"), "{found:?}");
}

#[test]
fn a_line_that_names_a_missing_module_is_an_error() {
    let found = findings(&[("etc/pam.d/su", "account required /opt/pam_lockdown.so\n"), SO]);
    assert_eq!(found.last().unwrap().0, Level::Error);
}

#[test]
fn a_way_past_the_module_is_named() {
    let found = findings(&[("etc/pam.d/su", &format!("account sufficient pam_rootok.so\n{WIRED}")), SO]);
    assert_eq!(
        found[0],
        (
            Level::Error,
            "pam-account: account stack of su: pam_rootok.so lets users past pam_lockdown.so → in /etc/pam.d/su, move \
             the line of pam_lockdown.so above that of pam_rootok.so"
                .into()
        )
    );
}

#[test]
fn a_host_without_services() {
    let found = findings(&[SO]);
    assert_eq!(found[0].0, Level::Error, "{found:?}");
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn an_include_that_is_missing_is_an_error() {
    let found = findings(&[("etc/pam.d/su", "@include common-account\n"), SO]);
    assert!(found[0].1.contains("account stack of su: common-account does not exist"), "{found:?}");
}

#[test]
fn what_sshd_says() {
    assert!(says_yes("port 22\nusepam yes\n", "usepam"));
    assert!(!says_yes("port 22\nusepam no\n", "usepam"));
    assert!(!says_yes("#usepam yes\n", "usepam"));
    assert!(!says_yes("", "usepam"));
}

#[test]
fn a_state_that_is_in_force_wholly_in_part_or_not() {
    let documents = |pending: &[u32]| -> Vec<StateDocument> {
        let document =
            |pending: &u32| StateDocument { name: "web".into(), pending: *pending, ..Default::default() };
        pending.iter().map(document).collect()
    };
    let level = |error, documents: Option<&[StateDocument]>| of_state(error, documents).level;
    assert_eq!(level("", None), Level::Ok);
    assert_eq!(level("", Some(&[])), Level::Ok);
    assert_eq!(of_state("", Some(&documents(&[0, 0]))).message, "2 state documents are in force");
    let pending = of_state("", Some(&documents(&[0, 3])));
    assert_eq!((pending.level, pending.mend.as_deref()), (Level::Warning, Some("lockdownctl apply --check")));
    assert_eq!(level("web.toml:1:1: no", Some(&documents(&[3]))), Level::Error);
}

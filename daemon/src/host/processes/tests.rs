use super::*;

fn process() -> Facts {
    Facts { pid: 500, parent: 1, loginuid: UNSET, audit_session: UNSET, ..Facts::default() }
}

fn alice() -> Target {
    Target::Account {
        uid: 1000,
        name: "alice".into(),
        subordinate: std::iter::once(100_000..165_536).collect(),
    }
}

#[test]
fn any_of_the_four_uids_makes_it_hers() {
    for position in 0..4 {
        let mut uids = [0; 4];
        uids[position] = 1000;
        assert!(alice().has(&Facts { uids, ..process() }));
    }
    assert!(!alice().has(&Facts { uids: [1001; 4], ..process() }));
}

#[test]
fn what_she_is_in_a_user_namespace_is_hers() {
    assert!(alice().has(&Facts { uids: [100_000; 4], ..process() }));
    assert!(!alice().has(&Facts { uids: [165_536; 4], ..process() }));
}

#[test]
fn a_root_shell_she_got_by_sudo_is_hers_by_loginuid() {
    assert!(alice().has(&Facts { loginuid: 1000, ..process() }));
    assert!(!alice().has(&Facts { loginuid: 1001, ..process() }));
}

#[test]
fn what_was_started_later_is_told_from_what_was_there() {
    let before = Moment::now();
    std::thread::sleep(std::time::Duration::from_millis(30));
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let held = Held::take(child.id()).unwrap();
    assert!(!held.is_from_before(before));
    assert!(held.is_from_before(Moment::now()));
    held.kill();
    child.wait().unwrap();
}

#[test]
fn a_number_that_changed_hands_is_not_taken_for_the_one_that_was_marked() {
    let own = std::process::id();
    let marks = lineage(own);
    assert_eq!(marks[0].pid, own);
    assert!(marks.len() > 1 && marks.iter().all(|mark| mark.pid > 1), "{marks:?}");
    let held = Held::take(own).unwrap();
    assert!(held.is_one_of(&marks));
    assert!(!held.is_one_of(&[Mark { pid: own, started: 0 }]));
    assert!(!held.is_in_container());
}

#[test]
fn in_a_container_the_uid_alone_makes_nothing_hers() {
    let claim = |process: Facts| alice().claim(&process);
    let by_uid = Facts { uids: [1000; 4], ..process() };
    assert_eq!(claim(by_uid.clone()), Some(Claim::ByUid));
    assert_eq!(claim(Facts { loginuid: 1000, ..by_uid.clone() }), Some(Claim::Surely));
    let cgroup = "/user.slice/user-1000.slice/user@1000.service".to_owned();
    assert_eq!(claim(Facts { cgroup, ..by_uid }), Some(Claim::Surely));
    assert_eq!(claim(Facts { uids: [100_000; 4], ..process() }), Some(Claim::Surely));
}

#[test]
fn what_runs_in_her_slice_is_hers() {
    let in_group = |cgroup: &str| alice().has(&Facts { cgroup: cgroup.into(), ..process() });
    assert!(in_group("/user.slice/user-1000.slice/session-3.scope"));
    assert!(in_group("/user.slice/user-1000.slice"));
    assert!(!in_group("/user.slice/user-10000.slice/session-3.scope"));
    assert!(!in_group("/system.slice/ssh.service"));
    assert!(!in_group("/user.slice/user-1000.slice/user-runtime-dir@1000.service"));
    assert!(in_group("/user.slice/user-1000.slice/user@1000.service/user-runtime-dir@1000.service"));
}

#[test]
fn the_control_group_is_the_one_that_systemd_made() {
    let group = |hierarchy, controller: &str, path: &str| ProcessCGroup {
        hierarchy,
        controllers: vec![controller.to_owned()],
        pathname: path.to_owned(),
    };
    let service = "/system.slice/app.service";
    let unified = vec![group(9, "name=systemd", "/"), group(8, "pids", "/x"), group(0, "", service)];
    assert_eq!(cgroup(unified), service);
    let legacy = vec![group(9, "name=systemd", service), group(8, "pids", "/x"), group(0, "", "/")];
    assert_eq!(cgroup(legacy), service);
    assert_eq!(cgroup(vec![group(0, "", "/")]), "/");
    assert_eq!(cgroup(Vec::new()), "");
}

#[test]
fn an_sshd_that_is_logging_her_in_is_hers_only_if_root_runs_it() {
    let titled = |title: &str| alice().has(&Facts { title: title.into(), ..process() });
    assert!(titled("sshd: alice [priv]"));
    assert!(titled("sshd: alice@pts/0"));
    assert!(titled("sshd-session: alice [priv]"));
    assert!(!titled("sshd: alice2 [priv]"));
    assert!(!titled("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"));
    let forged = Facts { title: "sshd: alice [priv]".into(), uids: [1001; 4], ..process() };
    assert!(!alice().has(&forged));
}

#[test]
fn a_session_is_its_leader_its_audit_session_and_its_scope() {
    let session = Target::Session { leader: 500, audit_session: 7, scope: "session-3.scope".into() };
    assert!(session.has(&process()));
    assert!(session.has(&Facts { pid: 502, audit_session: 7, ..process() }));
    let cgroup = "/user.slice/user-1000.slice/session-3.scope".to_owned();
    assert!(session.has(&Facts { pid: 503, cgroup, ..process() }));
    assert!(!session.has(&Facts { pid: 504, ..process() }));
    let unaudited = Target::Session { leader: 1, audit_session: UNSET, scope: "session-3.scope".into() };
    assert!(!unaudited.has(&process()));
}

#[test]
fn a_tree_is_a_process_and_its_descendants() {
    let mut shell = std::process::Command::new("sh").args(["-c", "sleep 61 & wait"]).spawn().unwrap();
    let tree = Target::Tree { leader: shell.id() };
    while find(&tree).its.len() < 2 {
        std::thread::yield_now();
    }
    let programs: Vec<String> = find(&tree).its.iter().map(|held| held.facts.program.clone()).collect();
    assert_eq!(programs, ["sh", "sleep"]);
    find(&tree).its.iter().for_each(Held::kill);
    assert!(!shell.wait().unwrap().success());
}

#[test]
fn a_held_process_can_be_killed_and_this_one_is_never_found() {
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let held = Held::take(child.id()).unwrap();
    assert_eq!(held.facts.title, "");
    held.kill();
    assert!(!child.wait().unwrap().success());
    let everybody = Target::Account {
        uid: nix::unistd::geteuid().as_raw(),
        name: String::new(),
        subordinate: Vec::new(),
    };
    assert!(find(&everybody).its.iter().all(|held| held.facts.pid != std::process::id()));
}

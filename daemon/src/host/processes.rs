//! Which processes belong to an account or a session, and ending them by pidfd.

use std::{collections::BTreeSet, io::Read, ops::Range};

use procfs::{
    ProcessCGroup,
    process::{Process, all_processes},
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// "No login": the loginuid of services (audit_getloginuid(3)).
pub const UNSET: u32 = u32::MAX;

/// What is known of a process when it is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Process id.
    pub pid: u32,
    /// Parent.
    pub parent: u32,
    /// Real, effective, saved and file system uid.
    pub uids: [u32; 4],
    /// Who logged in; kept through sudo, su and setuid; [`UNSET`] if nobody.
    pub loginuid: u32,
    /// Audit session; [`UNSET`] if none.
    pub audit_session: u32,
    /// Path of its control group, from the root of the hierarchy.
    pub cgroup: String,
    /// Command line, or what the process made of it.
    pub title: String,
}

/// Whose processes are meant.
#[derive(Clone, Debug)]
pub enum Target {
    /// Everything an account runs or left behind.
    Account {
        /// Its uid.
        uid: u32,
        /// Its name, for the titles of sshd.
        name: String,
        /// Uids that it has in user namespaces.
        subordinate: Vec<Range<u32>>,
    },
    /// One session that logind has.
    Session {
        /// The session's leader.
        leader: u32,
        /// Its audit session; [`UNSET`] if it has none.
        audit_session: u32,
        /// Name of its scope, `session-3.scope`.
        scope: String,
    },
    /// A process and what descends from it: a session that logind does not have (sudo, su) lies within another one and
    /// shares its audit session.
    Tree {
        /// The session's leader.
        leader: u32,
    },
}

impl Target {
    /// Whether a process belongs here.
    #[must_use]
    pub fn has(&self, process: &Facts) -> bool {
        match self {
            Self::Account { uid, name, subordinate } => {
                process.uids.contains(uid)
                    || process.uids.iter().any(|uid| subordinate.iter().any(|range| range.contains(uid)))
                    || process.loginuid == *uid
                    || is_below(&process.cgroup, &slice_of(*uid))
                    || (process.uids[1] == 0 && is_sshd_of(&process.title, name))
            }
            Self::Session { leader, audit_session, scope } => {
                process.pid == *leader
                    || (*audit_session != UNSET && process.audit_session == *audit_session)
                    || is_below(&process.cgroup, scope)
            }
            Self::Tree { leader } => process.pid == *leader,
        }
    }
}

/// The slice that logind makes for an account.
#[must_use]
pub fn slice_of(uid: u32) -> String {
    format!("user-{uid}.slice")
}

fn is_below(cgroup: &str, part: &str) -> bool {
    cgroup.split('/').any(|element| element == part)
}

/// Whether the title is one that sshd gives a process that is logging `name` in or serves it: `sshd: alice [priv]`,
/// `sshd-session: alice@pts/0`. Only believed of root's processes: others write what they like.
fn is_sshd_of(title: &str, name: &str) -> bool {
    ["sshd: ", "sshd-session: ", "sshd-auth: "].iter().any(|prefix| {
        title
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '@']))
    })
}

/// A living process, held by pidfd: what is sent to it can never reach another that got its number.
#[derive(Debug)]
pub struct Held {
    /// What is known of it.
    pub facts: Facts,
    pidfd: std::os::fd::OwnedFd,
}

impl Held {
    /// Takes hold of a process; `None` if it has ended meanwhile.
    #[must_use]
    pub fn take(pid: u32) -> Option<Self> {
        let number = i32::try_from(pid).ok()?;
        // First the pidfd, then the facts: if the number changes hands in between, the facts are the new one's and
        // the signal goes to the old one, which is gone.
        let pidfd = pidfd_open(Pid::from_raw(number)?, PidfdFlags::NONBLOCK).ok()?;
        Some(Self { facts: facts(&Process::new(number).ok()?)?, pidfd })
    }

    /// Sends SIGKILL.
    pub fn kill(&self) {
        // It may have ended by itself.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// The pidfd; readable when the process has ended.
    #[must_use]
    pub fn into_pidfd(self) -> std::os::fd::OwnedFd {
        self.pidfd
    }
}

/// Facts of a living process; zombies are dead.
fn facts(process: &Process) -> Option<Facts> {
    let status = process.status().ok()?;
    if status.state.starts_with('Z') {
        return None;
    }
    Some(Facts {
        pid: u32::try_from(process.pid).ok()?,
        parent: u32::try_from(status.ppid).unwrap_or_default(),
        uids: [status.ruid, status.euid, status.suid, status.fuid],
        // A kernel without audit has no such file.
        loginuid: process.loginuid().unwrap_or(UNSET),
        audit_session: number_in(process, "sessionid").unwrap_or(UNSET),
        cgroup: process.cgroups().map(|groups| cgroup(groups.0)).unwrap_or_default(),
        title: process.cmdline().map(|words| words.join(" ")).unwrap_or_default(),
    })
}

/// Where systemd has put a process: in the unified hierarchy, or, where that is not what systemd uses (cgroup v1, where
/// the process lies in its root), in systemd's own.
fn cgroup(hierarchies: Vec<ProcessCGroup>) -> String {
    let of_systemd = |group: &ProcessCGroup| group.controllers.iter().any(|name| name == "name=systemd");
    let rank = |group: &ProcessCGroup| (group.pathname != "/", group.hierarchy == 0);
    hierarchies
        .into_iter()
        .filter(|group| group.hierarchy == 0 || of_systemd(group))
        .max_by_key(rank)
        .map(|group| group.pathname)
        .unwrap_or_default()
}

fn number_in(process: &Process, file: &str) -> Option<u32> {
    let mut text = String::new();
    process.open_relative(file).ok()?.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Every living process that belongs to the target, except PID 1 and this one.
#[must_use]
pub fn find(target: &Target) -> Vec<Held> {
    let own = std::process::id();
    let Ok(processes) = all_processes() else { return Vec::new() };
    let living = processes
        .filter_map(|process| u32::try_from(process.ok()?.pid).ok())
        .filter(|pid| *pid != 1 && *pid != own)
        .filter_map(Held::take);
    match target {
        Target::Account { .. } | Target::Session { .. } => {
            living.filter(|held| target.has(&held.facts)).collect()
        }
        Target::Tree { .. } => with_descendants(living.collect(), target),
    }
}

fn with_descendants(mut others: Vec<Held>, target: &Target) -> Vec<Held> {
    let mut found: Vec<Held> = others.extract_if(.., |held| target.has(&held.facts)).collect();
    loop {
        let parents: BTreeSet<u32> = found.iter().map(|held| held.facts.pid).collect();
        let before = found.len();
        found.extend(others.extract_if(.., |held| parents.contains(&held.facts.parent)));
        if found.len() == before {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn what_runs_in_her_slice_is_hers() {
        let in_group = |cgroup: &str| alice().has(&Facts { cgroup: cgroup.into(), ..process() });
        assert!(in_group("/user.slice/user-1000.slice/session-3.scope"));
        assert!(in_group("/user.slice/user-1000.slice"));
        assert!(!in_group("/user.slice/user-10000.slice/session-3.scope"));
        assert!(!in_group("/system.slice/ssh.service"));
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
        while find(&tree).len() < 2 {
            std::thread::yield_now();
        }
        let titles: Vec<String> = find(&tree).iter().map(|held| held.facts.title.clone()).collect();
        assert_eq!(titles, ["sh -c sleep 61 & wait", "sleep 61"]);
        find(&tree).iter().for_each(Held::kill);
        assert!(!shell.wait().unwrap().success());
    }

    #[test]
    fn a_held_process_can_be_killed_and_this_one_is_never_found() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        // The command line is empty for a moment while the program is replaced.
        let held = loop {
            let held = Held::take(child.id()).unwrap();
            if !held.facts.title.is_empty() {
                break held;
            }
        };
        assert_eq!(held.facts.title, "sleep 60");
        held.kill();
        assert!(!child.wait().unwrap().success());
        let everybody = Target::Account {
            uid: nix::unistd::geteuid().as_raw(),
            name: String::new(),
            subordinate: Vec::new(),
        };
        assert!(find(&everybody).iter().all(|held| held.facts.pid != std::process::id()));
    }
}

//! Which processes belong to an account or a session, and ending them by pidfd.

use std::{collections::BTreeSet, io::Read, ops::Range, path::Path};

use procfs::{
    ProcessCGroup,
    process::{Process, all_processes},
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::subordinate;

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
    /// Name of the program, as ps(1) shows it in brackets.
    pub program: String,
    /// Of root's sshd processes the command line, which says whom they serve; empty for others. Who reads one waits while the
    /// process changes its memory map, which a file server that is away holds up: nobody's is read before it is judged.
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

/// Everything an account runs or left behind.
#[must_use]
pub fn of_account(uid: u32, name: &str) -> Target {
    let subordinate = subordinate::ranges(Path::new("/etc/subuid"), name, uid);
    Target::Account { uid, name: name.to_owned(), subordinate }
}

impl Target {
    /// Whether a process lies in the account's slice. What systemd runs there to take `/run/user/UID` down is not the account's,
    /// and has to come to its end.
    #[must_use]
    pub fn is_in_slice(&self, process: &Facts) -> bool {
        let Self::Account { uid, .. } = self else { return false };
        let slice = slice_of(*uid);
        // Just there: below its user manager an account makes groups of any name.
        is_below(&process.cgroup, &slice)
            && !process.cgroup.starts_with(&format!("/user.slice/{slice}/user-runtime-dir@{uid}.service"))
    }

    /// By what a process belongs here; `None` if it does not.
    #[must_use]
    pub fn claim(&self, process: &Facts) -> Option<Claim> {
        let surely = |it_is: bool| it_is.then_some(Claim::Surely);
        match self {
            Self::Account { uid, name, subordinate } => {
                let is_subordinate = |uid: &u32| subordinate.iter().any(|range| range.contains(uid));
                if process.loginuid == *uid
                    || self.is_in_slice(process)
                    || process.uids.iter().any(is_subordinate)
                {
                    Some(Claim::Surely)
                } else if process.uids.contains(uid) {
                    Some(Claim::ByUid)
                } else {
                    (process.uids[1] == 0 && is_sshd_of(&process.title, name)).then_some(Claim::LoggingIn)
                }
            }
            Self::Session { leader, audit_session, scope } => surely(
                process.pid == *leader
                    || (*audit_session != UNSET && process.audit_session == *audit_session)
                    || is_below(&process.cgroup, scope),
            ),
            Self::Tree { leader } => surely(process.pid == *leader),
        }
    }

    /// Whether a process belongs here.
    #[must_use]
    pub fn has(&self, process: &Facts) -> bool {
        self.claim(process).is_some()
    }
}

/// By what a process belongs to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nobody else can have made it.
    Surely,
    /// Its uid, which in a container is another's.
    ByUid,
    /// It is an sshd that is logging the account in.
    LoggingIn,
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

    /// Whether it was started by this moment.
    #[must_use]
    pub fn is_from_before(&self, moment: Moment) -> bool {
        started(self.facts.pid).is_some_and(|started| started <= moment.0)
    }

    /// Whether it is one of these.
    #[must_use]
    pub fn is_one_of(&self, marks: &[Mark]) -> bool {
        marks.iter().any(|mark| mark.pid == self.facts.pid && mark.is_alive())
    }

    /// Whether it lives in a container that root made without a user namespace (`docker run`, systemd-nspawn(1)). An ordinary
    /// account can make no pid namespace without a user namespace of its own.
    #[must_use]
    pub fn is_in_container(&self) -> bool {
        let namespace = |pid: &str, kind: &str| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok();
        let pid = self.facts.pid.to_string();
        let (own, its) = (namespace("self", "pid"), namespace(&pid, "pid"));
        its.is_some() && its != own && namespace(&pid, "user") == namespace("self", "user")
    }

    /// Sends SIGKILL.
    pub fn kill(&self) {
        // It may have ended by itself.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Sends SIGSTOP.
    pub fn stop(&self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::STOP);
    }

    /// Whether it has stopped or ended, and forks no more.
    #[must_use]
    pub fn is_still(&self) -> bool {
        stat(self.facts.pid).is_none_or(|stat| matches!(stat.state, 'T' | 't' | 'Z' | 'X'))
    }

    /// The pidfd; readable when the process has ended.
    #[must_use]
    pub fn into_pidfd(self) -> std::os::fd::OwnedFd {
        self.pidfd
    }
}

/// A process that is to be known again, also when its number has changed hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its number.
    pub pid: u32,
    started: u64,
}

/// A moment as the kernel notes the start of processes (field `starttime` of proc(5)).
#[derive(Clone, Copy, Debug)]
pub struct Moment(u64);

impl Moment {
    /// Now; what is started within the same tick counts as started before.
    #[must_use]
    pub fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let ticks = procfs::ticks_per_second();
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        let part = u64::try_from(now.tv_nsec).unwrap_or_default() * ticks / 1_000_000_000;
        Self(seconds * ticks + part)
    }
}

impl Mark {
    /// Whether it lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        started(self.pid) == Some(self.started)
    }
}

/// A process and its ancestors, without PID 1.
#[must_use]
pub fn lineage(pid: u32) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut next = pid;
    while next > 1
        && let Some(stat) = stat(next)
        && marks.iter().all(|mark: &Mark| mark.pid != next)
    {
        marks.push(Mark { pid: next, started: stat.starttime });
        next = u32::try_from(stat.ppid).unwrap_or_default();
    }
    marks
}

fn stat(pid: u32) -> Option<procfs::process::Stat> {
    Process::new(i32::try_from(pid).ok()?).ok()?.stat().ok()
}

fn started(pid: u32) -> Option<u64> {
    stat(pid).map(|stat| stat.starttime)
}

/// Facts of a living process; zombies are dead.
fn facts(process: &Process) -> Option<Facts> {
    let status = process.status().ok()?;
    if status.state.starts_with('Z') {
        return None;
    }
    let tells_whom_it_serves = status.euid == 0 && status.name.starts_with("sshd");
    Some(Facts {
        pid: u32::try_from(process.pid).ok()?,
        parent: u32::try_from(status.ppid).unwrap_or_default(),
        uids: [status.ruid, status.euid, status.suid, status.fuid],
        // A kernel without audit has no such file.
        loginuid: process.loginuid().unwrap_or(UNSET),
        audit_session: number_in(process, "sessionid").unwrap_or(UNSET),
        cgroup: process.cgroups().map(|groups| cgroup(groups.0)).unwrap_or_default(),
        title: if tells_whom_it_serves { command_line(process.pid) } else { String::new() },
        program: status.name,
    })
}

/// The command line of a process, or what it has made of it. May wait for ever.
#[must_use]
pub fn command_line(pid: i32) -> String {
    Process::new(pid).and_then(|process| process.cmdline()).map(|words| words.join(" ")).unwrap_or_default()
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

/// What [`find`] found.
#[derive(Debug, Default)]
pub struct Found {
    /// What belongs to the target.
    pub its: Vec<Held>,
    /// What has the account's uid in a container of somebody else's, and is left alone.
    pub contained: Vec<Held>,
    /// Processes of sshd that are logging the account in.
    pub logging_in: Vec<Held>,
}

/// Of these, the processes of sshd that are logging the account in. What serves it, or it runs already, is none.
#[must_use]
pub fn logging_in(target: &Target, marks: &[Mark]) -> Vec<Mark> {
    let is_logging_in = |mark: &&Mark| {
        Held::take(mark.pid).is_some_and(|held| target.claim(&held.facts) == Some(Claim::LoggingIn))
    };
    marks.iter().filter(is_logging_in).copied().collect()
}

/// Every living process that belongs to the target, except PID 1 and this one.
#[must_use]
pub fn find(target: &Target) -> Found {
    let own = std::process::id();
    let Ok(processes) = all_processes() else { return Found::default() };
    let living = processes
        .filter_map(|process| u32::try_from(process.ok()?.pid).ok())
        .filter(|pid| *pid != 1 && *pid != own)
        .filter_map(Held::take);
    if let Target::Tree { .. } = target {
        return Found { its: with_descendants(living.collect(), target), ..Found::default() };
    }
    let mut found = Found::default();
    for held in living {
        match target.claim(&held.facts) {
            Some(Claim::Surely) => found.its.push(held),
            Some(Claim::ByUid) if held.is_in_container() => found.contained.push(held),
            Some(Claim::ByUid) => found.its.push(held),
            Some(Claim::LoggingIn) => found.logging_in.push(held),
            None => {}
        }
    }
    found
}

/// As whom processes run.
#[derive(Clone, Debug, Default)]
pub struct Running {
    uids: BTreeSet<u32>,
    /// Titles of root's sshd processes.
    titles: Vec<String>,
    /// Who has one of the uids in user namespaces, as subuid(5) names them: names and uids.
    subordinate: BTreeSet<String>,
}

/// As whom processes run now: one pass for all accounts.
#[must_use]
pub fn running() -> Running {
    let mut running = Running::default();
    let Ok(processes) = all_processes() else { return running };
    for facts in processes.filter_map(|process| facts(&process.ok()?)) {
        running.uids.extend(facts.uids);
        running.uids.insert(facts.loginuid);
        let of_slice =
            |part: &str| -> Option<u32> { part.strip_prefix("user-")?.strip_suffix(".slice")?.parse().ok() };
        running.uids.extend(facts.cgroup.split('/').filter_map(of_slice));
        running.titles.extend(Some(facts.title).filter(|title: &String| !title.is_empty()));
    }
    running.subordinate = subordinate::owners(Path::new("/etc/subuid"), &running.uids);
    running
}

impl Running {
    /// Whether something may run as this account, or be logging it in. `false`: nothing does.
    #[must_use]
    pub fn may_be_of(&self, uid: u32, name: &str) -> bool {
        self.uids.contains(&uid)
            || self.titles.iter().any(|title| is_sshd_of(title, name))
            || self.subordinate.contains(name)
            || self.subordinate.contains(&uid.to_string())
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
mod tests;

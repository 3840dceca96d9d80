//! Somebody who starts every kind, and how it is seen whether they run.

use std::time::Duration;

use lockdown_tests::{Host, Session, Ssh, eventually, password_of};

use super::kinds::{Kind, Sign};

/// Where copies of setpriv lie, in a directory for each person and in there in one for each owner: setuid.
const SETUID: &str = "/srv/setuid";
/// The root file system of a container, one for each person.
const ROOT_FS: &str = "/srv/container";

/// Where what runs at a full minute leaves a file.
pub const RAN: &str = "/srv/ran";

/// Who starts them.
#[derive(Clone, Copy, Debug)]
pub struct Person {
    /// The account; it may run anything as anyone by sudo.
    pub name: &'static str,
    /// Who becomes them by sudo, and whom they become.
    pub other: &'static str,
    /// By what their processes differ from those of others: how long the first one sleeps.
    first: usize,
}

pub const ALICE: Person = Person { name: "alice", other: "bob", first: 7000 };
pub const BOB: Person = Person { name: "bob", other: "carol", first: 8000 };

/// What the image lacks.
pub fn prepare(host: &Host) {
    host.write(
        "/etc/sudoers.d/stage",
        "bob ALL=(ALL:ALL) NOPASSWD: ALL\ncarol ALL=(ALL:ALL) NOPASSWD: ALL\n",
    );
    host.sh(&format!("mkdir --mode=1777 {RAN}")).ok();
    for person in [ALICE, BOB] {
        let Person { name, other, .. } = person;
        host.sh(&format!(
            "
            for owner in root {name} {other}; do
                install -D --owner=$owner --mode=4755 /usr/bin/setpriv {SETUID}/{name}/$owner/setpriv
            done
            root={ROOT_FS}/{name}
            mkdir --parents $root/bin $root/etc $root/proc $root/dev $root/sys $root/run $root/tmp
            cp /bin/sleep $root/bin/
            ldd /bin/sleep | grep --only-matching '/[^ ]*' | xargs --replace cp --parents --dereference {{}} $root/
            chown --recursive {name}: $root
            "
        ))
        .ok();
    }
}

/// What one kind has started.
pub struct Running {
    /// The kind's.
    pub name: &'static str,
    sign: Sign,
    mark: String,
    sessions: Vec<Session>,
}

impl Running {
    /// Whether it runs, by the commands that run on the host.
    pub fn is_alive(&self, commands: &[String]) -> bool {
        match self.sign {
            Sign::Process => commands.iter().any(|command| is(command, &self.mark)),
            Sign::Client => self.sessions.iter().any(Session::is_alive),
            Sign::Later => false,
        }
    }

    /// Whether it is to run at a full minute; whether it has, by the files of [`RAN`].
    pub fn has_run(&self, files: &str) -> Option<bool> {
        (self.sign == Sign::Later).then(|| files.lines().any(|line| line == file(&self.mark)))
    }
}

/// `/bin/sleep 7001` is `sleep 7001`; `sudo sleep 7001` is not.
fn is(command: &str, mark: &str) -> bool {
    command
        .strip_suffix(mark)
        .is_some_and(|path| path.is_empty() || (path.ends_with('/') && !path.contains(' ')))
}

fn file(mark: &str) -> String {
    mark.replace(' ', "-")
}

fn touch(mark: &str) -> String {
    format!("touch {RAN}/{}", file(mark))
}

/// A person with a shell, and the other with one.
pub struct Stage<'h> {
    pub host: &'h Host,
    pub person: Person,
    shell: Session,
    other: Session,
}

impl<'h> Stage<'h> {
    /// Logs both in, by means that are theirs alone.
    pub fn set(host: &'h Host, person: Person) -> Self {
        let shell = ssh(host, person.name).open();
        let other = ssh(host, person.other).open();
        Self { host, person, shell, other }
    }

    /// Starts all of them.
    pub fn start(&self, kinds: &[Kind]) -> Vec<Running> {
        let start = |(number, kind): (usize, &Kind)| {
            let mark = format!("sleep {}", self.person.first + number);
            let task = if kind.sign == Sign::Later { touch(&mark) } else { mark.clone() };
            let sessions = (kind.start)(self, &task);
            Running { name: kind.name, sign: kind.sign, mark, sessions }
        };
        kinds.iter().enumerate().map(start).collect()
    }

    /// Types a line into their shell.
    pub fn shell(&self, line: &str) -> Vec<Session> {
        self.shell.ask(line).ok();
        Vec::new()
    }

    /// Types a line into their shell, that leaves something running in the background.
    pub fn behind(&self, line: &str) -> Vec<Session> {
        self.shell(&format!("({line} </dev/null >/dev/null 2>&1 &)"))
    }

    /// Types a line into the other's shell, that leaves something running in the background.
    pub fn behind_other(&self, line: &str) -> Vec<Session> {
        self.other.ask(&format!("({line} </dev/null >/dev/null 2>&1 &)")).ok();
        Vec::new()
    }

    /// Runs a script as root.
    pub fn root(&self, script: &str) -> Vec<Session> {
        self.host.sh(script).ok();
        Vec::new()
    }

    /// A login of theirs over ssh.
    pub fn ssh(&self) -> Ssh<'_> {
        ssh(self.host, self.person.name)
    }

    /// Types a line into a shell of its own.
    pub fn terminal(&self, line: &str) -> Vec<Session> {
        let session = self.ssh().open();
        session.send(line);
        vec![session]
    }

    /// Returns when something listens on this port of the host.
    pub fn wait_for_port(&self, port: usize) {
        // The state LISTEN in /proc/net/tcp, proc(5).
        let listening = format!(":{port:04X} 00000000:0000 0A");
        eventually(Duration::from_secs(10), || self.host.read("/proc/net/tcp").contains(&listening));
    }

    /// A port of their own.
    pub fn port(&self) -> usize {
        self.person.first + 100
    }

    /// Their copy of setpriv that is setuid to `owner`.
    pub fn setuid(&self, owner: &str) -> String {
        format!("{SETUID}/{}/{owner}/setpriv", self.person.name)
    }

    /// The root file system of their container.
    pub fn root_fs(&self) -> String {
        format!("{ROOT_FS}/{}", self.person.name)
    }
}

/// root's key opens every account: who logs in by it is hers too.
fn ssh<'h>(host: &'h Host, account: &str) -> Ssh<'h> {
    match account {
        "alice" | "bob" => host.ssh(account).key(&format!("/home/{account}/.ssh/id_ed25519")),
        _ => host.ssh(account).password(&password_of(account)),
    }
}

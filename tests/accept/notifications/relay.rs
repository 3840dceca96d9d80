//! The relay between the daemon and the network: what it may, and that it delays messages and nothing else.

use std::time::Duration;

use lockdown_tests::{Host, eventually, on_each_release};

use super::receivers::Hooks;
use super::{SOON, configure, queue, waiting};

/// As much as a lock takes on a busy machine, with the start of the command; every wait for the relay is longer.
const AT_ONCE: Duration = Duration::from_secs(2);
const SOCKET: &str = "/run/lockdown/relay.sock";

/// Takes the relay's place: reads what comes, and answers each connection as the first argument says.
const IMPOSTOR: &str = r#"
import os, socket, struct, sys, threading
def frame(text):
    return struct.pack("<I", len(text)) + text.encode()
ANSWERS = {
    "hangs": b"",
    "closes": None,
    "speaks rubbish": b"\x1b[2J" * 10_000,
    "announces too much": b"\xff\xff\xff\xff",
    "knows better": frame('{"id":"msg_00000000000000000000000000000000","outcome":"delivered"}'),
    "has no outcome": frame('{"id":1}'),
}
def serve(connection):
    if connection.recv(1):
        answer = ANSWERS[sys.argv[1]]
        if answer is not None:
            connection.sendall(answer)
            while connection.recv(65536):
                pass
    connection.close()
listener = socket.socket(socket.AF_UNIX)
listener.bind("/run/lockdown/relay.sock")
listener.listen()
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))
while True:
    connection, _ = listener.accept()
    open("/run/impostor-asked", "a").write("x")
    threading.Thread(target=serve, args=[connection], daemon=True).start()
"#;

/// Locks an account and lets it go again, without a wait for any relay.
fn lock_at_once(host: &Host) {
    for command in ["lock", "unlock"] {
        let done = host.lockdownctl(&[command, "alice"]).ok();
        assert!(done.took < AT_ONCE, "{done}");
    }
}

/// What `systemd-analyze security` thinks of a unit, from 0 to 10.
fn exposure(host: &Host, unit: &str) -> f64 {
    let analysis = host.run(&["systemd-analyze", "security", "--no-pager", unit]).ok().stdout;
    let (_, level) = analysis.rsplit_once(&format!("Overall exposure level for {unit}: ")).expect("a level");
    level.split(' ').next().and_then(|level| level.parse().ok()).expect("a number")
}

fn asked(host: &Host) -> usize {
    host.sh("cat /run/impostor-asked 2>/dev/null || true").ok().text().len()
}

on_each_release!(
    fn a_bad_relay_delays_messages_and_no_lock(host: &Host) {
        let hooks = Hooks::plain(host, 8080);
        configure(
            host,
            "[[notify]]\nname = 'soc'\nmatch = { actions = ['lock', 'unlock'] }\ntransport = 'alertmanager'\n\
             url = 'http://localhost:8080/soc'\n",
        );
        host.write("/root/impostor.py", IMPOSTOR);
        host.run(&["systemctl", "stop", "lockdown-relay.socket", "lockdown-relay.service"]).ok();
        // Nobody there.
        lock_at_once(host);
        eventually(SOON, || host.journal(Some("lockdownd")).contains("lockdown-relay cannot be reached"));
        host.lockdownctl(&["notify", "test"]).code(1).says("systemctl status lockdown-relay.socket");
        host.lockdownctl(&["doctor"]).says(SOCKET).says("nothing leaves this host");

        let mut sent = 2;
        for behaviour in
            ["hangs", "closes", "speaks rubbish", "announces too much", "knows better", "has no outcome"]
        {
            let before = asked(host);
            host.run(&[
                "systemd-run",
                "--quiet",
                "--collect",
                "--service-type=notify",
                "--unit=impostor",
                "python3",
                "/root/impostor.py",
                behaviour,
            ])
            .ok();
            lock_at_once(host);
            sent += 2;
            host.lockdownctl(&["notify", "retry"]).ok();
            eventually(SOON, || asked(host) > before);
            lock_at_once(host);
            sent += 2;
            host.run(&["systemctl", "stop", "impostor"]).ok();
            host.run(&["rm", "-f", SOCKET]).ok();
        }
        assert_eq!(queue(host).len(), sent);
        host.lockdownctl(&["status"]).ok();

        // With the right one back, everything arrives.
        host.run(&["systemctl", "start", "lockdown-relay.socket"]).ok();
        let ids = queue(host);
        let ids: Vec<_> = ids.iter().map(|message| message["id"].as_str().expect("an id")).collect();
        host.lockdownctl(&[&["notify", "retry"], &ids[..]].concat()).ok();
        eventually(SOON, || queue(host).is_empty());
        assert_eq!(hooks.requests_to("soc").len(), sent);
    }
);

on_each_release!(
    fn neither_may_more_than_it_has_to(host: &Host) {
        assert!(exposure(host, "lockdown-relay.service") <= 1.5);
        assert!(exposure(host, "lockdownd.service") <= 3.0);

        let hooks = Hooks::plain(host, 8080);
        configure(
            host,
            "[[notify]]\nname = 'soc'\nmatch = { actions = ['lock'] }\ntransport = 'alertmanager'\n\
             url = 'http://localhost:8080/soc'\n",
        );
        hooks.answer("soc", "hang");
        host.lockdownctl(&["lock", "alice"]).ok();
        eventually(SOON, || waiting(host, "soc")["state"] == "sending");

        // The relay is nobody, has nothing, and cannot reach the daemon; its socket is root's.
        let relay = host.run(&["systemctl", "show", "--value", "--property=MainPID", "lockdown-relay"]).ok();
        let relay = relay.text();
        let status = host.read(&format!("/proc/{relay}/status"));
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(field("Uid:").iter().all(|uid| uid.parse::<u32>().expect("a uid") > 60_000), "{status}");
        for capabilities in ["CapEff:", "CapPrm:", "CapBnd:", "CapAmb:"] {
            assert_eq!(field(capabilities), ["0000000000000000"], "{capabilities}");
        }
        for path in [
            "/run/dbus/system_bus_socket",
            "/run/lockdown/login.sock",
            "/etc/lockdown/lockdown.toml",
            "/home/alice",
        ] {
            host.run(&["test", "-e", path]).ok();
            host.run(&["nsenter", "--mount", "--target", relay, "test", "-e", path]).fails();
        }
        host.run_as(
            "alice",
            &["python3", "-c", &format!("import socket; socket.socket(socket.AF_UNIX).connect('{SOCKET}')")],
        )
        .fails()
        .says("PermissionError");

        // The daemon has no socket of the network, and nowhere to take one to.
        let daemon = host.run(&["systemctl", "show", "--value", "--property=MainPID", "lockdownd"]).ok();
        let daemon = daemon.text();
        for table in ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"] {
            assert_eq!(host.read(&format!("/proc/{daemon}/net/{table}")).lines().count(), 1, "{table}");
        }
        let links =
            host.run(&["nsenter", "--net", "--target", daemon, "ls", "/proc/self/net/dev_snmp6"]).ok();
        assert_eq!(links.text(), "lo");
        let families = host
            .run(&["systemctl", "show", "--value", "--property=RestrictAddressFamilies", "lockdownd"])
            .ok();
        let mut families: Vec<_> = families.text().split(' ').collect();
        families.sort_unstable();
        assert_eq!(families, ["AF_NETLINK", "AF_UNIX"]);

        // Without a secret, nothing is signed.
        hooks.take("soc");
        eventually(SOON, || queue(host).is_empty());
        assert!(
            hooks.requests_to("soc").iter().all(|request| request["headers"]["webhook-signature"].is_null())
        );
    }
);

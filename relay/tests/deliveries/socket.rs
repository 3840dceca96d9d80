//! The relay's socket: frames, peers, and coming and going.

use std::{
    io::Write,
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use lockdown_delivery::{Item, MAX_FRAME, Outcome, Transport, frame};
use lockdown_relay::{pool::Pool, report::Report, serve::serve};
use rustix::{process::geteuid, thread::set_thread_res_uid};

use crate::relay::{Daemon, Relay, item, retried};

fn wall() -> Transport {
    Transport::Wall { users: vec![] }
}

fn refused(daemon: &mut Daemon) -> String {
    match daemon.verdict().outcome {
        Outcome::Refused { error } => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_frame_ends_the_connection_and_nothing_else() {
    let relay = Relay::start();
    let mut other = relay.connect();
    let too_long = (MAX_FRAME as u32 + 1).to_le_bytes();
    for bytes in [&too_long[..], &[0; 4], b"\x09\0\0\0{\"a\":", b"GET / HTTP/1.1\r\n\r\n", b"\x02\0\0\0{}"] {
        let mut daemon = relay.connect();
        daemon.0.write_all(bytes).unwrap();
        daemon.0.shutdown(Shutdown::Write).unwrap();
        assert!(daemon.is_ended(), "{bytes:?}");
    }
    other.send(&item("msg_1", wall()));
    assert!(refused(&mut other).contains("lockdown-relay local"));
    let log = relay.log();
    for problem in
        ["frame of 1048577 bytes", "frame of 0 bytes", "frame cut short", "frame with unexpected JSON"]
    {
        assert!(log.contains(problem), "{problem}: {log}");
    }
}

#[test]
fn an_item_that_cannot_be_read_is_answered_by_its_name() {
    let relay = Relay::start();
    let mut daemon = relay.connect();
    let json = br#"{"id":"msg_9","transport":{"kind":"pigeon","secret":"hunter2"}}"#;
    daemon.0.write_all(&(json.len() as u32).to_le_bytes()).unwrap();
    daemon.0.write_all(json).unwrap();
    let verdict = daemon.verdict();
    assert_eq!(verdict.id, "msg_9");
    let error = retried(verdict.outcome);
    assert!(error.starts_with("this relay cannot read it") && !error.contains("hunter2"), "{error}");
    daemon.send(&item("msg\r\n9", wall()));
    assert!(refused(&mut daemon).contains("its id"));
    daemon.send(&Item { events: vec![], ..item("msg_9", wall()) });
    assert!(refused(&mut daemon).contains("no event"));
}

#[test]
fn only_root_is_listened_to() {
    if !geteuid().is_root() {
        return;
    }
    let relay = Relay::start();
    let socket = relay.socket();
    // Anybody may connect here; the mode of the real socket is 0600.
    for path in [&socket, socket.parent().unwrap()] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    }
    let ended = thread::spawn(move || {
        let nobody = rustix::process::Uid::from_raw(65534);
        // Of this thread only.
        set_thread_res_uid(nobody, nobody, nobody).unwrap();
        let mut daemon = Daemon::connect(&socket);
        let _ = daemon.0.write_all(&frame::encode(&item("msg_1", wall())).unwrap());
        daemon.is_ended()
    });
    assert!(ended.join().unwrap());
    assert!(relay.log().contains("uid 65534 may not have anything delivered"), "{}", relay.log());
    relay.connect().send(&item("msg_1", wall()));
}

/// A listener, and how often a pool that says so delivers.
fn counting() -> (tempfile::TempDir, UnixListener, Arc<Pool>, Arc<AtomicUsize>) {
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(directory.path().join("relay.sock")).unwrap();
    listener.set_nonblocking(true).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let deliver = move |_: &Item| {
        thread::sleep(Duration::from_millis(300));
        counted.fetch_add(1, Ordering::SeqCst);
        Report::reached(Outcome::Delivered)
    };
    (directory, listener, Pool::new(deliver, Duration::from_secs(60)), count)
}

#[test]
fn it_ends_when_idle_and_who_connects_then_is_served_by_the_next() {
    let (directory, listener, pool, count) = counting();
    let idle = Duration::from_secs(2);
    let socket = directory.path().join("relay.sock");
    thread::scope(|scope| {
        let first = scope.spawn(|| serve(&listener, &pool, idle));
        // A daemon that keeps its connection open keeps the relay no longer than one that does not.
        let mut daemon = Daemon::connect(&socket);
        daemon.send(&item("msg_1", wall()));
        assert_eq!(daemon.verdict().outcome, Outcome::Delivered);
        let started = Instant::now();
        assert!(daemon.is_ended());
        first.join().unwrap().unwrap();
        assert!((1..12).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
        let mut late = Daemon::connect(&socket);
        late.send(&item("msg_2", wall()));
        let second = scope.spawn(|| serve(&listener, &pool, idle));
        assert_eq!(late.verdict().outcome, Outcome::Delivered);
        drop(late);
        // It waits for more for a while.
        let started = Instant::now();
        second.join().unwrap().unwrap();
        assert!(started.elapsed() > Duration::from_millis(900), "{:?}", started.elapsed());
    });
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[test]
fn a_connection_lasts_while_something_is_due() {
    let (directory, listener, pool, _) = counting();
    let socket = directory.path().join("relay.sock");
    thread::scope(|scope| {
        let serving = scope.spawn(|| serve(&listener, &pool, Duration::from_millis(100)));
        let mut daemon = Daemon::connect(&socket);
        for id in ["msg_1", "msg_2"] {
            daemon.send(&item(id, wall()));
            assert_eq!(daemon.verdict().outcome, Outcome::Delivered);
        }
        serving.join().unwrap().unwrap();
    });
}

#[test]
fn a_daemon_that_died_asks_again_and_nothing_is_delivered_twice() {
    let (directory, listener, pool, count) = counting();
    let socket = directory.path().join("relay.sock");
    thread::scope(|scope| {
        let serving = scope.spawn(|| serve(&listener, &pool, Duration::from_secs(1)));
        let mut killed = Daemon::connect(&socket);
        killed.send(&item("msg_1", wall()));
        drop(killed);
        // While it is on its way, and after.
        for _ in 0..2 {
            let mut daemon = Daemon::connect(&socket);
            daemon.send(&item("msg_1", wall()));
            assert_eq!(daemon.verdict().outcome, Outcome::Delivered);
        }
        // One that says that it sends no more gets what is still due.
        let mut daemon = Daemon::connect(&socket);
        daemon.send(&item("msg_2", wall()));
        daemon.0.shutdown(Shutdown::Write).unwrap();
        assert_eq!(daemon.verdict().outcome, Outcome::Delivered);
        serving.join().unwrap().unwrap();
    });
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[test]
fn connections_beyond_its_places_wait() {
    let (directory, listener, pool, _) = counting();
    let socket = directory.path().join("relay.sock");
    thread::scope(|scope| {
        let serving = scope.spawn(|| serve(&listener, &pool, Duration::from_secs(2)));
        let silent: Vec<_> = (0..8).map(|_| UnixStream::connect(&socket).unwrap()).collect();
        let mut daemon = Daemon::connect(&socket);
        daemon.send(&item("msg_1", wall()));
        assert_eq!(daemon.verdict().outcome, Outcome::Delivered);
        drop((silent, daemon));
        serving.join().unwrap().unwrap();
    });
}

#[test]
fn by_hand_it_says_how_it_is_started() {
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(crate::relay::PROGRAM)
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = run(&[]);
    assert!(code == Some(2) && said.contains("start lockdown-relay.socket instead"), "{said}");
    let (code, said) = run(&["--help"]);
    assert!(code == Some(2) && said.contains("lockdown-relay(8)"), "{said}");
    assert_eq!(run(&["--version"]).0, Some(0));
}

//! Ten thousand notifications to deliver, large ones among them, and what the relay needs for it.

use std::{thread, time::Duration};

use lockdown_delivery::{Format, Outcome, Secret, Transport};

use crate::{
    http_server::{HttpServer, answer},
    relay::{Relay, item, retried},
};

const ITEMS: usize = 10_000;
/// The limit of its unit, in KiB.
const LIMIT: u64 = 64 * 1024;

fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn webhook(server: &HttpServer) -> Transport {
    Transport::Webhook { url: Secret::new(server.url()), secrets: vec![], format: Format::Standard }
}

#[test]
fn ten_thousand_are_delivered_within_its_memory() {
    let server = HttpServer::start(answer("200 OK", ""));
    let relay = Relay::start();
    let (mut daemon, transport) = (relay.connect(), webhook(&server));
    let mut sender = crate::relay::Daemon(daemon.0.try_clone().unwrap());
    // Nothing is kept of what arrives.
    thread::spawn(move || server.requests.iter().for_each(drop));
    let sending = thread::spawn(move || {
        for number in 0..ITEMS {
            let mut item = item(&format!("msg_{number}"), transport.clone());
            item.events[0].reason = "x".repeat(if number % 100 == 0 { 1_000_000 } else { 1000 });
            sender.send(&item);
        }
    });
    for _ in 0..ITEMS {
        assert_eq!(daemon.verdict().outcome, Outcome::Delivered);
    }
    sending.join().unwrap();
    let peak = peak(relay.pid());
    println!("peak: {peak} KiB");
    assert!(peak < LIMIT, "{peak} KiB");
}

#[test]
fn large_ones_that_wait_stay_within_its_memory() {
    let server = HttpServer::start("");
    let relay = Relay::start();
    let mut daemon = relay.connect();
    let mut sender = crate::relay::Daemon(daemon.0.try_clone().unwrap());
    sender.0.set_write_timeout(Some(Duration::from_secs(120))).unwrap();
    let transport = webhook(&server);
    let sending = thread::spawn(move || {
        for number in 0..32 {
            let mut item = item(&format!("msg_{number}"), transport.clone());
            // Escapes are what it is largest with.
            item.events[0].reason = "\u{1b}".repeat(150_000);
            sender.send(&item);
        }
    });
    for _ in 0..32 {
        retried(daemon.verdict().outcome);
    }
    sending.join().unwrap();
    let peak = peak(relay.pid());
    println!("peak: {peak} KiB");
    assert!(peak < LIMIT, "{peak} KiB");
}

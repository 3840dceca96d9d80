//! Webhooks, by what the receiver does.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use lockdown_delivery::{Format, Outcome, Secret, Transport};
use serde_json::Value;

use crate::{
    http_server::{HttpServer, answer},
    relay::{Relay, item, retried},
    tls::Authority,
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn webhook(url: &str) -> Transport {
    let secrets = vec![Secret::new(SECRET), Secret::new("old key")];
    Transport::Webhook { url: Secret::new(url), secrets, format: Format::Standard }
}

fn outcome(reply: impl Into<Vec<u8>>) -> Outcome {
    let server = HttpServer::start(reply);
    Relay::start().deliver(&item("msg_1", webhook(&server.url())))
}

#[test]
fn a_webhook_arrives_signed_by_both_keys() {
    let server = HttpServer::start(answer("204 No Content", ""));
    let relay = Relay::start();
    assert_eq!(relay.deliver(&item("msg_1", webhook(&server.url()))), Outcome::Delivered);
    let request = server.request();
    assert_eq!(request.line, "POST /hook HTTP/1.1");
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.headers["webhook-id"], "msg_1");
    let timestamp = &request.headers["webhook-timestamp"];
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((&body["type"], &body["data"]["user"]), (&"lockdown.lockdown".into(), &"alice".into()));
    let mut signatures = request.headers["webhook-signature"].split(' ');
    for key in [STANDARD.decode(&SECRET[6..]).unwrap(), b"old key".to_vec()] {
        let signed = [format!("msg_1.{timestamp}.").as_bytes(), &request.body].concat();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key);
        let signature = STANDARD.decode(signatures.next().unwrap().strip_prefix("v1,").unwrap()).unwrap();
        ring::hmac::verify(&key, &signed, &signature).unwrap();
    }
    assert_eq!(signatures.next(), None);
    let log = relay.log();
    assert!(log.contains("<6>msg_1 is delivered by webhook\n") && !log.contains("hook\n<"), "{log}");
}

#[test]
fn alertmanagers_receivers_get_what_they_know() {
    let server = HttpServer::start(answer("200 OK", ""));
    let transport =
        Transport::Webhook { url: Secret::new(server.url()), secrets: vec![], format: Format::Alertmanager };
    assert_eq!(Relay::start().deliver(&item("msg_1", transport)), Outcome::Delivered);
    let request = server.request();
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((&body["version"], &body["status"]), (&"4".into(), &"firing".into()));
    assert!(!request.headers.contains_key("webhook-signature"));
}

#[test]
fn a_connection_is_used_again() {
    let server = HttpServer::start(answer("200 OK", ""));
    let relay = Relay::start();
    for number in 0..3 {
        assert_eq!(
            relay.deliver(&item(&format!("msg_{number}"), webhook(&server.url()))),
            Outcome::Delivered
        );
        assert_eq!(server.request().connection, 0);
    }
}

#[test]
fn answers() {
    let host = "127.0.0.1 answered";
    assert_eq!(retried(outcome(answer("500 Broken", ""))), format!("{host} 500 Internal Server Error"));
    let slow = outcome(answer("429 Slow down", "Retry-After: 7\r\n"));
    assert_eq!(slow, Outcome::Retry { after: Some(7), error: format!("{host} 429 Too Many Requests") });
    assert_eq!(outcome(answer("410 Gone", "")), Outcome::Gone { error: format!("{host} 410 Gone") });
}

#[test]
fn a_redirect_is_not_followed() {
    let other = HttpServer::start(answer("200 OK", ""));
    let error = retried(outcome(answer("307 Moved", &format!("Location: {}\r\n", other.url()))));
    assert!(error.contains("redirects are not followed"), "{error}");
    assert!(other.requests.try_recv().is_err());
}

#[test]
fn answers_that_are_none() {
    assert!(retried(outcome("SSH-2.0-OpenSSH_9.2p1\r\n")).contains("127.0.0.1: "));
    let endless_header = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1 << 20));
    assert_eq!(retried(outcome(endless_header)), "127.0.0.1: the answer is not HTTP");
}

#[test]
fn the_end_of_a_large_answer_is_not_waited_for() {
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n{}", "x".repeat(1 << 20));
    let started = Instant::now();
    assert_eq!(outcome(large), Outcome::Delivered);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn nobody_there() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let relay = Relay::start();
    let error = retried(relay.deliver(&item("msg_1", webhook(&format!("http://127.0.0.1:{port}/secret")))));
    assert!(error.contains("refused"), "{error}");
    let error = retried(relay.deliver(&item("msg_2", webhook("http://192.0.2.1/secret"))));
    assert!(error.contains("https only"), "{error}");
    let error = retried(relay.deliver(&item("msg_3", webhook("https://lockdown.invalid/secret"))));
    assert!(error.starts_with("lockdown.invalid: "), "{error}");
    let log = relay.log();
    assert!(log.contains("msg_3 is not delivered") && !log.contains("secret"), "{log}");
}

#[test]
fn one_that_never_answers_holds_up_nobody_else() {
    let (silent, fast) = (HttpServer::start(""), HttpServer::start(answer("200 OK", "")));
    let relay = Relay::start();
    let mut daemon = relay.connect();
    let started = Instant::now();
    for number in 0..20 {
        daemon.send(&item(&format!("slow_{number}"), webhook(&silent.url())));
    }
    for number in 0..10 {
        daemon.send(&item(&format!("fast_{number}"), webhook(&fast.url())));
    }
    for _ in 0..10 {
        let verdict = daemon.verdict();
        assert!(verdict.id.starts_with("fast_") && verdict.outcome == Outcome::Delivered, "{verdict:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    // Those that are tried take their time; those that wait are not tried.
    for _ in 0..20 {
        assert_eq!(retried(daemon.verdict().outcome), "127.0.0.1: no answer within 15 s");
    }
    assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
}

#[test]
fn https_is_for_who_is_trusted_by_its_name() {
    let authority = Authority::new();
    let deliver = |relay: &Relay, name: &str| {
        let server = HttpServer::start_tls(answer("200 OK", ""), authority.server(name));
        let url = format!("https://localhost:{}/hook", server.address.port());
        relay.deliver(&item(&format!("msg_{name}").replace('.', "-"), webhook(&url)))
    };
    let trusting = Relay::start_with_roots(&authority.file());
    assert_eq!(deliver(&trusting, "localhost"), Outcome::Delivered);
    let error = retried(deliver(&trusting, "example.org"));
    assert!(error.starts_with("localhost: TLS: "), "{error}");
    let error = retried(deliver(&Relay::start_with_roots(&Authority::new().file()), "localhost"));
    assert!(error.starts_with("localhost: TLS: "), "{error}");
    // No TLS there at all.
    let plain = HttpServer::start(answer("200 OK", ""));
    let url = format!("https://localhost:{}/hook", plain.address.port());
    retried(trusting.deliver(&item("msg_plain", webhook(&url))));
}

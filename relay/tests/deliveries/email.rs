//! Mail by SMTP, by what the server does.

use std::{
    collections::HashMap,
    thread,
    time::{Duration, Instant},
};

use lockdown_delivery::{Item, Outcome, Secret, Smtp, Tls, Transport};

use crate::{
    relay::{Relay, item, retried},
    smtp_server::{Script, SmtpServer},
    tls::Authority,
};

fn smtp(server: &SmtpServer, tls: Tls) -> Smtp {
    Smtp { host: "localhost".into(), port: server.port, tls, username: None, password: None }
}

fn email(smtp: Smtp, to: &[&str]) -> Item {
    let from = "Lockdown <lockdown@web1.example.org>".to_owned();
    item("msg_1", Transport::Email { smtp, from, to: to.iter().map(|&to| to.to_owned()).collect() })
}

/// What becomes of a mail to ann and bob, with a server that answers so.
fn outcome(replies: &[(&'static str, &'static str)], attempt: u32) -> (Outcome, Vec<String>) {
    let server =
        SmtpServer::start(Script { replies: replies.iter().copied().collect(), ..Script::default() });
    let mut item = email(smtp(&server, Tls::None), &["ann@example.org", "Bob <bob@example.org>"]);
    item.attempt = attempt;
    let outcome = Relay::start().deliver(&item);
    (outcome, server.so_far())
}

#[test]
fn a_mail_arrives() {
    let (outcome, heard) = outcome(&[], 1);
    assert_eq!(outcome, Outcome::Delivered);
    assert_eq!(
        heard[..6],
        [
            "connected",
            "EHLO [127.0.0.1]",
            "MAIL FROM:<lockdown@web1.example.org>",
            "RCPT TO:<ann@example.org>",
            "RCPT TO:<bob@example.org>",
            "DATA"
        ]
    );
    let mail = &heard[6];
    for line in
        ["Message-ID: <msg_1@web1>", "Subject: [lockdown] web1: lockdown alice", "reason      phished"]
    {
        assert!(mail.contains(&format!("{line}\r\n")), "{line}: {mail}");
    }
}

#[test]
fn a_connection_takes_several_mails_and_is_replaced_when_it_is_gone() {
    let server = SmtpServer::start(Script::default());
    let relay = Relay::start();
    for number in 0..3 {
        let mut item = email(smtp(&server, Tls::None), &["ann@example.org"]);
        item.id = format!("msg_{number}");
        assert_eq!(relay.deliver(&item), Outcome::Delivered);
    }
    let heard = server.so_far();
    assert_eq!(heard.iter().filter(|it| *it == "connected").count(), 1, "{heard:?}");
    assert_eq!(heard.iter().filter(|it| *it == "DATA").count(), 3);

    let grumpy = Script { replies: HashMap::from([("NOOP", "421 bye\r\n")]), ..Script::default() };
    let server = SmtpServer::start(grumpy);
    for number in 3..5 {
        let mut item = email(smtp(&server, Tls::None), &["ann@example.org"]);
        item.id = format!("msg_{number}");
        assert_eq!(relay.deliver(&item), Outcome::Delivered);
    }
    assert_eq!(server.so_far().iter().filter(|it| *it == "connected").count(), 2);
}

#[test]
fn answers_with_5_are_for_good_and_with_4_are_not() {
    for (command, outcome_is_final) in
        [("MAIL", true), ("DATA", true), ("mail", true), ("MAIL", false), ("DATA", false), ("mail", false)]
    {
        let reply = if outcome_is_final { "550 5.7.1 \u{1b}[31mspam\r\n" } else { "451 4.7.1 later\r\n" };
        let (outcome, _) = outcome(&[(command, reply)], 1);
        if outcome_is_final {
            assert_eq!(outcome, Outcome::refused(r"localhost: 550 5.7.1 \u{1b}[31mspam"), "{command}");
        } else {
            assert_eq!(retried(outcome), "localhost: 451 4.7.1 later", "{command}");
        }
    }
}

#[test]
fn recipients_that_are_not_taken_cost_the_others_nothing() {
    const NO_ANN: (&str, &str) = ("RCPT TO:<ann", "550 unknown\r\n");
    const ANN_LATER: (&str, &str) = ("RCPT TO:<ann", "452 full\r\n");
    let is_sent = |heard: &[String]| heard.iter().any(|it| it == "DATA");
    let (delivered, heard) = outcome(&[NO_ANN], 1);
    assert!(delivered == Outcome::Delivered && is_sent(&heard));
    // For a while all wait for her, so that nobody gets it twice.
    let (waits, heard) = outcome(&[ANN_LATER], 3);
    assert!(retried(waits) == "ann@example.org: 452 full" && !is_sent(&heard));
    let (delivered, heard) = outcome(&[ANN_LATER], 4);
    assert!(delivered == Outcome::Delivered && is_sent(&heard));
    let (refused, heard) = outcome(&[("RCPT", "550 unknown\r\n")], 9);
    assert!(refused == Outcome::refused("bob@example.org: 550 unknown") && !is_sent(&heard));
    let (waits, _) = outcome(&[NO_ANN, ("RCPT TO:<bob", "452 full\r\n")], 9);
    assert_eq!(retried(waits), "bob@example.org: 452 full");
}

#[test]
fn a_server_that_takes_nobody_is_asked_again() {
    for (what, reply) in [
        ("greeting", "554 no service\r\n"),
        ("greeting", "HTTP/1.1 400\r\n"),
        ("greeting", ""),
        ("EHLO", "502 no\r\n"),
    ] {
        let server =
            SmtpServer::start(Script { replies: HashMap::from([(what, reply)]), ..Script::default() });
        let started = Instant::now();
        let error = retried(Relay::start().deliver(&email(smtp(&server, Tls::None), &["ann@example.org"])));
        assert!(error.starts_with("localhost: ") && started.elapsed() < Duration::from_secs(20), "{error}");
    }
}

#[test]
fn a_server_that_hangs_is_given_up() {
    let hangs_at = |what| {
        let started = Instant::now();
        let (outcome, _) = outcome(&[(what, "hang")], 1);
        assert_eq!(retried(outcome), "localhost: no answer within 15 s", "{what}");
        assert!(started.elapsed() < Duration::from_secs(40));
    };
    thread::scope(|scope| {
        for what in ["greeting", "RCPT", "mail"] {
            scope.spawn(move || hangs_at(what));
        }
    });
}

#[test]
fn tls_is_for_who_is_trusted_by_its_name() {
    let authority = Authority::new();
    let trusting = Relay::start_with_roots(&authority.file());
    let deliver = |relay: &Relay, tls: Tls, name: &str, id: &str| {
        let config = Some(authority.server(name));
        let script = match tls {
            Tls::Tls => Script { tls: config, ..Script::default() },
            _ => Script { starttls: config, extensions: "250-STARTTLS\r\n", ..Script::default() },
        };
        let server = SmtpServer::start(script);
        let mut item = email(smtp(&server, tls), &["ann@example.org"]);
        item.id = id.to_owned();
        (relay.deliver(&item), server.so_far())
    };
    assert_eq!(deliver(&trusting, Tls::Tls, "localhost", "a").0, Outcome::Delivered);
    let (delivered, heard) = deliver(&trusting, Tls::Starttls, "localhost", "b");
    assert_eq!(delivered, Outcome::Delivered);
    assert_eq!(heard[1..4], ["EHLO [127.0.0.1]", "STARTTLS", "EHLO [127.0.0.1]"]);
    for (tls, id) in [(Tls::Tls, "c"), (Tls::Starttls, "d")] {
        let (wrong_name, heard) = deliver(&trusting, tls, "example.org", id);
        let error = retried(wrong_name);
        assert!(error.contains("certificate"), "{error}");
        assert!(!heard.iter().any(|it| it.starts_with("MAIL")));
        retried(deliver(&Relay::start(), tls, "localhost", id).0);
    }
}

#[test]
fn starttls_is_not_done_without() {
    let server = SmtpServer::start(Script::default());
    let error = retried(Relay::start().deliver(&email(smtp(&server, Tls::Starttls), &["ann@example.org"])));
    assert_eq!(error, "localhost: STARTTLS is not supported on this server");
    assert!(!server.so_far().iter().any(|it| it.starts_with("MAIL")));
}

#[test]
fn signing_in() {
    let authority = Authority::new();
    let relay = Relay::start_with_roots(&authority.file());
    let deliver = |id: &str, host: &str, tls: bool, reply: Option<&'static str>| {
        let script = Script {
            tls: tls.then(|| authority.server("localhost")),
            extensions: "250-AUTH PLAIN LOGIN\r\n",
            replies: reply.into_iter().map(|reply| ("AUTH", reply)).collect(),
            ..Script::default()
        };
        let server = SmtpServer::start(script);
        let smtp = Smtp {
            host: host.into(),
            username: Some("lockdown".into()),
            password: Some(Secret::new("hunter2")),
            ..smtp(&server, if tls { Tls::Tls } else { Tls::None })
        };
        let mut item = email(smtp, &["ann@example.org"]);
        item.id = id.to_owned();
        (relay.deliver(&item), server.so_far())
    };
    let (delivered, heard) = deliver("a", "localhost", true, None);
    assert_eq!(delivered, Outcome::Delivered);
    // base64 of \0lockdown\0hunter2
    assert_eq!(heard[2], "AUTH PLAIN AGxvY2tkb3duAGh1bnRlcjI=");
    // Wrong today, mended tomorrow: the message waits.
    let error = retried(deliver("b", "localhost", true, Some("535 5.7.8 no\r\n")).0);
    assert_eq!(error, "localhost: signing in failed: 535 5.7.8 no");
    assert_eq!(deliver("c", "127.0.0.1", false, None).0, Outcome::Delivered);
    let (elsewhere, heard) = deliver("d", "192.0.2.1", false, None);
    assert!(retried(elsewhere).contains("not sent there without TLS") && heard.is_empty());
    let log = relay.log();
    assert!(
        log.contains("b is not delivered") && !log.contains("hunter2") && !log.contains("AGxvY2"),
        "{log}"
    );
}

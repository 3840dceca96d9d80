//! A receiver that is away gets word when it is back, whatever else is started anew meanwhile.

use std::time::Duration;

use lockdown_tests::{Host, eventually, on_each_release, stays};

use super::receivers::{Hooks, Mails, body};
use super::{A_WHILE, SOON, configure, crash, queue, text, waiting};

/// The first pause is five seconds, give or take a fifth.
const FIRST_PAUSE: Duration = Duration::from_secs(12);

const RULES: &str = r#"
    security_email = "security@example.org"
    email = { server = "localhost:2525", tls = "none" }
    [[notify]]
    name = "mail"
    match = { actions = ["lockdown"] }
    transport = "email"
    [[notify]]
    name = "soc"
    match = { actions = ["lockdown"] }
    transport = "alertmanager"
    url = "http://localhost:8080/soc"
"#;

/// Locks an account down while nobody listens; the ids of the messages about it, which have been tried once.
fn lock_down_unheard(host: &Host, account: &str) -> [String; 2] {
    host.lock_down(&[account]);
    eventually(SOON, || {
        let queue = queue(host);
        queue.len() == 2
            && queue.iter().all(|message| message["attempts"] == 1 && message["state"] == "queued")
    });
    ["mail", "soc"].map(|rule| {
        let message = waiting(host, rule);
        assert_eq!(message["user"], account);
        assert!(text(&message, "error").contains("refused"), "{message:#}");
        text(&message, "id").to_owned()
    })
}

on_each_release!(
    fn word_gets_out_once_the_receivers_are_back(host: &Host) {
        let (mails, hooks) = (Mails::plain(host, 2525), Hooks::plain(host, 8080));
        configure(host, RULES);
        let ids = || {
            let mails = mails.given();
            let mails = mails.iter().map(|mail| mail.header("Message-ID").trim_start_matches('<').to_owned());
            let hooks = hooks.requests_to("soc");
            let hooks = hooks.iter().map(|request| text(&request["headers"], "webhook-id").to_owned());
            mails
                .map(|id| id.split('@').next().unwrap_or_default().to_owned())
                .chain(hooks)
                .collect::<Vec<_>>()
        };

        // By itself, after the first pause.
        mails.down();
        hooks.down();
        let first = lock_down_unheard(host, "alice");
        host.lockdownctl(&["status"]).ok().says("2 on the way");
        host.lockdownctl(&["notify", "queue"]).ok().says(&first[0]).says("lockdown").says("refused");
        mails.up();
        hooks.up();
        eventually(FIRST_PAUSE, || ids() == first);
        eventually(SOON, || queue(host).is_empty());

        // Though both the relay and the daemon are others by then; at once, where somebody asks for it.
        mails.down();
        hooks.down();
        let second = lock_down_unheard(host, "bob");
        host.run(&["systemctl", "restart", "lockdown-relay.service"]).ok();
        crash(host);
        assert_eq!([&waiting(host, "mail")["id"], &waiting(host, "soc")["id"]], [&second[0], &second[1]]);
        mails.up();
        hooks.up();
        host.lockdownctl(&["notify", "retry", &second[0], &second[1]]).ok().says("2 messages");
        let all = [&first[0], &second[0], &first[1], &second[1]];
        eventually(Duration::from_secs(3), || ids().iter().collect::<Vec<_>>() == all);
        eventually(SOON, || queue(host).is_empty());
        stays(A_WHILE, || ids().iter().collect::<Vec<_>>() == all);
    }
);

on_each_release!(
    fn what_may_not_have_arrived_is_sent_again_under_its_name(host: &Host) {
        let hooks = Hooks::plain(host, 8080);
        configure(
            host,
            r#"
            [[notify]]
            name = "soc"
            match = { actions = ["lockdown"] }
            transport = "alertmanager"
            url = "http://localhost:8080/soc"
            "#,
        );
        let requests = || hooks.requests_to("soc");
        hooks.answer("soc", "hang");

        // The daemon dies while the receiver has it but has not said so; the next one asks the relay, which still does.
        host.lock_down(&["alice"]);
        eventually(SOON, || requests().len() == 1);
        crash(host);
        eventually(SOON, || waiting(host, "soc")["state"] == "sending");
        assert_eq!(requests().len(), 1);
        // The relay dies as well.
        host.run(&["systemctl", "kill", "--signal=KILL", "lockdown-relay.service"]).ok();
        hooks.take("soc");
        eventually(SOON, || waiting(host, "soc")["state"] == "queued");
        host.lockdownctl(&["notify", "retry", text(&waiting(host, "soc"), "id")]).ok();
        eventually(SOON, || requests().len() == 2 && queue(host).is_empty());
        let ids: Vec<_> = requests().iter().map(|request| request["headers"]["webhook-id"].clone()).collect();
        assert_eq!(ids[0], ids[1]);
        assert_eq!(body(&requests()[0])["groupKey"], body(&requests()[1])["groupKey"]);

        // A configuration without the rule forgets what waited for it, and says so.
        hooks.down();
        host.lock_down(&["bob"]);
        eventually(SOON, || waiting(host, "soc")["attempts"] == 1);
        configure(host, "");
        eventually(SOON, || queue(host).is_empty());
        let dropped = host.ask_lockdown(&["events", "--action", "notifications-dropped"]);
        assert_eq!((&dropped[0]["target"], &dropped[0]["input"]["count"]), (&"rule:soc".into(), &"1".into()));
    }
);

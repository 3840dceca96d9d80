//! Items for tests.

use lockdown_delivery::{EventView, Item, Transport};

/// Text as somebody would write it who wants to harm who reads it.
pub(crate) const HOSTILE: &str = "alice\r\nBcc: mallory@example.org\r\n\r\n<script>alert(1)</script>\u{1b}[2J\u{9b}H\u{202e}dwssap\u{2028}\0é{user}";

pub(crate) fn wall() -> Transport {
    Transport::Wall { users: vec![] }
}

/// bob has locked alice down.
pub(crate) fn item(transport: Transport) -> Item {
    let event = EventView {
        id: 7,
        time: 1_795_255_200,
        action: "lockdown".into(),
        severity: "critical".into(),
        user: "alice".into(),
        target: "lock:17".into(),
        owner: "lockdown".into(),
        reason: "phished".into(),
        outcome: "success".into(),
        caller: pairs(&[("name", "bob"), ("uid", "1001"), ("tty", "pts/0"), ("remote_host", "192.0.2.7")]),
        tags: pairs(&[("ticket", "INC-1")]),
        ..EventView::default()
    };
    Item {
        id: "msg_1".into(),
        attempt: 1,
        rule: "security".into(),
        host: "web1".into(),
        severity: event.severity.clone(),
        action: event.action.clone(),
        events: vec![event],
        total: 1,
        transport,
        template: None,
    }
}

/// The same, several times, a second apart.
pub(crate) fn digest(transport: Transport, events: i64, total: u64) -> Item {
    let mut item = item(transport);
    let event = item.events[0].clone();
    item.events =
        (0..events).map(|second| EventView { time: event.time + second, ..event.clone() }).collect();
    item.total = total;
    item
}

/// An event that is this text wherever it can be.
pub(crate) fn hostile(transport: Transport, text: &str) -> Item {
    let mut item = item(transport);
    let all = pairs(&[(text, text), ("name", text), ("remote_host", text), ("service", text)]);
    let event = &mut item.events[0];
    for field in
        [&mut event.action, &mut event.severity, &mut event.user, &mut event.target, &mut event.owner]
    {
        *field = text.to_owned();
    }
    for field in [&mut event.reason, &mut event.outcome, &mut event.error] {
        *field = text.to_owned();
    }
    (event.caller, event.input, event.tags) = (all.clone(), all.clone(), all);
    (item.rule, item.host, item.action, item.severity) = (text.into(), text.into(), text.into(), text.into());
    item
}

fn pairs(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

//! What the relay needs to deliver a message: the events, the receiver, its secrets.

use std::{collections::BTreeSet, path::Path};

use lockdown_config::{Rule, Settings, Tls, Transport as Kind};
use lockdown_dbus_api::views;
use lockdown_delivery::{
    EventView, Format, FrameError, Item, Outcome, Secret, Smtp, Tls as SmtpTls, Transport, frame,
};

use crate::{
    core::Core,
    domain::identifier::EMAIL,
    host::{administrators, secret_file},
    store::{StoreError, identifiers, outbox::Message},
};

/// A rule's receiver without its secrets: enough to tell receivers apart.
pub fn outline(rule: &Rule, settings: &Settings) -> Transport {
    match rule.transport {
        Kind::Email => email(settings, Vec::new(), None),
        Kind::Webhook => webhook(rule, Vec::new(), Format::Standard),
        Kind::Alertmanager => webhook(rule, Vec::new(), Format::Alertmanager),
        Kind::Exec => Transport::Exec { command: rule.command.clone() },
        Kind::Wall => Transport::Wall { users: rule.to.clone() },
    }
}

fn email(settings: &Settings, to: Vec<String>, password: Option<Secret>) -> Transport {
    let from = settings.email.from.clone().unwrap_or_else(|| format!("lockdown@{}", host_name()));
    match settings.email.server_address() {
        None => Transport::Sendmail { from, to },
        Some((host, port)) => {
            let tls = match settings.email.tls {
                Tls::Starttls => SmtpTls::Starttls,
                Tls::Tls => SmtpTls::Tls,
                Tls::None => SmtpTls::None,
            };
            let username = settings.email.username.clone();
            Transport::Email { smtp: Smtp { host: host.to_owned(), port, tls, username, password }, from, to }
        }
    }
}

fn webhook(rule: &Rule, secrets: Vec<Secret>, format: Format) -> Transport {
    Transport::Webhook { url: Secret::new(rule.url.clone().unwrap_or_default()), secrets, format }
}

/// This host, as it calls itself.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The item for a message.
///
/// # Errors
/// Why there is none, as what becomes of the message: an attempt that failed, or one that will never succeed.
pub async fn item(
    core: &Core,
    rule: &Rule,
    message: &Message,
    events: Vec<views::Event>,
) -> Result<Item, Outcome> {
    let accounts: BTreeSet<String> =
        events.iter().map(|event| event.user.clone()).filter(|user| !user.is_empty()).collect();
    let item = Item {
        id: message.id.clone(),
        attempt: message.attempt,
        rule: rule.name.clone(),
        host: host_name(),
        severity: message.severity.name().to_owned(),
        action: message.action.clone(),
        total: u64::from(message.total).max(events.len() as u64),
        events: events.into_iter().map(event).collect(),
        transport: transport(core, rule, accounts).await?,
        template: rule.template.clone(),
    };
    fitting(item).map_err(|error| Outcome::refused(error.to_string()))
}

/// The same without the first of its events, where it would be too large otherwise.
fn fitting(mut item: Item) -> Result<Item, FrameError> {
    while let Err(error) = frame::encode(&item) {
        if item.events.len() < 2 {
            return Err(error);
        }
        item.events.remove(0);
    }
    Ok(item)
}

fn event(event: views::Event) -> EventView {
    EventView {
        id: event.id,
        time: event.time,
        action: event.action,
        severity: event.severity,
        user: event.user,
        target: event.target,
        owner: event.owner,
        reason: event.reason,
        outcome: event.outcome,
        error: event.error,
        caller: event.caller.into_iter().collect(),
        input: event.input.into_iter().collect(),
        tags: event.tags.into_iter().collect(),
    }
}

async fn transport(core: &Core, rule: &Rule, accounts: BTreeSet<String>) -> Result<Transport, Outcome> {
    let settings = core.settings();
    let secrets = |paths: &[String]| {
        let read = paths.iter().map(|path| secret_file::read(Path::new(path)));
        read.collect::<Result<Vec<_>, _>>().map_err(Outcome::retry)
    };
    Ok(match rule.transport {
        Kind::Email => {
            let password = settings.email.password_file.as_ref().filter(|_| settings.email.server.is_some());
            let password = secrets(password.map_or(&[][..], std::slice::from_ref))?.pop();
            email(&settings, recipients(core, rule, &settings, accounts).await?, password)
        }
        Kind::Webhook => webhook(rule, secrets(&rule.secret_file)?, Format::Standard),
        Kind::Alertmanager => webhook(rule, secrets(&rule.secret_file)?, Format::Alertmanager),
        Kind::Exec => Transport::Exec { command: rule.command.clone() },
        Kind::Wall => {
            let mut users = if rule.to.is_empty() { administrators(core).await } else { rule.to.clone() };
            users.retain(|user| !accounts.contains(user));
            Transport::Wall { users }
        }
    })
}

async fn recipients(
    core: &Core,
    rule: &Rule,
    settings: &Settings,
    accounts: BTreeSet<String>,
) -> Result<Vec<String>, Outcome> {
    let own = own_addresses(core, accounts).await.map_err(|error| Outcome::retry(error.to_string()))?;
    choose(&rule.to, settings.security_email.as_deref(), &own).ok_or_else(|| {
        Outcome::refused(
            "every recipient is an address of the account itself: set security_email to another one",
        )
    })
}

/// Where a mail goes: never to whom it is about, who may not be who reads that mail any more.
fn choose(to: &[String], security_email: Option<&str>, own: &BTreeSet<String>) -> Option<Vec<String>> {
    let is_others = |address: &&str| !own.contains(&address.to_lowercase());
    let named: Vec<_> = to.iter().map(String::as_str).filter(is_others).map(str::to_owned).collect();
    if !named.is_empty() {
        return Some(named);
    }
    Some(vec![security_email.filter(is_others)?.to_owned()])
}

/// The addresses of these accounts, in lower case: those that the store has, and their mailboxes on this host.
async fn own_addresses(core: &Core, accounts: BTreeSet<String>) -> Result<BTreeSet<String>, StoreError> {
    let host = host_name();
    let short = host.split('.').next().unwrap_or_default().to_owned();
    core.store
        .read(move |connection| {
            let mut own = BTreeSet::new();
            for account in accounts {
                let identifiers = identifiers::of_account(connection, &account)?;
                own.extend(identifiers.get(EMAIL).map(|address| address.to_lowercase()));
                let mailboxes = [&host, &short, "localhost"].map(|domain| format!("{account}@{domain}"));
                own.extend(mailboxes.into_iter().chain([account]).map(|mailbox| mailbox.to_lowercase()));
            }
            Ok(own)
        })
        .await
}

/// Those who administer the host: root, and the members of `admin_groups`.
async fn administrators(core: &Core) -> Vec<String> {
    let members = administrators::members(&core.settings().protected.admin_groups, &core.nss()).await;
    let users = members.into_iter().map(|member| member.name).chain(["root".to_owned()]);
    users.collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn nobody_is_told_about_themselves() {
        let own: BTreeSet<_> = texts(&["alice@example.org", "alice"]).into_iter().collect();
        let chosen = |to: &[&str], security: Option<&str>| choose(&texts(to), security, &own);
        assert_eq!(
            chosen(&["Alice@Example.org", "bob@example.org"], None),
            Some(texts(&["bob@example.org"]))
        );
        assert_eq!(chosen(&["alice"], Some("s@example.org")), Some(texts(&["s@example.org"])));
        assert_eq!(chosen(&[], Some("s@example.org")), Some(texts(&["s@example.org"])));
        assert_eq!(chosen(&["alice"], Some("ALICE@example.org")), None);
        assert_eq!(chosen(&["alice"], None), None);
    }

    #[test]
    fn a_digest_that_is_too_large_keeps_its_last_events() {
        let event = |id| EventView { id, reason: "x".repeat(300_000), ..EventView::default() };
        let item = |count| Item {
            id: "msg_1".into(),
            attempt: 1,
            rule: "r".into(),
            host: "h".into(),
            severity: "info".into(),
            action: "login-denied".into(),
            events: (0..count).map(event).collect(),
            total: 100,
            transport: Transport::Wall { users: Vec::new() },
            template: None,
        };
        let kept = fitting(item(8)).unwrap();
        let ids: Vec<_> = kept.events.iter().map(|event| event.id).collect();
        assert_eq!((ids, kept.total), (vec![5, 6, 7], 100));
        let mut huge = item(1);
        huge.events[0].reason = "x".repeat(2_000_000);
        assert!(fitting(huge).is_err());
    }
}

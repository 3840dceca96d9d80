//! `org.lockdown1.Manager` on a bus of its own: the contract, and every refusal. What needs ordinary accounts, logind and
//! polkit is tested on booted hosts.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "tests report by panicking")]

mod support;

use lockdown_config::Settings;
use lockdown_dbus_api::{BUS_NAME, Error, INTROSPECTION_XML, ManagerProxy, OBJECT_PATH, options};
use support::Bus;

/// Members with the types of their arguments, one a line, in the order of the document.
fn members(xml: &str) -> Vec<String> {
    let mut members: Vec<String> = Vec::new();
    let mut in_interface = false;
    let mut text = xml;
    while let Some(start) = text.find('<') {
        text = &text[start..];
        if let Some(comment) = text.strip_prefix("<!--") {
            text = &comment[comment.find("-->").unwrap()..];
            continue;
        }
        let end = text.find('>').unwrap();
        let tag = &text[1..end];
        text = &text[end..];
        let attribute = |name: &str| {
            tag.split(&format!(" {name}=\"")).nth(1).map(|rest| rest.split('"').next().unwrap().to_owned())
        };
        match tag.split([' ', '/']).next().unwrap() {
            "interface" => in_interface = attribute("name").unwrap() == "org.lockdown1.Manager",
            kind @ ("method" | "signal" | "property") if in_interface => members.push(format!(
                "{kind} {} {}",
                attribute("name").unwrap(),
                attribute("type").unwrap_or_default()
            )),
            "arg" if in_interface => {
                let direction = attribute("direction").filter(|direction| direction == "out");
                let name = attribute("name").unwrap();
                let argument =
                    format!(" {}{name}:{}", direction.map_or("", |_| "→ "), attribute("type").unwrap());
                members.last_mut().unwrap().push_str(&argument);
            }
            _ => {}
        }
    }
    members.sort();
    members
}

#[tokio::test]
async fn the_code_offers_what_the_contract_says() {
    let bus = Bus::start();
    let _core = bus.serve(Settings::default()).await;
    let client = bus.connect().await;
    let introspectable = zbus::fdo::IntrospectableProxy::builder(&client)
        .destination(BUS_NAME)
        .path(OBJECT_PATH)
        .build()
        .await
        .unwrap();
    let code = members(&introspectable.introspect().await.unwrap());
    let contract = members(INTROSPECTION_XML);
    assert!(
        contract.iter().any(|line| line == "method LockAccount  user:s options:a{sv} → account:a{sv}"),
        "{contract:#?}"
    );
    assert_eq!(code, contract);
}

#[tokio::test]
async fn refusals_have_their_names() {
    let bus = Bus::start();
    let _core = bus.serve(Settings::default()).await;
    let client = bus.connect().await;
    let manager = ManagerProxy::new(&client).await.unwrap();
    let options = options::Lock::default();

    let error = manager.lock_account("no-such-account", &options).await.unwrap_err();
    assert!(matches!(&error, Error::NoSuchAccount(text) if text.contains("no-such-account")), "{error:?}");
    let error = manager.lock_account("root", &options).await.unwrap_err();
    assert!(matches!(&error, Error::Protected(_)), "{error:?}");
    let error = manager.lock_account("nobody", &options).await.unwrap_err();
    assert!(matches!(&error, Error::Protected(_)), "{error:?}");
    for name in ["a\nb", "", &"a".repeat(10_000), "uid:x"] {
        let error = manager.lock_account(name, &options).await.unwrap_err();
        assert!(matches!(&error, Error::InvalidArgument(text) if !text.contains('\n')), "{error:?}");
    }
    let error = manager.unlock_account("root", &options::Unlock::default()).await.unwrap_err();
    assert!(matches!(&error, Error::NotLocked(_)), "{error:?}");
    let error = manager.set_expiry("root", 1).await.unwrap_err();
    assert!(matches!(&error, Error::Protected(_)), "{error:?}");
    let error = manager.end_sessions("root", &options::EndSessions::default()).await.unwrap_err();
    assert!(matches!(&error, Error::Protected(_)), "{error:?}");
    let session = options::EndSessions { session: Some("77".into()), ..options::EndSessions::default() };
    let error = manager.end_sessions("root", &session).await.unwrap_err();
    assert!(matches!(&error, Error::NoSuchSession(_)), "{error:?}");
}

#[tokio::test]
async fn the_trail_is_listed_and_verified() {
    let bus = Bus::start();
    let core = bus.serve(Settings::default()).await;
    let client = bus.connect().await;
    let manager = ManagerProxy::new(&client).await.unwrap();
    // Each of these is refused, which is an event.
    for name in ["root", "nobody"] {
        manager.lock_account(name, &options::Lock::default()).await.unwrap_err();
    }
    let by_me = options::EventFilter {
        caller: Some(format!("uid:{}", nix::unistd::geteuid())),
        actions: Some(vec!["lock".into(), "unlock".into()]),
        severity: Some("warning".into()),
        ..options::EventFilter::default()
    };
    let events = manager.list_events(&by_me).await.unwrap();
    let of: Vec<_> = events.iter().map(|event| (event.user.as_str(), event.outcome.as_str())).collect();
    assert_eq!(of, [("root", "refused"), ("nobody", "refused")]);
    let unknown = options::EventFilter { action: Some("lokc".into()), ..options::EventFilter::default() };
    let error = manager.list_events(&unknown).await.unwrap_err();
    assert!(matches!(&error, Error::InvalidArgument(text) if text.contains("known are lock, ")), "{error:?}");

    let found = manager.verify_events(&options::VerifyEvents::default()).await.unwrap();
    assert!(found.ok, "{found:?}");
    assert_eq!((found.checked, found.first, found.last, found.head.len()), (2, 1, 2, 64));
    // Somebody goes round the triggers.
    let removed = core.store.write(|change| {
        change
            .connection()
            .execute_batch("DROP TRIGGER events_are_not_removed; DELETE FROM events WHERE id = 1;")?;
        Ok::<_, lockdownd::store::StoreError>(())
    });
    removed.await.unwrap();
    let found = manager.verify_events(&options::VerifyEvents::default()).await.unwrap();
    assert!(!found.ok);
    assert_eq!(found.problems.iter().map(|problem| problem.id).collect::<Vec<_>>(), [0, 1]);
}

/// A fingerprint reader with fprintd's interface.
struct Reader;

#[zbus::interface(name = "net.reactivated.Fprint.Device")]
impl Reader {
    async fn list_enrolled_fingers(&self, user: &str) -> zbus::fdo::Result<Vec<String>> {
        match user {
            "nobody" => Ok(vec!["right-index-finger".to_owned(), "left-thumb".to_owned()]),
            _ => Err(zbus::fdo::Error::Failed("nothing enrolled".to_owned())),
        }
    }
}

struct Readers;

#[zbus::interface(name = "net.reactivated.Fprint.Manager")]
impl Readers {
    async fn get_devices(&self) -> Vec<zbus::ObjectPath<'static>> {
        vec!["/net/reactivated/Fprint/Device/0".try_into().unwrap()]
    }
}

#[tokio::test]
async fn authenticators_are_listed_and_refused_by_name() {
    let bus = Bus::start();
    let _core = bus.serve(Settings::default()).await;
    let client = bus.connect().await;
    let manager = ManagerProxy::new(&client).await.unwrap();
    let fingers = async || -> Vec<String> {
        let listed = manager.list_authenticators("nobody").await.unwrap();
        listed.into_iter().filter(|one| one.kind == "fingerprint").map(|one| one.id).collect()
    };
    assert_eq!(fingers().await, Vec::<String>::new(), "without fprintd");

    let fprintd = bus.connect().await;
    fprintd.object_server().at("/net/reactivated/Fprint/Manager", Readers).await.unwrap();
    fprintd.object_server().at("/net/reactivated/Fprint/Device/0", Reader).await.unwrap();
    fprintd.request_name("net.reactivated.Fprint").await.unwrap();
    assert_eq!(fingers().await, ["fingerprint:right-index-finger", "fingerprint:left-thumb"]);

    let lock = options::LockAuthenticator::default();
    for id in ["ssh:SHA256:unknown", "nonsense", "", "fingerprint:left-little-finger", "password\n"] {
        let error = manager.lock_authenticator("nobody", id, &lock).await.unwrap_err();
        assert!(matches!(&error, Error::NoSuchAuthenticator(text) if !text.contains('\n')), "{id} {error:?}");
    }
    for user in ["root", "nobody"] {
        let error = manager.lock_authenticator(user, "password", &lock).await.unwrap_err();
        assert!(matches!(&error, Error::Protected(_)), "{error:?}");
    }
    let error = manager
        .unlock_authenticator("nobody", "fingerprint:left-thumb", &options::UnlockAuthenticator::default())
        .await
        .unwrap_err();
    assert!(matches!(&error, Error::NotLocked(_)), "{error:?}");
    let events = manager.list_events(&options::EventFilter::default()).await.unwrap();
    assert!(events.iter().all(|event| event.action == "lock-authenticator" && event.outcome == "refused"));
    assert_eq!(events[0].input["authenticator"], "password");
}

#[tokio::test]
async fn an_unknown_option_is_refused() {
    let bus = Bus::start();
    let _core = bus.serve(Settings::default()).await;
    let client = bus.connect().await;
    let options = std::collections::HashMap::from([("resaon", zbus::Variant::from("typo"))]);
    let reply = client
        .call_method(
            Some(BUS_NAME),
            OBJECT_PATH,
            Some("org.lockdown1.Manager"),
            "LockAccount",
            &("root", options),
        )
        .await;
    match reply {
        Err(zbus::Error::MethodError(name, Some(text), _)) => {
            assert_eq!(name.as_str(), "org.lockdown1.Error.InvalidArgument");
            assert!(text.contains("resaon") && text.contains("reason"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refusal_is_in_the_audit_trail_with_its_caller() {
    let bus = Bus::start();
    let _core = bus.serve(Settings::default()).await;
    let client = bus.connect().await;
    let manager = ManagerProxy::new(&client).await.unwrap();
    let _ = manager.lock_account("root", &options::Lock::default()).await;
    let events = manager.list_events(&options::EventFilter::default()).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].action.as_str(), events[0].outcome.as_str()), ("lock", "refused"));
    assert_eq!(events[0].caller["pid"], std::process::id().to_string());
    assert_eq!(events[0].caller["bus_name"], client.unique_name().unwrap().as_str());
}

#[tokio::test]
async fn properties_and_listings_answer() {
    let bus = Bus::start();
    let _core = bus.serve(Settings::default()).await;
    let client = bus.connect().await;
    let manager = ManagerProxy::new(&client).await.unwrap();
    assert_eq!(manager.version().await.unwrap(), env!("CARGO_PKG_VERSION"));
    assert!(manager.lockdown_enabled().await.unwrap());
    assert_eq!(manager.locked_accounts().await.unwrap(), 0);
    let filter = options::AccountFilter { system: Some(true), ..options::AccountFilter::default() };
    let accounts = manager.list_accounts(&filter).await.unwrap();
    let root = accounts.iter().find(|account| account.name == "root").unwrap();
    assert!(root.protected && !root.locked);
    assert_eq!(manager.check_records().await.unwrap(), Vec::new());
}

#[tokio::test]
async fn accounts_are_named_by_what_was_set_for_them() {
    let bus = Bus::start();
    let _core = bus.serve(Settings::default()).await;
    let client = bus.connect().await;
    let manager = ManagerProxy::new(&client).await.unwrap();
    let pair = |key: &str, value: &str| Some([(key.to_owned(), value.to_owned())].into());
    let set = options::SetAccount {
        email: Some("Nobody@example.org".into()),
        identifiers: pair("badge", "17"),
        metadata: pair("team", "blue"),
        reason: Some("hired".into()),
        tags: pair("ticket", "INC-4711"),
        ..options::SetAccount::default()
    };
    let account = manager.set_account("nobody", &set).await.unwrap();
    assert_eq!((account.email.as_str(), account.external_id.as_str()), ("Nobody@example.org", ""));
    assert_eq!((&account.identifiers["badge"], &account.metadata["team"]), (&"17".into(), &"blue".into()));
    for reference in ["email:nobody@EXAMPLE.org", "badge:17"] {
        assert_eq!(manager.get_account(reference).await.unwrap().name, "nobody");
    }

    let again = options::SetAccount { email: set.email.clone(), ..options::SetAccount::default() };
    let error = manager.set_account("daemon", &again).await.unwrap_err();
    assert!(matches!(&error, Error::IdentifierTaken(text) if text.contains("that of nobody")), "{error:?}");
    manager.set_account("nobody", &again).await.unwrap();
    for reference in ["email:other@example.org", "badge:1", "desk:17"] {
        let error = manager.get_account(reference).await.unwrap_err();
        assert!(matches!(&error, Error::NoSuchAccount(_)), "{error:?}");
    }
    let expiry = options::SetAccount { valid_until: Some(1), id: Some("1".into()), ..Default::default() };
    let error = manager.set_account("nobody", &expiry).await.unwrap_err();
    assert!(matches!(&error, Error::Protected(_)), "{error:?}");
    let account = manager.get_account("nobody").await.unwrap();
    assert_eq!((account.external_id.as_str(), account.valid_until), ("", 0), "all of it, or nothing");

    let removal = options::SetAccount {
        email: Some(String::new()),
        metadata: pair("team", ""),
        ..options::SetAccount::default()
    };
    let account = manager.set_account("badge:17", &removal).await.unwrap();
    assert_eq!((account.email.as_str(), account.metadata.len(), account.identifiers.len()), ("", 0, 1));
    manager.get_account("email:nobody@example.org").await.unwrap_err();

    let events = manager.list_events(&options::EventFilter::default()).await.unwrap();
    let of: Vec<_> = events
        .iter()
        .map(|event| (event.action.as_str(), event.user.as_str(), event.outcome.as_str()))
        .collect();
    assert_eq!(
        of,
        [
            ("set-account", "nobody", "success"),
            ("set-account", "daemon", "refused"),
            ("set-account", "nobody", "success"),
            ("set-expiry", "nobody", "refused"),
            ("set-account", "nobody", "success"),
        ]
    );
    assert_eq!((&events[0].tags["ticket"], events[0].reason.as_str()), (&"INC-4711".to_owned(), "hired"));
    assert_eq!(events[0].input["identifiers"], r#"{"badge":"17"}"#);
    assert!(events[0].caller.contains_key("uid") && events[1].tags.is_empty());
}

#[tokio::test]
async fn tags_go_with_every_change_and_its_refusal() {
    let bus = Bus::start();
    let _core = bus.serve(Settings::default()).await;
    let client = bus.connect().await;
    let manager = ManagerProxy::new(&client).await.unwrap();
    let tags = Some([("ticket".to_owned(), "INC-4711".to_owned())].into());
    let lock = options::Lock { tags: tags.clone(), ..options::Lock::default() };
    manager.lock_account("nobody", &lock).await.unwrap_err();
    let lockdown =
        options::Lockdown { reason: Some("r".into()), tags: tags.clone(), ..options::Lockdown::default() };
    manager.lockdown(&["nobody"], &lockdown).await.unwrap();
    let key = options::LockAuthenticator { tags: tags.clone(), ..options::LockAuthenticator::default() };
    manager.lock_authenticator("nobody", "ssh", &key).await.unwrap_err();
    let own = options::LockdownSelf { tags: tags.clone(), ..options::LockdownSelf::default() };
    assert!(matches!(manager.lockdown_self(&own).await, Err(Error::Disabled(_))));
    let all = options::RetryNotifications { tags: tags.clone(), ..options::RetryNotifications::default() };
    manager.retry_notifications(&all).await.unwrap();
    let events = manager.list_events(&options::EventFilter::default()).await.unwrap();
    let actions: Vec<_> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["lock", "lockdown", "lock-authenticator", "lockdown", "notifications-retried"]);
    for event in &events {
        assert_eq!(event.tags["ticket"], "INC-4711", "{}", event.action);
    }
    let bad = Some([("a b".to_owned(), String::new())].into());
    let error = manager.unlock_account("nobody", &options::Unlock { tags: bad, ..Default::default() }).await;
    assert!(matches!(&error, Err(Error::InvalidArgument(text)) if text.contains("`a b`")), "{error:?}");
}

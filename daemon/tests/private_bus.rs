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

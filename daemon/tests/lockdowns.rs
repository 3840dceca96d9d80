//! Lockdowns on a bus of their own: refusals, and what becomes of an order that a restore meets. Only accounts that no host has
//! are locked down here, and nothing but their lock is wanted of it; the rest is tested on booted hosts.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "tests report by panicking")]

mod support;

use std::sync::Arc;

use lockdown_config::Settings;
use lockdown_dbus_api::{Error, ManagerProxy, options};
use lockdown_enforcement::Login;
use lockdownd::{
    bus::caller::Caller,
    core::Core,
    domain::account::{Account, LockHolder},
    operations::{lockdown, restore::restore, unlock::unlock},
    store::{
        StoreError, accounts, events,
        lockdowns::{self, Lockdown},
        locks,
    },
};
use support::Bus;

const NAME: &str = "lockdown-test-nobody-has";
const UID: u32 = 61_987;

fn nobody() -> Account {
    Account::without_nss(NAME.into(), UID)
}

/// Only the lock is wanted.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.lockdown.unusable_password = false;
    settings.lockdown.end_sessions = false;
    settings.lockdown.revoke_tokens = false;
    settings
}

async fn trigger(core: &Arc<Core>) {
    let login = Login {
        account: NAME.into(),
        uid: UID,
        service: "sshd".into(),
        pid: std::process::id(),
        ..Login::default()
    };
    lockdown::triggered(core, login, std::process::id()).await;
}

async fn last(core: &Core) -> Lockdown {
    let last = core.store.read(|connection| lockdowns::last_of(connection, NAME).map_err(StoreError::from));
    last.await.unwrap().unwrap()
}

async fn is_locked(core: &Core) -> bool {
    let locks = core.store.read(|connection| locks::of_account(connection, NAME).map_err(StoreError::from));
    let is_denied = core.directory.read(UID).unwrap().is_some();
    assert_eq!(locks.await.unwrap().is_empty(), !is_denied);
    is_denied
}

async fn actions(core: &Core) -> Vec<String> {
    let filter = options::EventFilter::default();
    let events =
        core.store.read(move |connection| events::list(connection, &filter).map_err(StoreError::from));
    events.await.unwrap().into_iter().map(|event| format!("{} {}", event.action, event.outcome)).collect()
}

fn options(tokens: bool, password: Option<&str>) -> options::Restore {
    options::Restore { tokens: Some(tokens), password: password.map(str::to_owned), ..Default::default() }
}

#[tokio::test]
async fn what_cannot_be_is_refused_for_each_by_itself() {
    let bus = Bus::start();
    let core = bus.serve(settings()).await;
    let client = bus.connect().await;
    let manager = ManagerProxy::new(&client).await.unwrap();
    let reason = || options::Lockdown { reason: Some("test".into()), ..Default::default() };

    let error = manager.lockdown(&["root"], &options::Lockdown::default()).await.unwrap_err();
    assert!(matches!(&error, Error::InvalidArgument(text) if text.contains("reason")), "{error:?}");
    let error = manager.lockdown(&[], &reason()).await.unwrap_err();
    assert!(matches!(&error, Error::InvalidArgument(_)), "{error:?}");

    let results = manager.lockdown(&["root", NAME, "uid:0", NAME, "a\nb"], &reason()).await.unwrap();
    let names: Vec<_> = results.iter().map(|result| (result.user.as_str(), result.success)).collect();
    assert_eq!(names, [("root", false), (NAME, false), ("a\nb", false)]);
    let errors: Vec<_> = results.iter().map(|result| result.error_name.clone().unwrap()).collect();
    for (error, name) in errors.iter().zip(["Protected", "NoSuchAccount", "InvalidArgument"]) {
        assert_eq!(*error, format!("org.lockdown1.Error.{name}"));
    }
    let abort = options::Lockdown { on_error: Some("abort".into()), ..reason() };
    let results = manager.lockdown(&[NAME, "root"], &abort).await.unwrap();
    assert!(results[1].error.as_ref().unwrap().starts_with("not attempted"), "{results:?}");
    // One for each time that root was judged.
    assert_eq!(actions(&core).await, ["lockdown refused"]);

    core.configure({
        let mut settings = settings();
        settings.lockdown.enabled = false;
        settings
    });
    let error = manager.lockdown(&["root"], &reason()).await.unwrap_err();
    assert!(matches!(&error, Error::Disabled(_)), "{error:?}");
    trigger(&core).await;
    // The call and the trigger.
    assert_eq!(actions(&core).await, ["lockdown refused"; 3]);
    assert!(!is_locked(&core).await);
}

#[tokio::test]
async fn a_trigger_makes_work_once_however_often_it_is_reached() {
    let bus = Bus::start();
    let core = bus.serve(settings()).await;
    for _ in 0..3 {
        trigger(&core).await;
    }
    assert!(is_locked(&core).await);
    assert_eq!(actions(&core).await, ["lockdown success", "lockdown-finished success"]);
    assert_eq!(last(&core).await.orders, 1);

    restore(&core, &Caller::default(), &nobody(), options(false, None)).await.unwrap();
    assert!(!is_locked(&core).await);
    trigger(&core).await;
    assert!(is_locked(&core).await);
}

#[tokio::test]
async fn an_order_whose_turn_comes_after_a_restore_does_nothing_any_more() {
    let bus = Bus::start();
    let core = bus.serve(settings()).await;
    let turn = core.alone_with(UID).await;
    let ordered = Arc::clone(&core);
    let order = tokio::spawn(async move { trigger(&ordered).await });
    while core.directory.read(UID).unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    let standing = last(&core).await;
    core.store.write(move |change| lockdowns::set_restored(change, &standing, 5)).await.unwrap();
    drop(turn);
    order.await.unwrap();
    assert_eq!(actions(&core).await, ["lockdown success"]);
    assert!(!last(&core).await.finished);
}

#[tokio::test]
async fn a_restore_that_is_refused_leaves_the_lockdown_as_it_was() {
    let bus = Bus::start();
    let core = bus.serve(settings()).await;
    trigger(&core).await;
    let before = last(&core).await;
    assert!(before.finished);
    // It is not in /etc/shadow, so no password can be set.
    for options in
        [options(false, Some("x")), options::Restore { recovery_code: Some(true), ..Default::default() }]
    {
        let error = restore(&core, &Caller::default(), &nobody(), options).await.unwrap_err();
        assert!(matches!(&error, Error::InvalidArgument(text) if text.contains("directory")), "{error:?}");
    }
    assert_eq!(last(&core).await, before);
    assert!(is_locked(&core).await);
    // The undo comes too late.
    let id = before.id;
    core.store
        .write(move |change| {
            change.connection().execute("UPDATE lockdowns SET undo_until = 1 WHERE id = ?1", [id])?;
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    let undo = options::Restore { undo: Some(true), ..Default::default() };
    let error = restore(&core, &Caller::default(), &nobody(), undo).await.unwrap_err();
    assert!(matches!(&error, Error::Failed(text) if text.contains("new password")), "{error:?}");
    assert!(is_locked(&core).await);
}

#[tokio::test]
async fn other_locks_stay_and_what_is_given_back_is_not_given_twice() {
    let bus = Bus::start();
    let core = bus.serve(settings()).await;
    trigger(&core).await;
    core.store
        .write(|change| {
            let id = accounts::ensure(change, NAME, UID, 1)?;
            let terms = lockdownd::domain::lock::NewLock {
                owner: "config:web".parse().unwrap(),
                reason: "r".into(),
                message: String::new(),
                created_by: "root".into(),
                expires_at: None,
            };
            locks::put(change, id, UID, &terms, 1)
        })
        .await
        .unwrap();
    let caller = Caller::default();
    let restored = restore(&core, &caller, &nobody(), options(false, None)).await.unwrap();
    assert!(restored.success);
    assert_eq!(restored.still_locked_by, ["config:web"]);
    assert!(is_locked(&core).await);

    let keep_unit = |change: &mut lockdownd::store::Change<'_>, id| {
        let unit = lockdowns::PriorState {
            kind: "unit".into(),
            name: b"no-such-unit.service".to_vec(),
            content: Vec::new(),
            details: String::new(),
        };
        lockdowns::keep(change, id, &[unit])
    };
    let id = last(&core).await.id;
    core.store.write(move |change| keep_unit(change, id)).await.unwrap();
    // A new password would not be set: only what is in quarantine can be had any more.
    for wrong in [options(false, None), options(true, Some("x"))] {
        let error = restore(&core, &caller, &nobody(), wrong).await.unwrap_err();
        assert!(matches!(error, Error::NotLocked(_)), "{error:?}");
    }
    assert!(restore(&core, &caller, &nobody(), options(true, None)).await.unwrap().success);
    let error = restore(&core, &caller, &nobody(), options(true, None)).await.unwrap_err();
    assert!(matches!(error, Error::NotLocked(_)), "{error:?}");
}

#[tokio::test]
async fn unlock_says_what_takes_a_lockdown_back() {
    let bus = Bus::start();
    let core = bus.serve(settings()).await;
    trigger(&core).await;
    let caller = Caller::default();
    let holder = |is_gone| LockHolder { account: nobody(), is_gone };
    let lifting = |owner: &str| options::Unlock { owner: Some(owner.to_owned()), ..Default::default() };
    let refused = |error: Error, remedy: &str| {
        assert!(matches!(&error, Error::NotLocked(text) if text.contains(remedy)), "{error:?}");
    };
    let error = unlock(&core, &caller, &holder(false), options::Unlock::default()).await.unwrap_err();
    refused(error, &format!("`lockdownctl restore {NAME}`"));
    let error = unlock(&core, &caller, &holder(false), lifting("lockdown")).await.unwrap_err();
    assert!(matches!(error, Error::InvalidArgument(_)), "{error:?}");
    // Of somebody who is gone there is nothing to take back.
    let error = unlock(&core, &caller, &holder(true), options::Unlock::default()).await.unwrap_err();
    refused(error, &format!("`lockdownctl unlock {NAME} --owner lockdown`"));
    assert!(is_locked(&core).await && !last(&core).await.restored);
    unlock(&core, &caller, &holder(true), lifting("lockdown")).await.unwrap();
    assert!(!is_locked(&core).await && last(&core).await.restored);
}

//! What a document locks, and what of that is lifted again.

use std::sync::Arc;

use lockdown_dbus_api::options;
use lockdownd::{
    host::clock,
    operations::state::follow,
    store::{StoreError, accounts},
};

use crate::stage::{ALICE, BOB, Stage, locked, settings, whats};

#[tokio::test]
async fn a_documents_lock_comes_and_goes_with_its_entry_and_others_stay() {
    let stage = Stage::set().await;
    let operator = options::Lock { reason: Some("incident".into()), ..options::Lock::default() };
    // NSS does not know them; the operation does.
    let account = lockdownd::domain::account::Account::without_nss(ALICE.0.into(), ALICE.1);
    let caller = lockdownd::bus::caller::Caller { name: "root".into(), ..Default::default() };
    lockdownd::operations::lock::lock(&stage.core, &caller, &account, operator).await.unwrap();

    stage.write("web", &(locked(ALICE.0) + &locked(BOB.0)));
    let check = options::ApplyState { check: Some(true), ..Default::default() };
    let predicted = stage.apply(&check).await;
    assert_eq!(whats(&predicted), ["web lock state-test-alice", "web lock state-test-bob"]);
    assert_eq!(stage.owners(ALICE).await, ["operator"], "a check changes nothing");
    assert_eq!(stage.events().await.len(), 1);

    let result = stage.reread().await;
    assert_eq!(result.changes, predicted.changes);
    assert_eq!(predicted.changes[0].after, "locked, reason \"left\"");
    assert_eq!(stage.owners(ALICE).await, ["operator", "config:web"]);
    assert_eq!(stage.owners(BOB).await, ["config:web"]);

    let again = stage.reread().await;
    assert!(again.success && !again.changed && again.changes.is_empty());
    let before = stage.events().await.len();
    stage.reread().await;
    assert_eq!(stage.events().await.len(), before, "nothing to do is no event");

    stage.write("web", &locked(BOB.0).replace("left", "stolen"));
    let result = stage.reread().await;
    assert_eq!(whats(&result), ["web lock state-test-bob", "web unlock state-test-alice"]);
    assert_eq!(stage.owners(ALICE).await, ["operator"]);

    std::fs::remove_file(stage.file("web")).unwrap();
    assert_eq!(whats(&stage.reread().await), ["web unlock state-test-bob"]);
    assert_eq!(stage.owners(BOB).await, Vec::<String>::new());
    assert_eq!(stage.owners(ALICE).await, ["operator"]);
    assert_eq!(
        stage.events().await,
        [
            "lock state-test-alice operator success",
            "apply   success",
            "lock state-test-alice config:web success",
            "lock state-test-bob config:web success",
            "apply   success",
            "lock state-test-bob config:web success",
            "unlock state-test-alice config:web success",
            "apply   success",
            "unlock state-test-bob config:web success",
        ]
    );
    assert!(stage.manager.list_documents().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lock_that_somebody_lifted_is_placed_again_by_the_same_document() {
    let stage = Stage::set().await;
    stage.write("web", &locked(ALICE.0));
    stage.reread().await;
    let account = lockdownd::domain::account::Account::without_nss(ALICE.0.into(), ALICE.1);
    let caller = lockdownd::bus::caller::Caller::default();
    let unlock = options::Unlock { owner: Some("config:web".into()), ..Default::default() };
    let holder = lockdownd::domain::account::LockHolder { account, is_gone: false };
    lockdownd::operations::unlock::unlock(&stage.core, &caller, &holder, unlock).await.unwrap();
    assert_eq!(stage.owners(ALICE).await, Vec::<String>::new());
    assert_eq!(whats(&stage.reread().await), ["web lock state-test-alice"]);
}

#[tokio::test]
async fn a_lock_with_an_end_in_the_past_is_none() {
    let stage = Stage::set().await;
    let past = format!("[[account]]\nname = \"{}\"\nstate = \"locked\"\nexpires = 2001-01-01\n", ALICE.0);
    let result = stage.give("web", &past).await;
    assert!(result.success && !result.changed, "{result:?}");
    assert_eq!(stage.owners(ALICE).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_lock_that_ends_by_itself_is_no_change_of_the_document() {
    let stage = Stage::set().await;
    let end = jiff::Timestamp::from_second(clock::now() + 1).unwrap();
    let text = format!("[[account]]\nname = \"{}\"\nstate = \"locked\"\nexpires = {end}\n", ALICE.0);
    assert!(stage.give("web", &text).await.changed);
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    assert!(!stage.reread().await.changed, "still in the store");
    lockdownd::operations::settle::settle(&stage.core).await.unwrap();
    assert_eq!(stage.owners(ALICE).await, Vec::<String>::new());
    let before = stage.events().await.len();
    for _ in 0..2 {
        assert!(!stage.reread().await.changed);
    }
    assert_eq!(stage.events().await.len(), before);
}

#[tokio::test]
async fn an_account_that_comes_later_is_locked_when_it_is_followed() {
    let stage = Stage::set().await;
    let carol = ("state-test-carol", 61_983);
    let result = stage.give("web", &(locked(carol.0) + &locked(ALICE.0))).await;
    assert_eq!(whats(&result), ["web lock state-test-alice"]);
    assert!(result.warnings[0].message.contains("looked for again"), "{result:?}");
    assert_eq!(stage.manager.list_documents().await.unwrap()[0].pending, 1);
    let known = stage.core.store.write(move |change| accounts::ensure(change, carol.0, carol.1, 1).map(drop));
    known.await.unwrap_or_else(|error: StoreError| panic!("{error}"));
    let mut settings = settings();
    settings.state.groups_every = std::time::Duration::from_millis(20);
    stage.core.configure(settings);
    let core = Arc::clone(&stage.core);
    let following = tokio::spawn(async move { follow::follow(&core).await });
    for _ in 0..500 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        if !stage.owners(carol).await.is_empty() {
            break;
        }
    }
    following.abort();
    assert_eq!(stage.owners(carol).await, ["config:web"]);
    assert_eq!(stage.manager.list_documents().await.unwrap()[0].pending, 0);
}

#[tokio::test]
async fn a_group_that_nobody_tells_of_lifts_nothing() {
    let stage = Stage::set().await;
    stage.give("web", &locked(ALICE.0)).await;
    let group = "[[account]]\ngroup = \"state-test-no-such-group\"\nstate = \"locked\"\n";
    let result = stage.give("web", group).await;
    assert!(result.success && !result.changed, "{result:?}");
    assert!(result.warnings[0].message.contains("no group is called"), "{result:?}");
    assert_eq!(stage.owners(ALICE).await, ["config:web"]);
    assert_eq!(whats(&stage.give("web", "").await), ["web unlock state-test-alice"]);
}

#[tokio::test]
async fn an_intent_is_told_once_and_changes_no_account() {
    let stage = Stage::set().await;
    let unlocked = format!("[[account]]\nname = \"{}\"\nstate = \"unlocked\"\n", ALICE.0);
    let result = stage.give("web", &unlocked).await;
    assert_eq!(whats(&result), ["web declare state-test-alice"]);
    assert_eq!(stage.owners(ALICE).await, Vec::<String>::new());
    assert!(!stage.give("web", &unlocked).await.changed);
    let of_web = options::ExportState { document: Some("web".into()) };
    let exported = stage.manager.export_state(&of_web).await.unwrap();
    let again =
        options::ApplyState { documents: Some([("web".into(), exported)].into()), ..Default::default() };
    let result = stage.apply(&again).await;
    assert!(result.success && !result.changed, "{result:?}");
    let result = stage.give("web", &locked(ALICE.0)).await;
    assert_eq!(whats(&result), ["web lock state-test-alice", "web withdraw state-test-alice"]);
}

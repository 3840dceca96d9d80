//! What is refused whole, and where the mistake is said to be.

use std::collections::BTreeMap;

use lockdown_dbus_api::{Error, options};
use lockdownd::store::{StoreError, accounts};

use crate::stage::{ALICE, BOB, Stage, given, locked, whats};

#[tokio::test]
async fn one_invalid_document_among_others_changes_nothing_and_says_where() {
    let stage = Stage::set().await;
    stage.write("a", &locked(ALICE.0));
    stage.write("b", &locked(BOB.0).replace("reason", "raeson"));
    let result = stage.reread().await;
    assert!(!result.success && !result.changed);
    let error = &result.errors[0];
    assert_eq!((error.document.as_str(), error.line), ("b", 5));
    assert_eq!(error.file, stage.file("b").display().to_string());
    assert!(error.key.contains("raeson") && result.errors.len() == 1, "{result:?}");
    assert_eq!(stage.owners(ALICE).await, Vec::<String>::new());
    assert_eq!(stage.events().await, ["apply   refused"]);
    assert!(stage.manager.state_error().await.unwrap().contains("b.toml:5"));

    stage.write("b", &locked(BOB.0));
    assert!(stage.reread().await.changed);
    assert_eq!(stage.manager.state_error().await.unwrap(), "");
}

#[tokio::test]
async fn protected_accounts_are_refused_before_anything_is_changed() {
    let stage = Stage::set().await;
    for (text, line) in [
        (locked(ALICE.0) + &locked("root"), 7),
        (locked(ALICE.0) + &locked("nobody"), 7),
        (locked(ALICE.0) + "[[account]]\nname = \"daemon\"\nvalid_until = 2030-01-01\n", 7),
        (locked(ALICE.0) + "[[authenticator]]\naccount = \"root\"\nid = \"ssh\"\nunenforced = true\n", 8),
        (format!("protected = [\"{}\"]\n", BOB.0) + &locked(ALICE.0) + &locked(BOB.0), 8),
    ] {
        let result = stage.give("web", &text).await;
        assert!(!result.success, "{text}");
        let error = &result.errors[0];
        assert_eq!((error.line, error.document.as_str()), (line, "web"), "{result:?}");
        assert!(error.message.contains("is protected"), "{result:?}");
        assert_eq!(stage.owners(ALICE).await, Vec::<String>::new());
    }
    // What a document protects, no other call locks either.
    stage.give("safe", &format!("protected = [\"{}\"]\n", BOB.0)).await;
    let result = stage.give("web", &locked(BOB.0)).await;
    assert!(result.errors[0].message.contains("is protected"), "{result:?}");
    let account = lockdownd::domain::account::Account::without_nss(BOB.0.into(), BOB.1);
    let caller = lockdownd::bus::caller::Caller::default();
    let lock =
        lockdownd::operations::lock::lock(&stage.core, &caller, &account, options::Lock::default()).await;
    let by_safe = |error: &Error| error.to_string().contains("the state document safe says so");
    assert!(matches!(&lock, Err(error @ Error::Protected(_)) if by_safe(error)), "{lock:?}");
    // It is protected from the document no more that protected it.
    let result = stage.give("safe", &locked(BOB.0)).await;
    assert_eq!(whats(&result), ["safe lock state-test-bob", "safe withdraw state-test-bob"]);
    assert_eq!(stage.owners(BOB).await, ["config:safe"]);
    // Members of groups are passed over.
    let result = stage.give("group", "[[account]]\ngroup = \"root\"\nstate = \"locked\"\n").await;
    assert!(result.success && !result.changed, "{result:?}");
    assert!(result.warnings.iter().all(|warning| warning.message.contains("passed over")), "{result:?}");
}

#[tokio::test]
async fn many_accounts_are_judged_as_few_are() {
    const MANY: u32 = 300;
    let stage = Stage::set().await;
    let name = |number: u32| format!("state-test-{number}");
    let known = stage.core.store.write(move |change| {
        (0..MANY).try_for_each(|number| accounts::ensure(change, &name(number), 62_000 + number, 1).map(drop))
    });
    known.await.unwrap_or_else(|error: StoreError| panic!("{error}"));
    let text: String = (0..MANY).map(|number| locked(&name(number))).collect();
    let count = || stage.core.directory.list().unwrap().uids.len();
    for wrong in [locked("root"), "[[account]]\nname = \"nobody\"\nvalid_until = 2030-01-01\n".to_owned()] {
        let result = stage.give("web", &(text.clone() + &wrong)).await;
        let lines: Vec<u64> = result.errors.iter().map(|error| error.line).collect();
        assert_eq!((lines, count()), (vec![3 + u64::from(MANY) * 4], 0), "{:?}", result.errors);
    }
    // The last of them by name.
    let protected = format!("protected = [\"{}\"]\n{text}", name(99));
    let result = stage.give("web", &protected).await;
    assert!(result.errors[0].message.contains("is protected") && count() == 0, "{:?}", result.errors);
    let result = stage.give("web", &text).await;
    assert_eq!((result.changes.len(), count()), (300, 300), "{:?}", result.errors);
    assert!(!stage.give("web", &text).await.changed);
    assert!(stage.give("web", "").await.changed && count() == 0);
}

#[tokio::test]
async fn paths_stand_for_documents_in_messages() {
    let stage = Stage::set().await;
    let mut options = given("web", "[[account]]\nname = 1\n");
    options.paths = Some(BTreeMap::from([("web".to_owned(), "/root/web.toml".to_owned())]));
    let result = stage.apply(&options).await;
    assert_eq!(result.errors[0].file, "/root/web.toml", "{result:?}");
}

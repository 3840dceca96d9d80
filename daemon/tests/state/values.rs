//! Expiry, identifiers and metadata that documents set.

use lockdownd::{
    domain::lockdown::{Actions, Suspects, Wanted},
    host::clock,
    operations::recovery,
    store::{StoreError, accounts, lockdowns, recoveries},
};

use crate::stage::{ALICE, BOB, Stage, whats};

#[tokio::test]
async fn what_a_document_has_set_goes_with_it_unless_somebody_else_set_it_since() {
    let stage = Stage::set().await;
    let text = format!(
        "[[account]]\nname = \"{}\"\nvalid_until = 2090-01-01\nidentifiers = {{ email = \"a@b.example\", badge = \"17\" }}\n\
         metadata = {{ team = \"blue\" }}\n",
        ALICE.0
    );
    let result = stage.give("hr", &text).await;
    assert_eq!(
        whats(&result),
        [
            "hr set state-test-alice valid_until",
            "hr set state-test-alice identifiers.badge",
            "hr set state-test-alice identifiers.email",
            "hr set state-test-alice metadata.team",
        ]
    );
    assert_eq!(stage.core.directory.read(ALICE.1).unwrap().unwrap().valid_until, Some(3_786_912_000));
    assert!(!stage.give("hr", &text).await.changed);
    let result = stage.give("other", &text.replace(ALICE.0, "badge:17")).await;
    assert!(result.errors[0].message.contains("hr:4"), "{result:?}");
    let stolen = format!("[[account]]\nname = \"{}\"\nidentifiers = {{ id = \"1\" }}\n", BOB.0);
    stage.give("first", &stolen).await;
    let result = stage.give("hr", &text.replace("badge = \"17\"", "id = \"1\"")).await;
    assert!(result.errors[0].message.contains("that of state-test-bob"), "{result:?}");

    // Somebody sets another: that is a drift, which the next application mends.
    let (name, _) = ALICE;
    let set = |value: &'static str| {
        stage.core.store.write(move |change| {
            change.connection().execute(
                "UPDATE metadata SET value = ?2 WHERE account_id = (SELECT id FROM accounts WHERE name = ?1)",
                [name, value],
            )?;
            Ok::<_, StoreError>(())
        })
    };
    set("red").await.unwrap();
    assert_eq!(whats(&stage.reread().await), ["hr set state-test-alice metadata.team"]);
    set("green").await.unwrap();
    let result = stage.give("hr", "").await;
    assert_eq!(
        whats(&result),
        [
            "hr remove state-test-alice valid_until",
            "hr remove state-test-alice identifiers.badge",
            "hr remove state-test-alice identifiers.email",
        ]
    );
    assert_eq!(stage.core.directory.read(ALICE.1).unwrap(), None);
}

#[tokio::test]
async fn accounts_change_identifiers_with_one_another() {
    let stage = Stage::set().await;
    let text = |alice: &str, bob: &str| {
        let of = |account: &str, email: &str| {
            format!("[[account]]\nname = \"{account}\"\nidentifiers = {{ email = \"{email}\" }}\n")
        };
        of(ALICE.0, alice) + &of(BOB.0, bob)
    };
    stage.give("hr", &text("a@b.example", "b@b.example")).await;
    let result = stage.give("hr", &text("b@b.example", "a@b.example")).await;
    assert_eq!(result.changes.len(), 2, "{result:?}");
    assert!(!stage.give("hr", &text("b@b.example", "a@b.example")).await.changed);
}

#[tokio::test]
async fn an_account_that_waits_for_its_recovery_code_keeps_the_codes_end_until_then() {
    let stage = Stage::set().await;
    let (name, uid) = ALICE;
    let code_ends = clock::now() + 100;
    let waiting = stage.core.store.write(move |change| {
        let id = accounts::ensure(change, name, uid, 1)?;
        let actions =
            Actions { deactivate: true, unusable_password: true, end_sessions: false, revoke_tokens: false };
        let wanted = Wanted { actions, suspects: Suspects::Report };
        let lockdown = lockdowns::open(change, id, "r", wanted, 1, code_ends)?;
        recoveries::put(change, id, lockdown.id, code_ends, None)?;
        accounts::set_valid_until(change, id, uid, Some(code_ends))
    });
    waiting.await.unwrap_or_else(|error: StoreError| panic!("{error}"));
    let text = format!("[[account]]\nname = \"{name}\"\nvalid_until = 2090-01-01\n");
    assert!(stage.give("hr", &text).await.changed);
    let valid_until = || stage.core.directory.read(uid).unwrap().unwrap().valid_until;
    assert_eq!(valid_until(), Some(code_ends));
    assert!(!stage.give("hr", &text).await.changed);
    let used = stage.core.store.write(move |change| recovery::end(change, name));
    assert!(used.await.unwrap_or_else(|error: StoreError| panic!("{error}")));
    assert_eq!(valid_until(), Some(3_786_912_000));
    assert!(!stage.give("hr", &text).await.changed);
}

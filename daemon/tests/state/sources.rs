//! Documents that are given, those of files, and what is exported.

use lockdown_dbus_api::{Error, options};
use lockdownd::{operations::state::follow, store::StoreError};

use crate::stage::{ALICE, BOB, Stage, given, locked, whats};

#[tokio::test]
async fn what_is_given_stays_until_it_is_given_anew() {
    let stage = Stage::set().await;
    assert!(stage.give("ops", &locked(ALICE.0)).await.changed);
    stage.write("web", &locked(BOB.0));
    assert_eq!(whats(&stage.reread().await), ["web lock state-test-bob"]);
    assert_eq!(stage.owners(ALICE).await, ["config:ops"]);
    let listed = stage.manager.list_documents().await.unwrap();
    let of: Vec<_> = listed.iter().map(|one| (one.name.as_str(), one.origin.as_str(), one.locks)).collect();
    assert_eq!(of, [("ops", "given", 1), ("web", "directory", 1)]);
    assert_eq!(listed[0].sha256.len(), 64);

    let error = stage.manager.apply_state(&given("web", &locked(ALICE.0))).await.unwrap_err();
    assert!(matches!(&error, Error::InvalidArgument(text) if text.contains("web.toml")), "{error:?}");
    for name in ["", "a b", "-x", ".x"] {
        let error = stage.manager.apply_state(&given(name, &locked(ALICE.0))).await.unwrap_err();
        assert!(matches!(&error, Error::InvalidArgument(_)), "{name:?} {error:?}");
    }

    let result = stage.give("ops", &locked(BOB.0)).await;
    assert_eq!(whats(&result), ["ops lock state-test-bob", "ops unlock state-test-alice"]);
    assert_eq!(stage.owners(BOB).await, ["config:web", "config:ops"]);
    assert_eq!(whats(&stage.give("ops", "").await), ["ops unlock state-test-bob"]);
    assert!(!stage.give("ops", "").await.changed);
    assert_eq!(stage.owners(BOB).await, ["config:web"]);

    // A file takes its place.
    stage.give("moved", &locked(ALICE.0)).await;
    stage.write("moved", &locked(ALICE.0));
    assert!(!stage.reread().await.changed);
    let listed = stage.manager.list_documents().await.unwrap();
    assert!(listed.iter().all(|one| one.origin == "directory"), "{listed:?}");
}

#[tokio::test]
async fn a_host_that_was_off_catches_up_and_an_invalid_document_leaves_what_was() {
    let stage = Stage::set().await;
    stage.write("web", &locked(ALICE.0));
    follow::start(&stage.core).await.unwrap();
    assert_eq!(stage.owners(ALICE).await, ["config:web"]);
    let events = stage.events().await;
    assert_eq!(events, ["apply   success", "lock state-test-alice config:web success"]);

    stage.write("web", "[[account]]\nnam = \"x\"\n");
    follow::start(&stage.core).await.unwrap();
    assert_eq!(stage.owners(ALICE).await, ["config:web"], "what was applied stays in force");
    assert!(stage.manager.state_error().await.unwrap().contains("web.toml:3"));
    assert_eq!(stage.events().await.last().unwrap(), "apply   refused");
    // Following goes by what was applied.
    stage.write("web", &locked(BOB.0));
    follow::start(&stage.core).await.unwrap();
    assert_eq!((stage.owners(ALICE).await.len(), stage.owners(BOB).await.len()), (0, 1));
}

#[tokio::test]
async fn what_a_file_would_do_is_foretold_and_a_file_is_changed_in_its_place_only() {
    let stage = Stage::set().await;
    stage.write("web", &locked(ALICE.0));
    stage.reread().await;
    let other = given("web", &locked(BOB.0));
    let foretold = stage.apply(&options::ApplyState { check: Some(true), ..other.clone() }).await;
    assert_eq!(whats(&foretold), ["web lock state-test-bob", "web unlock state-test-alice"]);
    assert!(matches!(stage.manager.apply_state(&other).await, Err(Error::InvalidArgument(_))));
    stage.write("web", &locked(BOB.0));
    assert_eq!(whats(&stage.reread().await), whats(&foretold));
}

#[tokio::test]
async fn what_is_exported_applies_without_change() {
    let stage = Stage::set().await;
    let text = format!(
        "protected = [\"breakglass\"]\n[[account]]\nname = \"{}\"\nstate = \"locked\"\nexpires = 2090-01-01\nmessage = \"Call us.\"\n\
         metadata = {{ team = \"bl\\\"ue\" }}\n[[account]]\nname = \"{}\"\nstate = \"deactivated\"\n\
         [[authenticator]]\naccount = \"{}\"\nid = \"ssh:SHA256:x\"\nunenforced = true\n",
        ALICE.0, BOB.0, ALICE.0
    );
    let result = stage.give("web", &text).await;
    assert_eq!(
        whats(&result),
        [
            "web lock state-test-alice",
            "web lock-authenticator state-test-alice ssh:SHA256:x",
            "web lock state-test-bob",
            "web set state-test-alice metadata.team",
            "web deactivate state-test-bob",
            "web declare breakglass",
        ]
    );
    let of_web = options::ExportState { document: Some("web".into()) };
    let exported = stage.manager.export_state(&of_web).await.unwrap();
    let again = options::ApplyState {
        documents: Some([("web".into(), exported.clone())].into()),
        ..Default::default()
    };
    let result = stage.apply(&again).await;
    assert!(result.success && !result.changed, "{result:?}\n{exported}");
    assert!(exported.contains("breakglass"), "{exported}");

    // What is nobody's document's.
    let values = stage.core.store.write(|change| {
        change.connection().execute(
            "INSERT INTO metadata (account_id, key, value) SELECT id, 'desk', '4' FROM accounts WHERE name = ?1",
            [BOB.0],
        )?;
        Ok::<_, StoreError>(())
    });
    values.await.unwrap();
    let exported = stage.manager.export_state(&options::ExportState::default()).await.unwrap();
    assert!(
        exported.contains("desk") && !exported.contains("team") && !exported.contains("locked"),
        "{exported}"
    );
    let as_new =
        options::ApplyState { documents: Some([("host".into(), exported)].into()), ..Default::default() };
    let result = stage.apply(&as_new).await;
    assert!(result.success && !result.changed, "{result:?}");
    let nobodys = options::ExportState { document: Some("none".into()) };
    assert!(matches!(stage.manager.export_state(&nobodys).await, Err(Error::InvalidArgument(_))));

    // An entry that goes takes its own away.
    let result = stage.give("web", "").await;
    assert!(whats(&result).contains(&"web reactivate state-test-bob".to_owned()));
    assert_eq!(stage.owners(BOB).await, Vec::<String>::new());
}

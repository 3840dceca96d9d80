//! State documents on a bus of their own: what they change, what they leave alone, and every refusal. Only accounts that no host
//! has are locked here; groups, sessions and shadow(5) are tested on booted hosts.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "tests report by panicking")]

mod support;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use lockdown_config::{Paths, Settings};
use lockdown_dbus_api::{Error, ManagerProxy, options, views::StateApplied};
use lockdownd::{
    core::Core,
    domain::lockdown::{Actions, Suspects, Wanted},
    host::clock,
    operations::{recovery, state::follow},
    store::{StoreError, accounts, events, lockdowns, locks, recoveries},
};
use support::Bus;

const ALICE: (&str, u32) = ("state-test-alice", 61_981);
const BOB: (&str, u32) = ("state-test-bob", 61_982);

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.lock.end_sessions = false;
    settings
}

/// A daemon that knows Alice and Bob, though NSS does not, with its own `state.d`.
struct Stage {
    bus: Bus,
    core: Arc<Core>,
    manager: ManagerProxy<'static>,
}

impl Stage {
    async fn set() -> Self {
        let bus = Bus::start();
        let root = bus.path().to_owned();
        std::fs::create_dir_all(root.join("etc/lockdown/state.d")).unwrap();
        let core = bus.serve_with(settings(), |core| core.paths = Paths::under(&root)).await;
        for (name, uid) in [ALICE, BOB] {
            let known = core.store.write(move |change| accounts::ensure(change, name, uid, 1).map(drop));
            known.await.unwrap_or_else(|error: StoreError| panic!("{error}"));
        }
        let manager = ManagerProxy::new(&bus.connect().await).await.unwrap();
        Self { bus, core, manager }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.bus.path().join("etc/lockdown/state.d").join(format!("{name}.toml"))
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), format!("version = 1\n{text}")).unwrap();
    }

    async fn apply(&self, options: &options::ApplyState) -> StateApplied {
        self.manager.apply_state(options).await.unwrap()
    }

    async fn reread(&self) -> StateApplied {
        self.apply(&options::ApplyState::default()).await
    }

    async fn give(&self, name: &str, text: &str) -> StateApplied {
        self.apply(&given(name, text)).await
    }

    /// Owners of the locks on an account, by which its deny record is there or not.
    async fn owners(&self, (name, uid): (&'static str, u32)) -> Vec<String> {
        let locks = self
            .core
            .store
            .read(move |connection| locks::of_account(connection, name).map_err(StoreError::from));
        let owners: Vec<String> =
            locks.await.unwrap().into_iter().map(|lock| lock.terms.owner.to_string()).collect();
        let record = self.core.directory.read(uid).unwrap();
        assert_eq!(record.map_or(0, |record| record.locks.len()), owners.len());
        owners
    }

    async fn events(&self) -> Vec<String> {
        let filter = options::EventFilter::default();
        let listed = self
            .core
            .store
            .read(move |connection| events::list(connection, &filter).map_err(StoreError::from));
        let listed = listed.await.unwrap();
        listed
            .into_iter()
            .map(|event| format!("{} {} {} {}", event.action, event.user, event.owner, event.outcome))
            .collect()
    }
}

fn given(name: &str, text: &str) -> options::ApplyState {
    let text = if text.is_empty() { String::new() } else { format!("version = 1\n{text}") };
    options::ApplyState { documents: Some([(name.to_owned(), text)].into()), ..Default::default() }
}

fn locked(account: &str) -> String {
    format!("[[account]]\nname = \"{account}\"\nstate = \"locked\"\nreason = \"left\"\n")
}

fn whats(result: &StateApplied) -> Vec<String> {
    assert!(result.success, "{result:?}");
    let of = |change: &lockdown_dbus_api::views::StateChange| {
        format!("{} {} {} {}", change.document, change.what, change.account, change.key).trim().to_owned()
    };
    result.changes.iter().map(of).collect()
}

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
    assert!(matches!(lock, Err(Error::Protected(_))));
    // Members of groups are passed over.
    let result = stage.give("group", "[[account]]\ngroup = \"root\"\nstate = \"locked\"\n").await;
    assert!(result.success && !result.changed, "{result:?}");
    assert!(result.warnings.iter().all(|warning| warning.message.contains("passed over")), "{result:?}");
}

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
async fn a_lock_that_somebody_lifted_is_placed_again_by_the_same_document() {
    let stage = Stage::set().await;
    stage.write("web", &locked(ALICE.0));
    stage.reread().await;
    let account = lockdownd::domain::account::Account::without_nss(ALICE.0.into(), ALICE.1);
    let caller = lockdownd::bus::caller::Caller::default();
    let unlock = options::Unlock { owner: Some("config:web".into()), ..Default::default() };
    lockdownd::operations::unlock::unlock(&stage.core, &caller, &account, unlock).await.unwrap();
    assert_eq!(stage.owners(ALICE).await, Vec::<String>::new());
    assert_eq!(whats(&stage.reread().await), ["web lock state-test-alice"]);
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

#[tokio::test]
async fn a_lock_with_an_end_in_the_past_is_none() {
    let stage = Stage::set().await;
    let past = format!("[[account]]\nname = \"{}\"\nstate = \"locked\"\nexpires = 2001-01-01\n", ALICE.0);
    let result = stage.give("web", &past).await;
    assert!(result.success && !result.changed, "{result:?}");
    assert_eq!(stage.owners(ALICE).await, Vec::<String>::new());
}

#[tokio::test]
async fn paths_stand_for_documents_in_messages() {
    let stage = Stage::set().await;
    let mut options = given("web", "[[account]]\nname = 1\n");
    options.paths = Some(BTreeMap::from([("web".to_owned(), "/root/web.toml".to_owned())]));
    let result = stage.apply(&options).await;
    assert_eq!(result.errors[0].file, "/root/web.toml", "{result:?}");
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

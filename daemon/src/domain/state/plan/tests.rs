use proptest::prelude::*;

use super::*;
use crate::domain::state::{AccountWants, AuthenticatorWants, Value, Wants};

const NOW: Time = 1_000;

fn terms(reason: &str, expires_at: Option<Time>) -> Terms {
    Terms { reason: reason.to_owned(), message: String::new(), expires_at }
}

fn value(text: &str) -> Value {
    Value { value: text.to_owned(), place: Default::default(), is_of_group: false }
}

/// What the store has after these steps, as `store::documents` keeps it.
fn carried_out(standing: &Standing, steps: &[Step]) -> Standing {
    let mut after = standing.clone();
    let mut next_id = 1 + highest_id(standing);
    for Step { document, account, what } in steps {
        let place = |key: &Key| (account.clone(), key.clone());
        let claim = |after: &mut Standing, key: &Key, value: &str| {
            after.documents.values_mut().for_each(|held| drop(held.values.remove(&place(key))));
            let held = after.documents.entry(document.clone()).or_default();
            held.values.insert(place(key), value.to_owned());
        };
        match what {
            What::Claim { key, value } => claim(&mut after, key, value),
            What::Set { key, after: value, .. } => {
                claim(&mut after, key, value);
                after.present.insert(place(key), value.clone());
            }
            _ => {}
        }
        let held = after.documents.entry(document.clone()).or_default();
        match what {
            What::Lock { authenticator, after: terms, .. } => {
                let lock = held.locks.entry((account.clone(), authenticator.clone())).or_insert_with(|| {
                    next_id += 1;
                    HeldLock { id: next_id, ..HeldLock::default() }
                });
                lock.terms = terms.clone();
            }
            What::Lift { authenticator, id, .. } => {
                let lifted = held.locks.remove(&(account.clone(), authenticator.clone()));
                assert_eq!(lifted.map(|lock| lock.id), Some(*id), "only what is the document's");
            }
            What::Remove { key, .. } => {
                assert!(held.values.remove(&place(key)).is_some());
                after.present.remove(&place(key));
            }
            What::Forget { key } => assert!(held.values.remove(&place(key)).is_some()),
            What::Deactivate => assert!(held.deactivated.insert(account.clone())),
            What::Reactivate => assert!(held.deactivated.remove(account)),
            What::Declare(Intent::Unlocked) => assert!(held.unlocked.insert(account.clone())),
            What::Withdraw(Intent::Unlocked) => assert!(held.unlocked.remove(account)),
            What::Declare(Intent::Protected) => assert!(held.protected.insert(account.clone())),
            What::Withdraw(Intent::Protected) => assert!(held.protected.remove(account)),
            What::Claim { .. } | What::Set { .. } => {}
        }
    }
    after
}

fn highest_id(standing: &Standing) -> i64 {
    let locks = standing.documents.values().flat_map(|held| held.locks.values());
    locks.map(|lock| lock.id).max().unwrap_or_default()
}

fn one(document: &str, account: &str, wants: AccountWants) -> Wanted {
    let wants = Wants { accounts: [(account.to_owned(), wants)].into(), ..Wants::default() };
    [(document.to_owned(), wants)].into()
}

fn locked(reason: &str) -> AccountWants {
    AccountWants { lock: Some(terms(reason, None)), ..AccountWants::default() }
}

#[test]
fn a_lock_comes_changes_and_goes_with_its_entry() {
    let first = plan(&one("web", "alice", locked("left")), &Standing::default(), NOW);
    assert_eq!(first.len(), 1);
    let standing = carried_out(&Standing::default(), &first);
    assert_eq!(plan(&one("web", "alice", locked("left")), &standing, NOW), []);
    let again = plan(&one("web", "alice", locked("stolen")), &standing, NOW);
    let expected = What::Lock {
        authenticator: String::new(),
        before: Some(terms("left", None)),
        after: terms("stolen", None),
    };
    assert_eq!(again.into_iter().map(|step| step.what).collect::<Vec<_>>(), [expected]);
    let gone = plan(&Wanted::new(), &standing, NOW);
    assert!(matches!(&gone[..], [Step { what: What::Lift { .. }, .. }]), "{gone:?}");
}

#[test]
fn a_lock_that_has_ended_is_neither_placed_nor_lifted() {
    let wants = AccountWants { lock: Some(terms("", Some(NOW))), ..AccountWants::default() };
    let wanted = one("web", "alice", wants);
    assert_eq!(plan(&wanted, &Standing::default(), NOW), []);
    let standing = carried_out(&Standing::default(), &plan(&wanted, &Standing::default(), NOW - 1));
    assert_eq!(standing.documents["web"].locks.len(), 1);
    assert_eq!(plan(&wanted, &standing, NOW), [], "settling tells of its end");
}

#[test]
fn steps_come_in_their_order() {
    let key = Key::ValidUntil;
    let bob = AccountWants { is_deactivated: true, ..locked("left") };
    let carol = AccountWants { values: [(key.clone(), value("5"))].into(), ..AccountWants::default() };
    let accounts = [("bob".to_owned(), bob), ("carol".to_owned(), carol)].into();
    let wanted = [("people".to_owned(), Wants { accounts, ..Wants::default() })].into();
    let steps = plan(&wanted, &Standing::default(), NOW);
    let accounts: Vec<_> = steps.iter().map(|step| step.account.as_str()).collect();
    assert_eq!(accounts, ["bob", "bob", "carol"], "{steps:?}");
    assert!(matches!(steps[0].what, What::Lock { .. }) && steps[1].what == What::Deactivate, "{steps:?}");
}

#[test]
fn what_is_only_said_is_seen_once() {
    let mut wanted = one("web", "alice", AccountWants { is_unlocked: true, ..AccountWants::default() });
    wanted.get_mut("web").unwrap().protected.insert("breakglass".into());
    let said = plan(&wanted, &Standing::default(), NOW);
    let whats: Vec<_> = said.iter().map(|step| (step.account.as_str(), step.what.clone())).collect();
    let expected =
        [("alice", What::Declare(Intent::Unlocked)), ("breakglass", What::Declare(Intent::Protected))];
    assert_eq!(whats, expected);
    assert!(said.iter().all(|step| step.what.is_visible() && !step.what.is_against()));
    let standing = carried_out(&Standing::default(), &said);
    assert_eq!(plan(&wanted, &standing, NOW), []);
    assert_eq!(plan(&Wanted::new(), &standing, NOW).len(), 2);
}

#[test]
fn a_value_goes_with_its_entry_while_it_is_what_the_document_has_set() {
    let email = Key::Identifier("email".into());
    let wants =
        AccountWants { values: [(email.clone(), value("a@b.example"))].into(), ..AccountWants::default() };
    let wanted = one("web", "alice", wants);
    let mut standing = carried_out(&Standing::default(), &plan(&wanted, &Standing::default(), NOW));
    let gone = plan(&Wanted::new(), &standing, NOW);
    assert!(matches!(&gone[..], [Step { what: What::Remove { .. }, .. }]), "{gone:?}");
    standing.present.insert(("alice".into(), email), "other@b.example".into());
    let gone = plan(&Wanted::new(), &standing, NOW);
    assert!(matches!(&gone[..], [Step { what: What::Forget { .. }, .. }]), "an operator's: {gone:?}");
    let back = plan(&wanted, &standing, NOW);
    assert!(matches!(&back[..], [Step { what: What::Set { before: Some(_), .. }, .. }]), "{back:?}");
}

#[test]
fn a_value_that_stands_already_is_claimed_and_moves_from_document_to_document_unseen() {
    let key = Key::ValidUntil;
    let wants = || AccountWants { values: [(key.clone(), value("5"))].into(), ..AccountWants::default() };
    let standing =
        Standing { present: [(("alice".into(), key.clone()), "5".into())].into(), ..Standing::default() };
    let steps = plan(&one("one", "alice", wants()), &standing, NOW);
    assert!(matches!(&steps[..], [Step { what: What::Claim { .. }, .. }]), "{steps:?}");
    let standing = carried_out(&standing, &steps);
    let moved = plan(&one("two", "alice", wants()), &standing, NOW);
    assert!(moved.iter().all(|step| !step.what.is_visible()), "{moved:?}");
    let standing = carried_out(&standing, &moved);
    assert_eq!(standing.documents["two"].values.len(), 1);
    assert!(standing.documents["one"].values.is_empty());
    // Never is what there is without a value.
    let never = AccountWants { values: [(key, value("0"))].into(), ..AccountWants::default() };
    let steps = plan(&one("web", "bob", never), &Standing::default(), NOW);
    assert!(matches!(&steps[..], [Step { what: What::Claim { .. }, .. }]), "{steps:?}");
}

#[test]
fn where_somebody_did_not_answer_nothing_is_taken_away() {
    let standing =
        carried_out(&Standing::default(), &plan(&one("web", "alice", locked("")), &Standing::default(), NOW));
    let mut wanted = one("web", "bob", locked(""));
    wanted.get_mut("web").unwrap().is_incomplete = true;
    let steps = plan(&wanted, &standing, NOW);
    assert!(matches!(&steps[..], [Step { what: What::Lock { .. }, .. }]), "{steps:?}");
}

fn some_terms() -> impl Strategy<Value = Terms> {
    ("[ab]?", proptest::option::of(990_i64..1010)).prop_map(|(reason, expires_at)| terms(&reason, expires_at))
}

fn some_wants() -> impl Strategy<Value = AccountWants> {
    let keys = prop_oneof![
        Just(Key::ValidUntil),
        Just(Key::Identifier("email".into())),
        Just(Key::Metadata("team".into()))
    ];
    let values = proptest::collection::btree_map(keys, "[012]".prop_map(|text| value(&text)), 0..3);
    (proptest::option::of(some_terms()), any::<[bool; 2]>(), values).prop_map(
        |(lock, [is_deactivated, says], values)| {
            let is_unlocked = says && lock.is_none();
            AccountWants { lock, is_deactivated, is_unlocked, values, ..AccountWants::default() }
        },
    )
}

/// Some documents. Of two that want the same value, the daemon refuses one: so does this.
fn some_wanted() -> impl Strategy<Value = Wanted> {
    let accounts = proptest::collection::btree_map("[a-d]", some_wants(), 0..4);
    let authenticators = proptest::collection::btree_map(
        ("[a-d]", Just("ssh".to_owned())),
        some_terms().prop_map(|terms| AuthenticatorWants { terms, ..AuthenticatorWants::default() }),
        0..3,
    );
    let protected = proptest::collection::btree_set("[a-d]", 0..2);
    let wants = (accounts, authenticators, protected).prop_map(|(accounts, authenticators, protected)| {
        Wants { accounts, authenticators, protected, is_incomplete: false }
    });
    proptest::collection::btree_map("[x-z]", wants, 0..3).prop_map(|mut wanted: Wanted| {
        let mut seen = BTreeSet::new();
        for wants in wanted.values_mut() {
            for (account, wants) in &mut wants.accounts {
                wants.values.retain(|key, _| seen.insert((account.clone(), key.clone())));
            }
        }
        wanted
    })
}

fn some_values() -> impl Strategy<Value = BTreeMap<(String, Key), String>> {
    let keys = prop_oneof![Just(Key::ValidUntil), Just(Key::Metadata("team".into()))];
    proptest::collection::btree_map(("[a-d]", keys), "[0123]", 0..4)
}

proptest! {
    #[test]
    fn applied_twice_changes_nothing(wanted in some_wanted(), earlier in some_wanted(), present in some_values()) {
        let standing = Standing { present, ..Standing::default() };
        let standing = carried_out(&standing, &plan(&earlier, &standing, NOW));
        let standing = carried_out(&standing, &plan(&wanted, &standing, NOW));
        prop_assert_eq!(plan(&wanted, &standing, NOW), vec![]);
    }

    #[test]
    fn what_stands_is_what_is_wanted(wanted in some_wanted(), earlier in some_wanted()) {
        let standing = carried_out(&Standing::default(), &plan(&earlier, &Standing::default(), NOW));
        let standing = carried_out(&standing, &plan(&wanted, &standing, NOW));
        for (name, held) in &standing.documents {
            let nothing = Wants::default();
            let wants = wanted.get(name).unwrap_or(&nothing);
            let locked: BTreeSet<&str> = held
                .locks
                .iter()
                .filter(|((_, id), lock)| id.is_empty() && lock.terms.in_force(NOW))
                .map(|((account, _), _)| account.as_str())
                .collect();
            let in_force = |wants: &AccountWants| wants.lock.as_ref().is_some_and(|terms| terms.in_force(NOW));
            let expected: BTreeSet<&str> =
                wants.accounts.iter().filter(|(_, wants)| in_force(wants)).map(|(name, _)| name.as_str()).collect();
            prop_assert_eq!(locked, expected);
            let deactivated = wants.accounts.iter().filter(|(_, wants)| wants.is_deactivated);
            prop_assert!(held.deactivated.iter().eq(deactivated.map(|(name, _)| name)));
            let unlocked = wants.accounts.iter().filter(|(_, wants)| wants.is_unlocked);
            prop_assert!(held.unlocked.iter().eq(unlocked.map(|(name, _)| name)));
            prop_assert_eq!(&held.protected, &wants.protected);
        }
        for (account, wants) in wanted.values().flat_map(|wants| &wants.accounts) {
            for (key, wanted) in &wants.values {
                let present = standing.present.get(&(account.clone(), key.clone()));
                prop_assert!(present == Some(&wanted.value) || present.is_none() && key.is_nothing(&wanted.value));
            }
        }
    }

    #[test]
    fn removing_a_document_lifts_its_locks_only(wanted in some_wanted()) {
        let standing = carried_out(&Standing::default(), &plan(&wanted, &Standing::default(), NOW));
        for removed in wanted.keys() {
            let mut left = wanted.clone();
            left.remove(removed);
            let steps = plan(&left, &standing, NOW);
            prop_assert!(steps.iter().all(|step| step.document == *removed), "{:?}", steps);
            let after = carried_out(&standing, &steps);
            for name in left.keys() {
                prop_assert_eq!(after.documents.get(name), standing.documents.get(name));
            }
        }
        let after = carried_out(&standing, &plan(&Wanted::new(), &standing, NOW));
        prop_assert!(after.documents.values().all(|held| held.deactivated.is_empty() && held.values.is_empty()));
        prop_assert!(after.present.is_empty() || after.present.iter().all(|((_, key), value)| key.is_nothing(value)));
    }
}

use std::path::Path;

use lockdown_config::state::{AuthenticatorEntry, parse};
use proptest::prelude::*;

use super::*;
use crate::domain::account::Reference;

fn document(name: &str, text: &str) -> Document {
    parse(name, Path::new(name), &format!("version = 1\n{text}")).unwrap()
}

fn people() -> People {
    let accounts = [("alice", 1000), ("bob", 1001), ("carol", 1002)];
    People::of(&accounts, &[("left", &["alice", "bob", "gone"]), ("staff", &["bob", "carol"])])
        .answering("uid:1000", Answer::Account("alice".into()))
        .answering("uid:x", Answer::Bad("no uid".into()))
        .answering("away", Answer::Unknown("it hangs".into()))
}

fn resolved(documents: &[Document]) -> Resolved {
    resolve(&mut documents.to_vec(), &people(), "Ask.")
}

fn words(faults: &Faults) -> Vec<String> {
    faults.iter().map(|(_, problem)| problem.to_string()).collect()
}

#[test]
fn what_is_said_of_an_account_by_name_goes_before_its_groups() {
    let text = "[[account]]\ngroup = \"left\"\nstate = \"locked\"\nreason = \"left\"\nvalid_until = 2030-01-01\n\
                [[account]]\ngroup = \"staff\"\nstate = \"deactivated\"\n\
                [[account]]\nname = \"alice\"\nstate = \"unlocked\"\n\
                [[account]]\nname = \"carol\"\nmetadata = { team = \"blue\" }\n";
    let resolved = resolved(&[document("web", text)]);
    assert_eq!(words(&resolved.problems), Vec::<String>::new());
    let accounts = &resolved.wanted["web"].accounts;
    assert_eq!(accounts.keys().collect::<Vec<_>>(), ["alice", "bob", "carol"]);
    assert_eq!(accounts["alice"].lock, None);
    assert!(accounts["alice"].values[&Key::ValidUntil].is_of_group);
    let bob = &accounts["bob"];
    let terms = bob.lock.clone().unwrap();
    assert_eq!((terms.reason.as_str(), terms.message.as_str()), ("left", "Ask."));
    assert!(!bob.is_deactivated && bob.group.as_deref() == Some("left"), "the first group counts");
    let carol = &accounts["carol"];
    assert!(carol.is_deactivated && carol.values.contains_key(&Key::Metadata("team".into())));
    assert_eq!(carol.group.as_deref(), Some("staff"), "by which it may be passed over");
}

#[test]
fn who_is_not_here_is_looked_for_again_and_takes_nothing_away() {
    let text = "[[account]]\nname = \"nobody-here\"\nstate = \"locked\"\n";
    let resolved_ = resolved(&[document("web", text)]);
    assert_eq!(words(&resolved_.problems), Vec::<String>::new());
    assert!(words(&resolved_.pending)[0].starts_with("web:3:"), "{:?}", resolved_.pending);
    assert!(!resolved_.wanted["web"].is_incomplete);
    let hangs = document("web", "[[account]]\nname = \"away\"\nstate = \"locked\"\n");
    assert!(resolved(&[hangs]).wanted["web"].is_incomplete);
    let group = document("web", "[[account]]\ngroup = \"ldap\"\nstate = \"locked\"\n");
    let resolved_ = resolve(&mut [group], &people().without_group("ldap"), "");
    assert!(resolved_.wanted["web"].is_incomplete && resolved_.pending.len() == 1);
}

#[test]
fn the_same_account_by_two_names_is_refused_with_both_places() {
    let text = "[[account]]\nname = \"alice\"\nstate = \"locked\"\n[[account]]\nname = \"uid:1000\"\nstate = \"unlocked\"\n";
    let problems = words(&resolved(&[document("web", text)]).problems);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("web:6:") && problems[0].contains("web:3:"), "{problems:?}");
    let bad = document("web", "[[account]]\nname = \"uid:17\"\nstate = \"locked\"\n");
    let people = people().answering("uid:17", Answer::Bad("of several".into()));
    assert!(words(&resolve(&mut [bad], &people, "").problems)[0].contains("of several"));
}

#[test]
fn one_document_says_what_a_value_is_and_a_group_gives_way() {
    let of = |who: &str, value: &str| format!("[[account]]\n{who}\n{value}\n");
    let one = document("a", &of("name = \"bob\"", "metadata = { team = \"blue\" }"));
    let other = document("b", &of("name = \"bob\"", "metadata = { team = \"blue\" }"));
    let group = document("b", &of("group = \"staff\"", "metadata = { team = \"red\" }"));
    // The same spelling is seen before; this is about what comes to be the same.
    let problems = words(&resolved(&[one.clone(), other]).problems);
    assert!(
        problems.len() == 1 && problems[0].starts_with("b:4:") && problems[0].contains("a:4:"),
        "{problems:?}"
    );
    for documents in [[one.clone(), group.clone()], [group, one]] {
        let resolved = resolved(&documents);
        assert!(resolved.problems.is_empty() && resolved.pending.len() == 1, "{resolved:?}");
        assert!(resolved.wanted["b"].accounts["bob"].values.is_empty());
        assert_eq!(resolved.wanted["b"].accounts["carol"].values.len(), 1);
    }
    let twice = "[[account]]\nname = \"alice\"\nidentifiers = { email = \"A@b.example\" }\n\
                 [[account]]\nname = \"bob\"\nidentifiers = { email = \"a@B.example\" }\n";
    let problems = words(&resolved(&[document("web", twice)]).problems);
    assert!(problems.len() == 1 && problems[0].contains("that of alice at web:4:"), "{problems:?}");
}

#[test]
fn authenticators_are_of_an_account_and_can_be_locked() {
    let text =
        |account: &str, id: &str| format!("[[authenticator]]\naccount = \"{account}\"\nid = \"{id}\"\n");
    let resolved_ = resolved(&[document("web", &text("uid:1000", "ssh:SHA256:x"))]);
    let wanted = &resolved_.wanted["web"].authenticators;
    assert!(wanted.contains_key(&("alice".into(), "ssh:SHA256:x".into())), "{resolved_:?}");
    let two = text("alice", "ssh") + &text("uid:1000", "ssh");
    assert_eq!(resolved(&[document("web", &two)]).problems.len(), 1);
    let resolved_ = resolved(&[document("web", &text("gone", "password"))]);
    assert!(resolved_.problems.is_empty() && resolved_.pending.len() == 1);
}

/// Words that are nearly right, or wrong in every way.
fn some_word() -> impl Strategy<Value = String> {
    let of_kind = "(uid|email|phone|id|badge|ssh|ssh-ca|password|pin|totp|Face|ssh|):[ -9@a-z+:]{0,12}";
    let of_number = "(uid|phone):[+-]?[0-9]{0,12}";
    let long = (250_usize..260).prop_map(|length| "a".repeat(length));
    prop_oneof!["[a-z@/ .-]{0,9}", of_kind, of_number, "(?s).{0,6}", "ssh|password|u2f|face|totp", long]
}

fn placed(value: String) -> Placed<String> {
    Placed { value, ..Placed::default() }
}

/// Whether this is a document to those who check it without a daemon.
fn is_valid(fill: impl FnOnce(&mut Document)) -> bool {
    let mut document = Document::new("web", Path::new("web")).unwrap();
    fill(&mut document);
    parse("web", Path::new("web"), &document.to_toml()).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn documents_are_checked_by_the_rules_of_the_daemon(word in some_word(), other in some_word()) {
        let named = |subject: Subject| AccountEntry { subject, state: Some(State::Locked), ..AccountEntry::default() };
        let by_name = is_valid(|document| document.entries.push(named(Subject::Name(word.clone()))));
        prop_assert_eq!(by_name, Reference::parse(&word).is_ok(), "an account {:?}", word);

        let by_group = is_valid(|document| document.entries.push(named(Subject::Group(word.clone()))));
        prop_assert_eq!(by_group, matches!(Reference::parse(&word), Ok(Reference::Name(_))), "a group {:?}", word);

        let authenticator = AuthenticatorEntry {
            account: placed("alice".into()),
            id: placed(word.clone()),
            ..AuthenticatorEntry::default()
        };
        let by_id = is_valid(|document| document.authenticators.push(authenticator));
        prop_assert_eq!(by_id, Kind::of_id(&word).is_some_and(Kind::is_lockable), "an authenticator {:?}", word);

        let kind = word.split(':').next().unwrap_or_default();
        let identifiers = vec![(kind.to_owned(), placed(other.clone()))];
        let identified = is_valid(|document| {
            document.entries.push(AccountEntry { identifiers, ..named(Subject::Name("alice".into())) });
        });
        prop_assert_eq!(identified, Identifier::new(kind, &other).is_ok(), "{:?} {:?}", kind, other);

        let metadata = vec![(word.clone(), placed(other.clone()))];
        let kept = is_valid(|document| {
            document.entries.push(AccountEntry { metadata, ..named(Subject::Name("alice".into())) });
        });
        // Nothing is what removes a key.
        prop_assert_eq!(kept, check_metadata(&word, &other).is_ok() && !other.is_empty(), "{:?} {:?}", word, other);
    }
}

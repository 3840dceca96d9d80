use proptest::prelude::*;

use super::*;
use crate::error::Position;
use crate::pieces::PIECES;
use crate::state::document::{Placed, State, Subject, ValidUntil};
use crate::state::reference;

fn read(text: &str) -> Result<Document, Error> {
    parse("web", Path::new("f"), text)
}

/// What is wrong with the text below `version = 1`.
fn problems(text: &str) -> Vec<String> {
    match read(&format!("version = 1\n{text}")) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn reads_every_key() {
    let text = r#"
version = 1
protected = ["breakglass"]

[[account]]
name = "alice"
state = "locked"
reason = "left"
message = "Call us."
expires = 2026-12-31
valid_until = "never"
metadata = { team = "blue" }
[account.identifiers]
email = "a@b.example"
badge = "17"

[[account]]
group = "contractors"
state = "deactivated"

[[authenticator]]
account = "uid:1000"
id = "ssh"
reason = "lost"
message = "Not this one."
expires = 2026-12-31T01:00:00+01:00
unenforced = true
"#;
    let document = read(text).unwrap();
    assert_eq!((document.name.as_str(), document.origin.as_path()), ("web", Path::new("f")));
    let at = |line, column| Position { line, column };
    let placed = |text: &str, place| Placed { value: text.to_owned(), place };
    assert_eq!(document.protected, [placed("breakglass", at(3, 14))]);
    let [alice, contractors] = document.entries.as_slice() else { panic!("{document:?}") };
    assert_eq!((&alice.subject, alice.place), (&Subject::Name("alice".to_owned()), at(6, 8)));
    assert_eq!(alice.state, Some(State::Locked));
    assert_eq!((alice.reason.as_deref(), alice.message.as_deref()), (Some("left"), Some("Call us.")));
    assert_eq!(alice.expires, Some(1_798_675_200));
    assert_eq!(alice.valid_until, Some(Placed { value: ValidUntil::Never, place: at(11, 15) }));
    let badge = ("badge".to_owned(), placed("17", at(15, 9)));
    let email = ("email".to_owned(), placed("a@b.example", at(14, 9)));
    assert_eq!(alice.identifiers, [badge, email]);
    assert_eq!(alice.metadata, [("team".to_owned(), placed("blue", at(12, 21)))]);
    assert_eq!(contractors.subject, Subject::Group("contractors".to_owned()));
    assert_eq!(contractors.state, Some(State::Deactivated));
    let [key] = document.authenticators.as_slice() else { panic!("{document:?}") };
    assert_eq!((key.account.value.as_str(), key.id.value.as_str()), ("uid:1000", "ssh"));
    assert_eq!((key.reason.as_deref(), key.message.as_deref()), (Some("lost"), Some("Not this one.")));
    assert_eq!((key.expires, key.unenforced), (Some(1_798_675_200), true));
}

const NAME: &str =
    "must be a login name, \"uid:\" and a user id, or an identifier such as \"email:alice@example.org\"";
const TIME: &str =
    "must be a date or a time from 1970 to 9999, such as 2026-12-31 or 2026-12-31T18:00:00+01:00";
const IDENTIFIERS: &str =
    "must be a table of up to 64 identifiers, such as { email = \"alice@example.org\", badge = \"17\" }";
const METADATA: &str = "must be a table of up to 64 texts of at most 1024 bytes without control characters, \
                        such as { team = \"blue\" }";
const KIND: &str = "has a kind other than email, phone, id, or up to 32 of a-z, 0-9, \"_\" and \"-\" that begin \
                    with a letter and are not uid";
const AUTHENTICATOR: &str = "must be the id of an authenticator, such as \"ssh:SHA256:…\", or one of the types \
                             \"password\", \"ssh\", \"u2f\", \"fingerprint\", \"face\", \"pin\"";

#[test]
fn says_where_a_document_is_wrong() {
    const LIST: &str = "is a list; write the keys of each below a line [[account]]";
    const KEYS: &str = "there are version, protected, account, authenticator";
    const USERS: &str = "must be a list of user names, such as [\"a\", \"b\"]";
    for (text, expected) in [
        ("x = []", format!("f:2:1: x: is an unknown key; {KEYS}")),
        ("protecte = []", "f:2:1: protecte: is an unknown key; did you mean \"protected\"?".into()),
        (
            "state = 'locked'",
            "f:2:1: state: stands outside of its list; write it below a line [[account]]".into(),
        ),
        ("protected = 'a'", format!("f:2:13: protected: the string \"a\" has the wrong type; {USERS}")),
        ("[[acount]]", "f:2:3: acount: is an unknown key; did you mean \"account\"?".into()),
        ("[account]\nname = 'a'", format!("f:2:1: account: {LIST}")),
        ("account = ['a']", format!("f:2:11: account: {LIST}")),
        (
            "[[authenticator]]\naccount = 'a'\nid = 'totp'",
            format!(
                "f:4:6: authenticator.id: \"totp\" cannot be locked by itself: it is asked for beside another \
                 authenticator; {AUTHENTICATOR}"
            ),
        ),
        ("[[authenticator]]\naccount = 'a'", "f:2:1: authenticator.id: is needed".into()),
    ] {
        assert_eq!(problems(text), [expected], "{text}");
    }
}

#[test]
fn says_where_the_table_of_an_account_is_wrong() {
    const STATES: &str = "must be one of \"locked\", \"unlocked\", \"deactivated\"";
    const KEYS: &str =
        "there are name, group, state, reason, message, expires, valid_until, identifiers, metadata";
    for (text, expected) in [
        ("name = 'A:b'\nstate = 'locked'", format!("3:8: account.name: \"A:b\" {KIND}; {NAME}")),
        ("name = ''\nstate = 'locked'", format!("3:8: account.name: \"\" is empty; {NAME}")),
        (
            "name = 1\nstate = 'locked'",
            format!("3:8: account.name: the integer 1 has the wrong type; {NAME}"),
        ),
        ("name = 'a'\nstate = 'lock'", format!("4:9: account.state: \"lock\" is not known here; {STATES}")),
        ("state = 'locked'", "2:1: account.name: is needed, or group".into()),
        (
            "group = 'g'\nidentifiers = { id = 'x' }",
            "4:1: account.identifiers: cannot be those of a whole group; write a table for each account"
                .into(),
        ),
        (
            "name = 'a'\nreason = 'x'\nidentifiers = {}",
            "2:1: account.state: is needed, or valid_until, identifiers or metadata: nothing is to hold"
                .into(),
        ),
        (
            "name = 'a'\nstate = 'deactivated'\nexpires = 2026-12-31",
            "5:1: account.expires: does nothing without the state \"locked\"".into(),
        ),
        (
            "name = 'a'\nstate = 'unlocked'\nmessage = 'x'",
            "5:1: account.message: does nothing without the state \"locked\" or \"deactivated\"".into(),
        ),
    ] {
        assert_eq!(problems(&format!("[[account]]\n{text}")), [format!("f:{expected}")], "{text}");
    }
    for (text, expected) in [
        ("stat = 1", "1: account.stat: is an unknown key; did you mean \"state\"?".into()),
        ("id = 'x'", format!("1: account.id: is an unknown key; {KEYS}")),
        ("group = 'g'", "1: account.group: stands beside name; write a table for each of them".into()),
        (
            "expires = 2026-12-31T00:00:00",
            format!(
                "11: account.expires: 2026-12-31T00:00:00 says nothing of its time zone; end it with Z for UTC, or \
                 with +01:00; {TIME}"
            ),
        ),
        (
            "expires = 'never'",
            format!("11: account.expires: the string \"never\" has the wrong type; {TIME}"),
        ),
        (
            "valid_until = '2026-12-31'",
            format!("15: account.valid_until: \"2026-12-31\" stands in quotes; {TIME}, or \"never\""),
        ),
        (
            "identifiers = { uid = '1' }",
            format!("23: account.identifiers: uid = \"1\" {KIND}; {IDENTIFIERS}"),
        ),
        (
            "identifiers.email = 'x'",
            format!(
                "21: account.identifiers: email = \"x\" is no mail address; write name@domain; {IDENTIFIERS}"
            ),
        ),
        (
            "metadata = { a = \"\\u001b\" }",
            format!("18: account.metadata: a = \"\\u{{1b}}\" has a control character; {METADATA}"),
        ),
        (
            "metadata = { b = 1 }",
            format!("18: account.metadata: the integer 1 has the wrong type; {METADATA}"),
        ),
        ("x = [", "6: account.x: unclosed array, expected `]`".into()),
        ("state = 'locked'", "1: account.state: duplicate key".into()),
    ] {
        let text = format!("[[account]]\nname = 'a'\nstate = 'locked'\n{text}");
        assert_eq!(problems(&text), [format!("f:5:{expected}")], "{text}");
    }
}

#[test]
fn an_account_has_one_table() {
    let account = "[[account]]\nname = 'a'\nstate = 'locked'\n";
    let expected = "f:6:8: account.name: \"a\" has a table at f:3:8 already; write one for it";
    assert_eq!(problems(&account.repeat(2)), [expected]);
}

#[test]
fn an_unknown_version_is_all_that_is_said() {
    let first = |text: &str| read(text).unwrap_err().to_string();
    assert_eq!(first(""), "f:1:1: version: is needed: write version = 1 above everything else");
    let other = "f:1:11: version: 2 is a version that this lockdown does not know; must be the integer 1";
    assert_eq!(first("version = 2\nnew = true\n[[account]]\nshape = 'other'"), other);
    assert!(first("version = '1'").starts_with("f:1:11: version: the string \"1\" has the wrong type"));
    assert!(first("[[account]]\nname = 'a'\nstate = 'locked'\nversion = 1").contains("account.version"));
}

#[test]
fn names_of_documents_are_those_of_owners() {
    for name in ["web", "web.example_1-2", &"x".repeat(64)] {
        assert_eq!(parse(name, Path::new("f"), "version = 1").unwrap().name, name);
    }
    for name in ["", ".web", "-web", "a b", "a/b", "ä", "a\n", &"x".repeat(65)] {
        let error = parse(name, Path::new("f"), "version = 1").unwrap_err().to_string();
        assert!(error.contains("is no name of a document"), "{error}");
        assert!(!error.contains(char::is_control), "{error}");
    }
}

#[test]
fn all_problems_come_in_the_order_of_the_text() {
    let text = "[[authenticator]]\nid = 1\n[[account]]\nstate = 2\nname = 3\n";
    let places: Vec<_> = problems(text).iter().map(|problem| problem[..4].to_owned()).collect();
    assert_eq!(places, ["f:3:", "f:5:", "f:6:"]);
    let flood = "[[account]]\nx = 1\n".repeat(1000);
    assert_eq!(problems(&flood).last().map(String::as_str), Some("f: has 980 more problems"));
    let again = "[[account]]\nname = 'a'\nstate = 'locked'\n".repeat(1000);
    assert_eq!(problems(&again).last().map(String::as_str), Some("f: has 979 more problems"));
}

/// More than fits into some parts.
fn long(between: &str) -> String {
    let entry = |n| format!("[[account]]\nname = 'user{n}'\nstate = 'locked'\n{between}\n");
    "version = 1\n\n".to_owned() + &(0..10_000).map(entry).collect::<String>()
}

#[test]
fn a_long_document_has_all_its_entries_at_their_places() {
    let document = read(&long("")).unwrap();
    assert_eq!(document.entries.len(), 10_000);
    for (index, entry) in document.entries.iter().enumerate() {
        assert_eq!(entry.subject, Subject::Name(format!("user{index}")));
        assert_eq!(entry.place, Position { line: 4 * index + 4, column: 8 });
    }
}

#[test]
fn what_looks_like_a_header_can_stand_in_a_text() {
    let text = long("reason = \"\"\"\n[[account]]\nname = 'x'\n[[account]]\"\"\"");
    let document = read(&text).unwrap();
    assert_eq!(document.entries.len(), 10_000);
    assert_eq!(document.entries[9_999].reason.as_deref(), Some("[[account]]\nname = 'x'\n[[account]]"));
}

#[test]
fn a_mistake_far_below_is_found_at_its_place() {
    for (wrong, key, expected) in [
        ("x = 1", "account.x", "is an unknown key"),
        ("x = ", "account.x", "string values must be quoted"),
        ("name = '", "account.name", "invalid literal string"),
    ] {
        let text = format!("{}\n{wrong}\n{}", long("").trim_end(), &long("")[13..].replace("user", "other"));
        let error = read(&text).unwrap_err();
        let problem = &error.problems()[0];
        assert_eq!(problem.position.unwrap().line, 40_002, "{problem}");
        assert_eq!((problem.key.as_deref(), error.problems().len()), (Some(key), 1), "{problem}");
        assert!(problem.message.starts_with(expected), "{problem}");
    }
}

/// Texts made of pieces of documents, so that many of them get far into the checks.
fn document_like() -> impl Strategy<Value = String> {
    let own = [
        "07:30:00",
        "'locked'",
        "\n[[account]]\n",
        "\n[[authenticator]]\n",
        "\n[account.metadata]\n",
        "account = [{name = 'b', state = 'locked'}]\n",
        "name = 'a'\n",
        "state = 'locked'\n",
        "account = 'a'\n",
        "id = 'ssh'\n",
        "\nreason = \"\"\"\n",
    ];
    let mut pieces: Vec<String> = PIECES.iter().chain(&own).map(|piece| (*piece).to_owned()).collect();
    for table in reference() {
        pieces.extend(table.keys.iter().map(|key| key.name.to_owned()));
        pieces.extend(table.keys.iter().map(|key| format!("{} = {}\n", key.name, key.example)));
    }
    let pieces = proptest::collection::vec(proptest::sample::select(pieces), 0..30);
    (any::<bool>(), pieces).prop_map(|(version, pieces)| {
        let version = if version { "version = 1\n" } else { "" };
        version.to_owned() + &pieces.concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn takes_any_text(text in prop_oneof!["(?s).{0,80}", document_like()]) {
        let Err(error) = read(&text) else { return Ok(()) };
        for problem in error.problems() {
            let Position { line, column } = problem.position.unwrap();
            prop_assert!(line <= text.matches('\n').count() + 1 && column <= text.chars().count() + 1);
            let message = problem.to_string();
            prop_assert!(!message.contains(char::is_control) && message.len() < 1_500, "{message}");
        }
    }

    #[test]
    fn parts_mean_what_the_whole_means(
        text in prop_oneof![document_like(), tables()],
        length in 1..200_usize,
    ) {
        let of_parts = parse_in_parts("web", Path::new("f"), &text, length);
        let whole = parse_in_parts("web", Path::new("f"), &text, usize::MAX);
        // What is said of a text that has no end depends on where it ends.
        prop_assert_eq!(of_parts.ok(), whole.ok(), "{}", text);
    }
}

/// Documents of which many are right.
fn tables() -> impl Strategy<Value = String> {
    let account = "[[account]]\nname = '@'\nstate = 'locked'\n";
    let several_lines = "[[account]]\nname = '@'\nvalid_until = 'never'\nreason = \"\"\"\n[[a]]\n\"\"\"\n";
    let authenticator = "[[authenticator]]\naccount = '@'\nid = 'ssh'\n";
    let of_the_last = "[account.metadata]\nteam = 'blue'\n";
    let known = [account, account, several_lines, authenticator, of_the_last];
    let list = prop_oneof![3 => Just(""), 1 => Just("account = [{ name = 'x', state = 'locked' }]\n")];
    (list, proptest::collection::vec(proptest::sample::select(known.to_vec()), 0..8)).prop_map(
        |(list, tables)| {
            let number = |(number, table): (usize, &&str)| table.replace('@', &format!("user{number}"));
            format!("version = 1\n{list}{}", tables.iter().enumerate().map(number).collect::<String>())
        },
    )
}

#[test]
fn places_do_not_depend_on_parts() {
    let text = "version = 1\n[[account]]\nname = 'a'\nstate = 'locked'\n[[acount]]\n[[account]]\nname = 1\n\
                [[authenticator]]\n[[authenticator]]\naccount = ''\n[protected]\n[x]\n";
    let whole = parse_in_parts("web", Path::new("f"), text, usize::MAX).unwrap_err();
    assert_eq!(whole.problems().len(), 7, "{whole}");
    assert_eq!(parse_in_parts("web", Path::new("f"), text, 1), Err(whole));
}

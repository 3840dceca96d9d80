use std::collections::BTreeMap;

use zbus::Variant;

use super::{Lock, MAX_TEXT, SetAccount, Unlock, UnlockAuthenticator};
use crate::{Dict, Error, tags::Tags};

fn dict<const N: usize>(pairs: [(&str, Variant<'static>); N]) -> Dict {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.try_into_owned().unwrap())).collect()
}

fn refusal<T: TryFrom<Dict, Error = Error>>(dict: Dict) -> String {
    match T::try_from(dict) {
        Err(Error::InvalidArgument(text)) => text,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("accepted"),
    }
}

#[test]
fn known_keys_are_read() {
    let options = Lock::try_from(dict([
        ("reason", Variant::from("stolen laptop")),
        ("duration", Variant::from(60_u64)),
        ("end_sessions", Variant::from(false)),
    ]))
    .unwrap();
    assert_eq!(
        options,
        Lock {
            reason: Some("stolen laptop".into()),
            duration: Some(60),
            end_sessions: Some(false),
            ..Lock::default()
        }
    );
}

#[test]
fn the_type_of_authenticators_is_called_so_on_the_bus() {
    let options = UnlockAuthenticator::try_from(dict([("type", Variant::from("ssh"))])).unwrap();
    assert_eq!(options.kind.as_deref(), Some("ssh"));
    assert!(refusal::<UnlockAuthenticator>(dict([("kind", Variant::from("ssh"))])).contains("owner, type"));
    let context = zbus::wire::serialized::Context::new(zbus::wire::LE, 0);
    let sent = zbus::wire::to_bytes(context, &options).unwrap();
    assert_eq!(sent.deserialize::<Dict>().unwrap().0.into_keys().collect::<Vec<_>>(), ["type"]);
}

#[test]
fn an_unknown_key_is_named_with_the_known_ones() {
    assert_eq!(
        refusal::<Unlock>(dict([("resaon\n", Variant::from("typo"))])),
        "option `resaon\\n` is not known here: known are reason, owner, tags"
    );
}

#[test]
fn a_wrong_type_is_named_with_the_right_one() {
    assert_eq!(
        refusal::<Lock>(dict([("duration", Variant::from("1h"))])),
        "option `duration` has type `s`: give it type `t`"
    );
}

#[test]
fn tags_are_read_and_checked() {
    let tags = |pairs: &[(&str, &str)]| -> Tags {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let given = tags(&[("ticket", "INC-4711"), ("team", "blue")]);
    let options = Unlock::try_from(dict([("tags", Variant::from(given.clone()))])).unwrap();
    assert_eq!(options.tags, Some(given));
    let bad = Variant::from(tags(&[("a b", "")]));
    assert!(refusal::<Unlock>(dict([("tags", bad)])).contains("option `tags`: the tag's key `a b`"));
    let wrong = Variant::from("ticket=1");
    assert_eq!(
        refusal::<Unlock>(dict([("tags", wrong)])),
        "option `tags` has type `s`: give it type `a{ss}`"
    );
}

#[test]
fn what_is_sent_is_what_is_read() {
    let pairs = BTreeMap::from([("badge".to_owned(), "17".to_owned())]);
    let options = SetAccount {
        email: Some(String::new()),
        identifiers: Some(pairs.clone()),
        metadata: Some(pairs.clone()),
        valid_until: Some(0),
        tags: Some(pairs),
        ..SetAccount::default()
    };
    let context = zbus::wire::serialized::Context::new(zbus::wire::LE, 0);
    let sent = zbus::wire::to_bytes(context, &options).unwrap();
    assert_eq!(SetAccount::try_from(sent.deserialize::<Dict>().unwrap().0).unwrap(), options);
}

#[test]
fn text_is_bounded() {
    let long = Variant::from("x".repeat(MAX_TEXT + 1));
    assert!(refusal::<Lock>(dict([("reason", long)])).contains("1025 bytes"));
}

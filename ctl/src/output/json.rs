//! JSON with the keys of the bus: a view is encoded as the dictionary it is on the bus, and that is what is shown. What was
//! never on the bus is shown as serde has it.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value};
use zbus::{
    Type, Variant,
    wire::{LE, serialized::Context, to_bytes},
};

use crate::exit::Failure;

/// The dictionary `a{sv}` that `view` is on the bus.
///
/// # Errors
///
/// `view` is no dictionary.
pub fn object<T: Serialize + Type>(view: &T) -> Result<Value, Failure> {
    let encoded = to_bytes(Context::new(LE, 0), view).map_err(unshown)?;
    let (dictionary, _): (HashMap<String, Variant<'_>>, _) = encoded.deserialize().map_err(unshown)?;
    Ok(dictionary.iter().map(|(key, variant)| (key.clone(), value(variant))).collect::<Map<_, _>>().into())
}

/// Several of them.
///
/// # Errors
///
/// One of them is no dictionary.
pub fn array<T: Serialize + Type>(views: &[T]) -> Result<Value, Failure> {
    views.iter().map(object).collect()
}

/// What was never on the bus.
///
/// # Errors
///
/// None that a type of this program can cause.
pub fn own(shown: &(impl Serialize + ?Sized)) -> Result<Value, Failure> {
    serde_json::to_value(shown).map_err(unwritten)
}

/// As text: indented, or on one line.
///
/// # Errors
///
/// None that a JSON value can cause.
pub fn text(value: &Value, one_line: bool) -> Result<String, Failure> {
    let text = if one_line { serde_json::to_string(value) } else { serde_json::to_string_pretty(value) };
    text.map_err(unwritten)
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err gives")]
fn unwritten(error: serde_json::Error) -> Failure {
    Failure::Local(format!("cannot write JSON: {error}: report this as a bug"))
}

fn unshown(error: zbus::Error) -> Failure {
    Failure::Local(format!("cannot show the daemon's answer: {error}: report this as a bug"))
}

fn value(variant: &Variant<'_>) -> Value {
    match variant {
        Variant::U8(number) => (*number).into(),
        Variant::Bool(truth) => (*truth).into(),
        Variant::I16(number) => (*number).into(),
        Variant::U16(number) => (*number).into(),
        Variant::I32(number) => (*number).into(),
        Variant::U32(number) => (*number).into(),
        Variant::I64(number) => (*number).into(),
        Variant::U64(number) => (*number).into(),
        Variant::F64(number) => (*number).into(),
        Variant::Str(text) => text.as_str().into(),
        Variant::Signature(signature) => signature.to_string().into(),
        Variant::ObjectPath(path) => path.as_str().into(),
        Variant::Variant(inner) => value(inner),
        Variant::Array(array) => array.inner().iter().map(value).collect(),
        Variant::Structure(structure) => structure.fields().iter().map(value).collect(),
        Variant::Dict(dictionary) => {
            dictionary.iter().map(|(key, inner)| (key_text(key), value(inner))).collect::<Map<_, _>>().into()
        }
        // A descriptor means nothing to whoever reads the JSON.
        Variant::Fd(_) => Value::Null,
    }
}

fn key_text(key: &Variant<'_>) -> String {
    match value(key) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use lockdown_dbus_api::views::{Account, Event, Lock};

    use serde_json::json;

    use super::*;

    #[test]
    fn an_account_has_the_keys_of_the_bus() {
        let account = Account {
            name: "alice".into(),
            uid: 1000,
            locked: true,
            locked_until: Some(0),
            locks: vec![Lock {
                id: 7,
                owner: "operator".into(),
                reason: "a\n\u{1b}".into(),
                ..Lock::default()
            }],
            ..Account::default()
        };
        let shown = object(&account).unwrap();
        assert_eq!(shown["locked_until"], json!(0));
        assert_eq!(shown["locks"][0]["id"], json!(7));
        // What is absent on the bus is absent here.
        assert_eq!(shown.get("survivors"), None);
        assert_eq!(text(&shown["locks"][0]["reason"], true).unwrap(), r#""a\n\u001b""#);
    }

    #[test]
    fn nested_dictionaries_are_objects() {
        let caller = [("uid".to_owned(), "0".to_owned())].into();
        let event = Event { id: i64::MAX, caller, ..Event::default() };
        let shown = object(&event).unwrap();
        assert_eq!(shown["caller"], json!({"uid": "0"}));
        assert_eq!(shown["id"], json!(i64::MAX));
        assert_eq!(shown["input"], json!({}));
    }

    #[test]
    fn what_is_no_dictionary_is_an_error() {
        assert!(object(&5_u32).is_err());
    }
}

//! The JSON schema of state documents, by which editors complete and check them, made from the parser's own list of keys.

use lockdown_config::state::{TableReference, reference};
use serde_json::{Map, Value, json};

/// The schema, pretty and with a line break at its end.
///
/// # Errors
///
/// A part of the list that is no JSON.
pub fn schema() -> serde_json::Result<String> {
    let mut document = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "State document of lockdown",
        "description": "How accounts of a host should be: see lockdown-state(5).",
    });
    for table in reference() {
        let part = of_table(&table)?;
        if table.name.is_empty() {
            merge(&mut document, part);
        } else {
            let list = json!({"type": "array", "description": text(table.doc), "items": part});
            document["properties"][table.name] = list;
        }
    }
    serde_json::to_string_pretty(&document).map(|text| text + "\n")
}

fn of_table(table: &TableReference) -> serde_json::Result<Value> {
    let mut keys = Map::new();
    for key in &table.keys {
        let mut value = json!({"description": text(key.doc)});
        merge(&mut value, serde_json::from_str(key.schema)?);
        keys.insert(key.name.to_owned(), value);
    }
    let mut part = json!({"type": "object", "additionalProperties": false, "properties": keys});
    merge(&mut part, serde_json::from_str(table.schema)?);
    Ok(part)
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

fn text(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lockdown_config::state::parse;
    use toml::de::{DeTable, DeValue};

    use super::*;

    /// The document as editors see it: times are texts.
    fn json(value: &DeValue<'_>) -> Value {
        match value {
            DeValue::Boolean(flag) => json!(flag),
            DeValue::Integer(number) => json!(number.as_str().parse::<i64>().unwrap()),
            DeValue::Datetime(time) => json!(time.to_string()),
            DeValue::Array(list) => list.iter().map(|one| json(one.get_ref())).collect(),
            DeValue::Table(table) => {
                table.iter().map(|(key, one)| (key.get_ref().to_string(), json(one.get_ref()))).collect()
            }
            other => json!(other.as_str().unwrap()),
        }
    }

    /// Whether a schema takes a value. Patterns and formats are passed over; what the schema must not use ends the test.
    fn takes(schema: &Value, value: &Value) -> bool {
        let Value::Object(schema) = schema else { return schema.as_bool().unwrap() };
        let count = |number: &Value| usize::try_from(number.as_u64().unwrap()).unwrap();
        let each = |schemas: &Value| -> Vec<bool> {
            schemas.as_array().unwrap().iter().map(|schema| takes(schema, value)).collect()
        };
        let no_keys = Map::new();
        let keys = value.as_object().unwrap_or(&no_keys);
        schema.iter().all(|(word, rule)| match word.as_str() {
            "$schema" | "title" | "description" | "pattern" | "format" | "then" => true,
            "type" => match rule.as_str().unwrap() {
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "array" => value.is_array(),
                "object" => value.is_object(),
                other => panic!("{other}"),
            },
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() >= count(rule)),
            "maxLength" => value.as_str().is_none_or(|text| text.chars().count() <= count(rule)),
            "maxProperties" => keys.len() <= count(rule),
            "required" => {
                let mut needed = rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                value.as_object().is_none_or(|keys| needed.all(|name| keys.contains_key(name)))
            }
            "properties" => {
                keys.iter().all(|(key, value)| rule.get(key).is_none_or(|rule| takes(rule, value)))
            }
            "additionalProperties" => {
                let known = schema.get("properties");
                let is_known = |key: &String| known.is_some_and(|known| known.get(key).is_some());
                keys.iter().all(|(key, value)| is_known(key) || takes(rule, value))
            }
            "propertyNames" => keys.keys().all(|key| takes(rule, &json!(key))),
            "items" => value.as_array().is_none_or(|list| list.iter().all(|value| takes(rule, value))),
            "not" => !takes(rule, value),
            "allOf" => each(rule).iter().all(|taken| *taken),
            "anyOf" => each(rule).iter().any(|taken| *taken),
            "oneOf" => each(rule).iter().filter(|taken| **taken).count() == 1,
            "if" => !takes(rule, value) || takes(&schema["then"], value),
            other => panic!("{other}"),
        })
    }

    /// Whether editors and the parser take a document.
    fn taken(text: &str) -> (bool, bool) {
        let schema: Value = serde_json::from_str(&schema().unwrap()).unwrap();
        let document = DeTable::parse(text).unwrap().into_inner();
        (takes(&schema, &json(&DeValue::Table(document))), parse("x", Path::new("x"), text).is_ok())
    }

    #[test]
    fn editors_and_the_parser_take_every_example() {
        let needed = |table: &str, key: &str| match (table, key) {
            ("account", "group" | "name") => "state = 'locked'\n",
            ("account", "state") => "name = 'a'\n",
            ("account", _) => "name = 'a'\nstate = 'locked'\n",
            ("authenticator", "account") => "id = 'ssh'\n",
            ("authenticator", "id") => "account = 'a'\n",
            ("authenticator", _) => "account = 'a'\nid = 'ssh'\n",
            _ => "",
        };
        for table in reference() {
            for key in &table.keys {
                let line = format!("{}{} = {}\n", needed(table.name, key.name), key.name, key.example);
                let text = match (table.name, key.name) {
                    ("", "version") => line,
                    ("", _) => format!("version = 1\n{line}"),
                    (list, _) => format!("version = 1\n[[{list}]]\n{line}"),
                };
                assert_eq!(taken(&text), (true, true), "{text}");
            }
        }
    }

    #[test]
    fn neither_takes_what_is_wrong() {
        let account = |text: &str| format!("version = 1\n[[account]]\n{text}");
        for text in [
            String::new(),
            "version = 2".to_owned(),
            "version = 1\nx = 1".to_owned(),
            "version = 1\nprotected = 'a'".to_owned(),
            "version = 1\nprotected = ['']".to_owned(),
            "version = 1\naccount = {}".to_owned(),
            account("state = 'locked'"),
            account("name = 'a'"),
            account("name = ''\nstate = 'locked'"),
            account("name = 'a'\ngroup = 'g'\nstate = 'locked'"),
            account("name = 'a'\nstate = 'open'"),
            account("name = 'a'\nstate = 'locked'\nx = 1"),
            account("name = 'a'\nstate = 'locked'\nreason = 1"),
            account(&format!("name = 'a'\nstate = 'locked'\nreason = '{}'", "x".repeat(1025))),
            account("name = 'a'\nstate = 'unlocked'\nmessage = 'x'"),
            account("name = 'a'\nstate = 'deactivated'\nexpires = 2026-12-31"),
            account("name = 'a'\nvalid_until = 2026-12-31\nexpires = 2026-12-31"),
            account("group = 'g'\nidentifiers = { id = '1' }"),
            account("name = 'a'\nidentifiers = { uid = '1' }"),
            account("name = 'a'\nmetadata = { a = 1 }"),
            "version = 1\n[[authenticator]]\naccount = 'a'".to_owned(),
            "version = 1\n[[authenticator]]\naccount = 'a'\nid = 'ssh'\nunenforced = 'yes'".to_owned(),
        ] {
            assert_eq!(taken(&text), (false, false), "{text}");
        }
    }

    #[test]
    fn editors_are_told_what_each_key_is_for() {
        let schema: Value = serde_json::from_str(&schema().unwrap()).unwrap();
        let expires = &schema["properties"]["account"]["items"]["properties"]["expires"];
        assert!(expires["description"].as_str().unwrap().starts_with("When the lock ends; only with"));
    }
}

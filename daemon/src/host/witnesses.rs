//! What the journal knows of the audit trail: the hashes of events, which lockdownd writes with each of them and at intervals.
//!
//! Only what lockdownd's own unit wrote counts; journald vouches for that.

use std::io;

use serde::Deserialize;

use super::journalctl;
use crate::{
    domain::event::Action,
    report::journal::HEAD_MESSAGE_ID,
    store::events::{EventId, verify::Witnesses},
};

/// Newest entries that are read: of those written at intervals, and of those of events.
const HEADS: usize = 20_000;
const EVENTS: usize = 1_000;

/// What the journal knows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The hashes of events, by their numbers.
    pub witnesses: Witnesses,
    /// It also knows a trail that ended before this one began.
    pub of_another: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct Entry {
    #[serde(rename = "__REALTIME_TIMESTAMP", deserialize_with = "number")]
    at: i64,
    #[serde(rename = "LOCKDOWN_EVENT_ID", deserialize_with = "number")]
    id: EventId,
    #[serde(rename = "LOCKDOWN_EVENT_HASH")]
    hash: String,
}

/// journalctl writes numbers as text.
fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// Asks the journal.
///
/// # Errors
/// Those of [`journalctl::entries`].
pub async fn read() -> io::Result<Known> {
    let actions: Vec<&str> = Action::ALL.iter().map(|action| action.message_id()).collect();
    let mut entries = newest(EVENTS, &actions).await?;
    entries.extend(newest(HEADS, &[HEAD_MESSAGE_ID]).await?);
    Ok(known(entries))
}

async fn newest(number: usize, message_ids: &[&str]) -> io::Result<Vec<Entry>> {
    let mut arguments = vec![format!("--lines={number}"), "_UID=0".to_owned()];
    arguments.push("_SYSTEMD_UNIT=lockdownd.service".to_owned());
    // Several of one field: any of them.
    arguments.extend(message_ids.iter().map(|id| format!("MESSAGE_ID={id}")));
    let mut entries = Vec::new();
    let fields = "LOCKDOWN_EVENT_ID,LOCKDOWN_EVENT_HASH";
    journalctl::entries(fields, arguments, |line| entries.extend(serde_json::from_slice::<Entry>(line)))
        .await?;
    Ok(entries)
}

/// A trail that begins says so with number 0: what is older is of the one before it.
fn known(mut entries: Vec<Entry>) -> Known {
    entries.sort_by_key(|entry| entry.at);
    let beginning = entries.iter().rposition(|entry| entry.id == 0);
    let of_this = entries.split_off(beginning.map_or(0, |index| index + 1));
    let mut witnesses = Witnesses::new();
    for entry in of_this {
        witnesses.entry(entry.id).or_default().insert(entry.hash);
    }
    Known { of_another: entries.iter().any(|entry| entry.id > 0), witnesses }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: i64, id: EventId, hash: &str) -> Entry {
        Entry { at, id, hash: hash.to_owned() }
    }

    #[test]
    fn an_entry_of_journalctl() {
        let line = r#"{"LOCKDOWN_EVENT_HASH":"ab","__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1795264200000000","LOCKDOWN_EVENT_ID":"7"}"#;
        let parsed: Entry = serde_json::from_str(line).unwrap();
        assert_eq!((parsed.at, parsed.id, parsed.hash.as_str()), (1_795_264_200_000_000, 7, "ab"));
        assert!(serde_json::from_str::<Entry>(r#"{"LOCKDOWN_EVENT_ID":"x"}"#).is_err());
    }

    #[test]
    fn whoever_says_something_else_is_not_forgotten() {
        let known = known(vec![entry(2, 5, "new"), entry(1, 5, "old"), entry(1, 4, "a"), entry(3, 4, "a")]);
        assert!(!known.of_another);
        let of = |hashes: &[&str]| hashes.iter().map(|hash| (*hash).to_owned()).collect();
        assert_eq!(known.witnesses, [(4, of(&["a"])), (5, of(&["new", "old"]))].into());
    }

    #[test]
    fn a_trail_that_began_anew_is_not_held_against_the_one_before() {
        let entries = vec![entry(1, 0, "z"), entry(2, 9, "old"), entry(3, 0, "z"), entry(4, 1, "new")];
        let known = known(entries);
        assert!(known.of_another);
        assert_eq!(known.witnesses, [(1, ["new".to_owned()].into())].into());
    }

    #[test]
    fn a_new_trail_alone_is_no_other() {
        assert_eq!(known(vec![entry(1, 0, "z")]), Known::default());
        assert_eq!(known(Vec::new()), Known::default());
    }
}

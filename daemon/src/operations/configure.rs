//! A configuration that has changed is an event, also if it changed while the daemon was not running.

use std::collections::BTreeMap;

use lockdown_config::Loaded;

use crate::{
    core::Core,
    domain::event::{Action, Event, Outcome},
    host::clock,
    store::{
        StoreError,
        settings::{self, Difference},
    },
};

/// Where a value may be a secret by itself: the address of a webhook.
const SECRET: &str = ".url";

/// Records what differs from what the trail last said of the configuration; what became of a `reload`, also if nothing does.
///
/// # Errors
/// [`StoreError`]
pub async fn note(core: &Core, loaded: &Loaded, reload: Option<Outcome>) -> Result<(), StoreError> {
    let current: BTreeMap<String, String> =
        loaded.entries().map(|entry| (entry.key.to_string(), entry.value.to_string())).collect();
    core.store
        .write(move |change| {
            let differences = settings::take_note(change, &current)?;
            if differences.is_empty() && reload.is_none() {
                return Ok(());
            }
            let mut event = Event::new(clock::now(), Action::ConfigReload, "");
            event.outcome = reload.unwrap_or(Outcome::Success);
            if !differences.is_empty() {
                event.input.insert("changes", differences.iter().map(said).collect::<Vec<_>>().join("; "));
            }
            change.record(event)
        })
        .await
}

/// `lock.duration = "2h", was "1h"`
fn said(difference: &Difference) -> String {
    let Difference { key, now, before } = difference;
    if key.ends_with(SECRET) {
        return format!("{key} is another");
    }
    match (now, before) {
        (Some(now), Some(before)) => format!("{key} = {now}, was {before}"),
        (Some(now), None) => format!("{key} = {now}"),
        (None, _) => format!("{key} is not set any more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_in_words() {
        let of = |key: &str, now: Option<&str>, before: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            said(&Difference { key: key.to_owned(), now: owned(now), before: owned(before) })
        };
        assert_eq!(of("lock.duration", Some("\"2h\""), Some("\"1h\"")), "lock.duration = \"2h\", was \"1h\"");
        assert_eq!(of("notify.ops.to", Some("[]"), None), "notify.ops.to = []");
        assert_eq!(of("notify.ops.to", None, Some("[]")), "notify.ops.to is not set any more");
        assert_eq!(of("notify.ops.url", Some("\"https://x/secret\""), None), "notify.ops.url is another");
    }
}

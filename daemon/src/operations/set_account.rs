//! Setting what the store keeps for an account: identifiers, metadata, and when it expires.

use std::collections::{BTreeMap, BTreeSet};

use lockdown_dbus_api::{Error, options, tags, views};
use lockdown_enforcement::escape::escape;

use super::{expire, view};
use crate::{
    bus::caller::Caller,
    core::Core,
    domain::{
        account::Account,
        event::{Action, Event, Fields, Outcome},
        identifier::{EMAIL, EXTERNAL_ID, Identifier, PHONE, check_kind, is_known},
    },
    host::clock,
    store::{
        Change, StoreError,
        accounts::{self, AccountId},
        identifiers, metadata,
    },
};

/// Most identifiers of one's own kinds that an account has, and most keys of metadata.
const MAX_PAIRS: usize = 64;
/// Longest value of metadata, in bytes.
const MAX_VALUE: usize = 1024;

/// Sets what `options` have, all or nothing: an empty text removes, what is left out stays.
///
/// # Errors
/// `InvalidArgument`, `IdentifierTaken`, `Protected` (only for an expiry), `Failed`.
pub async fn set(
    core: &Core,
    caller: &Caller,
    account: &Account,
    options: options::SetAccount,
) -> Result<views::Account, Error> {
    let wanted = Wanted::read(&options)?;
    let gone = holders_that_are_gone(core, account, &wanted).await?;
    let deciding = if options.valid_until.is_some() { core.deciding().await } else { None };
    if let Some(valid_until) = options.valid_until {
        expire::refuse(core, caller, account, valid_until).await?;
    }
    let reason = options.reason.unwrap_or_default();
    let mut event = Event::new(clock::now(), Action::SetAccount, &account.name);
    event.reason.clone_from(&reason);
    event.input = wanted.input();
    caller.sign(&mut event);
    let (about, by, refused) = (account.clone(), caller.clone(), event.clone());
    let changed = core
        .store
        .write(move |change| {
            if let Some(valid_until) = options.valid_until {
                expire::put(change, &by, &about, valid_until, &reason)?;
            }
            if wanted.is_empty() {
                return Ok(());
            }
            let id = accounts::ensure(change, &about.name, about.uid, clock::now())?;
            put(change, (id, &about.name), &wanted, &gone)?;
            change.record(event).map_err(Error::from)
        })
        .await;
    drop(deciding);
    if let Err(Error::IdentifierTaken(why)) = &changed {
        record_refusal(core, Event { outcome: Outcome::Refused(why.clone()), ..refused }).await;
    }
    changed?;
    view::account(core, caller, account).await
}

/// What is to be set, checked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// To have.
    pub(super) identifiers: Vec<Identifier>,
    /// Kinds of which there is to be none.
    pub(super) without: Vec<String>,
    /// An empty value removes the key.
    pub(super) metadata: BTreeMap<String, String>,
}

impl Wanted {
    fn read(options: &options::SetAccount) -> Result<Self, Error> {
        let mut wanted = Self::default();
        for (kind, value) in [(EMAIL, &options.email), (PHONE, &options.phone), (EXTERNAL_ID, &options.id)] {
            if let Some(value) = value {
                wanted.identify(kind, value)?;
            }
        }
        for (kind, value) in options.identifiers.iter().flatten() {
            if is_known(kind) {
                return Err(invalid(format!("identifier `{kind}` has an option of its own: give that")));
            }
            wanted.identify(kind, value)?;
        }
        for (key, value) in options.metadata.iter().flatten() {
            check_metadata(key, value).map_err(invalid)?;
            wanted.metadata.insert(key.clone(), value.clone());
        }
        if wanted.is_empty() && options.valid_until.is_none() {
            return Err(invalid(
                "there is nothing to set: give email, phone, id, identifiers, metadata or valid_until"
                    .to_owned(),
            ));
        }
        Ok(wanted)
    }

    fn identify(&mut self, kind: &str, value: &str) -> Result<(), Error> {
        if value.is_empty() {
            self.without.push(kind.to_owned());
            check_kind(kind)
        } else {
            Identifier::new(kind, value).map(|identifier| self.identifiers.push(identifier))
        }
        .map_err(|error| invalid(error.to_string()))
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// For the audit trail: the options as they were given.
    pub(super) fn input(&self) -> Fields {
        let mut given: BTreeMap<&str, &str> =
            self.identifiers.iter().map(|one| (one.kind(), one.value())).collect();
        given.extend(self.without.iter().map(|kind| (kind.as_str(), "")));
        let mut input = Fields::new();
        for kind in [EMAIL, PHONE, EXTERNAL_ID] {
            input.extend(given.remove(kind).map(|value| (kind, value.to_owned())));
        }
        // Texts always have a JSON form.
        if !given.is_empty() {
            input.insert("identifiers", serde_json::to_string(&given).unwrap_or_default());
        }
        if !self.metadata.is_empty() {
            input.insert("metadata", serde_json::to_string(&self.metadata).unwrap_or_default());
        }
        input
    }
}

fn invalid(why: String) -> Error {
    Error::InvalidArgument(why)
}

/// Refuses what is not kept as metadata.
///
/// # Errors
/// Why.
pub(super) fn check_metadata(key: &str, value: &str) -> Result<(), String> {
    tags::check_key(key).map_err(|why| format!("the metadata's {why}"))?;
    if value.len() > MAX_VALUE {
        return Err(format!("metadata {key} has {} bytes: at most {MAX_VALUE} are kept", value.len()));
    }
    if value.contains(char::is_control) {
        return Err(format!("metadata {key} has control characters: leave them out"));
    }
    Ok(())
}

/// Accounts that have what is wanted and that NSS has no more: what they leave behind is free. If NSS does not answer about one,
/// it stays its own.
async fn holders_that_are_gone(
    core: &Core,
    account: &Account,
    wanted: &Wanted,
) -> Result<BTreeSet<String>, Error> {
    let (own, identifiers) = (account.name.clone(), wanted.identifiers.clone());
    let holders = core
        .store
        .read(move |connection| {
            let holders = identifiers.iter().map(|one| identifiers::holder(connection, one));
            let holders = holders.collect::<rusqlite::Result<Vec<_>>>().map_err(StoreError::from)?;
            Ok::<_, StoreError>(
                holders.into_iter().flatten().filter(|name| *name != own).collect::<BTreeSet<_>>(),
            )
        })
        .await?;
    let mut gone = BTreeSet::new();
    for holder in holders {
        if core.nss().by_name(&holder).await == Ok(None) {
            gone.insert(holder);
        }
    }
    Ok(gone)
}

/// The part of the transaction, without its event. `gone`: accounts that are no more, and keep nothing.
///
/// # Errors
/// `IdentifierTaken`, `InvalidArgument` if it would be too many, `Failed`.
pub(super) fn put(
    change: &mut Change<'_>,
    (id, name): (AccountId, &str),
    wanted: &Wanted,
    gone: &BTreeSet<String>,
) -> Result<(), Error> {
    for kind in &wanted.without {
        identifiers::remove(change, id, kind)?;
    }
    for identifier in &wanted.identifiers {
        let holder = identifiers::holder(change.connection(), identifier).map_err(StoreError::from)?;
        match holder.filter(|holder| holder != name) {
            None => {}
            Some(holder) if gone.contains(&holder) => identifiers::release(change, identifier)?,
            Some(holder) => {
                let (kind, value, holder) = (identifier.kind(), escape(identifier.value()), escape(&holder));
                return Err(Error::IdentifierTaken(format!(
                    "{kind} {value} is that of {holder}: take it from that account first"
                )));
            }
        }
        identifiers::put(change, id, identifier)?;
    }
    for (key, value) in &wanted.metadata {
        metadata::set(change, id, key, value)?;
    }
    let count = |result: rusqlite::Result<BTreeMap<String, String>>| result.map_err(StoreError::from);
    let kept = [
        ("identifiers", count(identifiers::of_account(change.connection(), name))?.len()),
        ("keys of metadata", count(metadata::of_account(change.connection(), name))?.len()),
    ];
    match kept.into_iter().find(|(_, number)| *number > MAX_PAIRS) {
        Some((what, number)) => {
            Err(invalid(format!("{} would have {number} {what}: at most {MAX_PAIRS} are kept", escape(name))))
        }
        None => Ok(()),
    }
}

async fn record_refusal(core: &Core, event: Event) {
    if let Err(error) = core.store.write(move |change| change.record(event)).await {
        let error: StoreError = error;
        tracing::error!("the refusal could not be recorded: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(given: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
        Some(given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn what_is_set_and_what_is_removed_is_in_the_audit_trail_as_it_was_given() {
        let wanted = Wanted::read(&options::SetAccount {
            email: Some("a@b.example".into()),
            phone: Some(String::new()),
            identifiers: pairs(&[("badge", "B \"17\""), ("desk", "")]),
            metadata: pairs(&[("team", "blue")]),
            ..options::SetAccount::default()
        })
        .unwrap();
        let input: Vec<_> = wanted.input().into_iter().collect();
        let expected = [
            ("email", "a@b.example"),
            ("identifiers", r#"{"badge":"B \"17\"","desk":""}"#),
            ("metadata", r#"{"team":"blue"}"#),
            ("phone", ""),
        ];
        assert_eq!(input, expected.map(|(key, value)| (key, value.to_owned())));
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let refused = |options: options::SetAccount| match Wanted::read(&options) {
            Err(Error::InvalidArgument(why)) => why,
            other => panic!("{other:?}"),
        };
        let nothing = options::SetAccount { reason: Some("r".into()), ..Default::default() };
        assert!(refused(nothing).contains("nothing to set"));
        for given in [&[("email", "a@b.example")][..], &[("uid", "1")], &[("Bad", "")], &[("badge", "1\n")]] {
            refused(options::SetAccount { identifiers: pairs(given), ..Default::default() });
        }
        let long = "x".repeat(MAX_VALUE + 1);
        for given in [("a b", "x"), ("", "x"), ("team", "a\nb"), ("team", &long)] {
            refused(options::SetAccount { metadata: pairs(&[given]), ..Default::default() });
        }
        assert!(Wanted::read(&options::SetAccount { valid_until: Some(0), ..Default::default() }).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_refuse_with_control_characters(email: String, kind: String, key: String, value: String) {
            let options = options::SetAccount {
                email: Some(email),
                identifiers: pairs(&[(&kind, &value)]),
                metadata: pairs(&[(&key, &value)]),
                ..Default::default()
            };
            match Wanted::read(&options) {
                Ok(wanted) => prop_assert!(!wanted.input().values().any(|value| value.contains(char::is_control))),
                Err(error) => prop_assert!(!error.message().contains(char::is_control)),
            }
        }
    }
}

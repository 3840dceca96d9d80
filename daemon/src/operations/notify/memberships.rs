//! Whether messages of rules for groups are about their members. That is looked up apart from every transaction, as NSS may hang;
//! if it does, the rule counts as matching.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::Core,
    domain::notify::{Rules, is_for_groups},
    host::clock,
    store::{StoreError, outbox},
};

/// Messages that are looked up in one go.
const AT_ONCE: u32 = 32;

/// Looks up some messages, and takes out what their rules are not for.
///
/// # Errors
/// [`StoreError`]; what was not looked up is looked up again.
pub async fn sort_out(core: &Core, rules: &Rules) -> Result<(), StoreError> {
    let unsure = core.store.write(|change| outbox::take_unsure(change, AT_ONCE, clock::now())).await?;
    let mut groups: BTreeMap<String, Option<BTreeSet<String>>> = BTreeMap::new();
    let mut sorted = Vec::new();
    for message in unsure {
        let Some(rule) = rules.named(&message.rule) else {
            sorted.push((message.number, Vec::new()));
            continue;
        };
        let mut others = Vec::new();
        for account in message.accounts {
            if !groups.contains_key(&account) {
                groups.insert(account.clone(), groups_of(core, &account).await);
            }
            let known = groups.get(&account).and_then(Option::as_ref);
            if known.is_some_and(|known| !is_for_groups(rule, known.iter())) {
                others.push(account);
            }
        }
        sorted.push((message.number, others));
    }
    core.store
        .write(move |change| {
            sorted.iter().try_for_each(|(message, others)| outbox::sort_out(change, *message, others))
        })
        .await
}

/// The groups of an account, none if it does not exist; `None` if nobody can tell.
async fn groups_of(core: &Core, account: &str) -> Option<BTreeSet<String>> {
    let nss = core.nss();
    let found = async {
        match nss.by_name(account).await? {
            Some(account) => nss.groups_of(&account).await,
            None => Ok(BTreeSet::new()),
        }
    };
    found.await.inspect_err(|error| tracing::warn!("rules for groups count as matching: {error}")).ok()
}

//! Which of the accounts that are named can be locked down.

use std::collections::BTreeSet;

use lockdown_dbus_api::Error;
use lockdown_enforcement::escape::escape;

use super::{begin::refuse, order::Order};
use crate::{
    core::Core,
    domain::{account::Account, protection::Protection},
    operations::{protect::Rule, resolve::resolve},
};

/// One of the accounts that are named.
#[derive(Debug)]
pub struct Chosen {
    /// As NSS spells it, or as it was named if nobody knows it.
    pub user: String,
    /// The account, or why it cannot be locked down.
    pub account: Result<Account, Error>,
}

/// Resolves and judges every account that is named, each once, in the order given. Accounts that come later are judged as if
/// those before were locked down already: of two last administrators the second stays.
pub async fn choose(core: &Core, order: &Order, users: Vec<String>) -> Vec<Chosen> {
    let mut chosen: Vec<Chosen> = Vec::with_capacity(users.len());
    let mut seen = BTreeSet::new();
    let mut rule = Rule::for_one(core, &order.caller);
    for user in users {
        let account = match resolve(core, &order.caller, &user).await {
            Ok(account) if !seen.insert(account.name.clone()) => continue,
            Err(_) if !seen.insert(user.clone()) => continue,
            resolved => resolved,
        };
        let stopped = order.abort && chosen.iter().any(|before| before.account.is_err());
        let user = account.as_ref().map_or(user, |account| account.name.clone());
        let account = match account {
            _ if stopped => Err(Error::Failed("not attempted: an account before it failed".to_owned())),
            Ok(account) => judge(core, order, &rule, account).await,
            Err(error) => Err(error),
        };
        if let Ok(account) = &account {
            rule.count_as_locked(account.uid);
        }
        chosen.push(Chosen { user, account });
    }
    chosen
}

async fn judge(core: &Core, order: &Order, rule: &Rule<'_>, account: Account) -> Result<Account, Error> {
    match rule.check(&account).await {
        None => Ok(account),
        Some(Protection::LastAdministrator) if order.force => Ok(account),
        Some(protection) => {
            refuse(core, order, &account.name, &protection.to_string()).await;
            Err(Error::Protected(format!("{} is protected: {protection}", escape(&account.name))))
        }
    }
}

//! What a lockdown would meet.

use lockdown_dbus_api::{Error, views::LockdownPreview};
use lockdown_enforcement::escape::escape;
use zbus::DBusError;

use crate::{
    bus::caller::Caller,
    core::Core,
    domain::account::Account,
    host::{
        processes::{self, find},
        tokens,
    },
    operations::{protect::Rule, resolve::resolve},
    store::{StoreError, lockdowns, sessions},
};

/// What a lockdown of these accounts would meet. Changes nothing.
///
/// # Errors
/// `Failed`; what is wrong with one account is in its preview.
pub async fn preview(
    core: &Core,
    caller: &Caller,
    users: Vec<String>,
) -> Result<Vec<LockdownPreview>, Error> {
    let rule = Rule::for_many(core, caller).await;
    let mut previews = Vec::with_capacity(users.len());
    for user in users {
        previews.push(match resolve(core, caller, &user).await {
            Ok(account) => of_account(core, &rule, account).await?,
            Err(error) => LockdownPreview {
                user,
                error_name: Some(error.name().to_string()),
                error: Some(error.message()),
                ..LockdownPreview::default()
            },
        });
    }
    Ok(previews)
}

async fn of_account(core: &Core, rule: &Rule<'_>, account: Account) -> Result<LockdownPreview, Error> {
    let protection = rule.check(&account).await;
    let refusal =
        protection.map(|why| Error::Protected(format!("{} is protected: {why}", escape(&account.name))));
    let name = account.name.clone();
    let (sessions, last) = core
        .store
        .read(move |connection| {
            Ok::<_, StoreError>((
                sessions::count_open(connection, &name)?,
                lockdowns::last_of(connection, &name)?,
            ))
        })
        .await?;
    let target = processes::of_account(account.uid, &account.name);
    let processes = tokio::task::spawn_blocking(move || find(&target).its.len()).await.unwrap_or_default();
    let (keys, jobs) = tokens::count(&account).await;
    Ok(LockdownPreview {
        error: refusal.as_ref().map(Error::message),
        error_name: refusal.as_ref().map(|error| error.name().to_string()),
        user: account.name,
        sessions,
        processes: u32::try_from(processes).unwrap_or(u32::MAX),
        keys,
        jobs,
        locked_down: last.is_some_and(|lockdown| !lockdown.restored),
    })
}

//! What is done before the lock is lifted: the password, what goes past PAM, and the files.

use lockdown_dbus_api::{Error, views};
use lockdown_enforcement::escape::escape;

use super::{put_back::put_files_back, way::Way};
use crate::{
    domain::account::Account,
    host::{
        clock,
        shadow_utils::{self, ShadowError, ShadowState},
    },
    operations::prior::Prior,
    store::lockdowns::Lockdown,
};

/// What is done before the lock is lifted.
#[derive(Default)]
pub(super) struct Opened {
    pub(super) restored: views::Restored,
    pub(super) code: Option<String>,
    pub(super) done: Vec<i64>,
    pub(super) problems: Vec<String>,
}

/// Puts right what goes past PAM, and the files. What fails after the password is among the problems.
pub(super) async fn open(
    way: &Way,
    account: &Account,
    lockdown: &Lockdown,
    kept: &[(i64, Prior)],
    with_tokens: bool,
) -> Result<Opened, Error> {
    let mut opened = Opened::default();
    opened.restored.user.clone_from(&account.name);
    opened.code = set_password(way, account, lockdown, kept).await?;
    if *way == Way::Undo
        && let Some((row, state)) = shadow_of(kept)
    {
        let actions = lockdown.wanted.actions;
        match shadow_utils::put_back(&account.name, state, actions.deactivate, actions.unusable_password)
            .await
        {
            Ok(()) => {
                opened.restored.put_back.push("shadow".to_owned());
                opened.done.push(row);
            }
            Err(error) => opened.problems.push(error.to_string()),
        }
    }
    if with_tokens {
        put_files_back(kept, &mut opened.restored, &mut opened.done, &mut opened.problems).await;
    }
    Ok(opened)
}

/// Says what cannot be, before anything is changed.
pub(super) fn refuse_if_impossible(
    way: &Way,
    account: &Account,
    lockdown: &Lockdown,
    kept: &[(i64, Prior)],
) -> Result<(), Error> {
    let name = escape(&account.name);
    let is_local =
        shadow_utils::state_of(&account.name).map_err(|error| Error::Failed(error.to_string()))?.is_some();
    let is_forgotten = lockdown.undo_until <= clock::now()
        || kept.iter().any(|(_, prior)| matches!(prior, Prior::Expiry(_)));
    match way {
        Way::Undo if is_forgotten => Err(Error::Failed(format!(
            "what {name} had is not kept any more, the time for an undo is over: restore it with a new password"
        ))),
        Way::AsItIs if is_local => Err(Error::InvalidArgument(format!(
            "{name} needs a new password: give one, or ask for a recovery code; for a false alarm there is undo"
        ))),
        Way::Password(_) | Way::RecoveryCode if !is_local => Err(Error::InvalidArgument(format!(
            "{name} has its password in a directory: set a new one there, and restore it without"
        ))),
        _ => Ok(()),
    }
}

/// Sets the password that the way asks for, and takes the expiry of the lockdown back. The recovery code, if one is made.
async fn set_password(
    way: &Way,
    account: &Account,
    lockdown: &Lockdown,
    kept: &[(i64, Prior)],
) -> Result<Option<String>, Error> {
    let name = &account.name;
    let failed = |error: ShadowError| match error {
        ShadowError::Refused(_) | ShadowError::BadPassword(_) => Error::InvalidArgument(error.to_string()),
        other => Error::Failed(other.to_string()),
    };
    let code = match way {
        Way::Undo | Way::AsItIs => return Ok(None),
        Way::Password(password) => {
            shadow_utils::set_password(name, password).await.map_err(failed)?;
            None
        }
        Way::RecoveryCode => Some(shadow_utils::set_recovery_code(name).await.map_err(failed)?),
    };
    if lockdown.wanted.actions.deactivate {
        let own = kept.iter().find_map(|(_, prior)| match prior {
            Prior::Shadow(state) | Prior::Expiry(state) => Some(state),
            _ => None,
        });
        shadow_utils::lift_expiry(name, own).await.map_err(failed)?;
    }
    Ok(code)
}

fn shadow_of(kept: &[(i64, Prior)]) -> Option<(i64, &ShadowState)> {
    kept.iter().find_map(|(row, prior)| match prior {
        Prior::Shadow(state) => Some((*row, state)),
        _ => None,
    })
}

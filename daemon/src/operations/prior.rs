//! What the host was like before a lockdown changed it: kept in the store before the change is made.

use lockdown_dbus_api::Error;
use lockdown_enforcement::escape::escape;

use crate::{
    core::Core,
    domain::account::Account,
    host::{
        quarantine::{Kept, Row},
        shadow_utils::ShadowState,
    },
    store::{
        Change, StoreError,
        lockdowns::{self, EXPIRY, LockdownId, PriorState, SHADOW},
    },
};

const LINGER: &str = "linger";
const UNIT: &str = "unit";

/// Something kept.
#[derive(Clone, Debug)]
pub enum Prior {
    /// The account's line of shadow(5).
    Shadow(ShadowState),
    /// The same without its hash, which is kept no more: of use for the account's own expiry alone.
    Expiry(ShadowState),
    /// Its user manager ran without a session.
    Linger,
    /// A unit that ran or waited.
    Unit(String),
    /// A file.
    File(Box<Kept>),
}

/// Keeps files.
///
/// # Errors
/// `Failed`; nothing is kept.
pub async fn keep_files(core: &Core, lockdown: LockdownId, files: &[Kept]) -> Result<(), Error> {
    let state = |file: &Kept| {
        let row = file.to_row().map_err(|error| Error::Failed(error.to_string()))?;
        Ok(PriorState { kind: row.kind, name: row.path, content: row.content, details: row.rest })
    };
    let states = files.iter().map(state).collect::<Result<Vec<_>, Error>>()?;
    Ok(keep(core, lockdown, states).await?)
}

/// Keeps a line of shadow(5), unless this lockdown has done so: then the line is its own work.
///
/// # Errors
/// [`StoreError`]
pub fn keep_shadow(
    change: &mut Change<'_>,
    lockdown: LockdownId,
    state: &ShadowState,
) -> Result<(), StoreError> {
    keep_line(change, lockdown, SHADOW, state)
}

/// Keeps the account's own expiry alone: the hash, a recovery code's, is worth nothing any more.
///
/// # Errors
/// [`StoreError`]
pub fn keep_expiry(
    change: &mut Change<'_>,
    lockdown: LockdownId,
    state: &ShadowState,
) -> Result<(), StoreError> {
    keep_line(change, lockdown, EXPIRY, &ShadowState { hash: String::new(), ..state.clone() })
}

fn keep_line(
    change: &mut Change<'_>,
    lockdown: LockdownId,
    kind: &str,
    state: &ShadowState,
) -> Result<(), StoreError> {
    let kept = lockdowns::prior_states(change.connection(), lockdown)?;
    if kept.iter().any(|(_, state)| [SHADOW, EXPIRY].contains(&state.kind.as_str())) {
        return Ok(());
    }
    // The hash apart from the rest, which may be kept for longer.
    let rest = ShadowState { hash: String::new(), ..state.clone() };
    let details = serde_json::to_string(&rest).unwrap_or_default();
    let content = state.hash.clone().into_bytes();
    lockdowns::keep(change, lockdown, &[PriorState { content, ..named(kind, "", details) }])
}

/// Keeps that the account lingered, and units that ran or waited.
///
/// # Errors
/// [`StoreError`]
pub async fn keep_starters(
    core: &Core,
    lockdown: LockdownId,
    linger: bool,
    units: &[String],
) -> Result<(), StoreError> {
    let mut states: Vec<PriorState> = units.iter().map(|unit| named(UNIT, unit, String::new())).collect();
    if linger {
        states.push(named(LINGER, "", String::new()));
    }
    keep(core, lockdown, states).await
}

async fn keep(core: &Core, lockdown: LockdownId, states: Vec<PriorState>) -> Result<(), StoreError> {
    if states.is_empty() {
        return Ok(());
    }
    core.store.write(move |change| lockdowns::keep(change, lockdown, &states)).await
}

fn named(kind: &str, name: &str, details: String) -> PriorState {
    PriorState { kind: kind.to_owned(), name: name.as_bytes().to_vec(), content: Vec::new(), details }
}

/// All that a lockdown of this account has kept, first kept first, with its rows. A row that cannot be read is left where it is,
/// and logged.
///
/// # Errors
/// [`StoreError`]
pub async fn all(
    core: &Core,
    lockdown: LockdownId,
    account: &Account,
) -> Result<Vec<(i64, Prior)>, StoreError> {
    let rows = core
        .store
        .read(move |connection| lockdowns::prior_states(connection, lockdown).map_err(StoreError::from))
        .await?;
    Ok(rows
        .into_iter()
        .filter_map(|(row, state)| match read(state) {
            Ok(prior) => Some((row, prior)),
            Err(why) => {
                tracing::error!(
                    "a prior state of {} (row {row}) cannot be read: {why}",
                    escape(&account.name)
                );
                None
            }
        })
        .collect())
}

/// The files among [`all`].
///
/// # Errors
/// [`StoreError`]
pub async fn files(core: &Core, lockdown: LockdownId, account: &Account) -> Result<Vec<Kept>, StoreError> {
    let file = |(_, prior)| match prior {
        Prior::File(file) => Some(*file),
        _ => None,
    };
    Ok(all(core, lockdown, account).await?.into_iter().filter_map(file).collect())
}

fn read(state: PriorState) -> Result<Prior, String> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|error| error.to_string());
    Ok(match state.kind.as_str() {
        kind @ (SHADOW | EXPIRY) => {
            let rest: ShadowState =
                serde_json::from_str(&state.details).map_err(|error| error.to_string())?;
            let line = ShadowState { hash: text(state.content)?, ..rest };
            if kind == SHADOW { Prior::Shadow(line) } else { Prior::Expiry(line) }
        }
        LINGER => Prior::Linger,
        UNIT => Prior::Unit(text(state.name)?),
        _ => {
            let row = Row { kind: state.kind, path: state.name, content: state.content, rest: state.details };
            Prior::File(Box::new(Kept::from_row(row).map_err(|error| error.to_string())?))
        }
    })
}

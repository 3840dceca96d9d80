//! Puts back what a lockdown took away.

use std::{os::unix::ffi::OsStrExt, path::Path, time::Duration};

use lockdown_dbus_api::views;
use lockdown_enforcement::escape::escape;

use crate::{
    core::Core,
    domain::account::Account,
    host::{logind, quarantine::Kept, tokens, units},
    operations::prior::Prior,
};

/// Longest time to put a file back: a home directory may be on a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn put_files_back(
    kept: &[(i64, Prior)],
    restored: &mut views::Restored,
    done: &mut Vec<i64>,
    problems: &mut Vec<String>,
) {
    for (row, prior) in kept {
        let Prior::File(file) = prior else { continue };
        // Of what took the place of a file that was taken away, the first is what was there before.
        let first = kept.iter().find_map(|(first, prior)| match prior {
            Prior::File(other) if other.path == file.path => Some(*first),
            _ => None,
        });
        if first != Some(*row) {
            continue;
        }
        match put_file_back(file).await {
            Ok(()) => {
                restored.put_back.push(file.path.to_string_lossy().into_owned());
                done.extend(rows_of(kept, &file.path));
            }
            Err(problem) => problems.push(problem),
        }
    }
}

fn rows_of(kept: &[(i64, Prior)], path: &Path) -> Vec<i64> {
    kept.iter()
        .filter(|(_, prior)| matches!(prior, Prior::File(file) if file.path == path))
        .map(|(row, _)| *row)
        .collect()
}

async fn put_file_back(file: &Kept) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, tokens::put_back(file.clone())).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err(format!(
            "{} is not put back: its file system does not answer",
            escape(file.path.as_os_str().as_bytes())
        )),
    }
}

pub(super) async fn start_again(
    core: &Core,
    account: &Account,
    kept: &[(i64, Prior)],
    restored: &mut views::Restored,
    done: &mut Vec<i64>,
    problems: &mut Vec<String>,
) {
    for (row, prior) in kept {
        let (what, outcome) = match prior {
            Prior::Linger => ("linger", logind::set_linger(&core.bus, account.uid, true).await),
            // A transient unit is gone for good when it stops.
            Prior::Unit(unit) if !units::exists(&core.bus, unit).await => {
                restored.review.push(format!(
                    "{} was transient, and is gone: start it anew if it is wanted",
                    escape(unit)
                ));
                done.push(*row);
                continue;
            }
            Prior::Unit(unit) => (unit.as_str(), units::start(&core.bus, unit).await),
            Prior::Shadow(_) | Prior::Expiry(_) | Prior::File(_) => continue,
        };
        match outcome {
            Ok(()) => {
                restored.put_back.push(what.to_owned());
                done.push(*row);
            }
            Err(error) => problems.push(format!("{}: {error}", escape(what))),
        }
    }
}

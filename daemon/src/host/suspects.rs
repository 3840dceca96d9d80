//! Units that an account may have had systemd start as root. systemd starts them, so they carry neither its uid nor its
//! loginuid, and no sweep finds them: they are named with the evidence, for a person to judge.

use std::os::unix::fs::MetadataExt;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use zbus::{Connection, OwnedObjectPath, proxy::CacheProperties};
use zbus_systemd::systemd1::{ManagerProxy, ServiceProxy, UnitProxy};

use lockdown_enforcement::escape::escape;

use self::journal::Rise;
use super::transient_unit;
use crate::domain::{account::Account, lock::Time};

mod journal;

/// Kinds of units that run something, or have something run.
const KINDS: [&str; 4] = [".service", ".timer", ".socket", ".path"];
/// Where units come from that no package has brought: those of administrators, and those made while the host runs.
const PLACES: [&str; 3] = ["/etc/systemd/system/", "/run/systemd/system/", "/run/systemd/transient/"];
/// What it would take to change these, could not be mended by stopping them.
const OWN: [&str; 2] = ["lockdownd.service", "lockdownd.socket"];
/// A command explains a unit that starts at most so much later, in microseconds.
const SOON: u64 = 10_000_000;
/// Units that are asked about at the same time.
const AT_ONCE: usize = 16;

/// A unit that the account may have started as root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Its name.
    pub unit: String,
    /// Why it is suspected, in words; escaped.
    pub evidence: String,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The suspects, by name.
    pub suspects: Vec<Suspect>,
    /// Why there may be more.
    pub note: Option<String>,
}

/// What is known of a unit when it is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Facts {
    unit: String,
    /// Made by systemd-run(1) or the like.
    transient: bool,
    /// The file of its own that changed last, with the time, in microseconds since 1970.
    changed: Option<(u64, String)>,
    /// When it was started, in microseconds since 1970; 0: not in this boot.
    started: u64,
    /// `User=`; empty for root, and for units that run nothing themselves.
    user: String,
}

/// Looks for units that were made or changed, and started, since the account first became root in this boot. `since` is
/// the start of its first session; without it, the journal is read from the start of the boot on.
///
/// Nothing that the account itself could have written is believed: that it became root, the journal must have from sudo(8),
/// su(1), pkexec(1) or polkitd(8) themselves.
pub async fn find(bus: &Connection, account: &Account, since: Option<Time>) -> Found {
    search(bus, account, since).await.unwrap_or_else(|why| Found {
        suspects: Vec::new(),
        note: Some(format!("units started as root are unknown: {why}")),
    })
}

async fn search(bus: &Connection, account: &Account, since: Option<Time>) -> Result<Found, String> {
    let of_systemd = |error: zbus::Error| format!("systemd does not answer: {error}");
    let since = match since {
        Some(since) => since,
        None => boot(bus).await.map_err(of_systemd)?,
    };
    let read = journal::rises(account, since)
        .await
        .map_err(|error| format!("the journal cannot be read: {error}"))?;
    let units = if read.rises.is_empty() { Vec::new() } else { candidates(bus).await.map_err(of_systemd)? };
    Ok(Found { suspects: judge(units, &read.rises, &account.name), note: read.note })
}

/// When systemd started. Not `journalctl --boot`: in a container the kernel's boot id, as this service sees it, need not
/// be the journal's.
async fn boot(bus: &Connection) -> zbus::Result<Time> {
    let microseconds = ManagerProxy::new(bus).await?.userspace_timestamp().await?;
    Ok(Time::try_from(microseconds / 1_000_000).unwrap_or_default())
}

fn judge(mut units: Vec<Facts>, rises: &[Rise], name: &str) -> Vec<Suspect> {
    units.sort_by(|one, other| one.unit.cmp(&other.unit));
    units
        .into_iter()
        .filter(|unit| !transient_unit::is_own(&unit.unit) && !OWN.contains(&unit.unit.as_str()))
        .filter_map(|unit| Some(Suspect { evidence: evidence(&unit, rises, name)?, unit: unit.unit }))
        .collect()
}

/// The rule: runs as root; made or changed, and started, after the account first was root.
fn evidence(unit: &Facts, rises: &[Rise], name: &str) -> Option<String> {
    let first = rises.iter().map(|rise| rise.at).min()?;
    let changed = unit.changed.as_ref().filter(|(at, _)| *at >= first);
    if !matches!(unit.user.as_str(), "" | "root" | "0") {
        return None;
    }
    let what = match changed {
        _ if unit.transient => "transient".to_owned(),
        Some((at, path)) => format!("{} changed {}", escape(path), moment(*at)),
        None => return None,
    };
    let name = escape(name);
    let why = match explanation(unit, rises)? {
        (Explained::Command, rise) => {
            let seconds = (unit.started - rise.at) / 1_000_000;
            format!("{seconds} s after {name} ran `{}`", escape(&rise.command()))
        }
        (Explained::OpenShell, rise) => {
            format!("while `{}` of {name} was running, from {}", escape(&rise.command()), moment(rise.at))
        }
        (Explained::Order, rise) => {
            format!("after `{}` of {name} at {}", escape(&rise.command()), moment(rise.at))
        }
    };
    Some(format!("{what}, started {}, {why}", moment(unit.started)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Explained {
    Command,
    OpenShell,
    Order,
}

/// The time as root, before the start, that explains it best: a command that names the unit or what starts units, shortly before; one
/// that was still running; the last one.
fn explanation<'r>(unit: &Facts, rises: &'r [Rise]) -> Option<(Explained, &'r Rise)> {
    let stem = unit.unit.rsplit_once('.').map_or(unit.unit.as_str(), |(stem, _)| stem);
    let names = ["systemd-run", "systemctl", stem];
    let before: Vec<&Rise> = rises.iter().filter(|rise| rise.at <= unit.started).collect();
    let last = |is_it: &dyn Fn(&Rise) -> bool| {
        before.iter().copied().filter(|rise| is_it(rise)).max_by_key(|rise| rise.at)
    };
    let says_so = |rise: &Rise| {
        unit.started - rise.at <= SOON && names.iter().any(|name| rise.command().contains(name))
    };
    let is_open = |rise: &Rise| rise.until.is_none_or(|until| until >= unit.started);
    last(&says_so)
        .map(|rise| (Explained::Command, rise))
        .or_else(|| last(&is_open).map(|rise| (Explained::OpenShell, rise)))
        .or_else(|| last(&|_| true).map(|rise| (Explained::Order, rise)))
}

/// Units with a file in one of [`PLACES`].
async fn candidates(bus: &Connection) -> zbus::Result<Vec<Facts>> {
    let listed = ManagerProxy::new(bus).await?.list_units().await?;
    let wanted = listed.into_iter().filter(|unit| KINDS.iter().any(|kind| unit.0.ends_with(kind)));
    // One that ends meanwhile is none.
    let asked = wanted.map(|unit| async move { facts(bus, unit.0, unit.6).await.ok().flatten() });
    Ok(stream::iter(asked).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await)
}

async fn facts(bus: &Connection, name: String, path: OwnedObjectPath) -> zbus::Result<Option<Facts>> {
    let unit =
        UnitProxy::builder(bus).path(path.clone()).cache_properties(CacheProperties::No).build().await?;
    let mut files: Vec<String> = unit.drop_in_paths().await?;
    files.push(unit.fragment_path().await?);
    files.retain(|file| PLACES.iter().any(|place| file.starts_with(place)));
    if files.is_empty() {
        return Ok(None);
    }
    let (exit, enter) = (unit.inactive_exit_timestamp().await?, unit.active_enter_timestamp().await?);
    let user = if name.ends_with(".service") {
        let service = ServiceProxy::builder(bus)
            .path(path.clone())
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        service.user().await?
    } else {
        String::new()
    };
    let changed = files.into_iter().filter_map(|file| Some((changed_at(&file)?, file))).max();
    let transient = unit.transient().await?;
    Ok(Some(Facts { unit: name, transient, changed, started: if exit == 0 { enter } else { exit }, user }))
}

/// When a file was last changed in any way, in microseconds since 1970: unlike the time of its content, nobody can set this
/// one.
fn changed_at(path: &str) -> Option<u64> {
    let status = std::fs::symlink_metadata(path).ok()?;
    u64::try_from(status.ctime())
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(u64::try_from(status.ctime_nsec()).ok()? / 1000)
}

fn moment(microseconds: u64) -> String {
    let at = i64::try_from(microseconds).ok().and_then(|at| Timestamp::from_microsecond(at).ok());
    at.unwrap_or(Timestamp::MAX).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests;

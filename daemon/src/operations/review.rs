//! What a user should look at who gets an account back: what an intruder may have left in it.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::libc;

use crate::{
    core::Core,
    domain::account::Account,
    host::as_account::as_account,
    store::{StoreError, lockdowns::Lockdown},
};

/// Longest time to look into a home directory.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long before a lockdown changes are worth a look, in seconds: 14 days.
const BEFORE: i64 = 14 * 24 * 3600;
/// What runs at a login, or sends something elsewhere, below a home directory.
const PLACES: [(&str, &str); 14] = [
    (".ssh/rc", "runs at every ssh login"),
    (".ssh/config", "tells ssh where to connect"),
    (".ssh/environment", "sets the environment of ssh logins"),
    (".bashrc", "runs in every shell"),
    (".bash_profile", "runs at every login"),
    (".bash_login", "runs at every login"),
    (".bash_logout", "runs at every logout"),
    (".profile", "runs at every login"),
    (".zshrc", "runs in every shell"),
    (".zshenv", "runs in every shell"),
    (".forward", "sends mail elsewhere"),
    (".gitconfig", "can run programs"),
    (".config/systemd/user", "has units of the user manager"),
    (".config/autostart", "runs at every desktop login"),
];

/// In words: files that changed shortly before the lockdown, what it found outside the account, and what only the user can do.
pub async fn review(core: &Core, account: &Account, lockdown: &Lockdown) -> Vec<String> {
    let since = lockdown.started_at - BEFORE;
    let of_account = account.clone();
    let changed = tokio::task::spawn_blocking(move || changed_files(&of_account, since));
    let mut list = match tokio::time::timeout(PATIENCE, changed).await {
        Ok(Ok(changed)) => changed,
        _ => vec![format!("{} did not answer: look at its start-up files", account.home.display())],
    };
    list.extend(found_outside(core, account).await);
    list.push("change passwords that were used elsewhere, too, and make new ssh keys".to_owned());
    list
}

/// Looks with the account's own rights, so that what it may not see is not seen here.
fn changed_files(account: &Account, since: i64) -> Vec<String> {
    let home = account.home.clone();
    let changed = as_account(account, move || {
        PLACES
            .iter()
            .filter_map(|(place, what)| {
                let path: PathBuf = home.join(place);
                let metadata = std::fs::symlink_metadata(&path).ok()?;
                let lately = metadata.mtime() >= since || metadata.ctime() >= since;
                (lately && !is_as_delivered(&path, place, &metadata))
                    .then(|| format!("{}: {what}, and changed lately", path.display()))
            })
            .collect()
    });
    changed.unwrap_or_default()
}

/// Whether it still is what useradd(8) put there.
fn is_as_delivered(path: &Path, place: &str, metadata: &Metadata) -> bool {
    let skeleton = Path::new("/etc/skel").join(place);
    let Ok(delivered) = std::fs::read(skeleton) else { return false };
    metadata.is_file() && read_up_to(path, delivered.len() + 1).is_ok_and(|content| content == delivered)
}

/// The start of a file, whatever its owner has put in its place meanwhile.
fn read_up_to(path: &Path, length: usize) -> io::Result<Vec<u8>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let mut content = Vec::new();
    file.take(u64::try_from(length).unwrap_or(u64::MAX)).read_to_end(&mut content)?;
    Ok(content)
}

/// What the lockdown reported last and left where it was.
async fn found_outside(core: &Core, account: &Account) -> Vec<String> {
    let filter = lockdown_dbus_api::options::EventFilter {
        user: Some(account.name.clone()),
        action: Some("lockdown-finished".to_owned()),
        limit: Some(1),
        ..Default::default()
    };
    let events = core
        .store
        .read(move |connection| crate::store::events::list(connection, &filter).map_err(StoreError::from))
        .await
        .unwrap_or_default();
    let wanted = [
        ("suspects", "a unit that it may have started as root"),
        ("keys_elsewhere", "its key in another account"),
    ];
    let mut lines = Vec::new();
    for event in &events {
        for (key, what) in wanted {
            let list = event.input.get(key).map(String::as_str).unwrap_or_default();
            lines.extend(list.split("; ").filter(|one| !one.is_empty()).map(|one| format!("{what}: {one}")));
        }
    }
    lines
}

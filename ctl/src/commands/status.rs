//! `lockdownctl status`

use std::collections::HashMap;

use lockdown_dbus_api::{
    options::AccountFilter,
    views::{Account, Lock, Session, StateDocument},
};
use serde_json::json;

use super::Context;
use crate::{
    client::Client,
    exit::Failure,
    output::{
        Show, json,
        table::{Colour, coloured, paint},
        text::{count, escape},
        time, views,
    },
    target,
};

/// Show an account, or how the host stands
///
/// With USER, everything that is known of the account: its state, locks and sessions. With --json, that is the account
/// with a key "open_sessions", an array of its sessions.
///
/// Without USER, the daemon, notifications that have not arrived, the state documents, and the accounts that are locked now.
/// With --json, an object with the keys "version", "lockdown_enabled", "locked_accounts" (a number), "notifications" (numbers
/// by state: "queued", "sending", "dead"), "state_error" (why those of state.d are not in force as they lie there; empty if
/// they are), "documents" (an array, as ListDocuments has it) and "accounts" (an array).
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl status
  lockdownctl status alice
  lockdownctl status alice --json | jq .locked_until")]
pub struct Args {
    /// Account to show
    #[arg(value_name = "USER", value_parser = target::user)]
    user: Option<String>,
}

/// Runs it.
///
/// # Errors
///
/// The account does not exist, or the daemon cannot be reached.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let client = Client::connect().await?;
    match &args.user {
        Some(user) => of_account(user, &client, context).await,
        None => of_host(&client, context).await,
    }
}

async fn of_account(user: &str, client: &Client, context: &mut Context) -> Result<(), Failure> {
    let account = client.account(user).await?;
    // By the name that NSS gives: the sessions are the account's, whatever identifier was asked for.
    let sessions = client.sessions(Some(account.name.clone())).await?;
    context.answer(
        || {
            let mut object = json::object(&account)?;
            object["open_sessions"] = json::array(&sessions)?;
            Ok(object)
        },
        |show| account_text(&account, &sessions, show),
    )
}

async fn of_host(client: &Client, context: &mut Context) -> Result<(), Failure> {
    let host = Host {
        version: client.version().await?,
        lockdown_enabled: client.lockdown_enabled().await?,
        locked_accounts: client.locked_accounts().await?,
        // System accounts, too: one can have been locked before its uid came to lie among them.
        accounts: client
            .accounts(&AccountFilter { locked: Some(true), system: Some(true), ..AccountFilter::default() })
            .await?,
        notifications: client.metrics().await?.outbox,
        state_error: client.state_error().await?,
        documents: client.documents().await?,
    };
    context.answer(
        || {
            Ok(json!({
                "version": host.version,
                "lockdown_enabled": host.lockdown_enabled,
                "locked_accounts": host.locked_accounts,
                "notifications": host.notifications,
                "state_error": host.state_error,
                "documents": json::array(&host.documents)?,
                "accounts": json::array(&host.accounts)?,
            }))
        },
        |show| host_text(&host, show),
    )
}

struct Host {
    version: String,
    lockdown_enabled: bool,
    locked_accounts: u32,
    accounts: Vec<Account>,
    /// By state.
    notifications: HashMap<String, u32>,
    /// Why state.d is not in force as it lies there; empty if it is.
    state_error: String,
    documents: Vec<StateDocument>,
}

fn host_text(host: &Host, show: &Show) -> String {
    let mut rows = vec![
        ("Daemon", format!("lockdownd {}", escape(&host.version))),
        (
            "Lockdown",
            if host.lockdown_enabled { "enabled" } else { "disabled in the configuration" }.to_owned(),
        ),
        ("Locked", count(host.locked_accounts as usize, "account", "accounts")),
    ];
    let of = |state: &str| host.notifications.get(state).copied().unwrap_or_default();
    match (of("queued") + of("sending"), of("dead")) {
        (0, 0) => {}
        (waiting, 0) => rows.push(("Notifications", format!("{waiting} on the way"))),
        (waiting, dead) => rows.push((
            "Notifications",
            format!("{waiting} on the way, {dead} could not be delivered: `lockdownctl notify queue --dead`"),
        )),
    }
    rows.extend(state(host));
    let mut text = views::property_list(rows, show);
    if !host.accounts.is_empty() {
        text.push('\n');
        text.push_str(&views::accounts(&host.accounts, show));
    }
    text
}

/// The state documents, if there are any or should be.
fn state(host: &Host) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if !host.documents.is_empty() {
        let names: Vec<_> = host.documents.iter().map(|document| escape(&document.name)).collect();
        let documents = count(names.len(), "document", "documents");
        rows.push(("State", format!("{documents} in force: {}", names.join(", "))));
    }
    let pending: Vec<_> = host.documents.iter().filter(|document| document.pending > 0).collect();
    if !pending.is_empty() {
        let each =
            pending.iter().map(|document| format!("{} of {}", document.pending, escape(&document.name)));
        let each = each.collect::<Vec<_>>().join(", ");
        rows.push(("Pending", format!("{each}: `lockdownctl apply --check` says why")));
    }
    if !host.state_error.is_empty() {
        let error = coloured(&escape(&host.state_error), Colour::Red);
        rows.push(("State error", format!("state.d is not in force as it lies there: {error}")));
    }
    rows
}

fn account_text(account: &Account, sessions: &[Session], show: &Show) -> String {
    let title = format!("{} (uid {})\n", coloured(&escape(&account.name), Colour::Bold), account.uid);
    let state = match views::locked_until(account, show) {
        until if until.is_empty() => views::state(account),
        until if account.locked_until == Some(0) => format!("{} {until}", views::state(account)),
        until => format!("{}, ends {until}", views::state(account)),
    };
    let mut rows = vec![
        ("State", state),
        ("Account expires", views::when_or(account.valid_until, "never", show)),
        ("Password", if account.password_usable { "usable" } else { "not usable" }.to_owned()),
        ("Failed attempts", account.failed_attempts.to_string()),
        ("Last sign-in", views::when_or(account.last_sign_in, "unknown", show)),
        ("Last active", views::when_or(account.last_active, "unknown", show)),
        ("Created", views::when_or(account.created, "unknown", show)),
    ];
    rows.extend(account.passkeys.map(|number| ("Passkeys", number.to_string())));
    rows.extend(
        account.totp_enabled.map(|enabled| ("One-time codes", one_time_codes(enabled, account.backup_codes))),
    );
    rows.extend(views::kept(account));
    if account.protected {
        let reason = account.protected_reason.as_deref().unwrap_or_default();
        rows.push((
            "Protected",
            if reason.is_empty() { "yes".to_owned() } else { format!("yes: {}", escape(reason)) },
        ));
    }
    let is_of_lockdown = |lock: &Lock| matches!(lock.owner.as_str(), "lockdown" | "self");
    if account.locks.iter().any(is_of_lockdown) {
        rows.push((
            "Lockdown",
            format!("in force: {} takes it back", views::remedy("lockdown", &account.name)),
        ));
    }
    let mut text = paint(&title, show) + &views::property_list(rows, show);
    text.push_str("\nLocks\n");
    if account.locks.is_empty() {
        text.push_str("none\n");
    }
    for lock in &account.locks {
        let mut rows = vec![
            ("Owner", format!("{} (lock {})", escape(&lock.owner), lock.id)),
            ("Ends", views::lock_end(lock.expires_at, show)),
            ("Set", format!("{} by {}", time::when(lock.created_at, show), escape(&lock.created_by))),
        ];
        if lock.owner == "attack-protection" {
            rows.push(("Keeps out", views::kept_out(&lock.source)));
        }
        if !lock.reason.is_empty() {
            rows.push(("Reason", escape(&lock.reason)));
        }
        if !lock.message.is_empty() {
            // As the user sees it.
            rows.push(("Message", lock.message.lines().map(escape).collect::<Vec<_>>().join("\n")));
        }
        text.push_str(&views::property_list(rows, show));
    }
    text.push_str("\nSessions\n");
    match sessions {
        [] => text.push_str("none\n"),
        sessions => text.push_str(&views::sessions(sessions, show)),
    }
    text
}

fn one_time_codes(enabled: bool, backup_codes: Option<u32>) -> String {
    match (enabled, backup_codes) {
        (false, _) => "none".to_owned(),
        (true, None) => "enabled".to_owned(),
        (true, Some(left)) => {
            format!("enabled, {} left", count(left as usize, "backup code", "backup codes"))
        }
    }
}

#[cfg(test)]
mod tests {
    use lockdown_dbus_api::views::Lock;

    use super::*;
    use crate::output::views::tests::{alice, identified, session, show};

    #[test]
    fn an_account_with_all_that_is_known() {
        insta::assert_snapshot!("status-locked", account_text(&alice(), &[session()], &show()));
        let deactivated = Account {
            deactivated: true,
            locked_until: Some(0),
            password_usable: false,
            locks: vec![Lock {
                owner: "lockdown".into(),
                expires_at: 0,
                message: "Call the help desk:\n555-0100\r".into(),
                ..alice().locks.remove(0)
            }],
            ..alice()
        };
        insta::assert_snapshot!("status-locked-down", account_text(&deactivated, &[], &show()));
        insta::assert_snapshot!("status-identified", account_text(&identified(), &[], &show()));
        let attacked = Account {
            failed_attempts: 12,
            locks: ["192.0.2.7", "remote", ""]
                .map(|source| Lock {
                    owner: "attack-protection".into(),
                    source: source.into(),
                    ..alice().locks.remove(0)
                })
                .into(),
            ..alice()
        };
        insta::assert_snapshot!("status-attacked", account_text(&attacked, &[], &show()));
        let root = Account {
            name: "root".into(),
            protected: true,
            protected_reason: Some("root administers the host".into()),
            ..Account::default()
        };
        insta::assert_snapshot!("status-protected", account_text(&root, &[], &show()));
    }

    #[test]
    fn a_host() {
        let host = |locked_accounts, accounts| Host {
            version: "0.1.0".into(),
            lockdown_enabled: true,
            locked_accounts,
            accounts,
            notifications: HashMap::new(),
            state_error: String::new(),
            documents: Vec::new(),
        };
        insta::assert_snapshot!("status-host", host_text(&host(1, vec![alice()]), &show()));
        insta::assert_snapshot!("status-host-quiet", host_text(&host(0, vec![]), &show()));
        let notifications = [("queued".into(), 2), ("sending".into(), 1), ("dead".into(), 4)].into();
        let delayed = Host { notifications, ..host(0, vec![]) };
        insta::assert_snapshot!("status-host-notifications", host_text(&delayed, &show()));
        let document =
            |name: &str, pending| StateDocument { name: name.into(), pending, ..Default::default() };
        let managed = Host {
            state_error: "/etc/lockdown/state.d/web.toml:3:1: account.nmae: unknown key".into(),
            documents: vec![document("people", 0), document("web", 2)],
            ..host(0, vec![])
        };
        insta::assert_snapshot!("status-host-state", host_text(&managed, &show()));
    }
}

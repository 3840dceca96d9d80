//! Accounts, locks and sessions as tables.

use std::collections::{BTreeMap, HashMap};

use lockdown_dbus_api::views::{Account, Lock, Session};

use super::{
    Show,
    table::{Colour, Table, coloured},
    text::{count, escape},
    time,
};

/// The state of an account in a word or two: `locked`, `locked, expired`, `unlocked`.
#[must_use]
pub fn state(account: &Account) -> String {
    let words: Vec<_> = [
        (account.deactivated, "deactivated"),
        (account.locked && !account.deactivated, "locked"),
        (account.expired, "expired"),
    ]
    .iter()
    .filter_map(|(holds, word)| holds.then_some(*word))
    .collect();
    match words.as_slice() {
        [] => coloured("unlocked", Colour::Green),
        words => coloured(&words.join(", "), Colour::Red),
    }
}

/// When an account's last lock ends: `until lifted`, `in 59 min (14:05)`; empty if unlocked.
#[must_use]
pub fn locked_until(account: &Account, show: &Show) -> String {
    account.locked_until.map_or_else(String::new, |until| lock_end(until, show))
}

/// When a lock ends, Unix seconds; 0 = never.
#[must_use]
pub fn lock_end(seconds: i64, show: &Show) -> String {
    if seconds == 0 { "until lifted".to_owned() } else { time::when(seconds, show) }
}

/// A time of which 0 stands for `none`.
#[must_use]
pub fn when_or(seconds: i64, none: &str, show: &Show) -> String {
    if seconds == 0 { none.to_owned() } else { time::when(seconds, show) }
}

/// Text that may be empty.
#[must_use]
pub fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { escape(text) }
}

/// `2 sessions and 14 processes ended`; empty if there were none.
#[must_use]
pub fn ended(sessions: u32, processes: u32) -> String {
    if (sessions, processes) == (0, 0) {
        return String::new();
    }
    let sessions = count(sessions as usize, "session", "sessions");
    format!("{sessions} and {} ended", count(processes as usize, "process", "processes"))
}

/// Whom a lock of attack protection keeps out, by its `source`.
#[must_use]
pub fn kept_out(source: &str) -> String {
    match source {
        "" => "everybody".to_owned(),
        "remote" => "every remote host".to_owned(),
        source => format!("{} alone", escape(source)),
    }
}

/// How a lock of this owner on `user` is lifted.
#[must_use]
pub fn remedy(owner: &str, user: &str) -> String {
    let user = escape(user);
    match owner.split_once(':') {
        Some(("config", file)) => {
            format!("take {user} out of the state document {}, then run `lockdownctl apply`", escape(file))
        }
        Some(("fleet", issuer)) => format!("have {} withdraw its order", escape(issuer)),
        None if matches!(owner, "lockdown" | "self") => format!("`lockdownctl restore {user}`"),
        None if matches!(owner, "operator" | "attack-protection") => format!("`lockdownctl unlock {user}`"),
        _ => format!("it is lifted by its owner, {}", escape(owner)),
    }
}

/// What was set for an account, and is something.
#[must_use]
pub fn kept(account: &Account) -> Vec<(&'static str, String)> {
    let pairs = |pairs: &HashMap<String, String>| {
        let pairs: BTreeMap<_, _> = pairs.iter().collect();
        let lines = pairs.into_iter().map(|(key, value)| escape(&format!("{key}: {value}")));
        lines.collect::<Vec<_>>().join("\n")
    };
    let rows = [
        ("Email", escape(&account.email)),
        ("Phone", escape(&account.phone)),
        ("External id", escape(&account.external_id)),
        ("Identifiers", pairs(&account.identifiers)),
        ("Metadata", pairs(&account.metadata)),
    ];
    rows.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// Names with their values, a line each.
#[must_use]
pub fn property_list(rows: Vec<(&str, String)>, show: &Show) -> String {
    let mut table = Table::bare().unbroken(&[0]);
    for (name, value) in rows {
        table.row([format!("  {name}"), value]);
    }
    table.render(show)
}

/// Accounts, a row each.
#[must_use]
pub fn accounts(accounts: &[Account], show: &Show) -> String {
    let mut table = Table::new(["USER", "UID", "STATE", "UNTIL", "EXPIRES", "SESSIONS"]).unbroken(&[0, 1, 2]);
    for account in accounts {
        table.row([
            escape(&account.name),
            account.uid.to_string(),
            state(account),
            locked_until(account, show),
            when_or(account.valid_until, "never", show),
            account.sessions.to_string(),
        ]);
    }
    table.render(show)
}

/// Locks, a row each.
#[must_use]
pub fn locks(locks: &[Lock], show: &Show) -> String {
    let mut table = Table::new(["LOCK", "OWNER", "ENDS", "SET", "BY", "REASON", "MESSAGE"]).unbroken(&[0, 1]);
    for lock in locks {
        table.row([
            lock.id.to_string(),
            escape(&lock.owner),
            lock_end(lock.expires_at, show),
            time::when(lock.created_at, show),
            escape(&lock.created_by),
            or_dash(&lock.reason),
            or_dash(&lock.message),
        ]);
    }
    table.render(show)
}

/// Sessions, a row each.
#[must_use]
pub fn sessions(sessions: &[Session], show: &Show) -> String {
    let mut table =
        Table::new(["SESSION", "USER", "SERVICE", "TTY", "FROM", "PID", "STARTED", "AUTHENTICATOR"])
            .unbroken(&[0, 1]);
    for session in sessions {
        table.row([
            escape(&session.id),
            escape(&session.user),
            or_dash(&session.service),
            or_dash(&session.tty),
            or_dash(&session.remote_host),
            if session.leader_pid == 0 { "-".to_owned() } else { session.leader_pid.to_string() },
            when_or(session.started, "unknown", show),
            or_dash(&session.authenticator),
        ]);
    }
    table.render(show)
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    /// A moment, a zone, no terminal.
    pub(crate) fn show() -> Show {
        Show { now: "2026-11-21T12:30:00Z".parse().unwrap(), zone: TimeZone::UTC, colour: false, width: None }
    }

    /// `seconds` from the moment of [`show`].
    pub(crate) fn at(seconds: i64) -> i64 {
        show().now.as_second() + seconds
    }

    pub(crate) fn alice() -> Account {
        Account {
            name: "alice".into(),
            uid: 1000,
            locked: true,
            locked_until: Some(at(3599)),
            password_usable: true,
            last_sign_in: at(-7200),
            locks: vec![Lock {
                id: 7,
                owner: "operator".into(),
                reason: "stolen laptop\n\u{1b}[2J".into(),
                created_at: at(-1),
                created_by: "root".into(),
                expires_at: at(3599),
                ..Lock::default()
            }],
            sessions: 1,
            ..Account::default()
        }
    }

    /// alice with all that can be set for an account and told of it.
    pub(crate) fn identified() -> Account {
        let pairs =
            |pairs: [(&str, &str); 2]| pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        Account {
            external_id: "00u1x7".into(),
            email: "alice@example.org".into(),
            phone: "+1 555 0100".into(),
            identifiers: pairs([("desk", "4/12"), ("badge", "B-17")]),
            metadata: pairs([("team", "blue"), ("cost_center", "17\u{202e}")]),
            created: at(-86_400 * 400),
            last_active: at(-60),
            passkeys: Some(1),
            totp_enabled: Some(true),
            backup_codes: Some(4),
            ..alice()
        }
    }

    pub(crate) fn session() -> Session {
        Session {
            id: "c2".into(),
            user: "alice".into(),
            service: "sshd".into(),
            remote_host: "192.0.2.7".into(),
            leader_pid: 4711,
            started: at(-600),
            authenticator: "ssh:SHA256:n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg".into(),
            ..Session::default()
        }
    }

    #[test]
    fn tables() {
        let bob =
            Account { name: "bob".into(), uid: 1001, valid_until: at(86_400 * 40), ..Account::default() };
        let carol = Account {
            name: "carol\u{202e}".into(),
            uid: 1002,
            locked: true,
            deactivated: true,
            expired: true,
            locked_until: Some(0),
            valid_until: at(-60),
            ..Account::default()
        };
        insta::assert_snapshot!("accounts", accounts(&[alice(), bob, carol], &show()));
        insta::assert_snapshot!("locks", locks(&alice().locks, &show()));
        insta::assert_snapshot!("sessions", sessions(&[session(), Session::default()], &show()));
    }

    #[test]
    fn a_narrow_terminal() {
        insta::assert_snapshot!(
            "sessions-narrow",
            sessions(&[session()], &Show { width: Some(80), ..show() })
        );
    }
}

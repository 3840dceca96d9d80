//! Authenticators as a table.

use lockdown_dbus_api::views::Authenticator;

use super::{
    Show,
    table::{Colour, Table, coloured},
    text::escape,
    views::{lock_end, or_dash, when_or},
};

/// Authenticators, a row each, and below them the types of which this host would not heed a lock.
#[must_use]
pub fn list(authenticators: &[Authenticator], show: &Show) -> String {
    let mut table =
        Table::new(["AUTHENTICATOR", "STATE", "UNTIL", "LABEL", "ADDED", "LAST USED"]).unbroken(&[0, 1]);
    for one in authenticators {
        table.row([
            escape(&one.id),
            state(one),
            one.locked_until.map_or_else(String::new, |until| lock_end(until, show)),
            label(one),
            when_or(one.added, "unknown", show),
            when_or(one.last_used, "unknown", show),
        ]);
    }
    let unenforced = unenforced(authenticators);
    let separator = if unenforced.is_empty() { "" } else { "\n" };
    table.render(show) + separator + &unenforced
}

fn state(one: &Authenticator) -> String {
    match (one.locked, one.present) {
        (true, _) if !one.enforced => coloured("locked, not heeded", Colour::Yellow),
        (true, true) => coloured("locked", Colour::Red),
        (true, false) => coloured("locked, not there", Colour::Red),
        (false, true) => coloured("usable", Colour::Green),
        (false, false) => coloured("not there", Colour::Yellow),
    }
}

fn label(one: &Authenticator) -> String {
    match (one.passkey, one.label.as_str()) {
        (false, label) => or_dash(label),
        (true, "") => "passkey".to_owned(),
        (true, label) => format!("passkey, {}", escape(label)),
    }
}

/// A line for each type of which this host would not heed a lock, with why.
#[must_use]
pub fn unenforced(authenticators: &[Authenticator]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for one in authenticators {
        let Some(why) = &one.unenforced_reason else { continue };
        let verb = if one.lockable { "a lock is not heeded here" } else { "cannot be locked" };
        let line = format!("{}: {verb}: {}\n", escape(&one.kind), escape(why));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::views::tests::{at, show};

    fn one(id: &str, kind: &str) -> Authenticator {
        Authenticator {
            id: id.into(),
            kind: kind.into(),
            present: true,
            lockable: true,
            enforced: true,
            ..Authenticator::default()
        }
    }

    #[test]
    fn table() {
        let key = Authenticator {
            label: "alice@work\u{202e}".into(),
            locked: true,
            locked_until: Some(0),
            added: at(-86_400 * 40),
            last_used: at(-600),
            ..one("ssh:SHA256:n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg", "ssh")
        };
        let gone = Authenticator { present: false, label: String::new(), ..key.clone() };
        let passkey = Authenticator {
            passkey: true,
            locked: false,
            locked_until: None,
            label: "token".into(),
            ..key.clone()
        };
        let face = Authenticator {
            enforced: false,
            unenforced_reason: Some(
                "nothing guards pam_howdy.so in /etc/pam.d of sudo: see pam_lockdown(8)".into(),
            ),
            ..one("face:0", "face")
        };
        let totp = Authenticator {
            lockable: false,
            unenforced_reason: Some("it is asked for beside another authenticator".into()),
            ..one("totp:oath", "totp")
        };
        let unheeded = Authenticator { locked: true, locked_until: Some(0), ..face.clone() };
        let all = [one("password", "password"), key, gone, passkey, face, unheeded, totp];
        insta::assert_snapshot!("authenticators", list(&all, &show()));
    }
}

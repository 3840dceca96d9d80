//! What state documents have changed, or would.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lockdown_dbus_api::views::{StateApplied, StateChange, StateProblem};
use serde_json::{Value, json};

use super::{
    Show, json,
    table::{Colour, Table, coloured, paint},
    text::{count, escape},
};
use crate::exit::Failure;

/// The result of `ApplyState`.
#[derive(Clone, Copy, Debug)]
pub struct Applied<'a> {
    /// What the daemon says.
    pub result: &'a StateApplied,
    /// Nothing was to be changed.
    pub is_check: bool,
}

impl Applied<'_> {
    /// What is wrong with the documents, or was not carried out on the host.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        if !self.result.success {
            let mut lines: Vec<String> = self.result.errors.iter().map(place).collect();
            lines.push(format!("{}: nothing was changed", count(lines.len(), "problem", "problems")));
            return Some(Failure::Problems(lines));
        }
        let problems = &self.result.problems;
        (!problems.is_empty()).then(|| {
            Failure::Incomplete(format!(
                "the documents are in force, but this is tried again: {}",
                problems.join("; ")
            ))
        })
    }

    /// For people: the changes and how many they are.
    #[must_use]
    pub fn text(&self, is_diff: bool, show: &Show) -> String {
        let mut text = if is_diff { self.difference(show) } else { self.table(show) };
        if self.result.changes_left_out > 0 {
            text.push_str(&format!("… and {} more\n", self.result.changes_left_out));
        }
        text.push_str(&self.summary());
        text.push('\n');
        text
    }

    /// On one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let result = self.result;
        let (listed, left_out) = (result.changes.len(), result.changes_left_out as usize);
        if listed + left_out == 0 {
            return "nothing to change".to_owned();
        }
        let changes = count(listed + left_out, "change", "changes");
        let accounts: BTreeSet<_> = result.changes.iter().map(|change| &change.account).collect();
        let of = match left_out {
            0 => format!("{changes} of {}", count(accounts.len(), "account", "accounts")),
            _ => changes,
        };
        if self.is_check {
            return format!("{of} would be made; nothing was changed");
        }
        match result.sessions_ended {
            0 => of,
            ended => format!("{of}, {} ended", count(ended as usize, "session", "sessions")),
        }
    }

    fn table(&self, show: &Show) -> String {
        if self.result.changes.is_empty() {
            return String::new();
        }
        let mut table = Table::new(["DOCUMENT", "ACCOUNT", "CHANGE"]).unbroken(&[0, 1]);
        for change in &self.result.changes {
            table.row([escape(&change.document), escape(&change.account), in_words(change)]);
        }
        table.render(show)
    }

    /// As diff(1) shows it, a piece for each account.
    fn difference(&self, show: &Show) -> String {
        let mut text = String::new();
        let mut account = None;
        for change in self.by_account() {
            if account.is_none() {
                let header = self.header();
                text.push_str(&format!("--- {header}\n+++ {header}\n"));
            }
            if account != Some(&change.account) {
                account = Some(&change.account);
                text.push_str(&format!("@@ {} @@\n", escape(&change.account)));
            }
            let sides = [("-", before(change), Colour::Red), ("+", after(change), Colour::Green)];
            for (sign, line, colour) in sides {
                text.extend(line.map(|line| coloured(&format!("{sign}{line}"), colour) + "\n"));
            }
        }
        paint(&text, show)
    }

    fn by_account(&self) -> Vec<&StateChange> {
        let mut changes: Vec<_> = self.result.changes.iter().collect();
        changes.sort_by_key(|change| (&change.account, &change.document, &change.key));
        changes
    }

    /// The documents that change something.
    fn header(&self) -> String {
        let names: BTreeSet<_> = self.result.changes.iter().map(|change| change.document.as_str()).collect();
        escape(&names.into_iter().collect::<Vec<_>>().join(", "))
    }

    /// With the keys of a result of Ansible, see "Common return values" in its documentation.
    ///
    /// # Errors
    ///
    /// What the daemon says cannot be shown.
    pub fn json(&self, failure: Option<&Failure>) -> Result<Value, Failure> {
        let result = self.result;
        let side = |side: fn(&StateChange) -> Option<String>| {
            let lines = result.changes.iter().filter_map(|change| {
                side(change).map(|line| format!("{}: {line}\n", escape(&change.account)))
            });
            lines.collect::<BTreeSet<_>>().into_iter().collect::<String>()
        };
        let header = self.header();
        Ok(json!({
            "changed": result.changed,
            "failed": failure.is_some(),
            "msg": failure.map_or_else(|| self.summary(), Failure::line),
            "check": self.is_check,
            "diff": {
                "before": side(before),
                "after": side(after),
                "before_header": header,
                "after_header": header,
            },
            "changes": json::array(&result.changes)?,
            "changes_left_out": result.changes_left_out,
            "errors": json::array(&result.errors)?,
            "warnings": json::array(&result.warnings)?,
            "sessions_ended": result.sessions_ended,
            "problems": result.problems,
        }))
    }
}

/// What came to no result, with the same keys.
#[must_use]
pub fn failure(failure: &Failure, is_check: bool) -> Value {
    json!({
        "changed": false,
        "failed": true,
        "msg": failure.line(),
        "check": is_check,
        "diff": {"before": "", "after": "", "before_header": "", "after_header": ""},
        "changes": [],
        "changes_left_out": 0,
        "errors": [],
        "warnings": [],
        "sessions_ended": 0,
        "problems": [],
        "error": failure.json(),
    })
}

/// `FILE:LINE:COLUMN: KEY: MESSAGE`
#[must_use]
pub fn place(problem: &StateProblem) -> String {
    let mut text = problem.file.clone();
    if problem.line > 0 {
        text.push_str(&format!(":{}:{}", problem.line, problem.column));
    }
    for part in [&problem.key, &problem.message].into_iter().filter(|part| !part.is_empty()) {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(part);
    }
    text
}

/// `locked until …`, `metadata.team: red (was blue)`, fit for a terminal.
fn in_words(change: &StateChange) -> String {
    let (before, after) = (value(change, &change.before), value(change, &change.after));
    let now = match change.what.as_str() {
        "unlock" | "unlock-authenticator" => "unlocked".to_owned(),
        "reactivate" => return "no longer deactivated".to_owned(),
        "declare" => return format!("declared {after}"),
        "withdraw" => return format!("no longer declared {before}"),
        "remove" => "removed".to_owned(),
        _ => after,
    };
    let was = if before.is_empty() { String::new() } else { format!(" (was {before})") };
    match change.key.as_str() {
        "" => format!("{now}{was}"),
        key => format!("{}: {now}{was}", escape(key)),
    }
}

fn before(change: &StateChange) -> Option<String> {
    line(change, &change.before)
}

fn after(change: &StateChange) -> Option<String> {
    line(change, &change.after)
}

/// `web: metadata.team: blue`; none of what was not or is not.
fn line(change: &StateChange, text: &str) -> Option<String> {
    let text = value(change, text);
    let key = if change.key.is_empty() { String::new() } else { format!("{}: ", escape(&change.key)) };
    (!text.is_empty()).then(|| format!("{}: {key}{text}", escape(&change.document)))
}

/// Times are Unix seconds on the bus, of which 0 is never.
fn value(change: &StateChange, text: &str) -> String {
    if change.key != "valid_until" {
        return escape(text);
    }
    match text.parse().map(Timestamp::from_second) {
        Ok(Ok(time)) if time != Timestamp::UNIX_EPOCH => time.to_string(),
        Ok(_) if text == "0" => "never".to_owned(),
        _ => escape(text),
    }
}

//! What a lockdown would meet, and what came of it.

use std::collections::HashMap;

use lockdown_dbus_api::views::{KeyElsewhere, LockdownPreview, LockdownResult, Suspect};

use super::{
    Show,
    table::{Colour, Table, coloured},
    text::escape,
    views::{ended, property_list},
};

/// Most lines that one kind of finding takes; JSON has them all.
const MOST: usize = 20;

/// What it would meet, a row for each account.
#[must_use]
pub fn previews(previews: &[LockdownPreview], show: &Show) -> String {
    let mut table =
        Table::new(["USER", "SESSIONS", "PROCESSES", "KEYS", "JOBS", "NOTE"]).unbroken(&[0, 1, 2, 3, 4]);
    for preview in previews {
        let user = escape(&preview.user);
        let counts = [preview.sessions, preview.processes, preview.keys, preview.jobs];
        let [sessions, processes, keys, jobs] = counts.map(|number| match preview.error {
            Some(_) => "-".to_owned(),
            None => number.to_string(),
        });
        let note = match &preview.error {
            Some(error) => escape(error),
            None if preview.locked_down => "is locked down already: what is left gets done".to_owned(),
            None => String::new(),
        };
        table.row([user, sessions, processes, keys, jobs, note]);
    }
    table.render(show)
}

/// What came of it: a row for each account, and below what an administrator should know.
#[must_use]
pub fn results(results: &[LockdownResult], show: &Show) -> String {
    let mut table = Table::new(["USER", "RESULT", "DEACTIVATE", "PASSWORD", "SESSIONS", "TOKENS", "NOTE"])
        .unbroken(&[0, 1, 2, 3, 4, 5]);
    for result in results {
        let word = match (result.success, result.actions.is_empty()) {
            (true, _) => coloured("done", Colour::Green),
            // Refused, or not attempted: nothing was changed.
            (false, true) => coloured("failed", Colour::Red),
            (false, false) => coloured("incomplete", Colour::Red),
        };
        let note = match &result.error {
            Some(error) if result.actions.is_empty() => escape(error),
            // What failed is said once, on stderr.
            _ => ended(result.sessions_ended, result.processes_ended),
        };
        let [deactivate, password, sessions, tokens] =
            ["deactivate", "unusable_password", "end_sessions", "revoke_tokens"]
                .map(|action| outcome(result.actions.get(action)));
        table.row([escape(&result.user), word, deactivate, password, sessions, tokens, note]);
    }
    let mut text = table.render(show);
    for result in results {
        let details = details(result);
        if !details.is_empty() {
            text.push_str(&format!("\n{}\n", escape(&result.user)));
            text.push_str(&property_list(details, show));
        }
    }
    text
}

/// The outcome of an action in a word; why it failed stands in the error.
fn outcome(outcome: Option<&String>) -> String {
    match outcome.map(|outcome| outcome.split_once(':').map_or(outcome.as_str(), |(word, _)| word)) {
        None => "-".to_owned(),
        Some("failed") => coloured("failed", Colour::Red),
        Some(word) => escape(word),
    }
}

fn details(result: &LockdownResult) -> Vec<(&'static str, String)> {
    let failed_hooks: Vec<_> = pairs(&result.hooks)
        .into_iter()
        .filter(|(_, outcome)| outcome.starts_with("failed"))
        .map(|(hook, outcome)| format!("{}: {}", escape(hook), escape(outcome)))
        .collect();
    let tokens: Vec<_> =
        pairs(&result.tokens).into_iter().map(|(kind, count)| format!("{} {count}", escape(kind))).collect();
    let tokens = if tokens.is_empty() { Vec::new() } else { vec![tokens.join(", ")] };
    [
        ("Still running", escaped(&result.survivors)),
        ("Suspects", result.suspects.iter().map(suspect).collect()),
        ("Keys elsewhere", result.keys_elsewhere.iter().map(key_elsewhere).collect()),
        ("Failed hooks", failed_hooks),
        ("Sessions followed", escaped(&result.followed_sessions)),
        ("Units stopped", escaped(&result.units_stopped)),
        ("Taken away", tokens),
        ("Notes", escaped(&result.notes)),
    ]
    .into_iter()
    .filter(|(_, lines)| !lines.is_empty())
    .map(|(name, lines)| (name, bounded(lines)))
    .collect()
}

fn suspect(suspect: &Suspect) -> String {
    let state = if suspect.stopped { "stopped" } else { "left alone" };
    format!("{} ({state}): {}", escape(&suspect.unit), escape(&suspect.evidence))
}

fn key_elsewhere(key: &KeyElsewhere) -> String {
    let state = if key.quarantined { "taken out" } else { "still there" };
    let [user, path, fingerprint] = [&key.user, &key.path, &key.fingerprint].map(|text| escape(text));
    format!("{user}: {path}:{} {fingerprint} ({state})", key.line)
}

fn escaped(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| escape(text)).collect()
}

/// In order, so that the same result looks the same.
fn pairs<T>(map: &HashMap<String, T>) -> Vec<(&String, &T)> {
    let mut pairs: Vec<_> = map.iter().collect();
    pairs.sort_by_key(|(key, _)| *key);
    pairs
}

fn bounded(mut lines: Vec<String>) -> String {
    let more = lines.len().saturating_sub(MOST);
    if more > 0 {
        lines.truncate(MOST);
        lines.push(format!("and {more} more: --json names them all"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::{super::views::tests::show, *};

    fn strings(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn done() -> LockdownResult {
        LockdownResult {
            user: "alice".into(),
            success: true,
            actions: strings(&[
                ("deactivate", "done"),
                ("unusable_password", "not local"),
                ("end_sessions", "done"),
                ("revoke_tokens", "off"),
            ]),
            sessions_ended: 2,
            processes_ended: 14,
            tokens: [("authorized_keys".to_owned(), 2), ("at_jobs".to_owned(), 1)].into(),
            ..LockdownResult::default()
        }
    }

    fn incomplete() -> LockdownResult {
        LockdownResult {
            user: "bob".into(),
            success: false,
            error: Some("bob: 1 process is left: end it by hand".into()),
            error_name: Some("org.lockdown1.Error.Failed".into()),
            actions: strings(&[
                ("deactivate", "done"),
                ("unusable_password", "done"),
                ("end_sessions", "failed: 1 process is left"),
                ("revoke_tokens", "done"),
            ]),
            survivors: vec!["4711 cc \u{1b}[2J".into()],
            units_stopped: vec!["bob-sync.service".into()],
            hooks: strings(&[("vault", "failed: exit status 1"), ("aws", "done")]),
            followed_sessions: vec!["c9 of root".into()],
            keys_elsewhere: vec![KeyElsewhere {
                user: "deploy".into(),
                path: "/home/deploy/.ssh/authorized_keys".into(),
                line: 3,
                fingerprint: "SHA256:n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg".into(),
                quarantined: false,
            }],
            suspects: vec![Suspect {
                unit: "run-r1.service".into(),
                evidence: "transient, made 4 s after bob's sudo".into(),
                stopped: true,
            }],
            notes: vec!["your own terminal (pts/3) runs inside a session of bob's and was spared".into()],
            ..LockdownResult::default()
        }
    }

    #[test]
    fn what_came_of_it() {
        let refused = LockdownResult {
            user: "root\n".into(),
            error: Some("root is protected: it administers the host".into()),
            error_name: Some("org.lockdown1.Error.Protected".into()),
            ..LockdownResult::default()
        };
        insta::assert_snapshot!("results", results(&[done(), incomplete(), refused], &show()));
    }

    #[test]
    fn a_narrow_terminal() {
        insta::assert_snapshot!(
            "results-narrow",
            results(&[done(), incomplete()], &Show { width: Some(80), ..show() })
        );
    }

    #[test]
    fn what_it_would_meet() {
        let alice = LockdownPreview {
            user: "alice".into(),
            keys: 3,
            jobs: 1,
            sessions: 2,
            processes: 14,
            ..LockdownPreview::default()
        };
        let again = LockdownPreview { user: "bob".into(), locked_down: true, ..LockdownPreview::default() };
        let refused = LockdownPreview {
            user: "ghost\u{202e}".into(),
            error: Some("there is no such account: check the name".into()),
            ..LockdownPreview::default()
        };
        insta::assert_snapshot!("previews", previews(&[alice, again, refused], &show()));
    }

    #[test]
    fn a_long_list_is_cut() {
        let survivors = (0..25).map(|pid| format!("{pid} sleep")).collect();
        let text = results(&[LockdownResult { survivors, ..incomplete() }], &show());
        assert!(text.contains("19 sleep") && !text.contains("20 sleep"), "{text}");
        assert!(text.contains("and 5 more: --json names them all"), "{text}");
    }
}

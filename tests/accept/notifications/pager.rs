//! A program of the site's that is told of events, and writes down what it gets.

use std::collections::BTreeMap;

use lockdown_tests::Host;
use serde_json::Value;

const PROGRAM: &str = "/usr/local/bin/page";
/// Ends as `/root/page/ends` says.
const SCRIPT: &str = r#"#!/bin/sh
page=/root/page/$LOCKDOWN_MESSAGE_ID
mkdir -p "$page"
env --null > "$page/environment"
cat > "$page/event"
printf '%s\n' "$@" > "$page/arguments"
echo >> "$page/attempts"
. /root/page/ends
"#;

pub struct Pager<'h>(&'h Host);

/// What it was given for a message, at the last attempt.
#[derive(Debug)]
pub struct Page {
    pub environment: BTreeMap<String, String>,
    pub event: Value,
    pub arguments: String,
    pub attempts: usize,
}

impl<'h> Pager<'h> {
    /// One that takes everything.
    #[track_caller]
    pub fn new(host: &'h Host) -> Self {
        host.write(PROGRAM, SCRIPT);
        host.run(&["chmod", "0755", PROGRAM]).ok();
        host.run(&["mkdir", "/root/page"]).ok();
        let pager = Self(host);
        pager.ends_with("exit 0");
        pager
    }

    /// A rule that has it told of what matches.
    pub fn rule(name: &str, matches: &str) -> String {
        format!(
            "[[notify]]\nname = '{name}'\nmatch = {{ {matches} }}\ntransport = 'exec'\n\
             command = ['{PROGRAM}', '--urgent', '$(id) *']\n"
        )
    }

    /// What it does at the end of each attempt from now on, in shell.
    #[track_caller]
    pub fn ends_with(&self, script: &str) {
        self.0.write("/root/page/ends", script);
    }

    /// What it was given, by the ids of the messages.
    #[track_caller]
    pub fn pages(&self) -> BTreeMap<String, Page> {
        // Directories alone.
        let ids = self.0.sh("cd /root/page; ls --directory -- */ 2>/dev/null || true").ok().stdout;
        ids.lines()
            .map(|id| id.trim_end_matches('/'))
            .filter_map(|id| Some((id.to_owned(), self.page(id)?)))
            .collect()
    }

    /// `None` while it is still being written.
    fn page(&self, id: &str) -> Option<Page> {
        let read = |name: &str| self.0.read(&format!("/root/page/{id}/{name}"));
        let attempts =
            self.0.sh(&format!("cat /root/page/{id}/attempts || true")).ok().stdout.lines().count();
        if attempts == 0 {
            return None;
        }
        let environment = read("environment");
        let variables = environment.split_terminator('\0').filter_map(|variable| variable.split_once('='));
        Some(Page {
            environment: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            event: serde_json::from_str(&read("event")).expect("JSON"),
            arguments: read("arguments"),
            attempts,
        })
    }
}

//! How far a lockdown is, as it goes, on a terminal.

use lockdown_dbus_api::views::Progress;

use super::{
    Show,
    table::{Colour, coloured, paint},
    text::escape,
};

/// What the terminal shows of it. For one account, the last line names the steps that go on; for several, which go on at
/// the same time, each line has the account's name and comes when a step is over.
pub struct Live {
    several: bool,
    /// The steps that the last line names.
    going_on: Vec<String>,
    /// How many columns the last line takes; 0 if it has ended.
    columns: usize,
    show: Show,
}

impl Live {
    /// For a lockdown of one account, or of `several`.
    #[must_use]
    pub fn new(several: bool, show: Show) -> Self {
        Self { several, going_on: Vec::new(), columns: 0, show }
    }

    /// What to write when the daemon has said this.
    pub fn heard(&mut self, user: &str, progress: &Progress) -> String {
        let step = escape(&progress.step).replace('_', " ");
        self.going_on.retain(|one| *one != step);
        let mut text = String::new();
        if progress.outcome == "begun" {
            self.going_on.push(step);
        } else {
            let name = if self.several { escape(user) + ": " } else { "  ".to_owned() };
            let line = format!("{name}{step}: {}", outcome(&progress.outcome));
            text = self.over(&paint(&line, &Show { colour: false, ..self.show.clone() }), &line);
            text.push('\n');
            self.columns = 0;
        }
        // A terminal that does not say how wide it is may be none that can go back in a line.
        if !self.several && self.show.width.is_some() && !self.going_on.is_empty() {
            let line = format!("  {} …", self.going_on.join(", "));
            text += &self.over(&line, &line);
            self.columns = line.chars().count();
        }
        text
    }

    /// What to write when it is over.
    pub fn close(&mut self) -> String {
        let cleared = self.over("", "");
        let back = if self.columns > 0 { "\r" } else { "" };
        (self.going_on, self.columns) = (Vec::new(), 0);
        cleared + back
    }

    /// `line` in the place of the last one, with spaces over what is left of that.
    fn over(&self, plain: &str, line: &str) -> String {
        let left = self.columns.saturating_sub(plain.chars().count());
        let back = if self.columns > 0 { "\r" } else { "" };
        format!("{back}{}{}", paint(line, &self.show), " ".repeat(left))
    }
}

/// `done`, `off`, `not local`, or `failed: ` and why.
fn outcome(text: &str) -> String {
    let shown = escape(text);
    match text {
        "done" => coloured(&shown, Colour::Green),
        _ if text.starts_with("failed") => coloured(&shown, Colour::Red),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::views::tests::show, *};

    fn heard(several: bool, width: Option<u16>) -> String {
        let mut live = Live::new(several, Show { width, ..show() });
        let told = [
            ("end_sessions", "begun"),
            ("revoke_tokens", "begun"),
            ("deactivate", "done"),
            ("end_sessions", "failed: 4711 \u{1b}[2J"),
            ("revoke_tokens", "off"),
            ("follow_keys", "begun"),
        ];
        let mut text = String::new();
        for (step, outcome) in told {
            text += &live.heard("ali\nce", &Progress { step: step.into(), outcome: outcome.into() });
        }
        text + &live.close()
    }

    /// The lines that a terminal shows in the end: what follows a carriage return goes over what is there.
    fn lines(written: &str) -> Vec<String> {
        let last_of = |line: &str| {
            let mut shown: Vec<char> = Vec::new();
            for part in line.split('\r') {
                let part: Vec<char> = part.chars().collect();
                let covered = part.len().min(shown.len());
                shown.splice(..covered, part);
            }
            shown.iter().collect::<String>().trim_end().to_owned()
        };
        written.split('\n').map(last_of).collect()
    }

    #[test]
    fn one_account_has_a_line_for_the_steps_that_go_on() {
        let written = heard(false, Some(80));
        let outcomes =
            ["  deactivate: done", "  end sessions: failed: 4711 \\u{1b}[2J", "  revoke tokens: off", ""];
        assert_eq!(lines(&written), outcomes);
        assert!(
            written.starts_with("  end sessions …\r  end sessions, revoke tokens …\r  deactivate: done ")
        );
        assert_eq!(lines(&heard(false, None)), outcomes);
        assert!(!heard(false, None).contains('\r'));
    }

    #[test]
    fn several_accounts_have_their_names() {
        assert_eq!(
            heard(true, Some(80)),
            "ali\\nce: deactivate: done\nali\\nce: end sessions: failed: 4711 \\u{1b}[2J\nali\\nce: revoke tokens: off\n"
        );
    }

    #[test]
    fn colours_take_no_room() {
        let mut live = Live::new(false, Show { width: Some(80), colour: true, ..show() });
        let told = |step: &str, outcome: &str| Progress { step: step.into(), outcome: outcome.into() };
        live.heard("alice", &told("end_sessions_of_everything", "begun"));
        let written = live.heard("alice", &told("deactivate", "done"));
        let first = written.split('\n').next().unwrap();
        // As many spaces as the line that it goes over is longer.
        assert!(first.ends_with(&format!("done\u{1b}[0m{}", " ".repeat(12))), "{first:?}");
        assert!(!first.ends_with(&" ".repeat(13)), "{first:?}");
    }
}

//! What callers are told of an application.

use lockdown_config::Problem;
use lockdown_dbus_api::views;
use lockdown_enforcement::escape::escape;

use super::resolve::Faults;
use crate::domain::state::{Step, Terms, What};

/// Changes and problems that a result lists.
const MOST: usize = 10_000;
/// Problems that an event or a log line names.
const MOST_IN_WORDS: usize = 5;

/// Of what was changed, or would be.
#[must_use]
pub fn view(steps: &[Step], warnings: &Faults) -> views::StateApplied {
    let visible = || steps.iter().filter(|step| step.what.is_visible());
    let number = visible().count();
    views::StateApplied {
        success: true,
        changed: number > 0,
        changes: visible().take(MOST).map(change).collect(),
        changes_left_out: u32::try_from(number.saturating_sub(MOST)).unwrap_or(u32::MAX),
        warnings: problems(warnings),
        ..views::StateApplied::default()
    }
}

/// Of documents that cannot be applied.
#[must_use]
pub fn refused(faults: &Faults) -> views::StateApplied {
    views::StateApplied { errors: problems(faults), ..views::StateApplied::default() }
}

/// The first of them, on one line.
#[must_use]
pub fn in_words(faults: &Faults) -> String {
    let mut words: Vec<String> =
        faults.iter().take(MOST_IN_WORDS).map(|(_, problem)| problem.to_string()).collect();
    if let Some(more) = faults.len().checked_sub(MOST_IN_WORDS).filter(|more| *more > 0) {
        words.push(format!("and {more} more"));
    }
    words.join("; ")
}

fn problems(faults: &Faults) -> Vec<views::StateProblem> {
    faults.iter().take(MOST).map(|(document, problem)| self::problem(document, problem)).collect()
}

fn problem(document: &str, problem: &Problem) -> views::StateProblem {
    let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let (line, column) = problem.position.map_or((0, 0), |place| (number(place.line), number(place.column)));
    views::StateProblem {
        document: escape(document).to_string(),
        file: escape(problem.file.as_os_str().as_encoded_bytes()).to_string(),
        line,
        column,
        key: problem.key.clone().unwrap_or_default(),
        message: problem.message.clone(),
    }
}

fn change(step: &Step) -> views::StateChange {
    let (what, key, before, after) = match &step.what {
        What::Lock { authenticator, before, after } => {
            let what = if authenticator.is_empty() { "lock" } else { "lock-authenticator" };
            (what, authenticator.clone(), before.as_ref().map(lock).unwrap_or_default(), lock(after))
        }
        What::Lift { authenticator, before, .. } => {
            let what = if authenticator.is_empty() { "unlock" } else { "unlock-authenticator" };
            (what, authenticator.clone(), lock(before), String::new())
        }
        What::Set { key, before, after } => {
            ("set", key.to_string(), before.clone().unwrap_or_default(), after.clone())
        }
        What::Remove { key, before } => ("remove", key.to_string(), before.clone(), String::new()),
        What::Deactivate => ("deactivate", String::new(), String::new(), "deactivated".to_owned()),
        What::Reactivate => ("reactivate", String::new(), "deactivated".to_owned(), String::new()),
        What::Declare(intent) => ("declare", String::new(), String::new(), intent.name().to_owned()),
        What::Withdraw(intent) => ("withdraw", String::new(), intent.name().to_owned(), String::new()),
        What::Claim { .. } | What::Forget { .. } => Default::default(),
    };
    views::StateChange {
        document: step.document.clone(),
        account: step.account.clone(),
        what: what.to_owned(),
        key,
        before,
        after,
    }
}

/// `locked until 2026-12-31T00:00:00Z, reason "left", message "Call us."`
fn lock(terms: &Terms) -> String {
    let mut words = "locked".to_owned();
    if let Some(end) = terms.expires_at {
        let end = jiff::Timestamp::from_second(end).map_or_else(|_| end.to_string(), |end| end.to_string());
        words.push_str(&format!(" until {end}"));
    }
    for (what, text) in [("reason", &terms.reason), ("message", &terms.message)] {
        if !text.is_empty() {
            words.push_str(&format!(", {what} \"{}\"", escape(text)));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_in_words() {
        assert_eq!(lock(&Terms::default()), "locked");
        let terms =
            Terms { reason: "left\n".into(), message: "Call us.".into(), expires_at: Some(1_798_675_200) };
        assert_eq!(
            lock(&terms),
            "locked until 2026-12-31T00:00:00Z, reason \"left\\n\", message \"Call us.\""
        );
    }

    #[test]
    fn of_many_problems_the_first_are_said() {
        let problem = Problem { file: "web".into(), position: None, key: None, message: "no".into() };
        let faults = |number: usize| vec![("web".to_owned(), problem.clone()); number];
        assert_eq!(in_words(&faults(1)), "web: no");
        assert!(in_words(&faults(7)).ends_with("web: no; and 2 more"));
    }
}

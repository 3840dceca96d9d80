//! What only shows when all files are read: settings that do not go together.

use crate::destination::{full_mail_address, is_loopback, split_server};
use crate::error::{Position, Problem, quote};
use crate::notify::{Rule, Transport};
use crate::provenance::{Loaded, Origin, rule_key};
use crate::settings::{AttackProtection, Email, Tls};

/// Each costs every event a look.
const MAX_RULES: usize = 100;

/// Everything that does not go together, said where one of its parts was set.
pub(crate) fn check(loaded: &Loaded) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |key: &str, shown: &str, message: String| {
        if let Origin::File { path, line } = loaded.provenance.origin(key) {
            let position = Some(Position { line: *line, column: 1 });
            problems.push(Problem { file: path.clone(), position, key: Some(shown.to_owned()), message });
        }
    };
    let settings = &loaded.settings;
    if let Some(message) = of_attempts(&settings.attack_protection) {
        // At the one that was set; at the total if both were.
        let keys = ["attack_protection.max_attempts_total", "attack_protection.max_attempts"];
        let is_set = |key: &&str| matches!(loaded.provenance.origin(key), Origin::File { .. });
        if let Some(key) = keys.into_iter().find(is_set) {
            problem(key, key, message);
        }
    }
    for (key, message) in of_email(&settings.email) {
        problem(key, key, message.to_owned());
    }
    let needs_domain =
        |address: &str| settings.email.server.is_some() && full_mail_address(address).is_some();
    if let Some(address) = settings.security_email.as_deref().filter(|address| needs_domain(address)) {
        problem("security_email", "security_email", without_domain(address));
    }
    for rule in settings.notify.iter().filter(|rule| rule.transport == Transport::Email) {
        if rule.to.is_empty() && settings.security_email.is_none() {
            let message = "is needed, as security_email is not set".to_owned();
            problem(&rule_key(&rule.name, "name"), "notify.to", message);
        }
        if let Some(address) = rule.to.iter().find(|address| needs_domain(address)) {
            problem(&rule_key(&rule.name, "to"), "notify.to", without_domain(address));
        }
    }
    if let Some(Rule { name, .. }) = settings.notify.get(MAX_RULES) {
        let message = format!("\"{name}\" is one rule too many: at most {MAX_RULES}");
        problem(&rule_key(name, "name"), "notify.name", message);
    }
    problems
}

fn without_domain(address: &str) -> String {
    format!(
        "{} lacks a domain: only this host's own mail knows its mailboxes by their names alone",
        quote(address)
    )
}

fn of_attempts(attempts: &AttackProtection) -> Option<String> {
    let AttackProtection { max_attempts, max_attempts_total, .. } = attempts;
    (max_attempts > max_attempts_total).then(|| {
        format!(
            "max_attempts is {max_attempts} and max_attempts_total {max_attempts_total}; the second must not be less than \
             the first"
        )
    })
}

fn of_email(email: &Email) -> Vec<(&'static str, &'static str)> {
    const WITHOUT_SERVER: &str = "does nothing without email.server";
    let mut wrong = Vec::new();
    let Some(server) = &email.server else {
        if email.username.is_some() {
            wrong.push(("email.username", WITHOUT_SERVER));
        }
        if email.password_file.is_some() {
            wrong.push(("email.password_file", WITHOUT_SERVER));
        }
        return wrong;
    };
    match (&email.username, &email.password_file) {
        (Some(_), None) => wrong.push(("email.username", "needs email.password_file")),
        (None, Some(_)) => wrong.push(("email.password_file", "needs email.username")),
        (Some(_), Some(_)) if email.tls == Tls::None => {
            let host = split_server(server).map_or("", |(host, _)| host);
            if !is_loopback(host) {
                wrong.push(("email.password_file", "would be sent unencrypted: set email.tls"));
            }
        }
        _ => {}
    }
    wrong
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::document;

    fn problems(text: &str) -> Vec<String> {
        problems_of(&[("f", text)])
    }

    fn problems_of(files: &[(&str, &str)]) -> Vec<String> {
        let mut loaded = Loaded::default();
        for (path, text) in files {
            assert_eq!(document::apply(Path::new(path), text, &mut loaded), [], "{text}");
        }
        check(&loaded).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn more_attempts_from_one_source_than_from_all_are_a_mistake() {
        assert_eq!(
            problems("attack_protection.max_attempts = 101"),
            [
                "f:1:1: attack_protection.max_attempts: max_attempts is 101 and max_attempts_total 100; the second must not be less than the first"
            ]
        );
        let lower = ("g", "\nattack_protection.max_attempts_total = 4");
        let of = |first| problems_of(&[("f", first), lower]);
        assert!(of("attack_protection.max_attempts = 5")[0].starts_with("g:2:1: "));
        assert_eq!(of("attack_protection.max_attempts = 4"), [""; 0]);
    }

    #[test]
    fn settings_that_do_not_go_together_are_named() {
        const MAIL: &str = "[[notify]]\nname = 'a'\ntransport = 'email'\n";
        for (text, expected) in [
            (MAIL.to_owned(), "f:2:1: notify.to: is needed, as security_email is not set"),
            (
                format!("{MAIL}to = ['a@b', 'root']\n[email]\nserver = 'mail'"),
                "f:4:1: notify.to: \"root\" lacks a domain: only this host's own mail knows its mailboxes by their names alone",
            ),
            (
                "security_email = 'root'\nemail.server = 'mail'".to_owned(),
                "f:1:1: security_email: \"root\" lacks a domain: only this host's own mail knows its mailboxes by their names alone",
            ),
            ("email.username = 'a'".to_owned(), "f:1:1: email.username: does nothing without email.server"),
            (
                "email.server = 'mail'\nemail.username = 'a'".to_owned(),
                "f:2:1: email.username: needs email.password_file",
            ),
            (
                "[email]\nserver = 'mail'\nusername = 'a'\npassword_file = '/p'\ntls = 'none'".to_owned(),
                "f:4:1: email.password_file: would be sent unencrypted: set email.tls",
            ),
        ] {
            assert_eq!(problems(&text), [expected], "{text}");
        }
    }

    #[test]
    fn settings_that_go_together_pass() {
        for text in [
            "security_email = 'root'\n[[notify]]\nname = 'a'\ntransport = 'email'",
            "[email]\nserver = '[::1]:25'\nusername = 'a'\npassword_file = '/p'\ntls = 'none'",
            "[email]\nserver = 'mail'\nusername = 'a'\npassword_file = '/p'",
            "email.server = ''",
        ] {
            assert_eq!(problems(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn rules_are_bounded() {
        let rule = |n: usize| format!("[[notify]]\nname = 'r{n}'\ntransport = 'wall'\n");
        let of = |count: usize| problems(&(0..count).map(rule).collect::<String>());
        assert_eq!(of(MAX_RULES), [""; 0]);
        assert_eq!(of(MAX_RULES + 1).len(), 1);
    }
}

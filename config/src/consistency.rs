//! What holds between settings, whichever files they come from.

use crate::error::{Position, Problem};
use crate::provenance::{Loaded, Origin};

/// What contradicts itself; each at the setting that was set.
pub(crate) fn problems(loaded: &Loaded) -> Vec<Problem> {
    let attempts = &loaded.settings.attack_protection;
    if attempts.max_attempts <= attempts.max_attempts_total {
        return Vec::new();
    }
    let message = format!(
        "max_attempts is {} and max_attempts_total {}; the second must not be less than the first",
        attempts.max_attempts, attempts.max_attempts_total
    );
    let keys = ["attack_protection.max_attempts_total", "attack_protection.max_attempts"];
    let at = |key: &str| match loaded.provenance.origin(key) {
        Origin::Default => None,
        Origin::File { path, line } => Some(Problem {
            file: path.clone(),
            position: Some(Position { line: *line, column: 1 }),
            key: Some(key.to_owned()),
            message: message.clone(),
        }),
    };
    keys.into_iter().find_map(at).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::document;

    fn problem(texts: &[&str]) -> Option<String> {
        let mut loaded = Loaded::default();
        for (number, text) in texts.iter().enumerate() {
            let path = format!("/etc/{number}.toml");
            assert_eq!(document::apply(Path::new(&path), text, &mut loaded), []);
        }
        problems(&loaded).first().map(ToString::to_string)
    }

    #[test]
    fn more_attempts_from_one_source_than_from_all_are_a_mistake() {
        assert_eq!(problem(&[]), None);
        assert_eq!(
            problem(&["attack_protection.max_attempts = 101"]).unwrap(),
            "/etc/0.toml:1:1: attack_protection.max_attempts: max_attempts is 101 and max_attempts_total 100; \
             the second must not be less than the first"
        );
        let lower = "\nattack_protection.max_attempts_total = 4";
        assert!(
            problem(&["attack_protection.max_attempts = 5", lower]).unwrap().starts_with("/etc/1.toml:2:1: ")
        );
        assert_eq!(problem(&["attack_protection.max_attempts = 4", lower]), None);
    }
}

//! The settings in lockdown.toml(5), made from the commented default file, in which each is explained.

use std::fmt::Write;

use crate::roff::escape;

/// Where the settings go in the page.
const PLACE: &str = "@SETTINGS@\n";

/// The page with its settings.
pub fn fill(page: &str) -> String {
    page.replace(PLACE, &settings(&lockdown_config::default_file()))
}

/// The sections and keys of `default_file` in man(7) macros.
///
/// The file is paragraphs: first what it is about, then for each section and each key its explanation in comments,
/// closed by the line `[section]` or `#key = value`; examples of rules are indented.
fn settings(default_file: &str) -> String {
    let mut roff = String::new();
    for paragraph in default_file.split("\n\n").skip(1) {
        let lines: Vec<&str> = paragraph.lines().collect();
        let Some((last, explanation)) = lines.split_last() else { continue };
        let last = last.trim_start_matches('#').trim_start();
        // Writing to a String cannot fail.
        let _ = if last.starts_with('[') {
            writeln!(roff, ".SS {}", escape(last))
        } else {
            writeln!(roff, ".TP\n.B {}", escape(last))
        };
        for line in explanation {
            let line = line.trim_start_matches('#').trim_start();
            if line.starts_with("Allowed: ") {
                roff.push_str(".br\n");
            }
            roff.push_str(&escape(line));
            roff.push('\n');
        }
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_on_the_page() {
        let page = fill(crate::LOCKDOWN_TOML);
        for entry in lockdown_config::Loaded::default().entries() {
            let (heading, key) = match entry.key.split_once('.') {
                Some((section, key)) => (format!("{}\n", escape(&format!("[{section}]"))), key),
                // Above all sections.
                None => (".TH".to_owned(), entry.key.as_ref()),
            };
            let text = page.split("\n.SS ").find(|text| text.starts_with(&heading));
            let line = format!("\n.TP\n.B {}\n", escape(&format!("{key} = {}", entry.value)));
            assert!(text.is_some_and(|text| text.contains(&line)), "{} is not on the page", entry.key);
        }
        assert!(!page.contains(PLACE));
        let rules = page.split("\n.SS ").find(|text| text.starts_with("[[notify]]\n")).unwrap();
        assert!(rules.contains("\n.TP\n.B name = "), "{rules}");
    }

    #[test]
    fn explanations_stand_under_what_they_explain() {
        let file = "# The file.\n\n# Locks.\n[lock]\n\n# How long.\n# .5h is no-good.\n# Allowed: any.\n#duration = \"1h\"\n";
        assert_eq!(
            settings(file),
            ".SS [lock]\nLocks.\n.TP\n.B duration = \\(dq1h\\(dq\nHow long.\n\\&.5h is no\\-good.\n.br\nAllowed: any.\n"
        );
    }
}

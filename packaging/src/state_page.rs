//! The keys in lockdown-state(5), made from the parser's own list of them.

use std::fmt::Write;

use lockdown_config::state::{TableReference, reference};

use crate::roff::escape;

/// Where the keys go in the page.
const PLACE: &str = "@KEYS@\n";

/// The page with its keys.
pub fn fill(page: &str) -> String {
    page.replace(PLACE, &reference().iter().map(table).collect::<String>())
}

/// A table and its keys in man(7) macros.
fn table(table: &TableReference) -> String {
    let mut roff = String::new();
    // Writing to a String cannot fail.
    if !table.name.is_empty() {
        let _ = writeln!(roff, ".SS {}", escape(&format!("[[{}]]", table.name)));
    }
    for line in table.doc {
        let _ = writeln!(roff, "{}", escape(line.trim()));
    }
    for key in &table.keys {
        let _ = writeln!(roff, ".TP\n.B {}", escape(&format!("{} = {}", key.name, key.example)));
        for line in key.doc {
            let line = line.trim();
            if line.starts_with("Allowed: ") {
                roff.push_str(".br\n");
            }
            let _ = writeln!(roff, "{}", escape(line));
        }
    }
    roff
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lockdown_config::state::{KeyReference, parse};

    use super::*;

    #[test]
    fn every_key_is_on_the_page() {
        let page = fill(crate::LOCKDOWN_STATE);
        assert!(!page.contains(PLACE));
        let tables = reference();
        assert_eq!(
            tables.iter().map(|table| table.name).collect::<Vec<_>>(),
            ["", "account", "authenticator"]
        );
        for table in tables.iter().filter(|table| !table.name.is_empty()) {
            let heading = format!("{}\n", escape(&format!("[[{}]]", table.name)));
            let part = page.split("\n.SS ").find(|part| part.starts_with(&heading)).unwrap();
            for key in &table.keys {
                let line = format!("\n.TP\n.B {}\n", escape(&format!("{} = {}", key.name, key.example)));
                assert!(part.contains(&line), "{} is not on the page", key.name);
            }
        }
    }

    #[test]
    fn explanations_stand_under_what_they_explain() {
        let keys = vec![KeyReference {
            name: "a_b",
            doc: &[" What is no-good.", " Allowed: any."],
            example: "\"x\"",
            schema: "{}",
        }];
        let written = table(&TableReference { name: "c", doc: &[" For all."], keys, schema: "{}" });
        assert_eq!(
            written,
            ".SS [[c]]\nFor all.\n.TP\n.B a_b = \\(dqx\\(dq\nWhat is no\\-good.\n.br\nAllowed: any.\n"
        );
    }

    #[test]
    fn the_examples_on_the_page_can_be_applied() {
        let mut count = 0;
        for example in fill(crate::LOCKDOWN_STATE).split(".nf\n").skip(1) {
            let text = example.split(".fi").next().unwrap().replace("\\(dq", "\"").replace("\\-", "-");
            if text.contains("version = 1") {
                parse("example", Path::new("lockdown-state.5"), &text).unwrap();
                count += 1;
            }
        }
        assert_eq!(count, 2);
    }
}

//! The message ids in lockdownd(8), made from the journal's catalog.

use crate::roff::escape;

const CATALOG: &str = include_str!("../catalog/lockdown.catalog");
/// Where the messages go in the page.
const PLACE: &str = "@MESSAGES@\n";

/// The page with its messages.
pub fn fill(page: &str) -> String {
    page.replace(PLACE, &messages(CATALOG))
}

/// A line for each entry of `catalog`: its id and its subject, fields as words.
fn messages(catalog: &str) -> String {
    let subject = |entry: &str| {
        let (id, text) = entry.split_once('\n')?;
        let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "))?;
        let subject = subject.replace("@LOCKDOWN_", "").replace('@', "");
        Some(format!("{id}  {}\n", escape(&subject)))
    };
    catalog.split("\n-- ").skip(1).filter_map(subject).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_on_the_page() {
        let page = fill(crate::LOCKDOWND);
        let ids = CATALOG.lines().filter_map(|line| line.strip_prefix("-- "));
        assert!(ids.clone().count() > 20);
        for id in ids {
            assert!(page.contains(&format!("\n{id}  ")), "{id} is not on the page");
        }
        assert!(!page.contains(PLACE));
    }

    #[test]
    fn a_message_is_its_id_and_what_it_is_about() {
        let catalog = "# x\n\n-- 0a\nSubject: @LOCKDOWN_USER@ was locked-up\nDefined-By: lockdown\n\ntext\n";
        assert_eq!(messages(catalog), "0a  USER was locked\\-up\n");
    }
}

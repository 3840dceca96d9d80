//! Subordinate uids of an account, subuid(5): what it may become in a user namespace.

use std::{collections::BTreeSet, ops::Range, path::Path};

/// Below this are ordinary and system accounts and `nobody`. A range that reaches there is a mistake in the file, and
/// believing it would end other accounts' processes.
const LOWEST: u32 = 65_536;

/// The ranges of this account; none if the file cannot be read.
#[must_use]
pub fn ranges(path: &Path, name: &str, uid: u32) -> Vec<Range<u32>> {
    std::fs::read_to_string(path).map(|text| parse(&text, name, uid)).unwrap_or_default()
}

/// Who has one of these uids, as the file names them.
#[must_use]
pub fn owners(path: &Path, uids: &BTreeSet<u32>) -> BTreeSet<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let ranges = text.lines().filter_map(|line| Some((line.split(':').next()?, range(line)?)));
    ranges
        .filter(|(_, range)| uids.range(range.clone()).next().is_some())
        .map(|(owner, _)| owner.to_owned())
        .collect()
}

/// Lines are `name:start:count`, with a uid in the place of the name in some.
fn parse(text: &str, name: &str, uid: u32) -> Vec<Range<u32>> {
    let uid = uid.to_string();
    let is_its = |line: &&str| line.split(':').next().is_some_and(|owner| owner == name || owner == uid);
    text.lines().filter(is_its).filter_map(range).collect()
}

fn range(line: &str) -> Option<Range<u32>> {
    let mut fields = line.split(':').skip(1);
    let start: u32 = fields.next()?.parse().ok()?;
    let count: u32 = fields.next()?.trim().parse().ok()?;
    // u32::MAX is no uid.
    let end = start.checked_add(count)?;
    (start >= LOWEST).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_found_by_name_and_by_uid() {
        let text = "alice:100000:65536\nbob:165536:65536\n1000:300000:10\n";
        assert_eq!(parse(text, "alice", 1000), [100_000..165_536, 300_000..300_010]);
        assert_eq!(parse(text, "carol", 1002), []);
    }

    #[test]
    fn a_range_among_the_ordinary_accounts_is_not_believed() {
        for text in
            ["alice:0:65536", "alice:1000:1", "alice:65535:2", "alice:4294967295:1", "alice:x:1", "alice:1"]
        {
            assert_eq!(parse(text, "alice", 1000), [], "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_gives_a_range_that_reaches_an_ordinary_account(text in "([a-e:0-9\n]|alice:){0,60}") {
            prop_assert!(parse(&text, "alice", 1000).iter().all(|range| range.start >= LOWEST));
        }
    }
}

//! `UID_MIN` of login.defs(5).

use std::path::Path;

/// What shadow-utils take where the file does not say.
const DEFAULT_UID_MIN: u32 = 1000;

/// Lowest uid of an ordinary account.
#[must_use]
pub fn uid_min(path: &Path) -> u32 {
    std::fs::read_to_string(path).ok().and_then(|text| parse(&text)).unwrap_or(DEFAULT_UID_MIN)
}

fn parse(text: &str) -> Option<u32> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("UID_MIN"))
        .filter(|rest| rest.starts_with(char::is_whitespace))
        .find_map(|rest| rest.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_value_is_found_among_comments_and_likenesses() {
        assert_eq!(parse("# UID_MIN 5\nSYS_UID_MIN 101\nUID_MIN\t\t 500\nUID_MIN 600\n"), Some(500));
        assert_eq!(parse("UID_MINIMUM 5\n#UID_MIN 5\nUID_MIN x\n"), None);
    }
}

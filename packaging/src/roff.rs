//! The little of roff(7) that is written here.

/// Text that roff takes as it stands.
pub fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('"', "\\(dq");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_for_a_request() {
        assert_eq!(escape(".5h"), "\\&.5h");
        assert_eq!(escape("'a"), "\\&'a");
        assert_eq!(escape("a\\fB --b \"c\""), "a\\efB \\-\\-b \\(dqc\\(dq");
    }
}

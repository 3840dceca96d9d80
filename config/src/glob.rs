//! Patterns for names, as in glob(7): `*`, `?` and sets in brackets. What they match against has no directories, so `*` also
//! matches a slash; there is no escape character, as the names of some directories have backslashes: `[*]` is an asterisk.

use std::fmt::{self, Display, Formatter};

/// A pattern that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Any text, also none.
    Any,
    /// This character.
    Literal(char),
    /// One character that lies in one of the ranges, or in none of them.
    Set { negated: bool, ranges: Vec<(char, char)> },
}

impl Glob {
    /// Understands a pattern.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as words to follow the pattern.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            parts.push(match c {
                '*' => Part::Any,
                '?' => Part::Set { negated: true, ranges: Vec::new() },
                '[' => set(&mut rest)?,
                c => Part::Literal(c),
            });
        }
        // One after the other they match what one does.
        parts.dedup_by(|next, part| *next == Part::Any && *part == Part::Any);
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Whether the whole of `name` matches. Takes at most as many steps as the lengths of both multiplied.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let (mut parts, mut rest) = (self.parts.as_slice(), name.chars());
        // Behind the last `*`, and what of the name it does not yet take.
        let mut again: Option<(&[Part], std::str::Chars<'_>)> = None;
        loop {
            match parts.split_first() {
                Some((Part::Any, after)) => {
                    parts = after;
                    again = Some((after, rest.clone()));
                    continue;
                }
                Some((part, after)) if rest.next().is_some_and(|c| part.takes(c)) => {
                    parts = after;
                    continue;
                }
                None if rest.as_str().is_empty() => return true,
                _ => {}
            }
            // The last `*` takes one more.
            let Some((after, taken)) = &mut again else { return false };
            if taken.next().is_none() {
                return false;
            }
            (parts, rest) = (*after, taken.clone());
        }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Display for Glob {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Part {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any => true,
            Self::Literal(literal) => *literal == c,
            Self::Set { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) != *negated
            }
        }
    }
}

/// What stands after `[`. A `]` right at its beginning is one of the characters, and so is a `-` at either end.
fn set(rest: &mut std::str::Chars<'_>) -> Result<Part, &'static str> {
    const OPEN: &str = "has a [ without its ]";
    let negated = rest.as_str().starts_with(['!', '^']);
    if negated {
        rest.next();
    }
    let mut ranges = Vec::new();
    loop {
        let first = rest.next().ok_or(OPEN)?;
        if first == ']' && !ranges.is_empty() {
            return Ok(Part::Set { negated, ranges });
        }
        let mut ahead = rest.clone();
        let last = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(last)) if last != ']' => {
                *rest = ahead;
                last
            }
            _ => first,
        };
        if last < first {
            return Err("has a range in brackets that ends before it begins");
        }
        ranges.push((first, last));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Glob::parse(pattern).unwrap().matches(name)
    }

    #[test]
    fn patterns_of_glob_7() {
        for (pattern, yes, no) in [
            ("lock", &["lock"][..], &["", "loc", "lockk", "unlock", "Lock"][..]),
            ("lock*", &["lock", "lockdown"], &["unlock"]),
            ("*lock", &["lock", "unlock", "locklock"], &["lockdown"]),
            ("*", &["", "a/b", "ü"], &[]),
            ("a*b*c", &["abc", "aXbYc", "abbcc", "abcbc"], &["ab", "acb", "abcd"]),
            ("?", &["a", "ü", "*"], &["", "ab"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x", "-x"]),
            ("[!a-c]x", &["dx", "]x"], &["ax", "x"]),
            ("[^a]", &["b", "^"], &["a"]),
            ("[]a]", &["]", "a"], &["b"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("[*]", &["*"], &["a", ""]),
            (r"DOM\*", &[r"DOM\alice"], &["DOM*"]),
            ("config:*", &["config:/etc/x"], &["operator"]),
        ] {
            yes.iter().for_each(|name| assert!(matches(pattern, name), "{pattern} {name}"));
            no.iter().for_each(|name| assert!(!matches(pattern, name), "{pattern} {name}"));
        }
        for broken in ["[", "[a", "[]", "[!]", "a[!", "[b-a]"] {
            assert!(Glob::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn what_matches_slowly_elsewhere_is_quick() {
        assert!(!matches(&"*a".repeat(100), &format!("{}b", "a".repeat(250))));
    }

    /// The same by its definition, exponentially.
    fn by_definition(parts: &[Part], name: &[char]) -> bool {
        match parts.split_first() {
            None => name.is_empty(),
            Some((Part::Any, after)) => (0..=name.len()).any(|taken| by_definition(after, &name[taken..])),
            Some((part, after)) => {
                name.split_first().is_some_and(|(c, rest)| part.takes(*c) && by_definition(after, rest))
            }
        }
    }

    proptest! {
        #[test]
        fn takes_any_pattern_and_name(pattern in "(?s).{0,20}", name in "(?s).{0,40}") {
            if let Ok(glob) = Glob::parse(&pattern) {
                let _ = glob.matches(&name);
            }
        }

        #[test]
        fn matches_as_defined(pattern in "([ab*?]|\\[[!ab]?[ab]-?\\]){0,8}", name in "[ab-]{0,8}") {
            if let Ok(glob) = Glob::parse(&pattern) {
                let characters: Vec<_> = name.chars().collect();
                prop_assert_eq!(glob.matches(&name), by_definition(&glob.parts, &characters));
            }
        }

        #[test]
        fn a_name_without_marks_matches_itself_alone(name in "[^*?\\[]{0,20}", other in ".{0,20}") {
            prop_assert!(matches(&name, &name));
            prop_assert_eq!(matches(&name, &other), name == other);
        }
    }
}

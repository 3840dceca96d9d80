//! KEY=VALUE arguments, which may be repeated.

use std::collections::BTreeMap;

use crate::exit::Failure;

/// Splits at the first `=`; the value may be empty.
///
/// # Errors
///
/// There is no key, or no `=`.
pub fn pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("is no pair: write KEY=VALUE"),
    }
}

/// The pairs that were given with `option`; none if there are none.
///
/// # Errors
///
/// A key was given twice.
pub fn distinct(
    option: &str,
    pairs: &[(String, String)],
) -> Result<Option<BTreeMap<String, String>>, Failure> {
    let mut distinct = BTreeMap::new();
    for (key, value) in pairs {
        if distinct.insert(key.clone(), value.clone()).is_some() {
            return Err(Failure::Usage(format!("{option} {key} is given twice: give it once")));
        }
    }
    Ok(Some(distinct).filter(|distinct| !distinct.is_empty()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pair_is_split_at_the_first_sign() {
        let split = |text: &str| pair(text).map(|(key, value)| format!("{key} {value}"));
        assert_eq!(split("team=blue").unwrap(), "team blue");
        assert_eq!(split("query=a=b").unwrap(), "query a=b");
        assert_eq!(split("badge=").unwrap(), "badge ");
        for text in ["", "=", "=x", "team"] {
            assert!(pair(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_key_that_is_given_twice_is_refused() {
        let pairs = |given: &[&str]| -> Vec<_> { given.iter().map(|text| pair(text).unwrap()).collect() };
        assert!(distinct("--tag", &[]).unwrap().is_none());
        assert_eq!(distinct("--tag", &pairs(&["b=1", "a=2"])).unwrap().unwrap().len(), 2);
        let twice = distinct("--tag", &pairs(&["a=1", "a=1"])).unwrap_err();
        assert_eq!(twice.line(), "--tag a is given twice: give it once");
    }

    proptest! {
        #[test]
        fn a_pair_is_read_as_it_is_written(key in "[^=]{1,9}", value: String) {
            prop_assert_eq!(pair(&format!("{key}={value}")), Ok((key, value)));
        }
    }
}

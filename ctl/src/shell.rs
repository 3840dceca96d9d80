//! Words for a shell.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
};

/// One word for a POSIX shell, whatever is in it: POSIX "Shell Command Language", 2.2.2 Single-Quotes.
#[must_use]
pub fn quote(arg: &OsStr) -> OsString {
    let mut quoted = vec![b'\''];
    for &byte in arg.as_bytes() {
        match byte {
            b'\'' => quoted.extend_from_slice(br"'\''"),
            other => quoted.push(other),
        }
    }
    quoted.push(b'\'');
    OsString::from_vec(quoted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_shell_reads_back_what_was_quoted(bytes in proptest::collection::vec(1..=255_u8, 0..40)) {
            let word = OsString::from_vec(bytes);
            // Unquoting by the rule: within single quotes everything stands for itself, \' stands for a quote.
            let quoted = quote(&word).into_vec();
            let (mut unquoted, mut inside, mut index) = (Vec::new(), false, 0);
            while index < quoted.len() {
                match quoted[index] {
                    b'\'' => inside = !inside,
                    b'\\' if !inside => { index += 1; unquoted.push(quoted[index]); }
                    other => { prop_assert!(inside); unquoted.push(other); }
                }
                index += 1;
            }
            prop_assert!(!inside);
            prop_assert_eq!(unquoted, word.into_vec());
        }
    }
}

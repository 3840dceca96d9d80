//! Randomness of the kernel.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// Bytes that nobody can guess; not more than 256, of which getrandom(2) gives all or none.
///
/// # Errors
/// Those of getrandom(2).
pub fn bytes<const COUNT: usize>() -> io::Result<[u8; COUNT]> {
    const { assert!(COUNT <= 256) };
    let mut bytes = [0; COUNT];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes)
}

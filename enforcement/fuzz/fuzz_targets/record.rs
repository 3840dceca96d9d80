//! No bytes make the record decoder panic, and what it takes is what the encoder writes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockdown_enforcement::Record;
use std::fmt::Write;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    // With the right checksum it gets further.
    let mut sealed = String::from_utf8_lossy(bytes).into_owned();
    let checksum = crc32(sealed.as_bytes());
    let _ = writeln!(sealed, "crc32 {checksum:08x}");
    check(sealed.as_bytes());
});

fn check(bytes: &[u8]) {
    if let Ok(record) = Record::decode(bytes) {
        assert_eq!(record.encode(), bytes);
    }
}

/// The slow way, bit by bit, as a check on the table of the crate.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

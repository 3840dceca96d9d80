//! No bytes make the readers of tallies and of the settings of attack protection panic, and what they take comes back the
//! same after another round.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockdown_enforcement::{AttackProtection, Failure, Source, Table};

fuzz_target!(|bytes: &[u8]| {
    let table = Table::decode(bytes);
    for failure in table.failures() {
        assert_eq!(Failure::decode(&failure.encode()), Some(*failure));
    }
    let (slot, added) = table.add(("sshd", &Source::new(None, None)), true, &AttackProtection::default(), 0);
    assert!(slot < 128 && Failure::decode(&added.encode()) == Some(added));
    if let Ok(settings) = AttackProtection::decode(bytes) {
        assert_eq!(AttackProtection::decode(&settings.encode()).ok(), Some(settings));
    }
});

use std::os::unix::fs::{FileExt, PermissionsExt, symlink};

use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_000_000;

fn host(name: &str) -> Source {
    Source::new(Some(name), None)
}

fn settings() -> AttackProtection {
    AttackProtection {
        max_attempts: 3,
        max_attempts_total: 7,
        window: 100,
        duration: Some(1000),
        ..AttackProtection::default()
    }
}

/// A tally in memory.
#[derive(Default)]
struct Tally(Vec<u8>);

impl Tally {
    fn table(&self) -> Table {
        Table::decode(&self.0)
    }

    fn write(&mut self, slot: usize, failure: &Failure) {
        let start = slot * SLOT_BYTES;
        self.0.resize(self.0.len().max(start + SLOT_BYTES), 0);
        self.0[start..start + SLOT_BYTES].copy_from_slice(&failure.encode());
    }

    fn fail(&mut self, source: &Source, settings: &AttackProtection, now: i64) -> Failure {
        let (slot, failure) =
            self.table().add(("sshd", source), settings.counts(1000, "sshd", source), settings, now);
        self.write(slot, &failure);
        failure
    }

    fn clear(&mut self, source: Option<&Source>) {
        self.table().cleared(source).iter().for_each(|(slot, failure)| self.write(*slot, failure));
    }

    fn is_locked(&self, source: &Source, now: i64) -> bool {
        self.table().lock(source, &settings(), now).is_some()
    }
}

#[test]
fn is_written_as_drawn() {
    let failure = Failure {
        number: 2,
        at: 0x0102,
        service: Text::cut("sshd"),
        source: host("192.0.2.1"),
        standing: Standing::Counted,
        lock: Some(TallyLock { source: true, remote: false, all: false, until: Some(0x0304) }),
    };
    let mut drawn = [0; SLOT_BYTES];
    drawn[0] = 2;
    drawn[8..10].copy_from_slice(&[2, 1]);
    drawn[16..18].copy_from_slice(&[4, 3]);
    drawn[24..27].copy_from_slice(&[8, 4, 9]);
    drawn[28..32].copy_from_slice(b"sshd");
    drawn[60..69].copy_from_slice(b"192.0.2.1");
    let checksum = checksum(&drawn);
    drawn[120..].copy_from_slice(&checksum.to_le_bytes());
    assert_eq!(failure.encode(), drawn);
    assert_eq!(Failure::decode(&drawn), Some(failure));
}

#[test]
fn a_source_is_locked_by_its_last_allowed_failure_and_no_other_is() {
    let mut tally = Tally::default();
    let (a, b) = (host("192.0.2.1"), host("192.0.2.2"));
    assert_eq!(tally.fail(&a, &settings(), NOW).lock, None);
    tally.fail(&b, &settings(), NOW);
    tally.fail(&a, &settings(), NOW + 1);
    assert!(!tally.is_locked(&a, NOW + 2));
    let lock = tally.fail(&a, &settings(), NOW + 2).lock;
    assert_eq!(lock, Some(TallyLock { source: true, remote: false, all: false, until: Some(NOW + 1002) }));
    assert!(tally.is_locked(&a, NOW + 1001) && !tally.is_locked(&a, NOW + 1002));
    assert!(!tally.is_locked(&b, NOW + 2) && !tally.is_locked(&Source::new(None, None), NOW + 2));
}

#[test]
fn failures_count_within_the_window_only() {
    let mut tally = Tally::default();
    let source = host("192.0.2.1");
    tally.fail(&source, &settings(), NOW);
    tally.fail(&source, &settings(), NOW + 50);
    assert_eq!(tally.table().counted(&source, &settings(), NOW + 99), 2);
    assert_eq!(tally.table().counted(&source, &settings(), NOW + 100), 1);
    assert_eq!(tally.fail(&source, &settings(), NOW + 100).lock, None);
}

#[test]
fn success_ends_the_count_of_its_source_only() {
    let mut tally = Tally::default();
    let (a, b) = (host("192.0.2.1"), host("192.0.2.2"));
    for source in [&a, &a, &b, &b] {
        tally.fail(source, &settings(), NOW);
    }
    tally.clear(Some(&a));
    assert_eq!(tally.table().counted(&a, &settings(), NOW), 0);
    assert_eq!(tally.table().counted(&b, &settings(), NOW), 2);
    assert_eq!(tally.table().counted_in_all(&settings(), NOW), 2);
    assert_eq!(tally.table().count(), 4);
    assert!(tally.fail(&b, &settings(), NOW).lock.is_some());
    tally.clear(None);
    assert!(!tally.is_locked(&b, NOW));
}

#[test]
fn many_sources_lock_the_account_for_remote_hosts() {
    let mut tally = Tally::default();
    for number in 1..=6 {
        assert_eq!(tally.fail(&host(&format!("192.0.2.{number}")), &settings(), NOW).lock, None);
    }
    // Whoever is on the host already is no part of it.
    let local = Source::new(None, Some("bob"));
    assert_eq!(tally.fail(&local, &settings(), NOW).lock, None);
    let lock = tally.fail(&host("192.0.2.7"), &settings(), NOW).lock.unwrap();
    assert!(lock.remote && !lock.source && !lock.all);
    assert!(tally.is_locked(&host("203.0.113.1"), NOW) && !tally.is_locked(&local, NOW));
    let trusting = AttackProtection { trusted_sources: vec!["203.0.113.1".parse().unwrap()], ..settings() };
    assert_eq!(tally.table().lock(&host("203.0.113.1"), &trusting, NOW), None);
    assert_eq!(tally.fail(&host("203.0.113.1"), &trusting, NOW).standing, Standing::NotCounted);
}

#[test]
fn without_per_source_all_count_together_and_all_are_locked() {
    let together = AttackProtection { per_source: false, ..settings() };
    let mut tally = Tally::default();
    tally.fail(&host("192.0.2.1"), &together, NOW);
    tally.fail(&host("192.0.2.2"), &together, NOW);
    assert!(tally.fail(&Source::new(None, None), &together, NOW).lock.unwrap().all);
    for source in [host("203.0.113.1"), Source::new(None, None)] {
        assert!(tally.table().lock(&source, &together, NOW).is_some());
    }
}

#[test]
fn a_lock_is_not_renewed_while_it_stands_and_starts_the_count_anew() {
    let short = AttackProtection { duration: Some(10), ..settings() };
    let mut tally = Tally::default();
    let source = host("192.0.2.1");
    for _ in 0..3 {
        tally.fail(&source, &short, NOW);
    }
    let late = tally.fail(&source, &short, NOW + 9);
    assert_eq!((late.standing, late.lock), (Standing::NotCounted, None));
    assert!(!tally.is_locked(&source, NOW + 10));
    assert_eq!(tally.fail(&source, &short, NOW + 10).lock, None);
    assert_eq!(tally.fail(&source, &short, NOW + 11).lock, None);
    assert!(tally.fail(&source, &short, NOW + 12).lock.is_some());
}

#[test]
fn a_lock_without_end_stands() {
    let forever = AttackProtection { duration: None, ..settings() };
    let mut tally = Tally::default();
    let source = host("192.0.2.1");
    (0..3).for_each(|_| {
        tally.fail(&source, &forever, NOW);
    });
    assert_eq!(tally.table().lock(&source, &forever, i64::MAX).unwrap().until, None);
}

#[test]
fn the_count_is_exact_when_slots_are_used_again_and_what_matters_stays() {
    let wide = AttackProtection { max_attempts: 3, max_attempts_total: 128, duration: None, ..settings() };
    let mut tally = Tally::default();
    let locked = host("192.0.2.1");
    (0..3).for_each(|_| {
        tally.fail(&locked, &wide, NOW);
    });
    for number in 0..500 {
        // Each from another host, and long after the one before.
        tally.fail(&host(&format!("198.51.100.{number}")), &wide, NOW + 1000 * number);
    }
    assert_eq!((tally.table().count(), tally.0.len()), (503, SLOTS * SLOT_BYTES));
    assert!(tally.table().lock(&locked, &wide, NOW + 500_000).is_some());
    assert_eq!(tally.table().failures().count(), SLOTS);
}

#[test]
fn the_lock_of_the_account_outlasts_all_that_comes_after_it() {
    let forever = AttackProtection { duration: None, ..settings() };
    let mut tally = Tally::default();
    (0..7).for_each(|number| {
        tally.fail(&host(&format!("192.0.2.{number}")), &forever, NOW);
    });
    // Locks of single sources, which are on this host and so not locked out with it.
    for number in 0..500 {
        tally.fail(&Source::new(None, Some(&format!("user{}", number / 3))), &forever, NOW);
    }
    assert!(tally.table().lock(&host("203.0.113.1"), &forever, NOW).is_some());
}

#[test]
fn counting_failures_are_not_lost_before_the_account_is_locked() {
    let widest = AttackProtection { max_attempts: 128, max_attempts_total: 128, ..settings() };
    let mut tally = Tally::default();
    (0..400).for_each(|_| {
        tally.fail(&Source::new(None, Some("bob")), &settings(), NOW - 1000);
    });
    let mut failed = 0;
    while tally.fail(&host(&format!("host{failed}")), &widest, NOW).lock.is_none() {
        failed += 1;
        assert!(failed < 128);
    }
    assert_eq!(failed, 127);
}

#[test]
fn a_torn_slot_loses_nothing_but_itself() {
    let mut tally = Tally::default();
    (0..3).for_each(|number| {
        tally.fail(&host(&format!("192.0.2.{number}")), &settings(), NOW);
    });
    for bit in 0..SLOT_BYTES * 8 {
        let mut damaged = tally.0.clone();
        damaged[SLOT_BYTES + bit / 8] ^= 1 << (bit % 8);
        let table = Table::decode(&damaged);
        assert_eq!(table.failures().map(|failure| failure.number).collect::<Vec<_>>(), [1, 3], "bit {bit}");
    }
    assert_eq!(Table::decode(&tally.0[..3 * SLOT_BYTES - 1]).count(), 2);
}

#[test]
fn hundreds_at_once_are_all_counted() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = TallyDirectory::new(scratch.path());
    assert!(directory.open(1000).unwrap().is_none());
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let tally = directory.create(1000).unwrap();
                    tally.add(("sshd", &host("192.0.2.1")), true, &settings(), NOW).unwrap();
                }
            });
        }
    });
    let tally = directory.open(1000).unwrap().unwrap();
    let table = tally.read().unwrap();
    assert_eq!(table.count(), 320);
    assert_eq!(table.failures().filter(|failure| failure.lock.is_some()).count(), 1);
    assert_eq!(directory.uids().unwrap(), [1000]);
    assert_eq!(directory.tally_path(1000).metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(tally.clear(Some(&host("192.0.2.1"))).unwrap(), 3);
    assert_eq!(directory.create(1000).unwrap().clear(None).unwrap(), 0);
}

#[test]
fn a_tally_that_somebody_holds_is_written_all_the_same() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = TallyDirectory::new(scratch.path());
    let holder = directory.create(1).unwrap();
    holder.as_ref().lock().unwrap();
    let start = std::time::Instant::now();
    directory.create(1).unwrap().add(("sshd", &host("a")), true, &settings(), NOW).unwrap();
    assert!((1..3).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(holder.read().unwrap().count(), 1);
}

#[test]
fn what_is_no_tally_is_refused_or_empty() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = TallyDirectory::new(scratch.path());
    symlink("/dev/null", directory.tally_path(1)).unwrap();
    std::fs::create_dir(directory.tally_path(2)).unwrap();
    drop(directory.create(3).unwrap());
    std::fs::set_permissions(directory.tally_path(3), PermissionsExt::from_mode(0o622)).unwrap();
    for uid in 1..=3 {
        assert!(directory.open(uid).and_then(|tally| tally.unwrap().read()).is_err(), "{uid}");
        let added =
            directory.create(uid).and_then(|tally| tally.add(("sshd", &host("a")), true, &settings(), NOW));
        assert!(added.is_err(), "{uid}");
    }
    assert!(TallyDirectory::new(scratch.path().join("gone")).create(1).is_err());
    let tally = directory.create(4).unwrap();
    tally.as_ref().write_all_at(&vec![b'x'; 2 * SLOTS * SLOT_BYTES], 0).unwrap();
    assert_eq!(tally.read().unwrap().count(), 0);
    let other = directory.create(4).unwrap();
    assert_eq!(other.add(("sshd", &host("a")), true, &settings(), NOW).unwrap().number, 1);
    assert_eq!(tally.read().unwrap().count(), 1);
}

fn any_failure() -> impl Strategy<Value = Failure> {
    let lock = (0..8_u8, any::<Option<i64>>()).prop_map(|(bits, until)| {
        let until = until.filter(|until| *until != i64::MAX);
        let lock = TallyLock { source: bits & 1 > 0, remote: bits & 2 > 0, all: bits & 4 > 0, until };
        Some(lock).filter(|_| bits > 0)
    });
    let standing = prop_oneof![Just(Standing::Counted), Just(Standing::Cleared), Just(Standing::NotCounted)];
    let source = (any::<String>(), any::<bool>())
        .prop_map(|(text, is_local)| Source::stored(Text::cut(&text), is_local));
    (1_u64.., any::<i64>(), "\\PC{0,8}", source, standing, lock).prop_map(
        |(number, at, service, source, standing, lock)| Failure {
            number,
            at,
            service: Text::cut(&service),
            source,
            standing,
            lock,
        },
    )
}

proptest! {
    #[test]
    fn a_failure_reads_back(failure in any_failure()) {
        prop_assert_eq!(Failure::decode(&failure.encode()), Some(failure));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, mut failures in prop::collection::vec(any_failure(), 0..4), now: i64, which: prop::sample::Index, to: u8) {
        let _ = Table::decode(&bytes);
        let mut slots = failures.iter().map(Failure::encode).collect::<Vec<_>>();
        // With the right checksum it gets further.
        if let Some(slot) = slots.first_mut() {
            slot[which.index(CHECKSUM)] = to;
            let checksum = checksum(slot);
            slot[CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
            failures.extend(Failure::decode(slot));
        }
        let table = Table::decode(slots.as_flattened());
        for failure in &failures {
            let _ = table.lock(&failure.source, &settings(), now);
            let (slot, added) = table.add((failure.service.as_str(), &failure.source), true, &settings(), now);
            prop_assert!(slot < SLOTS && Failure::decode(&added.encode()).as_ref() == Some(&added));
        }
    }

    /// Whatever comes in whatever order, no source fails more often than it may without being locked.
    #[test]
    fn nobody_gets_more_attempts_than_allowed(attempts in prop::collection::vec((0..4_u8, 0..40_i64), 0..200)) {
        let mut tally = Tally::default();
        let mut now = NOW;
        let mut judged: Vec<(u8, i64)> = Vec::new();
        for (source, later) in attempts {
            now += later;
            let host = host(&format!("192.0.2.{source}"));
            if tally.is_locked(&host, now) {
                continue;
            }
            tally.fail(&host, &settings(), now);
            judged.push((source, now));
            let recent = judged.iter().filter(|(_, at)| *at > now - 100);
            prop_assert!(recent.clone().count() <= 7);
            prop_assert!(recent.filter(|(other, _)| *other == source).count() <= 3);
        }
    }
}

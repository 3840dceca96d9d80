use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::record::LockEntry;

fn directory() -> (tempfile::TempDir, DenyDirectory) {
    let scratch = tempfile::tempdir().unwrap();
    let deny =
        DenyDirectory::new(scratch.path().join("deny")).owned_by(scratch.path().metadata().unwrap().uid());
    deny.create().unwrap();
    (scratch, deny)
}

fn locked(uid: u32) -> Record {
    let lock =
        LockEntry { id: 1, owner: "operator".into(), authenticator: None, expires_at: None, message: None };
    Record { uid, account: "alice".into(), valid_until: None, locks: vec![lock] }
}

fn emptied(uid: u32) -> Record {
    Record { locks: vec![], ..locked(uid) }
}

#[test]
fn a_directory_in_the_place_of_a_record_gives_way_and_keeps_its_content() {
    let (_scratch, deny) = directory();
    for record in [locked(1000), emptied(1000)] {
        std::fs::create_dir(deny.record_path(1000)).unwrap();
        std::fs::write(deny.record_path(1000).join("file"), "content").unwrap();
        deny.prepare(&record).unwrap().publish().unwrap();
        assert_eq!(deny.read(1000).unwrap(), Some(record).filter(|record| !record.is_empty()));
        let aside = deny.list().unwrap().foreign.pop_first().unwrap();
        assert_eq!(std::fs::read(deny.path().join(&aside).join("file")).unwrap(), b"content");
        std::fs::remove_dir_all(deny.path().join(aside)).unwrap();
        deny.remove(1000).unwrap();
    }
}

#[test]
fn a_record_is_in_force_once_published_and_gone_once_emptied() {
    let (_scratch, deny) = directory();
    let prepared = deny.prepare(&locked(1000)).unwrap();
    assert_eq!(deny.read(1000).unwrap(), None);
    prepared.publish().unwrap();
    assert_eq!(deny.read(1000).unwrap(), Some(locked(1000)));
    assert_eq!(deny.record_path(1000).metadata().unwrap().mode() & 0o7777, 0o600);

    let removal = deny.prepare(&emptied(1000)).unwrap();
    assert_eq!(deny.read(1000).unwrap(), Some(locked(1000)));
    removal.publish().unwrap();
    assert_eq!(deny.read(1000).unwrap(), None);
    deny.prepare(&emptied(1000)).unwrap().publish().unwrap();
    assert_eq!(deny.list().unwrap(), Listing::default());
}

#[test]
fn a_record_that_stands_is_not_written_again_unless_it_is_not_as_it_was_written() {
    let (_scratch, deny) = directory();
    let publish = || deny.prepare(&locked(1000)).unwrap().publish().unwrap();
    let path = deny.record_path(1000);
    let file = || std::fs::symlink_metadata(&path).unwrap().ino();
    publish();
    let first = file();
    // So that no other file can get its number.
    let held = File::open(&path).unwrap();
    publish();
    assert_eq!(file(), first);
    let damages: [&dyn Fn(); 3] = [
        &|| std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap(),
        &|| std::fs::write(&path, locked(1001).encode()).unwrap(),
        &|| {
            std::fs::rename(&path, deny.path().join("else")).unwrap();
            symlink(deny.path().join("else"), &path).unwrap();
        },
    ];
    for damage in damages {
        let before = file();
        damage();
        publish();
        assert_ne!(file(), before);
        assert_eq!(path.symlink_metadata().unwrap().mode(), libc::S_IFREG | MODE);
        assert_eq!(deny.read(1000).unwrap(), Some(locked(1000)));
    }
    drop(held);
}

#[test]
fn what_is_not_published_leaves_nothing_behind() {
    let (_scratch, deny) = directory();
    drop(deny.prepare(&locked(1000)).unwrap());
    assert_eq!(deny.list().unwrap(), Listing::default());
}

#[test]
fn many_are_published_at_once_and_a_failure_does_not_hold_up_the_others() {
    let (_scratch, deny) = directory();
    let all: Vec<_> = (1..=3).map(|uid| deny.prepare(&locked(uid)).unwrap()).collect();
    let [_, second, _] = all.as_slice() else { panic!("{all:?}") };
    let Change::Replace(number) = second.change else { panic!("{second:?}") };
    let temporary = temporary_path(&second.directory, second.uid, number);
    std::fs::remove_file(temporary).unwrap();
    assert!(publish_all(all).is_err());
    assert_eq!(deny.read(1).unwrap(), Some(locked(1)));
    assert_eq!(deny.read(3).unwrap(), Some(locked(3)));
    assert!(deny.list().unwrap().temporaries.is_empty());
}

#[test]
fn lists_records_temporaries_and_strangers_apart() {
    let (_scratch, deny) = directory();
    for name in ["1000", "01", "4294967296", ".1000.7-0.tmp", "readme"] {
        std::fs::write(deny.path().join(name), "").unwrap();
    }
    let listing = deny.list().unwrap();
    assert_eq!(listing.uids, BTreeSet::from([1000]));
    assert_eq!(listing.temporaries, BTreeSet::from([".1000.7-0.tmp".into()]));
    assert_eq!(listing.foreign, BTreeSet::from(["01".into(), "4294967296".into(), "readme".into()]));
    assert_eq!(deny.remove_temporaries().unwrap(), 1);
    assert!(deny.remove(1000).unwrap());
    assert!(!deny.remove(1000).unwrap());
}

#[test]
fn a_record_too_large_is_refused_and_the_old_one_stands() {
    let (_scratch, deny) = directory();
    deny.prepare(&locked(1000)).unwrap().publish().unwrap();
    let mut huge = locked(1000);
    huge.locks[0].message = Some("x".repeat(Record::MAX_BYTES));
    assert_eq!(deny.prepare(&huge).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(deny.read(1000).unwrap(), Some(locked(1000)));
    assert!(deny.list().unwrap().temporaries.is_empty());
}

#[test]
fn a_missing_directory_is_not_an_empty_one() {
    let (scratch, _) = directory();
    std::fs::write(scratch.path().join("file"), "").unwrap();
    for path in ["gone", "gone/deeper", "file"] {
        let read = DenyDirectory::new(scratch.path().join(path)).read(1000);
        assert!(matches!(read, Err(ReadError::DirectoryMissing)), "{path}: {read:?}");
    }
}

#[test]
fn what_cannot_be_trusted_is_not_believed() {
    let (_scratch, deny) = directory();
    let untrusted = |uid| matches!(deny.read(uid), Err(ReadError::NotTrusted));
    deny.prepare(&locked(1)).unwrap().publish().unwrap();
    symlink(deny.record_path(1), deny.record_path(2)).unwrap();
    assert!(untrusted(2), "a symbolic link");
    std::fs::create_dir(deny.record_path(3)).unwrap();
    assert!(untrusted(3), "a directory");
    std::fs::set_permissions(deny.record_path(1), PermissionsExt::from_mode(0o620)).unwrap();
    assert!(untrusted(1), "writable by the group");
    assert!(matches!(deny.clone().owned_by(54321).read(1), Err(ReadError::NotTrusted)), "another's file");
}

#[test]
fn what_is_damaged_is_said_to_be() {
    let (_scratch, deny) = directory();
    std::fs::write(deny.record_path(1), "").unwrap();
    assert!(matches!(deny.read(1), Err(ReadError::Damaged(DecodeError::Incomplete))));
    std::fs::write(deny.record_path(2), vec![b'x'; Record::MAX_BYTES + 1]).unwrap();
    assert!(matches!(deny.read(2), Err(ReadError::Damaged(DecodeError::TooLarge))));
    std::fs::write(deny.record_path(3), locked(4).encode()).unwrap();
    assert!(matches!(deny.read(3), Err(ReadError::OtherUid(4))));
}

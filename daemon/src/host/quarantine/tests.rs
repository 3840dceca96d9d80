use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use proptest::prelude::*;
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    process::geteuid,
};
use tempfile::TempDir;

use super::*;

const KEYS: &[u8] = b"ssh-ed25519 AAAA one\nssh-ed25519 BBBB two\nssh-ed25519 CCCC three";

/// A home directory; as root that of another account.
struct Home {
    directory: TempDir,
    alice: Account,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (uid, gid) = match geteuid().as_raw() {
            0 => (61_003, 61_004),
            own => (own, rustix::process::getegid().as_raw()),
        };
        let home = directory.path().join("home");
        let alice = Account { name: "alice".into(), uid, gid, home };
        let made = Self { directory, alice };
        fs::set_permissions(made.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(&made.alice.home).unwrap();
        made.own(&made.alice.home);
        made
    }

    fn own(&self, path: &Path) {
        chown(path, Some(self.alice.uid), Some(self.alice.gid)).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.alice.home.join(".ssh/authorized_keys")
    }

    fn with_ssh() -> Self {
        let home = Self::new();
        let ssh = home.alice.home.join(".ssh");
        fs::create_dir(&ssh).unwrap();
        home.own(&ssh);
        home
    }

    fn with_keys() -> Self {
        let home = Self::with_ssh();
        home.write(KEYS);
        home
    }

    fn write(&self, content: &[u8]) {
        fs::write(self.path(), content).unwrap();
        self.own(&self.path());
    }

    fn examine(&self) -> Result<Option<Kept>, QuarantineError> {
        examine(KeptKind::AuthorizedKeys, &self.alice, &self.path())
    }

    fn kept(&self) -> Kept {
        self.examine().unwrap().unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.alice.home.join(".ssh")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn is_root() -> bool {
    geteuid().is_root()
}

/// Everything about a file that has to come back.
fn whole(path: &Path) -> (Vec<u8>, u32, u32, u32, i64, i64) {
    let file = fs::symlink_metadata(path).unwrap();
    let content = if file.is_symlink() {
        fs::read_link(path).unwrap().into_os_string().into_encoded_bytes()
    } else {
        fs::read(path).unwrap()
    };
    (content, file.mode(), file.uid(), file.gid(), file.mtime(), file.mtime_nsec())
}

#[test]
fn a_file_comes_back_to_the_byte_with_mode_owner_and_time() {
    let home = Home::with_keys();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o640)).unwrap();
    if is_root() {
        chown(home.path(), None, Some(61_050)).unwrap();
    }
    let before = whole(&home.path());
    let kept = home.kept();
    let kept = Kept::from_row(kept.to_row().unwrap()).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    remove(&kept).unwrap();
    assert_eq!(home.names(), [""; 0]);
    remove(&kept).unwrap();
    put_back(&kept).unwrap();
    assert_eq!(whole(&home.path()), before);
    put_back(&kept).unwrap();
    assert_eq!(home.names(), ["authorized_keys"]);
}

#[test]
fn a_file_of_roots_in_a_directory_of_roots_is_no_obstacle() {
    if !is_root() {
        return;
    }
    let home = Home::with_keys();
    for path in [home.path(), home.alice.home.join(".ssh")] {
        chown(path, Some(0), Some(0)).unwrap();
    }
    let before = whole(&home.path());
    let kept = home.kept();
    remove(&kept).unwrap();
    assert!(!home.path().exists());
    put_back(&kept).unwrap();
    assert_eq!(whole(&home.path()), before);
}

#[test]
fn a_directory_that_she_closed_hides_nothing() {
    let home = Home::with_keys();
    let ssh = home.alice.home.join(".ssh");
    let kept = home.kept();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o0)).unwrap();
    if is_root() {
        assert_eq!(home.kept(), kept);
        remove(&kept).unwrap();
        assert_eq!(home.names(), [""; 0]);
    } else {
        assert!(matches!(home.examine(), Err(QuarantineError::Failed(..))));
    }
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_file_that_changed_stays() {
    let home = Home::with_keys();
    let kept = home.kept();
    home.write(b"other\n");
    assert!(matches!(remove(&kept), Err(QuarantineError::Changed(_))));
    assert_eq!(fs::read(home.path()).unwrap(), b"other\n");
    assert_eq!(home.names(), ["authorized_keys"]);
}

#[test]
fn a_file_exchanged_for_a_symbolic_link_leads_nowhere() {
    let home = Home::with_keys();
    let kept = home.kept();
    let precious = home.directory.path().join("precious");
    fs::write(&precious, KEYS).unwrap();
    fs::remove_file(home.path()).unwrap();
    symlink(&precious, home.path()).unwrap();
    assert!(matches!(remove(&kept), Err(QuarantineError::Changed(_))));
    assert_eq!(fs::read(&precious).unwrap(), KEYS);
    assert_eq!(fs::read_link(home.path()).unwrap(), precious);
    // The same with the directory.
    let elsewhere = home.directory.path().join("elsewhere");
    fs::rename(home.alice.home.join(".ssh"), &elsewhere).unwrap();
    fs::remove_file(elsewhere.join("authorized_keys")).unwrap();
    fs::write(elsewhere.join("authorized_keys"), KEYS).unwrap();
    symlink(&elsewhere, home.alice.home.join(".ssh")).unwrap();
    assert!(matches!(remove(&kept), Err(QuarantineError::Changed(_))));
    assert!(matches!(put_back(&kept), Err(QuarantineError::Occupied(_))));
    assert!(elsewhere.join("authorized_keys").exists());
}

#[test]
fn a_symbolic_link_on_the_way_is_what_is_taken_away() {
    let home = Home::new();
    let elsewhere = home.directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("authorized_keys"), KEYS).unwrap();
    let link = home.alice.home.join(".ssh");
    symlink(&elsewhere, &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(home.alice.uid), Some(home.alice.gid)).unwrap();
    let before = whole(&link);
    let kept = home.kept();
    assert_eq!((kept.path.as_path(), &kept.form), (link.as_path(), &Form::Symlink));
    remove(&kept).unwrap();
    assert!(fs::symlink_metadata(&link).is_err());
    assert!(elsewhere.join("authorized_keys").exists());
    put_back(&kept).unwrap();
    assert_eq!(whole(&link), before);
}

#[test]
fn what_is_no_file_is_named_without_waiting_for_it() {
    let home = Home::with_ssh();
    let started = Instant::now();
    assert!(Command::new("/usr/bin/mkfifo").arg(home.path()).status().unwrap().success());
    assert!(matches!(home.examine(), Err(QuarantineError::NoFile(_, "fifo"))));
    fs::remove_file(home.path()).unwrap();
    fs::create_dir(home.path()).unwrap();
    assert!(matches!(home.examine(), Err(QuarantineError::NoFile(_, "directory"))));
    assert!(started.elapsed() < Duration::from_secs(5));
    fs::remove_dir(home.path()).unwrap();
    assert_eq!(home.examine(), Ok(None));
    fs::remove_dir(home.alice.home.join(".ssh")).unwrap();
    fs::write(home.alice.home.join(".ssh"), "").unwrap();
    assert_eq!(home.examine(), Ok(None));
}

#[test]
fn a_fifo_in_the_place_of_the_file_stays_and_nobody_waits() {
    let home = Home::with_keys();
    let kept = home.kept();
    fs::remove_file(home.path()).unwrap();
    assert!(Command::new("/usr/bin/mkfifo").arg(home.path()).status().unwrap().success());
    assert!(matches!(remove(&kept), Err(QuarantineError::Changed(_))));
    assert_eq!(home.names(), ["authorized_keys"]);
}

#[test]
fn a_huge_file_is_renamed_and_comes_back() {
    let home = Home::with_ssh();
    home.write(&vec![b'#'; usize::try_from(MAX_CONTENT).unwrap() + 1]);
    // Names that she took beforehand do not help her.
    fs::write(home.alice.home.join(".ssh/authorized_keys.lockdown"), "").unwrap();
    let before = whole(&home.path());
    let kept = home.kept();
    assert!(matches!(kept.form, Form::Aside { .. }));
    remove(&kept).unwrap();
    assert_eq!(home.names().len(), 2);
    assert!(
        home.names().iter().all(|name| name.starts_with("authorized_keys.lockdown")),
        "{:?}",
        home.names()
    );
    remove(&kept).unwrap();
    put_back(&kept).unwrap();
    put_back(&kept).unwrap();
    assert!(whole(&home.path()) == before);
    fs::remove_file(home.path()).unwrap();
    assert!(matches!(put_back(&kept), Err(QuarantineError::Failed(..))));
}

#[test]
fn a_file_of_the_largest_size_is_kept() {
    let home = Home::with_ssh();
    home.write(&vec![b'#'; usize::try_from(MAX_CONTENT).unwrap()]);
    assert_eq!(home.kept().form, Form::File);
}

#[test]
fn what_is_there_meanwhile_is_not_overwritten() {
    let home = Home::with_keys();
    let kept = home.kept();
    home.write(b"new\n");
    let error = put_back(&kept).unwrap_err();
    assert!(error.to_string().contains(home.path().to_str().unwrap()), "{error}");
    assert!(matches!(error, QuarantineError::Occupied(_)));
    assert_eq!(fs::read(home.path()).unwrap(), b"new\n");
    assert_eq!(home.names(), ["authorized_keys"]);
}

#[test]
fn a_missing_directory_is_made_as_sshd_wants_it() {
    let home = Home::with_keys();
    let kept = home.kept();
    fs::remove_dir_all(home.alice.home.join(".ssh")).unwrap();
    remove(&kept).unwrap();
    put_back(&kept).unwrap();
    let made = fs::metadata(home.alice.home.join(".ssh")).unwrap();
    assert_eq!((made.mode() & 0o7777, made.uid(), made.gid()), (0o700, home.alice.uid, home.alice.gid));
    assert_eq!(fs::read(home.path()).unwrap(), KEYS);
}

/// Cut short where the file has its hidden name: the next step of any kind clears it away.
#[test]
fn what_a_killed_daemon_left_is_cleared_away() {
    let home = Home::with_keys();
    let kept = home.kept();
    let hidden = home.path().with_file_name(".authorized_keys.lockdown");
    for clear in [remove, clear_leftovers] {
        fs::rename(home.path(), &hidden).unwrap();
        clear(&kept).unwrap();
        assert_eq!(home.names(), [""; 0]);
        home.write(KEYS);
    }
    fs::rename(home.path(), &hidden).unwrap();
    put_back(&kept).unwrap();
    assert_eq!(home.names(), ["authorized_keys"]);
}

#[test]
fn what_is_left_of_an_exchange_is_cleared_away_and_lines_stay_out() {
    let home = Home::with_keys();
    let kept = home.kept().without_lines(vec![1]);
    let hidden = home.path().with_file_name(".authorized_keys.lockdown");
    remove(&kept).unwrap();
    let edited = fs::read(home.path()).unwrap();
    for left in [KEYS, &edited] {
        for step in [remove, clear_leftovers] {
            fs::write(&hidden, left).unwrap();
            step(&kept).unwrap();
            assert_eq!(home.names(), ["authorized_keys"]);
            assert_eq!(fs::read(home.path()).unwrap(), edited);
        }
        fs::write(&hidden, left).unwrap();
        put_back(&kept).unwrap();
        assert_eq!(home.names(), ["authorized_keys"]);
        remove(&kept).unwrap();
    }
}

#[test]
fn what_is_none_of_ours_is_no_leftover() {
    let home = Home::with_keys();
    let kept = home.kept();
    fs::write(home.path().with_file_name(".authorized_keys.lockdown"), "hers\n").unwrap();
    clear_leftovers(&kept).unwrap();
    remove(&kept).unwrap();
    put_back(&kept).unwrap();
    assert_eq!(home.names(), [".authorized_keys.lockdown", "authorized_keys"]);
    let ssh = home.alice.home.join(".ssh");
    fs::rename(&ssh, home.alice.home.join("away")).unwrap();
    clear_leftovers(&kept).unwrap();
}

#[test]
fn nothing_is_lost_by_a_user_who_exchanges_files_as_fast_as_she_can() {
    let home = Home::with_keys();
    let kept = home.kept();
    let (path, spare) = (home.path(), home.alice.home.join("spare"));
    let precious = home.directory.path().join("precious");
    fs::write(&precious, KEYS).unwrap();
    symlink(&precious, &spare).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = renameat_with(CWD, &path, CWD, &spare, RenameFlags::EXCHANGE);
            }
        });
        for _ in 0..200 {
            let _ = remove(&kept);
            let _ = put_back(&kept);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read(&precious).unwrap(), KEYS);
    let links = [&path, &spare].map(|path| fs::read_link(path).is_ok());
    assert!(links.contains(&true), "what was not kept was removed");
}

#[test]
fn what_it_holds_is_not_printed() {
    let home = Home::with_keys();
    assert!(!format!("{:?}", home.kept()).contains("AAAA"));
}

#[test]
fn lines_come_out_and_go_back() {
    let home = Home::with_keys();
    let before = whole(&home.path());
    let kept = home.kept().without_lines(vec![2]);
    let kept = Kept::from_row(kept.to_row().unwrap()).unwrap();
    remove(&kept).unwrap();
    assert_eq!(fs::read(home.path()).unwrap(), b"ssh-ed25519 AAAA one\nssh-ed25519 CCCC three");
    let after = whole(&home.path());
    assert_eq!((after.1, after.2, after.3), (before.1, before.2, before.3));
    remove(&kept).unwrap();
    put_back(&kept).unwrap();
    assert_eq!(whole(&home.path()), before);
    put_back(&kept).unwrap();
    assert_eq!(home.names(), ["authorized_keys"]);
}

#[test]
fn lines_go_back_beside_what_is_new() {
    let home = Home::with_keys();
    let kept = home.kept().without_lines(vec![1, 2]);
    remove(&kept).unwrap();
    home.write(b"ssh-ed25519 AAAA one\nnew");
    put_back(&kept).unwrap();
    let content = fs::read_to_string(home.path()).unwrap();
    assert_eq!(content, "ssh-ed25519 AAAA one\nnew\nssh-ed25519 BBBB two\n");
    fs::remove_file(home.path()).unwrap();
    assert!(matches!(put_back(&kept), Err(QuarantineError::Failed(..))));
    assert_eq!(home.names(), [""; 0]);
}

#[test]
fn lines_of_a_file_that_changed_stay() {
    let home = Home::with_keys();
    let kept = home.kept().without_lines(vec![2]);
    home.write(b"other\n");
    assert!(matches!(remove(&kept), Err(QuarantineError::Changed(_))));
    assert_eq!(fs::read(home.path()).unwrap(), b"other\n");
    assert_eq!(home.names(), ["authorized_keys"]);
}

#[test]
fn outside_of_the_home_a_link_that_others_could_make_is_not_followed() {
    let home = Home::new();
    let keys = home.directory.path().join("keys");
    fs::create_dir(&keys).unwrap();
    fs::write(keys.join("alice"), KEYS).unwrap();
    fs::set_permissions(home.directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    symlink(&keys, home.directory.path().join("link")).unwrap();
    let examine = |path: &str| {
        let path = home.directory.path().join(path);
        examine(KeptKind::AuthorizedKeys, &home.alice, &path).unwrap().unwrap()
    };
    assert_eq!(examine("keys/alice").content, KEYS);
    let kept = examine("link/alice");
    assert_eq!((kept.path, kept.form), (home.directory.path().join("link"), Form::Symlink));
    if is_root() {
        fs::set_permissions(home.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // /tmp above it is everybody's, but this directory is root's.
        assert_eq!(examine("link/alice").content, KEYS);
    }
}

#[test]
fn a_path_upwards_is_refused() {
    let home = Home::with_keys();
    let path = home.alice.home.join("../home/.ssh/authorized_keys");
    assert!(matches!(
        examine(KeptKind::AuthorizedKeys, &home.alice, &path),
        Err(QuarantineError::Failed(..))
    ));
}

proptest! {
    #[test]
    fn a_row_is_the_kept_file_again(
        bytes: Vec<u8>, content: Vec<u8>, home: Vec<u8>, name: String, numbers: [u32; 4], modified: (i64, i64),
        form in prop_oneof![
            Just(Form::File), Just(Form::Symlink),
            any::<u64>().prop_map(|inode| Form::Aside { inode }),
            any::<Vec<u32>>().prop_map(|lines| Form::Edited { lines }),
        ],
        kind in prop::sample::select(KeptKind::ALL.to_vec()),
    ) {
        let path = |bytes: &[u8]| PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes));
        let [mode, uid, gid, other] = numbers;
        let account = Account { name, uid: other, gid, home: path(&home) };
        let kept = Kept { kind, account, path: path(&bytes), content, form, mode, uid, gid, modified };
        prop_assert_eq!(Kept::from_row(kept.to_row().unwrap()).unwrap(), kept);
    }

    #[test]
    fn no_row_makes_it_panic(kind: String, path: Vec<u8>, rest: String) {
        let _ = Kept::from_row(Row { kind, path, content: Vec::new(), rest });
    }

    #[test]
    fn taking_lines_out_loses_none(content: Vec<u8>, lines: Vec<u8>) {
        let home = Account::without_nss("alice".into(), 1000);
        let kept = Kept {
            kind: KeptKind::EditedKeys, account: home, path: PathBuf::new(), content, form: Form::File,
            mode: 0, uid: 0, gid: 0, modified: (0, 0),
        };
        let lines: Vec<u32> = lines.into_iter().map(u32::from).collect();
        let taken: usize = kept.lines(|number| lines.contains(&number)).iter().map(|line| line.len()).sum();
        prop_assert_eq!(kept.edited(&lines).len() + taken, kept.content.len());
    }
}

#[test]
fn a_job_too_large_to_keep_is_out_of_sight_of_atd() {
    let spool = tempfile::tempdir().unwrap();
    let path = spool.path().join("a0000101d0c1a2");
    let job = vec![b'#'; usize::try_from(MAX_CONTENT).unwrap() + 1];
    fs::write(&path, &job).unwrap();
    let account = Account::without_nss("alice".into(), 61_003);
    let kept = examine(KeptKind::AtJob, &account, &path).unwrap().unwrap();
    for _ in 0..2 {
        remove(&kept).unwrap();
        let names: Vec<_> =
            fs::read_dir(spool.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(names.len() == 1 && names[0].as_encoded_bytes().starts_with(b"."), "{names:?}");
    }
    put_back(&kept).unwrap();
    put_back(&kept).unwrap();
    assert_eq!(fs::read(&path).unwrap(), job);
}

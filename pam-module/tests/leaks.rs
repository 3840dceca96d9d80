//! What the module leaves behind in the process that loads it: nothing. Has to be run by root.

#![expect(unsafe_code, reason = "dlopen, dup2")]
#![allow(clippy::unwrap_used, reason = "in a test")]

mod libpam;
mod support;

use std::ffi::{CStr, c_int};
use std::fs;
use std::os::fd::AsRawFd;
use std::process::Command;

use libpam::{AUTH_ERR, PERM_DENIED, SUCCESS, c_path};
use lockdown_enforcement::{AttackProtection, Record};
use support::{ACCOUNT, Scratch, UID, build_directory, locked, profiles};

/// What would show that something was left.
#[derive(Debug, PartialEq, Eq)]
struct State {
    descriptors: Vec<String>,
    threads: usize,
    signals: Vec<String>,
    /// Those with a file behind them; the heap is libpam's, too.
    mapped_files: Vec<String>,
}

impl State {
    fn now() -> Self {
        let entries =
            |path: &str| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        // The directory itself is one of those listed, and gone when it is looked at.
        let mut descriptors: Vec<_> = entries("/proc/self/fd")
            .iter()
            .filter_map(|fd| Some(format!("{fd:?} {:?}", fs::read_link(fd).ok()?)))
            .collect();
        descriptors.sort_unstable();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        // Not SigQ, which counts for the whole user.
        let signal_lines = ["SigPnd", "SigBlk", "SigIgn", "SigCgt"];
        let signals = status.lines().filter(|line| signal_lines.iter().any(|name| line.starts_with(name)));
        let signals = signals.map(str::to_owned).collect();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let mut mapped_files: Vec<_> =
            maps.lines().filter_map(|line| line.split_whitespace().nth(5)).map(str::to_owned).collect();
        mapped_files.dedup();
        let threads = entries("/proc/self/task").len();
        Self { descriptors, threads, signals, mapped_files }
    }
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Runs `work` and returns what was written to stdout and stderr meanwhile.
fn output_of(work: impl FnOnce()) -> String {
    let captured = tempfile::NamedTempFile::new().unwrap();
    let redirect = |from: c_int, to: c_int| {
        // SAFETY: touches no memory.
        assert_eq!(unsafe { libc::dup2(from, to) }, to);
    };
    // SAFETY: touches no memory.
    let kept = [1, 2].map(|fd| unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) });
    redirect(captured.as_raw_fd(), 1);
    redirect(captured.as_raw_fd(), 2);
    work();
    redirect(kept[0], 1);
    redirect(kept[1], 2);
    for fd in kept {
        // SAFETY: open, and not used again.
        unsafe { libc::close(fd) };
    }
    fs::read_to_string(captured.path()).unwrap()
}

/// Runs `work` once for what the C library and libpam set up once in a process, then `times` more.
fn leaves_nothing(what: &str, times: usize, mut work: impl FnMut()) {
    work();
    let (before, resident) = (State::now(), resident_kib());
    let output = output_of(|| (0..times).for_each(|_| work()));
    assert_eq!(State::now(), before, "{what}");
    assert_eq!(output, "", "{what}");
    let grown = resident_kib().saturating_sub(resident);
    assert!(grown < 1024, "{what}: {grown} KiB more after {times} times");
}

#[test]
fn nothing_is_left_behind() {
    if std::env::var_os("RUST_BACKTRACE").is_none_or(|value| value != "1") {
        // The variable makes a panic dear; it is also what a service may have been started with.
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "nothing_is_left_behind", "--nocapture"]).env("RUST_BACKTRACE", "1");
        assert!(again.status().unwrap().success());
        return;
    }
    let scratch = Scratch::new();
    scratch.stack("test", "on_error=deny nonsense");
    let whole_login = |expected| {
        let transaction = scratch.start("test", ACCOUNT);
        transaction.authenticate();
        assert_eq!(transaction.check_account(0), expected);
        assert_eq!(transaction.open_session(0), expected);
        transaction.close_session();
    };
    leaves_nothing("a login", 500, || whole_login(SUCCESS));
    assert!(!State::now().mapped_files.iter().any(|file| file.contains("pam_lockdown")), "still mapped");

    scratch.enforce(&locked(UID, None));
    leaves_nothing("a denied login", 500, || whole_login(PERM_DENIED));
    fs::write(scratch.records.record_path(UID), vec![b'x'; Record::MAX_BYTES]).unwrap();
    leaves_nothing("a damaged record", 500, || whole_login(PERM_DENIED));
    assert!(!State::now().mapped_files.iter().any(|file| file.contains("pam_lockdown")), "still mapped");

    scratch.records.remove(UID).unwrap();
    scratch.protect(&AttackProtection {
        max_attempts: 128,
        max_attempts_total: 128,
        ..AttackProtection::default()
    });
    scratch.stack_of(
        "attempt",
        "auth required LOCKDOWN preauth\nauth required pam_permit.so\nauth required LOCKDOWN authsucc\n",
    );
    leaves_nothing("an attempt", 500, || {
        assert_eq!(scratch.start("attempt", ACCOUNT).authenticate(), SUCCESS)
    });
    // Its turn ends with the transaction, whatever the stack.
    scratch.stack_of("cut", "auth required LOCKDOWN preauth\nauth required pam_permit.so\n");
    leaves_nothing("an attempt without an end", 500, || {
        assert_eq!(scratch.start("cut", ACCOUNT).authenticate(), SUCCESS)
    });
    scratch.stack_of(
        "failing",
        "auth required LOCKDOWN preauth\nauth [default=die] LOCKDOWN authfail answer_after=0\n",
    );
    leaves_nothing("a failed attempt", 500, || {
        assert_eq!(scratch.start("failing", ACCOUNT).authenticate(), AUTH_ERR)
    });
    let mut record = locked(UID, None);
    record.locks[0].authenticator = Some("password".to_owned());
    scratch.enforce(&record);
    scratch.stack_of("refused", &profiles("pam_permit.so"));
    leaves_nothing("a refused attempt", 500, || {
        assert_eq!(scratch.start("refused", ACCOUNT).authenticate(), AUTH_ERR)
    });
    assert!(!State::now().mapped_files.iter().any(|file| file.contains("pam_lockdown")), "still mapped");

    let panicking = c_path(&build_directory().join("examples/libpanicking.so"));
    leaves_nothing("a panic", 200, || assert_eq!(call(&panicking, c"panic_inside", 5), 5));
    assert!(!State::now().mapped_files.iter().any(|file| file.contains("panicking")), "still mapped");
}

/// Loads the object, calls `function(argument)`, unloads it.
fn call(object: &CStr, function: &CStr, argument: c_int) -> c_int {
    // SAFETY: an object of ours.
    let handle = unsafe { libc::dlopen(object.as_ptr(), libc::RTLD_NOW) };
    assert!(!handle.is_null(), "{object:?} cannot be loaded");
    // SAFETY: a handle of dlopen's.
    let address = unsafe { libc::dlsym(handle, function.as_ptr()) };
    assert!(!address.is_null(), "{function:?} is missing");
    // SAFETY: the type that the function has.
    let function =
        unsafe { std::mem::transmute::<*mut libc::c_void, extern "C" fn(c_int) -> c_int>(address) };
    let result = function(argument);
    // SAFETY: used for the last time.
    unsafe { libc::dlclose(handle) };
    result
}

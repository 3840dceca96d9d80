//! Last words: text on every terminal at which an account sits.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Write},
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::libc::{O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, makedev};
use procfs::process::all_processes;

use lockdown_enforcement::escape::escape;

/// Majors of pseudo terminals, `UNIX98_PTY_SLAVE_MAJOR` of the kernel and the seven after it; 256 minors each.
const PSEUDO: std::ops::Range<i32> = 136..144;

/// Writes the text on every terminal that a process of the account has as its controlling one and that belongs to the
/// account, but for `except` (`pts/3`). A terminal that takes nothing is left out. Control characters show as their numbers.
pub fn write_to_all(uid: u32, text: &str, except: Option<&str>) {
    let text = fit_for_terminal(text);
    let except = except.map(|name| Path::new("/dev").join(name));
    for (device, path) in terminals(uid).into_iter().filter(|(_, path)| Some(path) != except.as_ref()) {
        match write_to(&path, device, uid, &text) {
            Ok(()) => {}
            Err(error) => tracing::debug!("{} was not told: {error}", escape(&path.display().to_string())),
        }
    }
}

/// Device numbers and paths of the controlling terminals of what runs as this uid.
fn terminals(uid: u32) -> BTreeSet<(u64, PathBuf)> {
    let Ok(processes) = all_processes() else { return BTreeSet::new() };
    processes
        // One that ends meanwhile sits nowhere.
        .filter_map(|process| {
            let process = process.ok()?;
            let status = process.status().ok()?;
            let is_its = [status.ruid, status.euid, status.suid].contains(&uid);
            is_its.then(|| process.stat().ok()).flatten()
        })
        .filter_map(|stat| {
            let (major, minor) = stat.tty_nr();
            Some((makedev(u32::try_from(major).ok()?, u32::try_from(minor).ok()?), path_of(major, minor)?))
        })
        .collect()
}

fn path_of(major: i32, minor: i32) -> Option<PathBuf> {
    if PSEUDO.contains(&major) {
        return Some(format!("/dev/pts/{}", (major - PSEUDO.start) * 256 + minor).into());
    }
    // A console or a serial line; 0:0 is none.
    let device = std::fs::read_link(format!("/sys/dev/char/{major}:{minor}")).ok()?;
    Some(Path::new("/dev").join(device.file_name()?))
}

fn write_to(path: &Path, device: u64, uid: u32, text: &[u8]) -> io::Result<()> {
    // Not as this daemon's own terminal, not through a link, and without waiting for one that is held (Ctrl-S) or full.
    let flags = O_NOCTTY | O_NOFOLLOW | O_NONBLOCK;
    let mut terminal = File::options().write(true).custom_flags(flags).open(path)?;
    let status = terminal.metadata()?;
    if !status.file_type().is_char_device() || status.rdev() != device {
        return Err(io::Error::other("it is another device"));
    }
    if status.uid() != uid {
        return Err(io::Error::other("it is another account's"));
    }
    terminal.write_all(text)
}

/// On lines of their own, whatever stood there, and in raw mode, too.
fn fit_for_terminal(text: &str) -> Vec<u8> {
    let mut fit = String::from("\r\n");
    for line in text.lines() {
        for character in line.chars() {
            if character.is_control() || directs_text(character) {
                fit.extend(character.escape_unicode());
            } else {
                fit.push(character);
            }
        }
        fit.push_str("\r\n");
    }
    fit.into_bytes()
}

fn directs_text(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::{os::fd::AsFd, os::unix::fs::symlink};

    use proptest::prelude::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    /// A pseudo terminal: its master, and the path, device and owner of the other side.
    fn pseudo_terminal() -> (File, PathBuf, u64, u32) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = PathBuf::from(ptsname(master.as_fd(), Vec::new()).unwrap().into_string().unwrap());
        let status = std::fs::metadata(&path).unwrap();
        (File::from(master), path, status.rdev(), status.uid())
    }

    #[test]
    fn text_arrives_on_its_owners_terminal_only() {
        let (mut master, path, device, owner) = pseudo_terminal();
        assert!(write_to(&path, device, owner + 1, b"x").is_err());
        assert!(write_to(&path, device + 1, owner, b"x").is_err());
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("tty");
        symlink(&path, &link).unwrap();
        assert!(write_to(&link, device, owner, b"x").is_err());
        write_to(&path, device, owner, &fit_for_terminal("Bye\n")).unwrap();
        let mut heard = [0; 64];
        let length = io::Read::read(&mut master, &mut heard).unwrap();
        // The terminal makes \r\n of each \n, which does no harm.
        assert_eq!(String::from_utf8_lossy(&heard[..length]).replace("\r\r", "\r"), "\r\nBye\r\n");
    }

    #[test]
    fn a_terminal_that_is_full_holds_nobody_up() {
        let (_master, path, device, owner) = pseudo_terminal();
        let text = vec![b'x'; 1 << 20];
        let error = write_to(&path, device, owner, &text).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn paths_of_terminals() {
        assert_eq!(path_of(136, 3), Some("/dev/pts/3".into()));
        assert_eq!(path_of(137, 1), Some("/dev/pts/257".into()));
        assert_eq!(path_of(0, 0), None);
    }

    #[test]
    fn controls_show_as_their_numbers() {
        let fit = fit_for_terminal("Ring 7 für Hilfe.\n\u{1b}[2J\r\u{9b}\u{202e}x");
        assert_eq!(
            String::from_utf8(fit).unwrap(),
            "\r\nRing 7 für Hilfe.\r\n\\u{1b}[2J\\u{d}\\u{9b}\\u{202e}x\r\n"
        );
    }

    proptest! {
        #[test]
        fn nothing_but_line_breaks_controls_the_terminal(text: String) {
            let fit = String::from_utf8(fit_for_terminal(&text)).unwrap();
            prop_assert!(!fit.replace("\r\n", "").chars().any(char::is_control));
        }
    }
}

//! Text on the terminals of those who are logged in.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::PathBuf,
};

use rustix::fs::OFlags;

/// Terminals that a message goes to, at most.
const MAX_TERMINALS: usize = 256;

/// Writes a text, of printable lines, to every terminal that belongs to this uid; to how many. Whoever logs in at a
/// terminal is given it (sshd(8), login(1), and the kernel for pseudo terminals). Consoles and serial lines without
/// anybody belong to root, so of root's terminals only the pseudo terminals are meant.
pub(crate) fn write_to_all(uid: u32, text: &str) -> usize {
    let bell_and_text = format!("\r\n\u{7}{}\r\n", text.replace('\n', "\r\n"));
    let consoles = if uid == 0 { Vec::new() } else { devices("/dev", is_console) };
    let pseudo = devices("/dev/pts", |name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let terminals = pseudo.into_iter().chain(consoles).filter(|path| {
        fs::symlink_metadata(path)
            .is_ok_and(|status| status.uid() == uid && status.file_type().is_char_device())
    });
    terminals.take(MAX_TERMINALS).filter(|path| write(path, uid, bell_and_text.as_bytes()).is_ok()).count()
}

fn devices(directory: &str, is_one: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let is_one = |entry: &fs::DirEntry| entry.file_name().to_str().is_some_and(&is_one);
    entries.flatten().filter(is_one).map(|entry| entry.path()).collect()
}

/// A virtual console or a serial line, by the kernel's names.
fn is_console(name: &str) -> bool {
    ["tty", "ttyS", "ttyAMA", "ttyUSB", "hvc"].iter().any(|kind| {
        let number = name.strip_prefix(kind).unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn write(path: &PathBuf, uid: u32, text: &[u8]) -> io::Result<()> {
    // Not as an own terminal, not through a link, and without waiting for one that is held (Ctrl-S) or full.
    let flags = OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut terminal = File::options().write(true).custom_flags(flags.bits() as i32).open(path)?;
    let status = terminal.metadata()?;
    if status.uid() != uid || !status.file_type().is_char_device() {
        return Err(io::Error::other("it is another's by now"));
    }
    terminal.write_all(text)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use rustix::{
        process::geteuid,
        pty::{OpenptFlags, grantpt, openpt, unlockpt},
    };

    use super::*;

    #[test]
    fn text_arrives_on_its_owners_terminals_only() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = rustix::pty::ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let uid = if geteuid().is_root() { 61_008 } else { geteuid().as_raw() };
        if geteuid().is_root() {
            std::os::unix::fs::chown(&name, Some(uid), None).unwrap();
        }
        assert_eq!(write_to_all(61_009, "not this"), 0);
        assert!(write_to_all(uid, "lockdown alice\nphished") >= 1);
        let mut heard = [0; 128];
        let length = File::from(master).read(&mut heard).unwrap();
        let heard = String::from_utf8_lossy(&heard[..length]).replace("\r\r", "\r");
        assert_eq!(heard, "\r\n\u{7}lockdown alice\r\nphished\r\n");
    }

    #[test]
    fn consoles_by_name() {
        for name in ["tty1", "ttyS0", "ttyAMA0", "hvc0"] {
            assert!(is_console(name), "{name}");
        }
        for name in ["tty", "ttyprintk", "console", "sda1", "tty1x", "random"] {
            assert!(!is_console(name), "{name}");
        }
    }
}

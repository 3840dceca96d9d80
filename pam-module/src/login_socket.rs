//! This end of the daemon's login socket, see [`lockdown_enforcement::frame`] and unix(7).

#![expect(unsafe_code, reason = "std has no SOCK_SEQPACKET")]

use std::ffi::{c_int, c_void};
use std::io::{self, ErrorKind};
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use lockdown_enforcement::{MAX_FRAME, Reply, Request};

/// How long a screen locker waits for the daemon in all.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sends a report and does not wait for anything: with no daemon and no room left in the socket it is lost.
///
/// # Errors
/// The report was not taken.
pub(crate) fn report(path: &Path, request: &Request) -> io::Result<()> {
    let socket = Socket::new(libc::SOCK_NONBLOCK)?;
    socket.connect(path)?;
    socket.send(&request.encode())
}

/// What is enforced against this process's own uid.
///
/// # Errors
/// No proper answer within a second.
pub(crate) fn ask(path: &Path) -> io::Result<Reply> {
    let deadline = Instant::now() + PATIENCE;
    let socket = Socket::new(0)?;
    socket.until(deadline, || socket.connect(path))?;
    socket.until(deadline, || socket.send(&Request::Ask.encode()))?;
    // One byte more than a frame may have: one that is too large does not read as one that is not.
    let mut buffer = vec![0; MAX_FRAME + 1];
    let length = socket.until(deadline, || socket.receive(&mut buffer))?;
    Reply::decode(buffer.get(..length).unwrap_or_default())
        .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

struct Socket(OwnedFd);

impl Socket {
    fn new(flags: c_int) -> io::Result<Self> {
        // SAFETY: touches no memory.
        let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | flags, 0) };
        checked(fd as isize)?;
        // SAFETY: open, and nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    fn connect(&self, path: &Path) -> io::Result<()> {
        // SAFETY: all zero is a valid address.
        let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        let path = path.as_os_str().as_bytes();
        // One is left for the terminator.
        if path.len() >= address.sun_path.len() || path.contains(&0) {
            return Err(ErrorKind::InvalidInput.into());
        }
        for (to, from) in address.sun_path.iter_mut().zip(path) {
            *to = *from as _;
        }
        let length = size_of_val(&address) as libc::socklen_t;
        // SAFETY: an address and its length.
        checked(unsafe { libc::connect(self.0.as_raw_fd(), (&raw const address).cast(), length) } as isize)
            .map(drop)
    }

    fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: a buffer and its length. A packet is sent whole or not at all, and without SIGPIPE.
        let sent = unsafe {
            libc::send(self.0.as_raw_fd(), frame.as_ptr().cast::<c_void>(), frame.len(), libc::MSG_NOSIGNAL)
        };
        checked(sent).map(drop)
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: a buffer and its length.
        checked(unsafe {
            libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast::<c_void>(), buffer.len(), 0)
        })
    }

    /// Repeats what a signal interrupts, with never more patience than is left.
    fn until<T>(&self, deadline: Instant, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.wait_at_most(left)?;
            match attempt() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    /// For every call from now on, be it connect, send or receive.
    fn wait_at_most(&self, time: Duration) -> io::Result<()> {
        // Zero would mean for ever.
        let microseconds = time.subsec_micros().max(1);
        let time = libc::timeval { tv_sec: time.as_secs() as _, tv_usec: microseconds as _ };
        let length = size_of_val(&time) as libc::socklen_t;
        for option in [libc::SO_SNDTIMEO, libc::SO_RCVTIMEO] {
            let value = (&raw const time).cast::<c_void>();
            // SAFETY: a value of the option's type and its length.
            let code =
                unsafe { libc::setsockopt(self.0.as_raw_fd(), libc::SOL_SOCKET, option, value, length) };
            checked(code as isize)?;
        }
        Ok(())
    }
}

fn checked(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

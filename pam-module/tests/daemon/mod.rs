//! The daemon's end of the login socket.

#![expect(unsafe_code, reason = "std has no SOCK_SEQPACKET")]
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "in a test")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use lockdown_enforcement::{MAX_FRAME, Reply, Request};

/// A listening login socket.
pub struct Daemon(OwnedFd);

/// A connection from a module.
pub struct Peer(OwnedFd);

impl Daemon {
    /// Listens, with room for `backlog` + 1 connections that nobody has accepted.
    pub fn listen(path: &Path, backlog: i32) -> Self {
        // SAFETY: touches no memory.
        let fd = owned(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0) });
        // SAFETY: all zero is a valid address.
        let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (to, from) in address.sun_path.iter_mut().zip(path.as_os_str().as_encoded_bytes()) {
            *to = *from as _;
        }
        let length = size_of_val(&address) as libc::socklen_t;
        // SAFETY: an address and its length.
        assert_eq!(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) }, 0);
        // SAFETY: touches no memory.
        assert_eq!(unsafe { libc::listen(fd.as_raw_fd(), backlog) }, 0);
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        Self(fd)
    }

    /// The next connection; waits for it.
    pub fn accept(&self) -> Peer {
        // SAFETY: the address is not asked for.
        Peer(owned(unsafe {
            libc::accept4(self.0.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), libc::SOCK_CLOEXEC)
        }))
    }

    /// The next request.
    pub fn next(&self) -> Request {
        self.accept().receive()
    }
}

impl Peer {
    /// Its request.
    pub fn receive(&self) -> Request {
        let mut buffer = vec![0; MAX_FRAME];
        // SAFETY: a buffer and its length.
        let length = unsafe { libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        Request::decode(&buffer[..usize::try_from(length).unwrap()]).unwrap()
    }

    /// Answers.
    pub fn send(&self, reply: &Reply) {
        let frame = reply.encode();
        // SAFETY: a buffer and its length.
        let sent =
            unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), libc::MSG_NOSIGNAL) };
        assert_eq!(usize::try_from(sent).unwrap(), frame.len());
    }

    /// The uid that the kernel gives for the other end.
    pub fn uid(&self) -> u32 {
        let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut length = size_of_val(&credentials) as libc::socklen_t;
        let value = (&raw mut credentials).cast();
        // SAFETY: a value of the option's type and its length.
        let code = unsafe {
            libc::getsockopt(self.0.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, value, &mut length)
        };
        assert_eq!(code, 0);
        credentials.uid
    }
}

fn owned(fd: i32) -> OwnedFd {
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: open, and nobody else's.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Runs `work` in a thread that has given up being root for `uid`. The kernel keeps credentials by thread; the C
/// library's own call would change them all.
pub fn as_uid<T: Send>(uid: u32, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: touches no memory.
            assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }, 0);
            work()
        });
        thread.join().unwrap()
    })
}

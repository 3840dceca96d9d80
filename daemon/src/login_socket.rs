//! The login socket: reports from the login path, and questions of processes that may not read the deny records.
//!
//! One connection carries one frame. Who is at the other end the kernel says. Everybody may connect and ask about
//! themselves; only root's processes report.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    os::fd::{AsFd, FromRawFd, OwnedFd},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen,
    recv, send, socket_with, sockopt::socket_peercred,
};

use lockdown_enforcement::{Denial, DenialKind, LOGIN_SOCKET, MAX_FRAME, Reply, Request, Verdict, decide};

use crate::{
    core::Core,
    host::{clock, readiness::watch},
    operations::{join, lockdown},
};

/// How long a peer may take for its frame.
const PATIENCE: Duration = Duration::from_secs(2);
/// Connections that one unprivileged uid may have at a time.
const PER_UID: u32 = 8;
/// Waiting connections, if this program makes the socket itself.
const BACKLOG: i32 = 4096;

/// The socket that systemd holds for this service; without systemd, one made here.
///
/// # Errors
/// Those of the socket calls.
pub fn socket() -> io::Result<OwnedFd> {
    if let Some(inherited) = sd_notify::listen_fds()?.next() {
        // SAFETY: systemd passed this descriptor to this process, and nothing else here takes it.
        #[allow(unsafe_code)]
        let socket = unsafe { OwnedFd::from_raw_fd(inherited) };
        rustix::io::ioctl_fionbio(&socket, true)?;
        return Ok(socket);
    }
    let path = Path::new(LOGIN_SOCKET);
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Serves the socket for as long as the daemon runs.
///
/// # Errors
/// Those of the socket itself; a peer's errors end that peer's connection only.
pub async fn serve(core: Arc<Core>, socket: OwnedFd) -> io::Result<()> {
    let socket = watch(socket)?;
    let places = Places::default();
    loop {
        let mut ready = socket.readable().await?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let connection = match ready.try_io(|socket| Ok(accept_with(socket, flags)?)) {
            Err(_would_block) => continue,
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                // Out of descriptors or the peer is gone already. A pause, so that the former does not spin.
                tracing::warn!("the login socket could not accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(credentials) = socket_peercred(&connection) else { continue };
        let peer = Peer {
            uid: credentials.uid.as_raw(),
            pid: u32::try_from(credentials.pid.as_raw_nonzero().get()).unwrap_or_default(),
        };
        let Some(place) = places.take(peer.uid) else { continue };
        let core = Arc::clone(&core);
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = serve_one(&core, connection, peer).await {
                tracing::warn!("login socket: pid {} of uid {}: {error}", peer.pid, peer.uid);
            }
        });
    }
}

#[derive(Clone, Copy)]
struct Peer {
    uid: u32,
    pid: u32,
}

async fn serve_one(core: &Arc<Core>, connection: OwnedFd, peer: Peer) -> io::Result<()> {
    let connection = watch(connection)?;
    let mut frame = vec![0; MAX_FRAME + 1];
    let received = tokio::time::timeout(PATIENCE, async {
        loop {
            let mut ready = connection.readable().await?;
            let received =
                ready.try_io(|socket| Ok(recv(socket, frame.as_mut_slice(), RecvFlags::empty())?.1));
            if let Ok(length) = received {
                return length;
            }
        }
    });
    let length = received.await.map_err(|_| io::Error::other("sent nothing in time"))??;
    if length == 0 {
        return Err(io::Error::other("closed without a frame"));
    }
    let frame = frame.get(..length).ok_or_else(|| io::Error::other("frame too long"))?;
    let request = Request::decode(frame).map_err(io::Error::other)?;
    match request {
        Request::Ask => {
            let reply = verdict(core, peer.uid).encode();
            send(connection.get_ref().as_fd(), &reply, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
            Ok(())
        }
        _ if peer.uid != 0 => Err(io::Error::other("a report that is not root's: ignored")),
        Request::SessionOpened(report) => {
            join::opened(core, report, peer.pid).await;
            Ok(())
        }
        Request::SessionClosed(_) => {
            join::closed(core, peer.pid).await;
            Ok(())
        }
        Request::Denied(report) => {
            join::denied(core, report, peer.pid).await;
            Ok(())
        }
        // What counts is in the tally already.
        Request::Attempt(report) => {
            core.attempts.report(&report);
            Ok(())
        }
        Request::Trigger(report) => {
            lockdown::triggered(core, report.login, peer.pid).await;
            Ok(())
        }
    }
}

/// The answer that the login path would give, from the same record.
fn verdict(core: &Core, uid: u32) -> Reply {
    match core.directory.read(uid) {
        Ok(record) => match decide(record.as_ref(), clock::now(), &BTreeSet::new()) {
            Verdict::Allow => Reply::Allow,
            Verdict::Deny(denial) => Reply::Deny(denial),
        },
        Err(error) => {
            tracing::error!("the deny record of uid {uid} cannot be used, {uid} is denied: {error}");
            Reply::Deny(Denial { kind: DenialKind::RecordUnreadable, expires_at: None, message: None })
        }
    }
}

/// Keeps one unprivileged uid from taking all connections; root's reports always find a place.
#[derive(Clone, Default)]
struct Places {
    taken: Arc<Mutex<HashMap<u32, u32>>>,
}

struct Place {
    places: Places,
    uid: u32,
}

impl Places {
    fn take(&self, uid: u32) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(uid).or_default();
        if uid != 0 && *count >= PER_UID {
            return None;
        }
        *count += 1;
        Some(Place { places: self.clone(), uid })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_uid_cannot_take_every_place_and_root_always_finds_one() {
        let places = Places::default();
        let held: Vec<_> = (0..PER_UID).map(|_| places.take(1000).unwrap()).collect();
        assert!(places.take(1000).is_none());
        assert!(places.take(1001).is_some());
        let roots: Vec<_> = (0..10 * PER_UID).map(|_| places.take(0).unwrap()).collect();
        drop((held, roots));
        assert!(places.take(1000).is_some());
        assert!(places.taken.lock().unwrap().is_empty());
    }
}

//! The relay as a service: systemd starts it when the daemon connects, and it ends by itself.

use std::{
    io,
    net::Shutdown,
    os::{fd::AsFd, unix::net::UnixListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use lockdown_delivery::MAX_SECONDS;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{AddressFamily, sockopt},
};

use crate::{connection, log, network::Network, pool::Pool, tls::Roots};

/// Without work for so long, it ends.
const IDLE: Duration = Duration::from_secs(60);
/// Connections at a time: the daemon's, and those of daemons before it that the kernel still has.
const MAX_CONNECTIONS: usize = 4;
/// How often it looks for what has taken too long.
const TICK: Duration = Duration::from_secs(1);

/// Serves the socket that systemd has put on standard input.
///
/// # Errors
/// `InvalidInput` if it is no listening Unix socket, and those of [`serve`].
pub fn run() -> io::Result<()> {
    let listener = inherited()?;
    let network = Network::new(Roots::of_this_host());
    let pool = Pool::new(move |item| network.deliver(item), Duration::from_secs(MAX_SECONDS));
    serve(&listener, &pool, IDLE)
}

fn inherited() -> io::Result<UnixListener> {
    let stdin = io::stdin();
    let is_listener = sockopt::socket_domain(&stdin).is_ok_and(|domain| domain == AddressFamily::UNIX)
        && sockopt::socket_acceptconn(&stdin).is_ok_and(|accepts| accepts);
    if !is_listener {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "standard input is not the socket: start lockdown-relay.socket instead",
        ));
    }
    let listener = UnixListener::from(stdin.as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves root's connections until there has been nothing to do for `idle`. A connection that comes in that moment stays
/// in the socket, which is not this process's, and starts the next one.
///
/// # Errors
/// Those of the socket, and deliveries that hang.
pub fn serve(listener: &UnixListener, pool: &Arc<Pool>, idle: Duration) -> io::Result<()> {
    let connections = Arc::new(AtomicUsize::new(0));
    let mut last_work = Instant::now();
    loop {
        let has_room = connections.load(Ordering::Acquire) < MAX_CONNECTIONS;
        if wait(listener, has_room)? {
            accept(listener, pool, idle, &connections)?;
        }
        let now = Instant::now();
        pool.give_up(now)?;
        if connections.load(Ordering::Acquire) > 0 || !pool.is_idle() {
            last_work = now;
        } else if now.duration_since(last_work) >= idle {
            return Ok(());
        }
    }
}

/// Whether somebody connects, within a tick.
fn wait(listener: &UnixListener, has_room: bool) -> io::Result<bool> {
    let tick = Timespec { tv_sec: TICK.as_secs() as i64, tv_nsec: i64::from(TICK.subsec_nanos()) };
    let interest = if has_room { PollFlags::IN } else { PollFlags::empty() };
    match poll(&mut [PollFd::new(listener, interest)], Some(&tick)) {
        Ok(count) => Ok(has_room && count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn accept(
    listener: &UnixListener,
    pool: &Arc<Pool>,
    idle: Duration,
    connections: &Arc<AtomicUsize>,
) -> io::Result<()> {
    let stream = match listener.accept() {
        Ok((stream, _)) => stream,
        // The peer is gone already.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted) =>
        {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    stream.set_nonblocking(false)?;
    let peer = sockopt::socket_peercred(&stream)?;
    if !peer.uid.is_root() {
        log::warning(format_args!("uid {} may not have anything delivered", peer.uid.as_raw()));
        return Ok(());
    }
    let pool = Arc::clone(pool);
    let place = Place::take(connections);
    thread::Builder::new().name("connection".to_owned()).spawn(move || {
        let _place = place;
        if let Err(error) = connection::serve(&stream, &pool, idle) {
            log::warning(format_args!("a connection ends: {error}"));
            // Also for verdicts that are still on their way: who asked is not to wait for more.
            let _ = stream.shutdown(Shutdown::Both);
        }
    })?;
    Ok(())
}

/// A connection that counts for as long as it is served.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(connections))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

//! When open sessions were last used.

use std::{
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
    time::Duration,
};

use futures_util::{StreamExt, stream};
use tokio::time::timeout;
use zbus::Connection;

use super::logind;
use crate::{domain::lock::Time, store::sessions::Session};

/// How long logind has to answer for all of them.
const LIMIT: Duration = Duration::from_secs(2);
/// How many it is asked about at the same time.
const AT_ONCE: usize = 16;

/// For each session when it was last used, in the same order: when its terminal was, as w(1) tells, or what logind says of one
/// with a desktop. Of one without either, a tunnel or a transfer of files, nobody can say that it idles: now.
pub async fn last_used(bus: &Connection, sessions: Vec<Session>, now: Time) -> Vec<Time> {
    let started: Vec<Time> = sessions.iter().map(|session| session.started_at).collect();
    let asking = stream::iter(sessions).map(|session| of_session(bus.clone(), session, now));
    timeout(LIMIT, asking.buffered(AT_ONCE).collect()).await.unwrap_or(started)
}

async fn of_session(bus: Connection, session: Session, now: Time) -> Time {
    let at = match (read(&session.tty), session.logind_id) {
        // What a desktop's terminal is used for, its compositor knows.
        (Some(at), _) if session.tty.starts_with("pts/") => at,
        (at, Some(id)) => logind::idle_since(&bus, &id).await.ok().flatten().or(at).unwrap_or(now),
        (at, None) => at.unwrap_or(now),
    };
    at.max(session.started_at).min(now)
}

/// When a terminal was last read from: the kernel keeps it to eight seconds (tty_update_time() of tty_io.c). The name comes
/// from PAM: whatever is no terminal has no such time.
fn read(tty: &str) -> Option<Time> {
    let number = tty.strip_prefix("pts/").or_else(|| tty.strip_prefix("tty"))?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let metadata = Path::new("/dev").join(tty).symlink_metadata().ok()?;
    metadata.file_type().is_char_device().then(|| metadata.atime())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_terminals_have_a_time() {
        for name in
            ["", "ssh", ":0", "pts/", "pts/ptmx/..", "tty/../null", "../etc/passwd", "pts/no1", "null"]
        {
            assert_eq!(read(name), None, "{name}");
        }
    }
}

//! Room for the next change on a disk that is nearly full.
//!
//! A change goes to the write-ahead log first, and SQLite empties the log only once it has a thousand pages. On a disk that is
//! full before that, whatever got free would go to a log that only grows, and at last no account could be locked any more. So
//! where room is short, nothing stays in the log: what is free is free for the next change.

use std::{path::Path, time::Duration};

use rusqlite::Connection;
use rustix::fs::statvfs;

use super::open::{LOG, PATIENCE};

/// A log, and as much again for what it has to add to the database. In bytes.
const ENOUGH: u64 = 2 * LOG as u64;

/// Empties the log of the database at `path` if its disk is nearly full. It stays where somebody reads in it or where the
/// database has no room for it either; the next change tries again.
pub(super) fn make(connection: &Connection, path: &Path) {
    if available(path).is_none_or(|bytes| bytes >= ENOUGH) {
        return;
    }
    if let Err(error) = empty_log_now(connection) {
        tracing::debug!("the write-ahead log of the database stays: {error}");
    }
}

/// Moves what is in the log into the database. Waits for those that read in it as long as the connection does.
pub(super) fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn empty_log_now(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    let emptied = empty_log(connection);
    connection.busy_timeout(PATIENCE)?;
    emptied
}

/// Bytes that are free for everybody: what a file system keeps for root alone is not counted. `None` if it does not tell.
fn available(path: &Path) -> Option<u64> {
    let disk = statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use lockdown_enforcement::DenyDirectory;

    use super::*;
    use crate::store::open;

    struct Database {
        root: tempfile::TempDir,
        connection: Connection,
    }

    impl Database {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let connection =
                open::open(&root.path().join("db"), &DenyDirectory::new(root.path().join("deny"))).unwrap();
            // What a slow disk takes is nobody's waiting for a reader.
            connection.execute_batch("PRAGMA synchronous = OFF; CREATE TABLE ballast (bytes)").unwrap();
            Self { root, connection }
        }

        fn put(&self, bytes: u32) {
            self.connection.execute("INSERT INTO ballast VALUES (zeroblob(?1))", [bytes]).unwrap();
        }

        fn log(&self) -> u64 {
            self.root.path().join("db-wal").metadata().unwrap().len()
        }
    }

    #[test]
    fn a_log_that_was_large_does_not_stay_so() {
        let database = Database::new();
        database.put(3 * LOG);
        assert!(database.log() > u64::from(LOG));
        database.put(1);
        assert!(database.log() <= u64::from(LOG), "{}", database.log());
    }

    #[test]
    fn somebody_who_reads_in_the_log_is_not_waited_for() {
        let database = Database::new();
        database.put(1);
        let reader = open::open_to_read(&database.root.path().join("db")).unwrap();
        let snapshot = reader.unchecked_transaction().unwrap();
        let count = |connection: &Connection| -> u32 {
            connection.query_row("SELECT count(*) FROM ballast", [], |row| row.get(0)).unwrap()
        };
        assert_eq!(count(&snapshot), 1);
        database.put(1);

        let begun = Instant::now();
        empty_log_now(&database.connection).unwrap();
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
        assert_eq!((count(&snapshot), count(&database.connection)), (1, 2));
        assert!(database.log() > 0);
        drop(snapshot);
        empty_log_now(&database.connection).unwrap();
        assert_eq!((count(&reader), database.log()), (2, 0));
        let patience: u128 = database
            .connection
            .query_row("PRAGMA busy_timeout", [], |row| row.get::<_, u32>(0))
            .unwrap()
            .into();
        assert_eq!(patience, PATIENCE.as_millis());
    }

    #[test]
    fn what_a_disk_has_left_is_known() {
        assert!(available(Path::new("/")).is_some());
        assert_eq!(available(Path::new("/nonexistent")), None);
    }
}

//! Opening the database, or refusing to.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction};
use rusqlite_migration::{M, Migrations};

use lockdown_enforcement::DenyDirectory;

use super::{StoreError, events::chain};

/// Prepared statements that are kept: as many as the longest transaction uses in turn.
const STATEMENTS: usize = 32;
/// Largest write-ahead log that is kept to be written over, in bytes: SQLite empties it by itself once it has that many (a
/// thousand pages), and only a change that is larger makes a larger one.
pub(super) const LOG: u32 = 4 << 20;
/// Longest wait for others: somebody with the sqlite3 shell open must not make a lock fail.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

fn migrations() -> Migrations<'static> {
    Migrations::new(vec![
        M::up(include_str!("schema/001_accounts_locks_sessions_events.sql")),
        M::up(include_str!("schema/002_lockdowns.sql")),
        M::up(include_str!("schema/003_authenticators.sql")),
        M::up(include_str!("schema/004_attempts.sql")),
        M::up(include_str!("schema/005_identifiers_metadata_tags.sql")),
        M::up_with_hook(include_str!("schema/006_event_chain.sql"), |transaction: &Transaction<'_>| {
            Ok(chain::link_all(transaction)?)
        }),
        M::up(include_str!("schema/007_outbox.sql")),
        M::up(include_str!("schema/008_state_documents.sql")),
        M::up(include_str!("schema/009_uids_of_others.sql")),
    ])
}

pub(super) fn open(path: &Path, directory: &DenyDirectory) -> Result<Connection, StoreError> {
    let unusable = |why: String| {
        StoreError::Unusable(format!(
            "{}: {why}. The deny records stand meanwhile; put a backup of the database in place, or to begin anew \
             (every lock is lifted) move it and {} away",
            path.display(),
            directory.path().display()
        ))
    };
    directory
        .create()
        .map_err(|error| StoreError::Unusable(format!("{}: {error}", directory.path().display())))?;
    if !path.exists() {
        let listing = directory.list().map_err(|error| unusable(format!("deny records: {error}")))?;
        if !listing.uids.is_empty() {
            return Err(unusable(format!(
                "the database is missing, but {} deny records stand",
                listing.uids.len()
            )));
        }
    }
    private_file(path).map_err(|error| unusable(error.to_string()))?;
    prepare(path).map_err(|error| unusable(error.to_string()))
}

/// SQLite would create the file by the umask; it holds reasons and callers, and is root's alone from its first byte on.
fn private_file(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC);
    let file: File = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.uid() != nix::unistd::geteuid().as_raw() {
        return Err(std::io::Error::other("not a regular file of the daemon's own user"));
    }
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("not a database, or damaged ({0})")]
    Damaged(String),
    #[error("written by a newer version of lockdown: install that version")]
    Newer,
    #[error("{0}")]
    Sqlite(rusqlite::Error),
    #[error("its schema could not be brought up to date: {0}")]
    Migration(rusqlite_migration::Error),
}

impl From<rusqlite::Error> for Unusable {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged(error.to_string()),
            _ => Self::Sqlite(error),
        }
    }
}

fn prepare(path: &Path) -> Result<Connection, Unusable> {
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    check(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", LOG)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What a lockdown kept for an undo (a hash, keys) is to be gone when it is forgotten.
    connection.pragma_update(None, "secure_delete", true)?;
    migrations().to_latest(&mut connection).map_err(|error| match error {
        rusqlite_migration::Error::MigrationDefinition(
            rusqlite_migration::MigrationDefinitionError::DatabaseTooFarAhead,
        ) => Unusable::Newer,
        other => Unusable::Migration(other),
    })?;
    Ok(connection)
}

/// Whether what is enforced can be relied on. The audit trail may be gigabytes, and a start does not wait for all of it to be
/// read: `lockdownctl events verify` does that.
fn check(connection: &Connection) -> Result<(), Unusable> {
    let tables: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'events' AND name NOT LIKE 'sqlite_%'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for table in tables {
        let complaint: String =
            connection
                .query_row("SELECT quick_check FROM pragma_quick_check(?1)", [table], |row| row.get(0))?;
        if complaint != "ok" {
            return Err(Unusable::Damaged(complaint));
        }
    }
    Ok(())
}

pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    Ok(connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, rusqlite::Error> {
    let flags = access | OpenFlags::SQLITE_OPEN_NOFOLLOW | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    // A small cache: the daemon idles in 12 MB.
    connection.pragma_update(None, "cache_size", -1024)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockdown_enforcement::Record;

    fn directory(root: &Path) -> DenyDirectory {
        DenyDirectory::new(root.join("deny")).owned_by(nix::unistd::geteuid().as_raw())
    }

    fn refusal(root: &Path) -> String {
        match open(&root.join("lockdown.db"), &directory(root)) {
            Err(StoreError::Unusable(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn migrations_are_valid() {
        migrations().validate().unwrap();
    }

    #[test]
    fn a_new_database_is_private_and_durable() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lockdown.db");
        let connection = open(&path, &directory(root.path())).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let pragma = |name: &str| -> String {
            connection
                .query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, rusqlite::types::Value>(0))
                .map(|value| format!("{value:?}"))
                .unwrap()
        };
        assert_eq!(pragma("journal_mode"), "Text(\"wal\")");
        assert_eq!(pragma("synchronous"), "Integer(2)");
        assert_eq!(pragma("foreign_keys"), "Integer(1)");
    }

    #[test]
    fn a_corrupt_database_is_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lockdown.db");
        std::fs::write(&path, "not a database, but long enough to look at its header".repeat(20)).unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(refusal(root.path()).contains("damaged"));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn locks_of_a_version_before_sources_keep_their_numbers_and_none_comes_back() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        migrations().to_version(&mut connection, 3).unwrap();
        let lock = |id: i64| {
            format!(
                "INSERT INTO locks (id, account_id, owner, reason, message, created_at, created_by)
                 VALUES ({id}, 1, 'owner-{id}', 'r', 'm', 1, 'root');"
            )
        };
        let old = "INSERT INTO accounts (id, name, uid, created_at) VALUES (1, 'alice', 1000, 1);".to_owned();
        connection.execute_batch(&(old + &lock(4) + &lock(9) + "DELETE FROM locks WHERE id = 9;")).unwrap();
        migrations().to_latest(&mut connection).unwrap();
        let new = "INSERT INTO locks (account_id, owner, reason, message, created_at, created_by)
                   VALUES (1, 'operator', 'r', 'm', 1, 'root')";
        connection.execute(new, []).unwrap();
        assert_eq!(connection.last_insert_rowid(), 10, "9 is in events");
        connection.execute(new, []).unwrap_err();
        let locks: String = connection
            .query_row("SELECT group_concat(id || owner || source ORDER BY id) FROM locks", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(locks, "4owner-4,10operator");
    }

    #[test]
    fn damage_is_found_wherever_something_is_enforced_by_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lockdown.db");
        let connection = open(&path, &directory(root.path())).unwrap();
        let pages: Vec<(String, i64)> = connection
            .prepare("SELECT name, rootpage FROM sqlite_schema WHERE tbl_name IN ('locks', 'accounts', 'outbox', 'events')")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .filter_map(|row| row.ok().filter(|(_, page)| *page > 0))
            .collect();
        drop(connection);
        let whole = std::fs::read(&path).unwrap();
        assert!(pages.len() > 8, "{pages:?}");
        for (name, page) in pages {
            let mut damaged = whole.clone();
            damaged[(page as usize - 1) * 4096..][..4096].fill(0xa5);
            std::fs::write(&path, damaged).unwrap();
            let opened = open(&path, &directory(root.path()));
            // The trail is looked at by `events verify`, however long it is.
            assert_eq!(opened.is_ok(), name.starts_with("events"), "{name}: {opened:?}");
        }
    }

    #[test]
    fn a_newer_database_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lockdown.db");
        open(&path, &directory(root.path())).unwrap().pragma_update(None, "user_version", 999).unwrap();
        assert!(refusal(root.path()).contains("newer version"));
    }

    #[test]
    fn an_empty_database_never_takes_the_place_of_a_lost_one() {
        let root = tempfile::tempdir().unwrap();
        let directory = directory(root.path());
        directory.create().unwrap();
        let record = Record { uid: 1000, account: "alice".into(), valid_until: Some(1), locks: Vec::new() };
        directory.prepare(&record).unwrap().publish().unwrap();
        assert!(refusal(root.path()).contains("missing"));
        assert!(!root.path().join("lockdown.db").exists());
    }

    #[test]
    fn a_symlink_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("target"), "").unwrap();
        std::os::unix::fs::symlink(root.path().join("target"), root.path().join("lockdown.db")).unwrap();
        refusal(root.path());
    }
}

//! The SQLite store: accounts, locks, lockdowns, sessions and events.
//!
//! One thread writes. A change is one transaction with its event, and carries its deny records with it:
//! they are written under a temporary name before the commit, so that a full disk fails the call while nothing has changed,
//! and get their name right after it, before the caller hears of success. Because the same thread does both,
//! records and store see changes in the same order. Another thread reads, so that a long listing never holds up a lock.

pub mod accounts;
mod change;
pub mod documents;
pub mod events;
pub mod failures;
pub mod identifiers;
pub mod lockdowns;
pub mod locks;
pub mod metadata;
mod open;
pub mod outbox;
pub mod records;
pub mod recoveries;
mod room;
pub mod sessions;
pub mod settings;
mod worker;

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use rusqlite::Connection;
use tokio::sync::watch;

use lockdown_enforcement::DenyDirectory;

use crate::domain::notify::Rules;

pub use change::Change;
use worker::Worker;

/// What the store can fail with.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database file cannot be used; the daemon stops and leaves everything as it is.
    #[error("{0}")]
    Unusable(String),
    /// SQLite says no: disk full, I/O error.
    #[error("the store says: {0}; nothing was changed")]
    Sqlite(#[from] rusqlite::Error),
    /// The deny record could not be written; the transaction was rolled back.
    #[error("the deny record of {account} could not be written, nothing was changed: {error}")]
    Record {
        /// Account the record is for, escaped.
        account: String,
        /// What the file system said.
        error: std::io::Error,
    },
    /// The directory of deny records cannot be listed.
    #[error("the deny records cannot be listed: {0}")]
    Listing(std::io::Error),
    /// The change is in the store, its deny records are not in place. Repaired by the next reconciliation.
    #[error(
        "the change is in the store, but the deny record could not be put in place: {0}; see `lockdownctl doctor`"
    )]
    Publish(std::io::Error),
    /// The thread is gone.
    #[error("the store has stopped")]
    Stopped,
}

/// Handle on the store; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    writer: Worker<Writer>,
    reader: Worker<Connection>,
    changes: watch::Receiver<u64>,
    path: Arc<Path>,
    rules: Arc<RwLock<Arc<Rules>>>,
}

struct Writer {
    connection: Connection,
    directory: DenyDirectory,
    changes: watch::Sender<u64>,
    rules: Arc<RwLock<Arc<Rules>>>,
}

impl Store {
    /// Opens the database, or creates it on a host that has none and no deny records either.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if it is corrupt, newer than this program, or missing while deny records stand.
    pub fn open(path: &Path, directory: DenyDirectory) -> Result<Self, StoreError> {
        let connection = open::open(path, &directory)?;
        let read_connection = open::open_to_read(path)?;
        let (sender, changes) = watch::channel(0);
        let rules = Arc::default();
        let writer = Writer { connection, directory, changes: sender, rules: Arc::clone(&rules) };
        Ok(Self {
            writer: Worker::start("store-writer", writer)?,
            reader: Worker::start("store-reader", read_connection)?,
            changes,
            path: path.into(),
            rules,
        })
    }

    /// Who is told of events from now on; nobody before the first call.
    pub fn notify_by(&self, rules: Arc<Rules>) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// The rules by which events are told of now.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `job` on a snapshot of the store.
    ///
    /// # Errors
    /// What `job` returns, and [`StoreError`].
    pub async fn read<T, E>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.reader
            .run(move |connection| {
                let snapshot = connection.unchecked_transaction().map_err(StoreError::from)?;
                job(&snapshot)
            })
            .await?
    }

    /// Runs `job` on a connection and a thread of its own: for what takes so long that no other look-up can wait for it.
    ///
    /// # Errors
    /// What `job` returns, and [`StoreError`].
    pub async fn read_apart<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let path = Arc::clone(&self.path);
        let apart = tokio::task::spawn_blocking(move || job(&open::open_to_read(&path)?));
        apart.await.map_err(|_| StoreError::Stopped)?
    }

    /// Runs `job` in a transaction and makes it durable together with the deny records of the accounts it touched.
    /// An error of `job` rolls everything back.
    ///
    /// # Errors
    /// What `job` returns, and [`StoreError`].
    pub async fn write<T, E>(
        &self,
        job: impl FnOnce(&mut Change<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let path = Arc::clone(&self.path);
        self.writer
            .run(move |writer| {
                let rules = Arc::clone(&writer.rules.read().unwrap_or_else(PoisonError::into_inner));
                let revision = *writer.changes.borrow();
                let result = Change::run(&mut writer.connection, &writer.directory, (&rules, revision), job);
                room::make(&writer.connection, &path);
                let result = result?;
                writer.changes.send_modify(|count| *count = count.wrapping_add(1));
                Ok(result)
            })
            .await?
    }

    /// Moves what is in the write-ahead log into the database file, so that a copy of that file alone is whole.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is lost, the log stays.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        Ok(self.writer.run(|writer| room::empty_log(&writer.connection)).await??)
    }

    /// Gives back what is kept of pages and statements to be quick: after much was read or written at once.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn shrink(&self) -> Result<(), StoreError> {
        let shrink = |connection: &Connection| {
            connection.flush_prepared_statement_cache();
            connection.execute_batch("PRAGMA shrink_memory")
        };
        self.writer.run(move |writer| shrink(&writer.connection)).await??;
        Ok(self.reader.run(move |connection| shrink(connection)).await??)
    }

    /// A number that is another one after every change. What is read after this was asked is of this state or a later one: if
    /// a change [begins from](Change::revision) the same, nothing has been changed since.
    #[must_use]
    pub fn revision(&self) -> u64 {
        *self.changes.borrow()
    }

    /// Tells of every committed change, for whoever waits on what is in the store.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }
}

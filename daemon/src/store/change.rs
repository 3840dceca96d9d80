//! One change of the store: transaction, event and deny records in the order that makes a lock hold.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use lockdown_enforcement::{DenyDirectory, Prepared, Record, escape::escape, publish_all};

use super::{
    StoreError,
    events::{self, EventId, Recorded, chain::Head},
    outbox,
    records::record_of,
};
use crate::{
    domain::{event::Event, notify::Rules},
    metrics, report,
};

/// A transaction that knows which accounts' deny records it has to bring along.
pub struct Change<'c> {
    transaction: Transaction<'c>,
    directory: &'c DenyDirectory,
    touched: BTreeSet<u32>,
    revision: u64,
    /// The end of the audit trail, once it is needed.
    head: Option<Head>,
    /// As many events as there is somebody to be told of.
    events: Vec<Recorded>,
    actions: BTreeMap<&'static str, u64>,
    rules: &'c Rules,
}

impl<'c> Change<'c> {
    pub(super) fn run<T, E: From<StoreError>>(
        connection: &'c mut Connection,
        directory: &'c DenyDirectory,
        (rules, revision): (&'c Rules, u64),
        job: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
        let mut change = Self {
            transaction,
            directory,
            touched: BTreeSet::new(),
            revision,
            head: None,
            events: Vec::new(),
            actions: BTreeMap::new(),
            rules,
        };
        let result = job(&mut change)?;
        change.commit()?;
        Ok(result)
    }

    /// The transaction, to read and write in.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.transaction
    }

    /// Which state of the store it begins from, see [`Store::revision`](super::Store::revision).
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The deny record of this uid has to follow.
    pub fn touch(&mut self, uid: u32) {
        self.touched.insert(uid);
    }

    /// Appends to the audit trail, and puts into the outbox what somebody is to be told of it.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`]
    pub fn record(&mut self, event: Event) -> Result<(), StoreError> {
        let mut head = match self.head.take() {
            Some(head) => head,
            None => events::chain::head(&self.transaction)?,
        };
        let recorded = events::append(&self.transaction, &mut head, event)?;
        self.head = Some(head);
        let time = recorded.event.time;
        let have_dropped = outbox::put(&self.transaction, self.rules, recorded.id, &recorded.event)?;
        *self.actions.entry(recorded.event.action.name()).or_default() += 1;
        if self.events.len() < report::MOST {
            self.events.push(recorded);
        }
        // Once a minute at most, so the event about it does not lead to the next.
        if have_dropped { outbox::report_drops(self, time) } else { Ok(()) }
    }

    /// Number of the event that was recorded last in this change.
    #[must_use]
    pub fn last_event(&self) -> Option<EventId> {
        self.head.as_ref().map(|head| head.id)
    }

    /// Where the deny records lie, for comparing them with the store inside the transaction.
    #[must_use]
    pub fn directory(&self) -> &DenyDirectory {
        self.directory
    }

    fn commit(self) -> Result<(), StoreError> {
        let touched: Vec<u32> = self.touched.into_iter().collect();
        let mut prepared = Vec::with_capacity(touched.len());
        for uids in touched.chunks(AT_ONCE) {
            let records = uids.iter().map(|uid| record_of(&self.transaction, *uid));
            prepared.extend(prepare(self.directory, &records.collect::<rusqlite::Result<Vec<_>>>()?)?);
        }
        self.transaction.commit()?;
        let published = publish_all(prepared).map_err(StoreError::Publish);
        let number: u64 = self.actions.values().sum();
        metrics::count_events(self.actions);
        report::events(self.events, number, self.head);
        published
    }
}

/// Records that are in memory at the same time.
const AT_ONCE: usize = 1024;
/// Records that are flushed one after the other: more are flushed side by side, which costs a disk hardly more than one.
const FEW: usize = 16;
/// Threads for that.
const SIDE_BY_SIDE: usize = 16;

/// Makes all of these records ready, or leaves none of them behind.
fn prepare(directory: &DenyDirectory, records: &[Record]) -> Result<Vec<Prepared>, StoreError> {
    let prepare = |records: &[Record]| -> Result<Vec<Prepared>, StoreError> {
        let prepared = records.iter().map(|record| {
            directory
                .prepare(record)
                .map_err(|error| StoreError::Record { account: escape(&record.account).to_string(), error })
        });
        prepared.collect()
    };
    if records.len() <= FEW {
        return prepare(records);
    }
    let share = records.len().div_ceil(SIDE_BY_SIDE);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            records.chunks(share).map(|records| scope.spawn(move || prepare(records))).collect();
        let mut all = Vec::with_capacity(records.len());
        for thread in threads {
            all.extend(thread.join().unwrap_or(Err(StoreError::Stopped))?);
        }
        Ok(all)
    })
}

//! One change of the store: transaction, event and deny records in the order that makes a lock hold.

use std::collections::BTreeSet;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use lockdown_enforcement::{DenyDirectory, escape::escape, publish_all};

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
    /// The end of the audit trail, once it is needed.
    head: Option<Head>,
    events: Vec<Recorded>,
    rules: &'c Rules,
}

impl<'c> Change<'c> {
    pub(super) fn run<T, E: From<StoreError>>(
        connection: &'c mut Connection,
        directory: &'c DenyDirectory,
        rules: &'c Rules,
        job: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
        let mut change =
            Self { transaction, directory, touched: BTreeSet::new(), head: None, events: Vec::new(), rules };
        let result = job(&mut change)?;
        change.commit()?;
        Ok(result)
    }

    /// The transaction, to read and write in.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.transaction
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
        self.events.push(recorded);
        // Once a minute at most, so the event about it does not lead to the next.
        if have_dropped { outbox::report_drops(self, time) } else { Ok(()) }
    }

    /// Number of the event that was recorded last in this change.
    #[must_use]
    pub fn last_event(&self) -> Option<EventId> {
        self.events.last().map(|recorded| recorded.id)
    }

    /// Where the deny records lie, for comparing them with the store inside the transaction.
    #[must_use]
    pub fn directory(&self) -> &DenyDirectory {
        self.directory
    }

    fn commit(self) -> Result<(), StoreError> {
        let mut prepared = Vec::with_capacity(self.touched.len());
        for uid in self.touched {
            let record = record_of(&self.transaction, uid)?;
            let file = self.directory.prepare(&record).map_err(|error| StoreError::Record {
                account: escape(&record.account).to_string(),
                error,
            })?;
            prepared.push(file);
        }
        self.transaction.commit()?;
        let published = publish_all(prepared).map_err(StoreError::Publish);
        self.events.iter().for_each(|recorded| metrics::count_event(recorded.event.action.name()));
        report::events(self.events);
        published
    }
}

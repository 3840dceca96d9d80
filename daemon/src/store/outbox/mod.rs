//! Word that is to get out: messages are [put] here in the transaction of their event, [sent](queue) by the dispatcher,
//! and [listed](list) for whoever wants to know what has not arrived.

mod list;
mod put;
mod queue;

pub use list::{Waiting, counts, list, retry};
pub(super) use put::put;
pub use put::{GATHERED, report_drops};
pub use queue::{
    Due, Message, Unsure, claim, delivered, drop_rules_but, due, events_of, failed, forget_old, give_up,
    recover, refuse_all, refused, sort_out, take_unsure,
};

use rusqlite::{Result, Row, types::Type};

use crate::domain::event::Severity;

/// Number of a message.
pub type MessageId = i64;

/// The severity that stands as its number in a row.
fn severity(row: &Row<'_>) -> Result<Severity> {
    const COLUMN: &str = "severity";
    let number: u8 = row.get(COLUMN)?;
    let found = Severity::ALL.get(usize::from(number)).copied();
    found.ok_or_else(|| {
        let column = row.as_ref().column_index(COLUMN).unwrap_or_default();
        rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, "no severity".into())
    })
}

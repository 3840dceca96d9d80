//! Word gets out: messages that the store has in its outbox are handed to the relay, and its verdicts come back.
//!
//! A message's way: an event is recorded, and for every rule that it matches a message, in one transaction
//! (`store::outbox::put`) → [`dispatch`] takes it up when it is due, as many at a time as the relay takes → [`item`] makes of it
//! what the relay needs, secrets included → `host::relay` → [`settle`] notes what became of it. Nothing of this holds up a
//! change: a relay that is down, slow or hostile delays messages alone.

pub mod dispatch;
mod item;
mod memberships;
mod queue;
mod settle;
mod test;

pub use queue::{list, retry};
pub use test::test;

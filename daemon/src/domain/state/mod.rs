//! What state documents want of accounts, what stands of it, and what is to change. No I/O, and time is an argument.

mod plan;
mod wants;

pub use plan::{Held, HeldLock, Intent, Standing, Step, What, plan};
pub use wants::{AccountWants, AuthenticatorWants, Key, Terms, Value, Wanted, Wants};

//! `org.lockdown1` on the system bus.

pub mod asking;
pub mod authorization;
pub mod caller;
pub mod manager;
pub mod refusals;
pub mod signals;

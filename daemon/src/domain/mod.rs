//! Rules and types: no I/O, and time is an argument.

pub mod account;
pub mod authenticator;
pub mod event;
pub mod lock;
pub mod lockdown;
pub mod notify;
pub mod protection;
pub mod refusals;

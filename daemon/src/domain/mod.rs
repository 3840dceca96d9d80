//! Rules and types: no I/O, and time is an argument.

pub mod account;
pub mod attempts;
pub mod authenticator;
pub mod event;
pub mod identifier;
pub mod lock;
pub mod lockdown;
pub mod notify;
pub mod protection;
pub mod refusals;
pub mod state;

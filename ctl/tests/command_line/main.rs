//! lockdownctl as its users run it: the program itself, without a bus, with one of the test's own, on a terminal, and with
//! an ssh of the test's own.

// All of this is test code, which clippy does not see of helpers outside a `#[test]`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod accounts;
mod authenticators;
mod bus;
mod config;
mod failures;
mod lockdown;
mod manager;
mod notify;
mod private_bus;
mod remote;
mod run;
mod state;
mod terminal;
mod trail;
mod usage;

//! State documents on a bus of their own: what they change, what they leave alone, and every refusal. Only accounts that no host
//! has are locked here; groups, sessions and shadow(5) are tested on booted hosts.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "tests report by panicking")]

mod locks;
mod refused;
mod sources;
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod values;

//! Stories told on booted hosts, one module each; `cargo test -p lockdown-tests` tells them all.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "tests report by panicking")]

mod every_way;
mod harness;
mod running;

//! Stories told on booted hosts, one module each; `cargo test -p lockdown-tests` tells them all.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "tests report by panicking")]

mod bus;
mod command_line;
mod configuration;
mod crash;
mod doctor;
mod every_way;
mod harness;
mod hostile_text;
mod idle;
mod nss;
mod package;
mod running;
mod without_daemon;

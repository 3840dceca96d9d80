//! Stories told on booted hosts, one module each; `cargo test -p lockdown-tests` tells them all.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "tests report by panicking")]

mod attack_locks;
mod attack_protection;
mod attempts_at_once;
mod attempts_oracle;
mod attempts_told;
mod attempts_trouble;
mod authenticators;
mod bus;
mod command_line;
mod configuration;
mod crash;
mod doctor;
mod events;
mod every_way;
mod faillock_tables;
mod follow;
mod harness;
mod hostile_text;
mod identifiers;
mod idle;
mod journal;
mod lockdown;
mod lockdown_trouble;
mod nss;
mod package;
mod pam_wiring;
mod race;
mod recovery;
mod restore;
mod running;
mod self_service;
mod survivors;
mod trail;
mod without_daemon;

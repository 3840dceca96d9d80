//! The relay as systemd would start it, and servers that answer as they are told: every way a delivery can end.

// All of this is test code, which clippy does not see of helpers outside a `#[test]`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod email;
mod http_server;
mod local;
mod memory;
mod relay;
mod smtp_server;
mod socket;
mod tls;
mod webhook;

//! Boots real Debian hosts for acceptance tests, so that a test reads like a story:
//!
//! ```no_run
//! use lockdown_tests::{Host, Release};
//!
//! let host = Host::with_lockdown(Release::Bookworm);
//! let shell = host.ssh("alice").open();
//! host.run(&["lockdownctl", "lock", "alice"]).ok();
//! shell.wait_ended(std::time::Duration::from_secs(5));
//! host.ssh("alice").run("true").fails();
//! ```
//!
//! A host is a Debian root file system under an overlay, booted with systemd as PID 1 by
//! systemd-nspawn, without a network. Everything here needs root and the tools that
//! `tests/prepare` installs, and panics with the reason if something cannot be done: a story has
//! no use for an error value.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "tests report by panicking")]

pub mod host;
pub mod oracle;
pub mod pam_client;
pub mod statistics;
pub mod story;
pub mod wait;

pub use host::Host;
pub use host::accounts::password_of;
pub use host::attempts::PamClient;
pub use host::command::{HostCommand, Output};
pub use host::release::Release;
pub use host::session::{Ended, Session};
pub use host::ssh::Ssh;
pub use pam_client::{Attempt, Outcome};
pub use wait::{eventually, poll, stays};

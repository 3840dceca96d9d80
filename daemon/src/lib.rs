//! `lockdownd`: decides who is locked, keeps that durable, and ends what a locked account still runs.
//!
//! A lock travels one straight way: D-Bus method ([`bus::manager`]) → authorisation (one table,
//! [`bus::authorization`]) → operation ([`operations`], by the rules of [`domain`]) → transaction with its event and deny
//! record ([`store`]) → side effects on the host ([`host`]) → result and signal. Committed events
//! go to the journal and the audit log by [`report`].

pub mod announcement;
pub mod bus;
pub mod core;
pub mod domain;
pub mod enforce;
pub mod host;
pub mod logging;
pub mod login_socket;
pub mod metrics;
pub mod operations;
pub mod per_uid;
pub mod report;
pub mod service;
pub mod store;

//! `lockdown-relay`: delivers notifications, so that the root daemon needs no network.
//!
//! An item travels one straight way: the daemon's connection ([`serve`], [`connection`]) → its destination's turn
//! ([`pool`]) → the network ([`network`]: [`email`] over [`smtp`], [`webhook`]) → the verdict, back on that connection.
//! What needs to be somebody on this host goes another: [`local`] → [`sendmail`], [`exec`] or [`wall`].
//!
//! The relay keeps nothing on disk, is told where to deliver with every item, and calls nobody on this host.

#![forbid(unsafe_code)]

mod alertmanager;
mod child;
mod connection;
mod desktop;
mod email;
mod exec;
mod json;
pub mod local;
pub mod log;
pub mod network;
pub mod pool;
pub mod report;
mod sendmail;
pub mod serve;
mod signature;
mod smtp;
mod standard;
mod terminals;
mod text;
pub mod tls;
mod wall;
mod webhook;

#[cfg(test)]
mod samples;

//! What touches the host, one room each.

pub mod activity;
pub mod administrators;
pub mod as_account;
pub mod authenticators;
pub mod cgroup;
pub mod clock;
pub mod home;
pub mod hooks;
pub mod keys_elsewhere;
pub mod login_defs;
pub mod logind;
pub mod nss;
pub mod pam_stacks;
pub mod processes;
pub mod quarantine;
pub mod readiness;
pub mod shadow;
pub mod shadow_utils;
pub mod sshd;
pub mod subordinate;
pub mod suspects;
pub mod sweep;
pub mod terminals;
pub mod tokens;
pub mod tree;
pub mod units;

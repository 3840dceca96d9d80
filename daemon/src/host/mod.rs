//! What touches the host, one room each.

pub mod administrators;
pub mod cgroup;
pub mod clock;
pub mod login_defs;
pub mod logind;
pub mod nss;
pub mod processes;
pub mod readiness;
pub mod shadow;
pub mod sshd;
pub mod subordinate;
pub mod sweep;
pub mod units;

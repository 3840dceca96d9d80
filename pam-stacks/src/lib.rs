//! PAM's configuration, read as libpam reads it: pam.conf(5). What the daemon and the doctor of lockdownctl say about a host
//! follows from it. Where the files come from is the caller's business.

mod control;
mod guard;
mod stack;

pub use control::Action;
pub use guard::{Asked, Gap, NotAsked, asked, checks, gap};
pub use stack::{Line, Phase, Stack, Step, lines, stack};

/// Our module, by its file name.
pub const MODULE: &str = "pam_lockdown.so";

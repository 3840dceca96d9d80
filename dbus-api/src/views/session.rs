//! Sessions.

use zbus::{DeserializeDict, SerializeDict, Type};

/// A session: what PAM opened or logind lists.
#[derive(Clone, Debug, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct Session {
    /// logind's id, or `pam-` and a number for a session that logind does not have (sudo, su).
    pub id: String,
    /// Account it belongs to.
    pub user: String,
    /// PAM service that opened it, or the type logind gives; may be empty.
    pub service: String,
    /// Terminal, without `/dev/`; may be empty.
    pub tty: String,
    /// Where it came from; empty if local.
    pub remote_host: String,
    /// The process that opened it; 0 = unknown.
    pub leader_pid: u32,
    /// Unix seconds.
    pub started: i64,
    /// The authenticator that opened it (`password`, `ssh:SHA256:…`); empty if unknown.
    pub authenticator: String,
    /// Only in the reply of `EndSessions`: whether it is gone.
    pub ended: Option<bool>,
}

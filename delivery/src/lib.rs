//! What passes between `lockdownd` and `lockdown-relay`.
//!
//! The daemon writes every notification into its outbox and has no network; the relay has the network and keeps nothing.
//! The daemon connects to [`RELAY_SOCKET`] and sends an [`Item`] in a [frame]; the relay answers each with a
//! [`Verdict`], in any order. So the relay can call nobody: it only answers, and only to root.
//!
//! An item without a verdict was not acknowledged, whatever ended the connection (the relay also ends it by itself when
//! there is nothing to do): it is sent again, with the same [`Item::id`], by which receivers know it.
//!
//! What needs to be somebody on this host ([`Transport::is_local`]) does not go over the socket: for it the daemon runs
//! `lockdown-relay local`, the item as JSON on its standard input, the verdict as a line of JSON on its standard output.
//!
//! [`Template`]s are here too, because the daemon has to know a bad one when it reads the configuration.

#![forbid(unsafe_code)]

pub mod frame;
mod item;
mod secret;
mod template;
mod transport;
mod verdict;
mod visible;

pub use frame::{FrameError, MAX_FRAME};
pub use item::{EventView, Item, ItemError};
pub use secret::Secret;
pub use template::{Placeholder, Template, TemplateError};
pub use transport::{Format, Smtp, Tls, Transport};
pub use verdict::{Outcome, Verdict};
pub use visible::{still_visible, visible};

/// Where the relay listens: a stream socket of root's, mode 0600, held open by systemd.
pub const RELAY_SOCKET: &str = "/run/lockdown/relay.sock";

/// The relay's program; `lockdown-relay local` delivers one item on this host.
pub const RELAY_PROGRAM: &str = "/usr/libexec/lockdown/lockdown-relay";

/// Items without a verdict that a connection may have. The relay reads no more until it has answered one.
pub const MAX_IN_FLIGHT: usize = 32;

/// Items that the relay delivers at a time to one [`Transport::destination`]; more wait there for these. Who keeps to
/// it leaves room for the others while one receiver is slow.
pub const MAX_PER_DESTINATION: usize = 4;

/// Seconds after which the relay has answered an item that it has begun, whatever the receiver does. One that waits
/// behind others of its destination is answered together with them if they cannot reach it.
pub const MAX_SECONDS: u64 = 60;

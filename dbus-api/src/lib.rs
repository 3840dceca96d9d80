//! The D-Bus contract of lockdown: what `lockdownd` offers on the system bus and its callers rely on.
//!
//! - [`manager`] has the typed proxy of `org.lockdown1.Manager`,
//! - [`views`] the dictionaries that come back: account, lock, session, event,
//! - [`options`] the dictionaries that go in, [`tags`] what every changing call may bring for its event,
//! - [`error`] the errors, one name each.
//!
//! `org.lockdown1.xml` beside this crate's sources is the same contract for readers of any language.
//!
//! Times are Unix seconds (`x`), durations are seconds (`t`), and 0 means "never" or "unknown" as the key's
//! documentation says: D-Bus has no null.

pub mod error;
pub mod manager;
pub mod options;
pub mod tags;
pub mod views;

pub use error::Error;
pub use manager::ManagerProxy;

/// Well-known name that `lockdownd` owns on the system bus.
pub const BUS_NAME: &str = "org.lockdown1";
/// Path of the one object.
pub const OBJECT_PATH: &str = "/org/lockdown1";
/// Interface of the one object.
pub const INTERFACE: &str = "org.lockdown1.Manager";
/// Introspection data with documentation, as installed in `/usr/share/dbus-1/interfaces`.
pub const INTROSPECTION_XML: &str = include_str!("../org.lockdown1.xml");

/// A dictionary on the bus, `a{sv}`.
pub type Dict = std::collections::HashMap<String, zbus::OwnedVariant>;

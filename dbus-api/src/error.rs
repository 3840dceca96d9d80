//! The errors of `org.lockdown1`: `org.lockdown1.Error.` and the name of the variant.

use zbus::DBusError;

/// What a call to `org.lockdown1.Manager` can fail with. The text says what failed, for which account, and
/// what to do about it; text that a user supplied is escaped in it.
#[derive(Debug, DBusError)]
#[zbus(prefix = "org.lockdown1.Error")]
pub enum Error {
    /// Not an error of lockdown: the bus, the connection, or a malformed call.
    #[zbus(error)]
    ZBus(zbus::Error),
    /// NSS knows no such account.
    NoSuchAccount(String),
    /// The account has no such session.
    NoSuchSession(String),
    /// The account has no such authenticator.
    NoSuchAuthenticator(String),
    /// This kind of authenticator cannot be locked, or not on this host as it is configured.
    NotLockable(String),
    /// It is the last authenticator with which an administrator can get in; the option `force` locks it all the same.
    LastAuthenticator(String),
    /// Another account has this identifier.
    IdentifierTaken(String),
    /// The account is protected: it cannot be locked.
    Protected(String),
    /// Another lock stands in the way.
    AlreadyLocked(String),
    /// There is no lock that this call could lift.
    NotLocked(String),
    /// The configuration switches this off.
    Disabled(String),
    /// An argument or option is malformed, out of range or unknown.
    InvalidArgument(String),
    /// polkit, or the rule that only root may, says no.
    NotAuthorized(String),
    /// The host did not let it happen: disk, database, NSS. Nothing was acknowledged.
    Failed(String),
}

impl Error {
    /// The text meant for a person, without the error's name.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::ZBus(zbus::Error::MethodError(_, Some(text), _)) => text.clone(),
            Self::ZBus(error) => error.to_string(),
            Self::NoSuchAccount(text)
            | Self::NoSuchSession(text)
            | Self::NoSuchAuthenticator(text)
            | Self::NotLockable(text)
            | Self::LastAuthenticator(text)
            | Self::IdentifierTaken(text)
            | Self::Protected(text)
            | Self::AlreadyLocked(text)
            | Self::NotLocked(text)
            | Self::Disabled(text)
            | Self::InvalidArgument(text)
            | Self::NotAuthorized(text)
            | Self::Failed(text) => text.clone(),
        }
    }
}

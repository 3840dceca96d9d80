//! The dictionaries that `org.lockdown1.Manager` returns. Field names are the keys on the bus and in the JSON
//! of `lockdownctl`.

mod account;
mod authenticator;
mod host;
mod lockdown;
mod notification;
mod session;
mod state;
mod trail;

pub use account::{Account, ExpiryNotice, Failure, Lock, LockNotice};
pub use authenticator::{Authenticator, AuthenticatorNotice};
pub use host::{Drift, Metrics};
pub use lockdown::{KeyElsewhere, LockdownPreview, LockdownResult, Progress, Restored, Suspect};
pub use notification::{Notification, NotificationTest};
pub use session::Session;
pub use state::{StateApplied, StateChange, StateDocument, StateProblem};
pub use trail::{Event, EventProblem, Verification};

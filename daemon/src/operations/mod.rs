//! What the daemon can do: each operation whole, from checked input to result.

pub mod account;
pub mod attempts;
pub mod authenticator;
pub mod configure;
pub mod expire;
pub mod join;
mod lapse;
pub mod lock;
pub mod lockdown;
pub mod measure;
pub mod notify;
pub mod prior;
pub mod protect;
pub mod reconcile;
pub mod recovery;
pub mod resolve;
pub mod restore;
mod review;
pub mod sessions;
pub mod set_account;
pub mod settle;
pub mod standing_watch;
pub mod state;
pub mod trail;
pub mod unlock;
pub mod view;

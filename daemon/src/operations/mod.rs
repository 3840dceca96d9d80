//! What the daemon can do: each operation whole, from checked input to result.

pub mod account;
pub mod expire;
pub mod join;
pub mod lock;
pub mod protect;
pub mod reconcile;
pub mod resolve;
pub mod sessions;
pub mod settle;
pub mod unlock;
pub mod view;

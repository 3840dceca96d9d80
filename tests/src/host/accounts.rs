//! The accounts of every host. setup.sh creates them:
//!
//! | account | uid | may |
//! |---|---|---|
//! | root | 0 | log in by password on a console, by key over ssh |
//! | alice | 1000 | run anything as anyone by sudo, without a password |
//! | bob | 1001 | run anything as alice by sudo, without a password |
//! | carol | 1002 | run anything as anyone by sudo, with her password (group sudo) |
//!
//! root's key is authorized for all of them; alice and bob have a key of their own besides, in
//! `~/.ssh/id_ed25519`, authorized for themselves.

/// The password of an account of the image.
pub fn password_of(account: &str) -> String {
    format!("{account}-secret-7")
}

//! How an account is given back.

use lockdown_dbus_api::{Error, options};

/// How the account is given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As if it had not been locked down.
    Undo,
    /// With this password.
    Password(String),
    /// With a code for a new password.
    RecoveryCode,
    /// As it is: its password is in a directory, or only tokens are wanted.
    AsItIs,
}

impl Way {
    pub(super) fn of(options: &options::Restore) -> Result<Self, Error> {
        let undo = options.undo == Some(true);
        let code = options.recovery_code == Some(true);
        match (undo, code, &options.password) {
            (true, false, None) => Ok(Self::Undo),
            (false, true, None) => Ok(Self::RecoveryCode),
            (false, false, Some(password)) => Ok(Self::Password(password.clone())),
            (false, false, None) => Ok(Self::AsItIs),
            _ => Err(Error::InvalidArgument(
                "options undo, recovery_code and password exclude each other: give one".to_owned(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_exclude_each_other() {
        let options = |undo: bool, code: bool, password: Option<&str>| options::Restore {
            undo: Some(undo),
            recovery_code: Some(code),
            password: password.map(str::to_owned),
            ..options::Restore::default()
        };
        assert_eq!(Way::of(&options(true, false, None)).unwrap(), Way::Undo);
        assert_eq!(Way::of(&options(false, true, None)).unwrap(), Way::RecoveryCode);
        assert_eq!(Way::of(&options(false, false, Some("x"))).unwrap(), Way::Password("x".into()));
        assert_eq!(Way::of(&options(false, false, None)).unwrap(), Way::AsItIs);
        for wrong in
            [options(true, true, None), options(true, false, Some("x")), options(false, true, Some("x"))]
        {
            assert!(matches!(Way::of(&wrong), Err(Error::InvalidArgument(_))));
        }
    }
}

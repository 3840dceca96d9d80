//! Whether this host, as it is configured now, heeds a lock on an authenticator of a type.

use lockdown_pam_stacks::{Action, Line, MODULE, NotAsked, gap, lines};

use super::ssh::Sshd;
use crate::{domain::authenticator::Kind, host::pam_stacks::Service};

/// Why a lock on an authenticator of this type would not be heeded, and what to change; `None` if it would.
#[must_use]
pub fn obstacle(kind: Kind, services: &[Service], sshd: &Sshd) -> Option<String> {
    match kind {
        Kind::Ssh => of_keys(services, sshd),
        Kind::Totp => Some(
            "a one-time password is asked for beside another authenticator: lock that one, or the account"
                .to_owned(),
        ),
        Kind::Password if sshd.judges_passwords() => {
            Some("sshd judges passwords without PAM: set `UsePAM yes` in sshd_config(5)".to_owned())
        }
        _ => of_module(kind, services),
    }
}

/// A key is known to PAM only in sshd's session phase.
fn of_keys(services: &[Service], sshd: &Sshd) -> Option<String> {
    if !sshd.is_installed() {
        return Some("sshd is not installed: no key lets anybody in".to_owned());
    }
    if !sshd.uses_pam() {
        return Some("sshd does not ask PAM: set `UsePAM yes` in sshd_config(5)".to_owned());
    }
    let covered = services.iter().any(|service| {
        let denies = |line: &&Line| line.is_ours() && line.action("perm_denied") == Action::Bad;
        service.name == "sshd" && lines(&service.session).iter().any(denies)
    });
    (!covered).then(|| {
        format!(
            "/etc/pam.d/sshd has no line `session required {MODULE}`: run `pam-auth-update --package`, or see \
             pam_lockdown(8)"
        )
    })
}

/// The others are guarded in front of the module that checks them.
fn of_module(kind: Kind, services: &[Service]) -> Option<String> {
    let stacks = services.iter().map(|service| (service.name.as_str(), service.auth.as_slice()));
    match gap(kind.name(), stacks) {
        Err(NotAsked) => {
            Some("no service of PAM asks for it on this host: nobody gets in with it".to_owned())
        }
        Ok(gap) => gap.map(|gap| format!("{gap}: {}", gap.mend())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::pam_stacks::services;

    fn host(files: &[(&str, &str)]) -> Vec<Service> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        services(&[directory.path()])
    }

    #[test]
    fn a_module_without_guard_is_named_with_its_service() {
        let services = host(&[
            (
                "login",
                "auth [default=bad] pam_lockdown.so preauth authenticator=password\nauth required pam_unix.so\n",
            ),
            ("gdm-fingerprint", "auth required pam_fprintd.so\n"),
        ]);
        let sshd = Sshd::default();
        assert_eq!(obstacle(Kind::Password, &services, &sshd), None);
        let by_itself =
            |passwords| Sshd::with_settings(&format!("usepam no\npasswordauthentication {passwords}\n"));
        assert!(obstacle(Kind::Password, &services, &by_itself("yes")).unwrap().contains("UsePAM"));
        assert_eq!(obstacle(Kind::Password, &services, &by_itself("no")), None);
        let why = obstacle(Kind::Fingerprint, &services, &sshd).unwrap();
        assert!(why.contains("pam_fprintd.so") && why.contains("gdm-fingerprint"), "{why}");
        assert!(why.contains("authenticator=fingerprint"), "{why}");
        assert!(obstacle(Kind::Face, &services, &sshd).unwrap().starts_with("no service"));
        assert!(obstacle(Kind::Totp, &services, &sshd).is_some());
    }

    #[test]
    fn one_service_without_guard_is_one_too_many() {
        let services = host(&[
            ("login", "auth requisite pam_lockdown.so authenticator=password\nauth required pam_unix.so\n"),
            ("su", "auth required pam_unix.so\n"),
        ]);
        let why = obstacle(Kind::Password, &services, &Sshd::default()).unwrap();
        assert!(why.contains("of su: put"), "{why}");
    }

    #[test]
    fn a_key_needs_pam_in_sshd_and_us_in_its_session() {
        let with = host(&[("sshd", "session required pam_lockdown.so\n")]);
        let without = host(&[
            ("sshd", "session optional pam_lockdown.so\n"),
            ("su", "session required pam_lockdown.so\n"),
        ]);
        let (on, off) = (Sshd::with_settings("usepam yes\n"), Sshd::with_settings("usepam no\n"));
        assert_eq!(obstacle(Kind::Ssh, &with, &on), None);
        assert!(obstacle(Kind::Ssh, &without, &on).unwrap().contains("session required"));
        assert!(obstacle(Kind::Ssh, &with, &off).unwrap().contains("UsePAM"));
        assert!(obstacle(Kind::Ssh, &with, &Sshd::default()).unwrap().contains("not installed"));
    }
}

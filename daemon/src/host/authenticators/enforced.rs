//! Whether this host, as it is configured now, heeds a lock on an authenticator of a type.

use super::ssh::Sshd;
use crate::{
    domain::authenticator::Kind,
    host::pam_stacks::{Action, Line, MODULE, Service, guarded, lines},
};

/// Why a lock on an authenticator of this type would not be heeded, and what to change; `None` if it would.
#[must_use]
pub fn obstacle(kind: Kind, services: &[Service], sshd: &Sshd) -> Option<String> {
    match kind {
        Kind::Ssh => of_keys(services, sshd),
        Kind::Totp => Some(
            "a one-time password is asked for beside another authenticator: lock that one, or the account"
                .to_owned(),
        ),
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
        let denies = |line: &&Line| line.module == MODULE && line.action("perm_denied") == Action::Fail;
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
    let is_meant = |line: &Line| is_checked_by(kind, line);
    let (mut asked, mut unguarded, mut modules) = (false, Vec::new(), Vec::new());
    for service in services {
        let found = guarded(&service.auth, kind.name(), &is_meant);
        asked |= !found.is_empty();
        for (line, _) in found.iter().filter(|(_, guarded)| !guarded) {
            if !modules.contains(&line.module) {
                modules.push(line.module.clone());
            }
            if !unguarded.contains(&service.name) {
                unguarded.push(service.name.clone());
            }
        }
    }
    if !asked {
        return Some("no service of PAM asks for it on this host: nobody gets in with it".to_owned());
    }
    (!unguarded.is_empty()).then(|| {
        format!(
            "nothing guards {} in /etc/pam.d of {}: put `auth [success=ignore default=1] {MODULE} authenticator={kind}` \
             in the line before it, see pam_lockdown(8)",
            modules.join(" and "),
            unguarded.join(", "),
        )
    })
}

fn is_checked_by(kind: Kind, line: &Line) -> bool {
    let module = line.module.as_str();
    match kind {
        Kind::Password => [
            "pam_unix.so",
            "pam_sss.so",
            "pam_ldap.so",
            "pam_krb5.so",
            "pam_winbind.so",
            "pam_systemd_home.so",
        ]
        .contains(&module),
        Kind::U2f => module == "pam_u2f.so",
        Kind::Fingerprint => ["pam_fprintd.so", "pam_fprintd_grosshack.so"].contains(&module),
        Kind::Face => {
            module == "pam_howdy.so"
                || module == "pam_python.so"
                    && line.arguments.iter().any(|argument| argument.contains("howdy"))
        }
        Kind::Pin => module == super::pin::MODULE,
        Kind::Ssh | Kind::Totp => false,
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
                "auth [success=ignore default=1] pam_lockdown.so authenticator=password\nauth required pam_unix.so\n",
            ),
            ("gdm-fingerprint", "auth required pam_fprintd.so\n"),
        ]);
        let sshd = Sshd::default();
        assert_eq!(obstacle(Kind::Password, &services, &sshd), None);
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
        assert!(why.contains("of su:"), "{why}");
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

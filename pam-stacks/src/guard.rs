//! Which modules ask for which type of authenticator, and whether a lock on it stands before them.

use std::fmt;

use crate::{Action, Line, MODULE, Step, lines};

/// The package's profile whose line guards the password, with those that belong to it; and that of fingerprints.
const PASSWORD_PROFILES: &str = "lockdown-preauth lockdown-authfail lockdown-authsucc";
const FINGERPRINT_PROFILE: &str = "lockdown-fingerprint";

/// The type of authenticators that the module of a line asks for, as ids begin with it; `None` if none that can be locked.
#[must_use]
pub fn checks(line: &Line) -> Option<&'static str> {
    match line.module.as_str() {
        "pam_unix.so"
        | "pam_sss.so"
        | "pam_ldap.so"
        | "pam_krb5.so"
        | "pam_winbind.so"
        | "pam_systemd_home.so" => Some("password"),
        "pam_u2f.so" => Some("u2f"),
        "pam_fprintd.so" | "pam_fprintd_grosshack.so" => Some("fingerprint"),
        "pam_howdy.so" => Some("face"),
        "pam_python.so" if line.arguments.iter().any(|argument| argument.contains("howdy")) => Some("face"),
        "pam_pwdfile.so" => Some("pin"),
        _ => None,
    }
}

/// A module that asks for an authenticator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<'s> {
    /// Its line.
    pub line: &'s Line,
    /// Whether a lock on the authenticator keeps it from letting anybody in.
    pub is_guarded: bool,
}

/// The modules of an auth stack that ask for authenticators of a type (`password`, `fingerprint`).
#[must_use]
pub fn asked<'s>(steps: &'s [Step], kind: &str) -> Vec<Asked<'s>> {
    let mut found = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let inner = match step {
            Step::Module(line) if checks(line) == Some(kind) => vec![Asked { line, is_guarded: false }],
            Step::Module(_) => continue,
            Step::Substack(steps) => asked(steps, kind),
        };
        let is_guarded = steps[..index].iter().enumerate().any(|(at, step)| match step {
            Step::Module(line) if is_guard(line, kind) => match line.action(refusal(line)) {
                Action::Bad => true,
                Action::Jump(over) => at.saturating_add(over) >= index,
                Action::Ignore | Action::Ok | Action::Done => false,
            },
            _ => false,
        });
        let here = |asked: Asked<'s>| Asked { is_guarded: asked.is_guarded || is_guarded, ..asked };
        found.extend(inner.into_iter().map(here));
    }
    found
}

fn is_guard(line: &Line, kind: &str) -> bool {
    line.is_ours() && line.argument("authenticator") == Some(kind)
}

/// What a guard returns when the authenticator is locked: with `preauth` it has the modules after it judge in vain.
fn refusal(guard: &Line) -> &'static str {
    if guard.has("preauth") { "auth_err" } else { "authinfo_unavail" }
}

/// Modules that ask for a type of authenticators without heeding a lock on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    kind: String,
    /// Their names.
    pub modules: Vec<String>,
    /// The services in whose stacks they are.
    pub services: Vec<String>,
    /// The files in which their lines stand.
    pub files: Vec<String>,
    /// Whether a guard stands in each of these stacks, too late.
    pub is_late: bool,
}

/// What is open for a type of authenticators, of these services by name and auth stack.
///
/// # Errors
/// No module of any service asks for this type.
pub fn gap<'s>(
    kind: &str,
    services: impl IntoIterator<Item = (&'s str, &'s [Step])>,
) -> Result<Option<Gap>, NotAsked> {
    let mut gap = Gap { kind: kind.to_owned(), is_late: true, ..Gap::default() };
    let mut is_asked = false;
    for (service, steps) in services {
        let found = asked(steps, kind);
        is_asked |= !found.is_empty();
        let open: Vec<&Line> =
            found.iter().filter(|asked| !asked.is_guarded).map(|asked| asked.line).collect();
        if open.is_empty() {
            continue;
        }
        add(&mut gap.services, service);
        gap.is_late &= lines(steps).into_iter().any(|line| is_guard(line, kind));
        for line in open {
            add(&mut gap.modules, &line.module);
            add(&mut gap.files, &line.file);
        }
    }
    if !is_asked {
        return Err(NotAsked);
    }
    Ok((!gap.services.is_empty()).then_some(gap))
}

/// No service asks for an authenticator of this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAsked;

fn add(list: &mut Vec<String>, name: &str) {
    if !list.iter().any(|known| known == name) {
        list.push(name.to_owned());
    }
}

impl Gap {
    /// What to do about it.
    #[must_use]
    pub fn mend(&self) -> String {
        let kind = &self.kind;
        let is_shared = self.files.iter().all(|file| file.starts_with("common-"));
        let profiles = match kind.as_str() {
            "password" => Some(PASSWORD_PROFILES),
            "fingerprint" => Some(FINGERPRINT_PROFILE),
            _ => None,
        };
        match profiles {
            Some(_) if self.is_late => format!(
                "move the line of {} behind that of {MODULE} with `authenticator={kind}`: give its profile in \
                 /usr/share/pam-configs a lower `Priority:` than ours, then run `pam-auth-update`",
                self.modules.join(" and "),
            ),
            Some(profiles) if is_shared => format!("pam-auth-update --enable {profiles}"),
            _ => format!(
                "put `auth {}` in the line before it, see pam_lockdown(8)",
                if kind == "password" {
                    format!(
                        "[success=ignore ignore=ignore module_unknown=ignore conv_err=die default=bad] {MODULE} preauth authenticator=password"
                    )
                } else {
                    format!("[authinfo_unavail=1 default=ignore] {MODULE} authenticator={kind}")
                }
            ),
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (modules, services) = (self.modules.join(" and "), self.services.join(", "));
        let how = if self.is_late { "nothing guards in time" } else { "nothing guards" };
        write!(out, "{how} {modules} in /etc/pam.d of {services}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Phase, stack};

    const COMMON: &str = "\
auth [success=ignore authinfo_unavail=1 default=ignore] pam_lockdown.so authenticator=password\n\
auth\t[success=1 default=ignore]\tpam_unix.so nullok\n\
auth requisite pam_deny.so # comment\n\
auth required \\\n  pam_permit.so\n";

    fn steps(files: &[(&str, &str)]) -> Vec<Step> {
        let file = |name: &str| {
            let found = files.iter().find(|(file, _)| *file == name);
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| format!("{name} does not exist"))
        };
        stack("service", Phase::Auth, &file).unwrap().steps
    }

    fn guarded(steps: &[Step], kind: &str) -> Vec<bool> {
        asked(steps, kind).into_iter().map(|asked| asked.is_guarded).collect()
    }

    #[test]
    fn a_guard_keeps_the_module_that_it_passes_over_from_being_asked() {
        let unguarded = "[success=ignore authinfo_unavail=1 default=ignore]";
        for (stack, expected) in [
            (COMMON.to_owned(), true),
            (COMMON.replace("authinfo_unavail=1", "authinfo_unavail=ignore"), false),
            (COMMON.replace("authinfo_unavail=1 default=ignore", "default=1"), true),
            (COMMON.replace("authinfo_unavail=1 default=ignore", ""), true),
            (COMMON.replace("authenticator=password", "authenticator=face"), false),
            (COMMON.replace(unguarded, "optional"), false),
            (COMMON.replace(unguarded, "requisite"), true),
            (
                "auth required pam_unix.so\nauth requisite pam_lockdown.so authenticator=password\n".into(),
                false,
            ),
            (format!("auth optional pam_x.so\n{COMMON}"), true),
            (COMMON.replace("auth\t[", "auth optional pam_x.so\nauth\t["), false),
        ] {
            assert_eq!(guarded(&steps(&[("service", &stack)]), "password"), [expected], "{stack}");
        }
    }

    #[test]
    fn preauth_guards_all_that_follows_by_failing() {
        let stack = |control: &str, argument: &str| {
            format!(
                "auth {control} pam_lockdown.so {argument}\nauth [success=2 default=ignore] pam_unix.so\n\
                 auth [success=1 default=ignore] pam_sss.so use_first_pass\nauth requisite pam_deny.so\n"
            )
        };
        let bad = "[success=ignore ignore=ignore module_unknown=ignore conv_err=die default=bad]";
        for (control, argument, expected) in [
            (bad, "preauth authenticator=password", true),
            (bad, "authenticator=password preauth", true),
            ("requisite", "preauth authenticator=password", true),
            (bad, "preauth", false),
            ("[authinfo_unavail=2 default=ignore]", "preauth authenticator=password", false),
            ("[auth_err=2 default=ignore]", "preauth authenticator=password", true),
            ("optional", "preauth authenticator=password", false),
        ] {
            let stack = stack(control, argument);
            assert_eq!(guarded(&steps(&[("service", &stack)]), "password"), [expected; 2], "{stack}");
        }
    }

    #[test]
    fn a_substack_counts_as_one_step() {
        let unix = ("unix", "auth optional pam_x.so\nauth required pam_unix.so\n");
        for (service, expected) in [
            ("auth [default=1] pam_lockdown.so authenticator=password\nauth substack unix\n", true),
            ("auth substack unix\nauth [default=1] pam_lockdown.so authenticator=password\n", false),
            ("auth substack common\n", true),
        ] {
            let files = [("service", service), unix, ("common", COMMON)];
            assert_eq!(guarded(&steps(&files), "password"), [expected], "{service}");
        }
    }

    #[test]
    fn a_gap_says_where_it_is_and_what_closes_it() {
        let shared = |common: &str| steps(&[("service", "@include common-auth"), ("common-auth", common)]);
        let own = |text: &str| steps(&[("service", text)]);
        let unix = "auth required pam_unix.so\n";
        let guard = "auth requisite pam_lockdown.so preauth authenticator=password\n";
        let found = |kind: &str, stacks: &[(&str, Vec<Step>)]| {
            let gap = gap(kind, stacks.iter().map(|(name, steps)| (*name, steps.as_slice())));
            gap.map(|gap| gap.map(|gap| format!("{gap}: {}", gap.mend())))
        };
        assert_eq!(found("password", &[("su", own("auth required pam_permit.so\n"))]), Err(NotAsked));
        assert_eq!(found("password", &[("su", own(&format!("{guard}{unix}")))]), Ok(None));
        assert_eq!(
            found("password", &[("su", shared(unix)), ("login", shared(&format!("{guard}{unix}")))]),
            Ok(Some(
                "nothing guards pam_unix.so in /etc/pam.d of su: pam-auth-update --enable lockdown-preauth \
                 lockdown-authfail lockdown-authsucc"
                    .into()
            ))
        );
        let late = found("password", &[("su", shared(&format!("auth required pam_krb5.so\n{guard}{unix}")))]);
        let late = late.unwrap().unwrap();
        assert!(late.starts_with("nothing guards in time pam_krb5.so in /etc/pam.d of su: move"), "{late}");
        let put = found("password", &[("vsftpd", own(unix)), ("su", shared(unix))]).unwrap().unwrap();
        assert!(put.contains("of vsftpd, su: put `auth [success=ignore") && put.contains("preauth"), "{put}");
        let u2f = found("u2f", &[("su", shared("auth sufficient pam_u2f.so\n"))]).unwrap().unwrap();
        assert!(u2f.contains("put `auth [authinfo_unavail=1 default=ignore] pam_lockdown.so"), "{u2f}");
    }
}

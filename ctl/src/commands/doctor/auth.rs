//! What stands in auth: guards of authenticators that can be locked one by one, and the lines of attack protection.

use lockdown_config::Settings;
use lockdown_pam_stacks::{Line, MODULE, NotAsked, Phase, Step, checks, gap, lines, stack};

use super::{
    Finding, Level,
    host::Host,
    pam::{self, Coverage},
};

/// The types that a module of PAM asks for, as ids begin with them. That of SSH keys sshd checks itself.
const KINDS: [&str; 5] = ["password", "u2f", "fingerprint", "face", "pin"];
/// Modules that count failed attempts, too.
const OTHER_COUNTERS: [&str; 3] = ["pam_faillock.so", "pam_tally2.so", "pam_tally.so"];

/// The stacks of all services, by name, without what cannot be put together: libpam refuses everybody there.
fn stacks(host: &Host, phase: Phase) -> Vec<(String, Vec<Step>)> {
    // That the directory cannot be read is said elsewhere.
    let services = host.services().unwrap_or_default();
    // The parts that pam-auth-update writes are judged by the services that include them.
    let services = services.into_iter().filter(|name| !name.starts_with("common-"));
    let with_stack = |name: String| {
        let steps = stack(&name, phase, &|file| host.pam_file(file)).ok()?.steps;
        Some((name, steps))
    };
    services.filter_map(with_stack).collect()
}

/// For each type of authenticators, whether a lock on it is heeded on this host.
pub(super) fn authenticators(host: &Host) -> Vec<Finding> {
    const CHECK: &str = "authenticators";
    let stacks = stacks(host, Phase::Auth);
    let (mut heeded, mut not_asked, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    for kind in KINDS {
        match gap(kind, stacks.iter().map(|(name, steps)| (name.as_str(), steps.as_slice()))) {
            Err(NotAsked) => not_asked.push(kind),
            Ok(None) => heeded.push(kind),
            Ok(Some(gap)) => {
                let message = format!("a lock on {kind} would not be heeded everywhere: {gap}");
                gaps.push(Finding::new(CHECK, Level::Warning, message, gap.mend()));
            }
        }
    }
    match host.sshd() {
        None => not_asked.push("ssh"),
        Some(_) => match stack("sshd", Phase::Session, &|name| host.pam_file(name)) {
            Ok(stack) if pam::coverage(&stack.steps) == Coverage::Covered => heeded.push("ssh"),
            // pam-session says what is wrong and mends it.
            _ => gaps.push(Finding::new(
                CHECK,
                Level::Warning,
                format!("a lock on an ssh key would not be heeded: the session stack of sshd does not heed {MODULE}"),
                "see pam-session",
            )),
        },
    }
    let mut findings = Vec::new();
    if !heeded.is_empty() {
        let message = format!("a lock is heeded by every service that asks for it on: {}", heeded.join(", "));
        findings.push(Finding::ok(CHECK, message));
    }
    findings.extend(gaps);
    if !not_asked.is_empty() {
        let message = format!("no service asks for: {}", not_asked.join(", "));
        findings.push(Finding { level: Level::Skipped, ..Finding::ok(CHECK, message) });
    }
    findings
}

/// Whether the lines of attack protection stand where they count, and whether others count beside them.
pub(super) fn attack_protection(host: &Host) -> Vec<Finding> {
    const CHECK: &str = "attack-protection";
    // That it cannot be used is said elsewhere.
    if Settings::load(&host.configuration()).is_ok_and(|loaded| !loaded.settings.attack_protection.enabled) {
        let message = "attack protection is switched off in the configuration";
        return vec![Finding { level: Level::Skipped, ..Finding::ok(CHECK, message) }];
    }
    let stacks = stacks(host, Phase::Auth);
    let (mut covered, mut open, mut counters) = (0_usize, Vec::<Open>::new(), Vec::<Open>::new());
    for (service, steps) in &stacks {
        let lines = lines(steps);
        if let Some(other) = lines.iter().find(|line| OTHER_COUNTERS.contains(&line.module.as_str())) {
            add(&mut counters, &other.module, service, &other.file);
        }
        let Some(judge) = lines.iter().position(|line| checks(line) == Some("password")) else { continue };
        match missing(&lines, judge) {
            None => covered += 1,
            Some(problem) => add(&mut open, &problem, service, &lines[judge].file),
        }
    }
    let mut findings: Vec<Finding> = open.iter().map(|open| open.finding(CHECK)).collect();
    if findings.is_empty() && covered > 0 {
        let message = match covered {
            1 => "failed attempts are counted in 1 service that asks for a password".to_owned(),
            _ => format!("failed attempts are counted in the {covered} services that ask for a password"),
        };
        findings.push(Finding::ok(CHECK, message));
    }
    findings.extend(counters.into_iter().map(|other| {
        let message = format!(
            "{} counts failed attempts, too, in {}: its locks are neither shown nor lifted by lockdownctl",
            other.problem,
            super::checks::named(&other.services)
        );
        let mend = format!("take its lines out of /etc/pam.d/{}", other.files.join(" and /etc/pam.d/"));
        Finding::new(CHECK, Level::Warning, message, mend)
    }));
    findings
}

/// What is wrong with some services, in the same way.
struct Open {
    problem: String,
    services: Vec<String>,
    files: Vec<String>,
}

fn add(list: &mut Vec<Open>, problem: &str, service: &str, file: &str) {
    let index = list.iter().position(|open| open.problem == problem).unwrap_or_else(|| {
        list.push(Open { problem: problem.to_owned(), services: Vec::new(), files: Vec::new() });
        list.len() - 1
    });
    list[index].services.push(service.to_owned());
    if !list[index].files.iter().any(|known| known == file) {
        list[index].files.push(file.to_owned());
    }
}

impl Open {
    fn finding(&self, check: &'static str) -> Finding {
        let services = super::checks::named(&self.services);
        let message = format!("attempts to guess a password go on for ever in {services}: {}", self.problem);
        let is_shared = self.files.iter().all(|file| file.starts_with("common-"));
        let mend = if is_shared && !self.problem.contains("behind") {
            "pam-auth-update --enable lockdown-preauth lockdown-authfail lockdown-authsucc".to_owned()
        } else {
            format!(
                "see ATTACK PROTECTION in pam_lockdown(8) for where its lines go in /etc/pam.d/{}",
                self.files.join(" and /etc/pam.d/")
            )
        };
        Finding::new(check, Level::Warning, message, mend)
    }
}

/// What keeps attempts from being counted in a stack whose first judge of passwords is at `judge`.
fn missing(lines: &[&Line], judge: usize) -> Option<String> {
    let place = |function: &str| lines.iter().position(|line| line.is_ours() && line.has(function));
    let after =
        |function: &str| lines.iter().skip(judge + 1).any(|line| line.is_ours() && line.has(function));
    match place("preauth") {
        Some(before) if before > judge => {
            return Some(format!(
                "{} is asked before {MODULE} preauth, which stands behind it",
                lines[judge].module
            ));
        }
        Some(before) if lines[before].action("auth_err") != lockdown_pam_stacks::Action::Bad => {
            return Some(format!("the stack goes on as if nothing were when {MODULE} preauth refuses"));
        }
        _ => {}
    }
    let absent: Vec<&str> = [
        ("preauth", place("preauth").is_some()),
        ("authfail", after("authfail")),
        ("authsucc", after("authsucc")),
    ]
    .into_iter()
    .filter(|(_, stands)| !stands)
    .map(|(function, _)| function)
    .collect();
    (!absent.is_empty()).then(|| format!("{MODULE} is missing with {}", absent.join(", ")))
}

/// Services in whose session accounts can set what sshd says of the key that was used.
pub(super) fn user_environment(host: &Host) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, steps) in stacks(host, Phase::Session) {
        let lines = lines(&steps);
        let Some(ours) = lines.iter().position(|line| line.is_ours()) else { continue };
        let reads_users =
            |line: &&&Line| line.module == "pam_env.so" && line.argument("user_readenv") == Some("1");
        if let Some(line) = lines[..ours].iter().find(reads_users) {
            findings.push(Finding::new(
                "pam-env",
                Level::Warning,
                format!(
                    "session stack of {service}: pam_env.so user_readenv=1 before {MODULE} lets an account set SSH_AUTH_INFO_0, \
                     and so pass a locked key for another"
                ),
                format!("move that line of /etc/pam.d/{} behind {MODULE}, or take user_readenv=1 out", line.file),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::host::tests::host, *};

    const COMMON: &str = "\
auth [success=ignore ignore=ignore module_unknown=ignore authinfo_unavail=1 default=ignore] pam_lockdown.so authenticator=fingerprint
auth [success=5 default=ignore] pam_fprintd.so
auth [default=ignore] pam_lockdown.so
auth [success=ignore ignore=ignore module_unknown=ignore conv_err=die default=bad] pam_lockdown.so preauth authenticator=password
auth [success=2 default=ignore] pam_unix.so try_first_pass
auth [module_unknown=ignore ignore=ignore default=die] pam_lockdown.so authfail
auth requisite pam_deny.so
auth required pam_permit.so
auth [success=ok ignore=ignore module_unknown=ignore default=die] pam_lockdown.so authsucc
";

    /// Findings of both checks on a host with this common-auth, for login; and with this in /etc/pam.d/other.
    fn all(common: &str, other: &str, settings: &str) -> Vec<(Level, String)> {
        let (_root, host) = host(&[
            ("etc/pam.d/common-auth", common),
            ("etc/pam.d/login", "@include common-auth\nsession required pam_lockdown.so\n"),
            ("etc/pam.d/other", other),
            ("etc/lockdown/lockdown.toml", settings),
        ]);
        let findings = [authenticators(&host), attack_protection(&host), user_environment(&host)].concat();
        let text = |finding: Finding| {
            let mend = finding.mend.map(|mend| format!(" → {mend}")).unwrap_or_default();
            (finding.level, format!("{}: {}{mend}", finding.check, finding.message))
        };
        findings.into_iter().map(text).collect()
    }

    fn warnings(common: &str, other: &str) -> Vec<String> {
        let warnings = all(common, other, "").into_iter().filter(|(level, _)| *level == Level::Warning);
        warnings.map(|(_, text)| text).collect()
    }

    #[test]
    fn the_lines_of_the_package_are_in_order() {
        let ok = [
            (
                Level::Ok,
                "authenticators: a lock is heeded by every service that asks for it on: password, fingerprint",
            ),
            (Level::Skipped, "authenticators: no service asks for: u2f, face, pin, ssh"),
            (
                Level::Ok,
                "attack-protection: failed attempts are counted in 1 service that asks for a password",
            ),
        ];
        assert_eq!(all(COMMON, "", ""), ok.map(|(level, text)| (level, text.to_owned())));
    }

    #[test]
    fn lines_that_are_missing_are_named_with_the_profiles_that_bring_them() {
        let profiles = "pam-auth-update --enable lockdown-preauth lockdown-authfail lockdown-authsucc";
        let bare = "auth required pam_unix.so\n";
        assert_eq!(
            warnings(bare, ""),
            [
                format!(
                    "authenticators: a lock on password would not be heeded everywhere: nothing guards pam_unix.so in /etc/pam.d of login → {profiles}"
                ),
                format!(
                    "attack-protection: attempts to guess a password go on for ever in login: pam_lockdown.so is missing with preauth, authfail, authsucc → {profiles}"
                ),
            ]
        );
        for function in ["authfail", "authsucc"] {
            let without: String = COMMON
                .lines()
                .filter(|line| !line.ends_with(function))
                .map(|line| format!("{line}\n"))
                .collect();
            let found = warnings(&without, "");
            assert!(
                found.len() == 1 && found[0].contains(&format!("missing with {function} → {profiles}")),
                "{found:?}"
            );
        }
        let found = warnings(COMMON, "auth required pam_unix.so\nauth sufficient pam_u2f.so\n");
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("of other → put `auth [success=ignore"), "{found:?}");
        assert!(
            found[1]
                .contains("put `auth [authinfo_unavail=1 default=ignore] pam_lockdown.so authenticator=u2f`"),
            "{found:?}"
        );
        assert!(found[2].ends_with("/etc/pam.d/other"), "{found:?}");
    }

    #[test]
    fn who_asks_for_the_password_before_preauth_is_named() {
        let krb5 = format!("auth [success=8 default=ignore] pam_krb5.so minimum_uid=1000\n{COMMON}");
        let found = warnings(&krb5, "");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].contains("nothing guards in time pam_krb5.so") && found[0].contains("Priority:"),
            "{found:?}"
        );
        assert!(found[1].contains("pam_krb5.so is asked before pam_lockdown.so preauth"), "{found:?}");
        let ignored = COMMON.replace("default=bad]", "default=ignore]");
        assert!(warnings(&ignored, "")[1].contains("as if nothing were"), "{:?}", warnings(&ignored, ""));
    }

    #[test]
    fn others_that_count_are_pointed_out_and_nothing_where_it_is_switched_off() {
        let faillock = format!("auth required pam_faillock.so preauth\n{COMMON}");
        let found = warnings(&faillock, "");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("pam_faillock.so counts failed attempts, too, in login"), "{found:?}");
        assert!(found[0].ends_with("→ take its lines out of /etc/pam.d/common-auth"), "{found:?}");
        let off = all(&faillock, "", "[attack_protection]\nenabled = false\n");
        assert!(
            off.contains(&(
                Level::Skipped,
                "attack-protection: attack protection is switched off in the configuration".into()
            )),
            "{off:?}"
        );
        assert!(!off.iter().any(|(level, _)| *level == Level::Warning), "{off:?}");
    }

    #[test]
    fn files_of_the_account_must_not_say_which_key_it_has() {
        let env = "session required pam_env.so user_readenv=1 envfile=/etc/default/locale\n";
        let ours = "session required pam_lockdown.so\n";
        assert_eq!(warnings(COMMON, &format!("{ours}{env}")).len(), 0);
        let found = warnings(COMMON, &format!("{env}{ours}"));
        assert!(found.len() == 1 && found[0].contains("session stack of other"), "{found:?}");
        assert_eq!(warnings(COMMON, &format!("{}{ours}", env.replace("=1 ", "=0 "))).len(), 0);
    }
}

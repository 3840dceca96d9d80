//! The checks, each of which gives findings.

use std::{path::Path, process::Stdio, time::Duration};

use lockdown_dbus_api::views::StateDocument;
use rustix::process::geteuid;

use super::{
    Finding, Level,
    host::{Host, LOGIN_SOCKET},
    notifications,
    pam::{self, Coverage, MODULE, Phase},
};
use crate::{client::Client, exit, output::text::count};

/// Our line in a phase in which it denies.
struct OurLine {
    phase: Phase,
    check: &'static str,
    /// That of packaging/pam-configs, where README.md says why it is not `required`.
    control: &'static str,
    /// How bad it is that it is missing.
    severe: Level,
    /// Where it goes: early enough that nothing lets users past it, and for sessions after pam_systemd.
    position: &'static str,
}

const ACCOUNT: OurLine = OurLine {
    phase: Phase::Account,
    check: "pam-account",
    control: "[success=ignore ignore=ignore module_unknown=ignore default=die]",
    severe: Level::Error,
    position: "before",
};

/// It closes the window between check and session; the account phase is what denies.
const SESSION: OurLine = OurLine {
    phase: Phase::Session,
    check: "pam-session",
    control: "[success=ok ignore=ignore module_unknown=ignore default=bad]",
    severe: Level::Warning,
    position: "after",
};

const STATE: &str = "state";
/// How long `sshd -T` may take.
const SSHD_LIMIT: Duration = Duration::from_secs(10);
/// Most names that a message lists.
const MOST_NAMED: usize = 12;

/// The stacks of all PAM services, and the module that they name.
pub(super) fn pam(host: &Host) -> Vec<Finding> {
    let services = match host.services() {
        Ok(services) => services,
        Err(error) => {
            let message = format!("/etc/pam.d cannot be read: {error}");
            return vec![Finding::new("pam-account", Level::Error, message, "ls -l /etc/pam.d")];
        }
    };
    // The parts that pam-auth-update writes are judged by the services that include them.
    let services: Vec<_> = services.into_iter().filter(|name| !name.starts_with("common-")).collect();
    // What has no account stack lets nobody in: runuser, which is root's, and passwd.
    let has_account_stack = |service: &String| {
        let stack = pam::stack(service, Phase::Account, &|name| host.pam_file(name));
        stack.map_or(true, |stack| !stack.steps.is_empty())
    };
    let services: Vec<_> = services.into_iter().filter(has_account_stack).collect();
    let mut modules = Vec::new();
    let mut findings = phase(host, &services, &ACCOUNT, &mut modules);
    findings.extend(phase(host, &services, &SESSION, &mut modules));
    findings.extend(module(host, modules));
    findings
}

/// What is wrong with some services, in the same way.
struct Group {
    level: Level,
    problem: String,
    mend: String,
    services: Vec<String>,
}

fn phase(host: &Host, services: &[String], our: &OurLine, modules: &mut Vec<String>) -> Vec<Finding> {
    let (check, phase) = (our.check, our.phase);
    let mut covered = 0;
    let mut groups: Vec<Group> = Vec::new();
    for service in services {
        let (coverage, files) = match pam::stack(service, phase, &|name| host.pam_file(name)) {
            Ok(stack) => {
                modules.extend(pam::ours(&stack.steps));
                (pam::coverage(&stack.steps), stack.files)
            }
            Err(error) => (Coverage::Broken(error), vec![service.clone()]),
        };
        let Some((level, problem, mend)) = judge(host, coverage, our, service, &files) else {
            covered += 1;
            continue;
        };
        if level == Level::Skipped {
            continue;
        }
        match groups.iter_mut().find(|group| group.problem == problem && group.mend == mend) {
            Some(group) => group.services.push(service.clone()),
            None => groups.push(Group { level, problem, mend, services: vec![service.clone()] }),
        }
    }
    if groups.is_empty() {
        let message = match covered {
            0 if phase == Phase::Account => {
                let message = "no PAM service has an account stack";
                return vec![Finding::new(check, Level::Error, message, "ls -l /etc/pam.d")];
            }
            0 => return Vec::new(),
            1 => format!("the {} stack of 1 service runs {MODULE}", phase.word()),
            _ => format!("the {} stacks of {covered} services run {MODULE}", phase.word()),
        };
        return vec![Finding::ok(check, message)];
    }
    groups
        .into_iter()
        .map(|group| {
            let message = format!("{} stack of {}: {}", phase.word(), named(&group.services), group.problem);
            Finding::new(check, group.level, message, group.mend)
        })
        .collect()
}

/// What is wrong with a stack: how bad, what, and what mends it. Skipped: the service has none.
fn judge(
    host: &Host,
    coverage: Coverage,
    our: &OurLine,
    service: &str,
    files: &[String],
) -> Option<(Level, String, String)> {
    let severe = our.severe;
    let shared = files.iter().find(|file| file.starts_with("common-"));
    let place = shared.map_or_else(|| service, |file| file.as_str());
    let move_up =
        |module: &str| format!("in /etc/pam.d/{place}, move the line of {MODULE} above that of {module}");
    Some(match coverage {
        Coverage::Covered => return None,
        Coverage::NoStack => (Level::Skipped, String::new(), String::new()),
        Coverage::Missing => {
            let mend = match shared {
                Some(_) if host.has_pam_auth_update() => enable_profiles(host),
                _ => wire_in(our, place),
            };
            (severe, format!("does not run {MODULE}"), mend)
        }
        Coverage::DeniesEverybody => {
            let mend = match shared {
                Some(_) if host.has_pam_auth_update() => "pam-auth-update --enable unix".to_owned(),
                _ => format!(
                    "put the line of a module that says yes, such as pam_unix.so, into /etc/pam.d/{place}"
                ),
            };
            (Level::Error, "lets nobody in, locked or not: no module of it says yes".to_owned(), mend)
        }
        Coverage::Bypassed(module) => {
            (severe, format!("{module} lets users past {MODULE}"), move_up(&module))
        }
        Coverage::BypassedIfPasswordExpired(module) => (
            Level::Warning,
            format!("{module} lets users past {MODULE} while their password has expired"),
            move_up(&module),
        ),
        Coverage::Ignored => (
            severe,
            format!("goes on when {MODULE} denies"),
            format!("make the control field of {MODULE} in /etc/pam.d/{place} `{}`", our.control),
        ),
        Coverage::Broken(error) => {
            (Level::Error, error, format!("mend /etc/pam.d/{service}: libpam refuses everybody meanwhile"))
        }
    })
}

/// Has pam-auth-update write our lines. Were the account line alone in its block, nobody would be let in.
fn enable_profiles(host: &Host) -> String {
    let stack = pam::stack("common-account", Phase::Account, &|name| host.pam_file(name));
    let alone = stack.is_ok_and(|stack| !pam::decides(&stack.steps));
    format!("pam-auth-update --enable {}lockdown lockdown-session", if alone { "unix " } else { "" })
}

fn wire_in(our: &OurLine, place: &str) -> String {
    let OurLine { phase, control, position, .. } = our;
    let word = phase.word();
    format!("put `{word} {control} {MODULE}` {position} the other {word} lines of /etc/pam.d/{place}")
}

pub(super) fn named(services: &[String]) -> String {
    match services.len() {
        0..=MOST_NAMED => services.join(", "),
        more => format!("{} and {} more", services[..MOST_NAMED].join(", "), more - MOST_NAMED),
    }
}

fn module(host: &Host, mut modules: Vec<String>) -> Vec<Finding> {
    const CHECK: &str = "pam-module";
    modules.sort();
    modules.dedup();
    let reinstall = "apt-get install --reinstall lockdown, or take the lines out: pam-auth-update --disable \
                     lockdown lockdown-session lockdown-fingerprint lockdown-preauth lockdown-authfail lockdown-authsucc";
    if modules.is_empty() {
        modules.push(MODULE.to_owned());
    }
    let finding = |module: String| match host.has_module(&module) {
        true => Finding::ok(CHECK, format!("{module} is installed")),
        false => Finding::new(CHECK, Level::Error, format!("{module} is not installed"), reinstall),
    };
    modules.into_iter().map(finding).collect()
}

/// Whether sshd uses PAM, by its own word.
pub(super) async fn sshd(host: &Host) -> Finding {
    const CHECK: &str = "sshd";
    let Some(sshd) = host.sshd() else {
        return Finding { level: Level::Skipped, ..Finding::ok(CHECK, "sshd is not installed") };
    };
    if !geteuid().is_root() {
        return Finding::new(
            CHECK,
            Level::Skipped,
            "only root can ask sshd for its configuration",
            "run it as root",
        );
    }
    match effective_configuration(&sshd).await {
        Ok(text) if says_yes(&text, "usepam") && says_yes(&text, "kbdinteractiveauthentication") => {
            Finding::ok(
                CHECK,
                "sshd has UsePAM yes; it does not say what was asked for by KbdInteractiveAuthentication, so a lock on the password \
             refuses every login by it",
            )
        }
        Ok(text) if says_yes(&text, "usepam") => Finding::ok(CHECK, "sshd has UsePAM yes"),
        Ok(_) => Finding::new(
            CHECK,
            Level::Error,
            "sshd has UsePAM no: its logins do not meet PAM, and neither locks nor attack protection stop them; a lockdown \
             does, for local accounts only, through shadow(5)",
            // The first value that sshd reads is the one that counts: above any Include and Match.
            "sed -i '1i UsePAM yes' /etc/ssh/sshd_config && systemctl reload ssh",
        ),
        Err(error) => Finding::new(
            CHECK,
            Level::Warning,
            format!("sshd does not say its configuration: {error}"),
            format!("{} -T", sshd.display()),
        ),
    }
}

async fn effective_configuration(sshd: &Path) -> Result<String, String> {
    let child = tokio::process::Command::new(sshd)
        .arg("-T")
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(SSHD_LIMIT, child).await {
        Ok(output) => output.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("no answer within {} s", SSHD_LIMIT.as_secs())),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    Err(message.lines().next().unwrap_or("no reason given").to_owned())
}

/// Reads what `sshd -T` prints: `keyword value` lines, the keyword in lower case. A server without PAM has no such line.
fn says_yes(configuration: &str, keyword: &str) -> bool {
    configuration.lines().any(|line| line.split_whitespace().eq([keyword, "yes"]))
}

/// The bus, the daemon, and what the daemon says of its records.
pub(super) async fn daemon() -> Vec<Finding> {
    const BUS: &str = "bus";
    const DAEMON: &str = "daemon";
    let client = match Client::connect().await {
        Ok(client) => client,
        Err(failure) => {
            return vec![Finding::new(
                BUS,
                Level::Error,
                failure.line(),
                "systemctl start dbus; journalctl -u dbus",
            )];
        }
    };
    let bus = Finding::ok(BUS, "the system bus answers");
    let version = match client.version().await {
        Ok(version) => version,
        Err(failure) => {
            let mend = "systemctl unmask lockdownd && systemctl restart lockdownd || journalctl -u lockdownd";
            return vec![bus, Finding::new(DAEMON, Level::Error, failure.line(), mend)];
        }
    };
    let daemon = Finding::ok(DAEMON, format!("lockdownd {version} answers"));
    vec![bus, daemon, records(&client).await, state(&client).await, notifications::queue(&client).await]
}

/// Whether the state documents are in force as they lie in state.d.
async fn state(client: &Client) -> Finding {
    let error = match client.state_error().await {
        Ok(error) => error,
        Err(failure) => {
            return Finding::new(STATE, Level::Error, failure.line(), "journalctl -u lockdownd");
        }
    };
    // How many there are is not everybody's to know.
    of_state(&error, client.documents().await.ok().as_deref())
}

fn of_state(error: &str, documents: Option<&[StateDocument]>) -> Finding {
    if !error.is_empty() {
        let message = format!("the state documents are not in force as they lie in state.d: {error}");
        // What was in force before still is.
        return Finding::new(STATE, Level::Error, message, "mend the file, then lockdownctl apply");
    }
    let documents = documents.unwrap_or_default();
    let pending: Vec<_> = documents
        .iter()
        .filter(|document| document.pending > 0)
        .map(|document| document.name.clone())
        .collect();
    match (pending.len(), documents.len()) {
        (0, 0) => Finding::ok(STATE, "no state document is in error"),
        (0, number) => Finding::ok(
            STATE,
            format!("{} in force", count(number, "state document is", "state documents are")),
        ),
        _ => Finding::new(
            STATE,
            Level::Warning,
            format!(
                "accounts that state documents name are not here, or are passed over: {}",
                named(&pending)
            ),
            "lockdownctl apply --check",
        ),
    }
}

async fn records(client: &Client) -> Finding {
    const CHECK: &str = "records";
    match client.check_records().await {
        Ok(drifts) if drifts.is_empty() => Finding::ok(CHECK, "the deny records agree with the store"),
        Ok(drifts) => {
            let each: Vec<_> = drifts
                .iter()
                .take(MOST_NAMED)
                .map(|drift| match drift.user.as_str() {
                    "" => format!("uid {}: {}", drift.uid, drift.problem),
                    user => format!("{user}: {}", drift.problem),
                })
                .collect();
            let message =
                format!("{} of the deny records differ from the store: {}", drifts.len(), each.join("; "));
            Finding::new(CHECK, Level::Error, message, "systemctl restart lockdownd")
        }
        Err(failure) if failure.code() == exit::NOT_AUTHORIZED => {
            Finding::new(CHECK, Level::Skipped, failure.line(), "run it as root")
        }
        Err(failure) => Finding::new(CHECK, Level::Error, failure.line(), "journalctl -u lockdownd"),
    }
}

/// The socket that the PAM module reports to.
pub(super) fn login_socket(host: &Host) -> Finding {
    const CHECK: &str = "login-socket";
    if host.has_login_socket() {
        return Finding::ok(CHECK, format!("{LOGIN_SOCKET} is there"));
    }
    let message = format!("{LOGIN_SOCKET} is missing: sessions and failures are not reported as they happen");
    Finding::new(
        CHECK,
        Level::Error,
        message,
        "systemctl enable lockdownd.socket && systemctl restart lockdownd.socket",
    )
}

#[cfg(test)]
mod tests;

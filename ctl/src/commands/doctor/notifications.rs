//! Whether word would get out: messages that did not, secrets that others could read, a relay that is not there.

use std::os::unix::fs::MetadataExt;

use lockdown_config::{Rule, Settings, Transport};

use super::{
    Finding, Level,
    host::{Host, RELAY_SOCKET},
};
use crate::{
    client::Client,
    exit::{self, Failure},
    output::text::count,
};

const QUEUE: &str = "notifications";
const RULES: &str = "notification-rules";

/// Messages that could not be delivered.
pub(super) async fn queue(client: &Client) -> Finding {
    match client.metrics().await {
        Ok(metrics) => waiting(|state| metrics.outbox.get(state).copied().unwrap_or_default()),
        Err(failure) => unknown(&failure),
    }
}

fn waiting(of: impl Fn(&str) -> u32) -> Finding {
    match (of("dead"), of("queued") + of("sending")) {
        (0, 0) => Finding::ok(QUEUE, "no notification waits to be delivered"),
        (0, waiting) => Finding::ok(QUEUE, format!("{} on the way", messages(waiting))),
        (dead, _) => Finding::new(
            QUEUE,
            Level::Warning,
            format!("{} could not be delivered", messages(dead)),
            "lockdownctl notify queue --dead; lockdownctl notify test; lockdownctl notify retry",
        ),
    }
}

fn messages(number: u32) -> String {
    count(number as usize, "notification", "notifications")
}

fn unknown(failure: &Failure) -> Finding {
    if failure.code() == exit::NOT_AUTHORIZED {
        return Finding::new(QUEUE, Level::Skipped, failure.line(), "run it as root");
    }
    Finding::new(QUEUE, Level::Error, failure.line(), "journalctl -u lockdownd")
}

/// What the rules need on this host.
pub(super) fn rules(host: &Host) -> Vec<Finding> {
    // What is wrong with the configuration itself is a finding already.
    let Ok(loaded) = Settings::load(&host.configuration()) else { return Vec::new() };
    let settings = loaded.settings;
    if settings.notify.is_empty() {
        let message = "nobody is told of what happens: there are no rules of notifications";
        let mend =
            "add [[notify]] to the configuration, see lockdown.toml(5), then systemctl reload lockdownd";
        return vec![Finding::new(RULES, Level::Ok, message, mend)];
    }
    let mails = settings.notify.iter().any(|rule| rule.transport == Transport::Email);
    let password = settings.email.password_file.as_ref().filter(|_| mails);
    let secrets = settings.notify.iter().flat_map(|rule| &rule.secret_file).chain(password);
    let mut findings: Vec<_> = secrets.filter_map(|path| secret(host, path)).collect();
    let by_network = |rule: &Rule| match rule.transport {
        Transport::Webhook | Transport::Alertmanager => true,
        Transport::Email => settings.email.server.is_some(),
        Transport::Exec | Transport::Wall => false,
    };
    if settings.notify.iter().any(by_network) && !host.has_relay_socket() {
        let message = format!("{RELAY_SOCKET} is missing: nothing leaves this host");
        let mend = "systemctl enable lockdown-relay.socket && systemctl restart lockdown-relay.socket";
        findings.push(Finding::new(RULES, Level::Warning, message, mend));
    }
    if findings.is_empty() {
        let rules = count(settings.notify.len(), "rule of notifications has", "rules of notifications have");
        findings
            .push(Finding::ok(RULES, format!("{rules} what they need: lockdownctl notify test tries them")));
    }
    findings
}

/// What keeps the daemon from using a secret.
fn secret(host: &Host, path: &str) -> Option<Finding> {
    let warning = |why: String, mend: String| {
        Some(Finding::new(RULES, Level::Warning, format!("the secret {path} cannot be used: {why}"), mend))
    };
    let word = crate::shell::quote(path.as_ref()).to_string_lossy().into_owned();
    match host.status(path) {
        Err(error) => warning(error.to_string(), format!("install -m 600 /dev/null {word}, then fill it")),
        Ok(status) if !status.is_file() => warning("it is no regular file".into(), format!("ls -l {word}")),
        Ok(status) if status.uid() != host.owner() || status.mode() & 0o077 != 0 => warning(
            "others than root can read or write it".into(),
            format!("chown root {word} && chmod 600 {word}"),
        ),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::{super::host::tests::host, *};

    const WEBHOOK: &str =
        "[[notify]]\nname = 'a'\ntransport = 'webhook'\nurl = 'https://h'\nsecret_file = '/etc/s'\n";

    #[test]
    fn dead_letters_are_a_warning() {
        let of = |dead: u32, queued: u32| {
            let finding = waiting(|state| match state {
                "dead" => dead,
                "queued" => queued,
                _ => 0,
            });
            (finding.level, finding.message)
        };
        assert_eq!(of(0, 0), (Level::Ok, "no notification waits to be delivered".into()));
        assert_eq!(of(0, 3), (Level::Ok, "3 notifications on the way".into()));
        assert_eq!(of(1, 3), (Level::Warning, "1 notification could not be delivered".into()));
    }

    #[test]
    fn what_rules_need_is_looked_at() {
        let (root, host) = host(&[("etc/lockdown/lockdown.toml", WEBHOOK), ("etc/s", "x")]);
        let secret = root.path().join("etc/s");
        let found = || {
            let found = rules(&host).into_iter().map(|finding| (finding.level, finding.message));
            found.collect::<Vec<_>>()
        };
        let missing = (Level::Warning, format!("{RELAY_SOCKET} is missing: nothing leaves this host"));
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(found(), std::slice::from_ref(&missing));
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
        let open = "the secret /etc/s cannot be used: others than root can read or write it".to_owned();
        assert_eq!(found(), [(Level::Warning, open), missing.clone()]);
        fs::remove_file(&secret).unwrap();
        assert!(found()[0].1.contains("No such file"), "{:?}", found());
    }

    #[test]
    fn a_host_without_rules_or_with_local_ones() {
        let (_root, none) = host(&[("etc/lockdown/lockdown.toml", "")]);
        assert!(rules(&none)[0].message.contains("nobody is told"));
        let (_root, wall) =
            host(&[("etc/lockdown/lockdown.toml", "[[notify]]\nname = 'a'\ntransport = 'wall'")]);
        assert_eq!(rules(&wall).iter().map(|finding| finding.level).collect::<Vec<_>>(), [Level::Ok]);
    }
}
